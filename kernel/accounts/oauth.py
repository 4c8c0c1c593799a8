"""The OAuth 2.0 device flow (RFC 8628): where a device begins and polls, and the page on which a person approves it."""

import html
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from nexus.kernel.caller import Caller, caller_of, checks_callers
from nexus.schemas.errors import AuthInvalid, NexusError, NotFound, RateLimited

if TYPE_CHECKING:
    from nexus.kernel.accounts.signing import Signing
    from nexus.schemas.account import Tokens

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MOST_BYTES = 8192
MOST_FIELDS = 20
MOST_CLIENT = 100

Form = Mapping[str, str]
Answer = tuple[int, str, bytes]
"""Status, content type, body."""

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Nexus: approve a device</title>
<h1>Approve a device</h1>
<p>{told}</p>
<form method="post" action="/device" autocomplete="off">
<p><label>Code <input name="user_code" required maxlength="20" value="{code}"></label></p>
<p><label>Name <input name="name" required maxlength="64" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password" required maxlength="1024"></label></p>
<p><button name="verdict" value="approve">Approve</button> <button name="verdict" value="deny">Deny</button></p>
</form>
"""


class FormRefused(Exception):
    """A request whose body is no form that can be taken."""


def oauth_routes(signing: "Callable[[], Signing]") -> Sequence[BaseRoute]:
    """Return the routes. `signing` is asked for when one of them is first used."""
    flow = DeviceFlow(signing)
    return (
        checks_callers(Route("/oauth/device_authorization", FormEndpoint(post=flow.begin))),
        checks_callers(Route("/oauth/token", FormEndpoint(post=flow.token))),
        checks_callers(Route("/device", FormEndpoint(get=flow.page, post=flow.approve))),
    )


class FormEndpoint:
    """One path that takes forms. It is public: what it gives, it gives for a code or a password."""

    def __init__(
        self,
        *,
        post: Callable[[Form, Scope, Caller], Awaitable[Answer]],
        get: Callable[[Form, Scope, Caller], Awaitable[Answer]] | None = None,
    ) -> None:
        self._methods = {"POST": post} | ({"GET": get} if get is not None else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            method = self._methods.get(scope["method"])
            if method is None:
                status, kind, body = _error(405, "invalid_request")
            else:
                form = await _form(scope, receive)
                status, kind, body = await method(form, scope, caller_of(scope))
        except FormRefused:
            status, kind, body = _error(400, "invalid_request")
        except RateLimited:
            status, kind, body = _error(429, "slow_down")
        except NexusError as error:
            status, kind, body = _error(400 if error.exit_status != 5 else 503, "invalid_request")
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class DeviceFlow:
    """The three places."""

    def __init__(self, signing: "Callable[[], Signing]") -> None:
        self._signing = signing

    async def begin(self, form: Form, scope: Scope, caller: Caller) -> Answer:  # noqa: ARG002 -- every place is given one
        client = form.get("client_id", "")
        if not client or len(client) > MOST_CLIENT or not client.isprintable():
            return _error(400, "invalid_client")
        codes = await self._signing().begin_device(client)
        page = f"{_origin(scope)}/device"
        told = {
            "device_code": codes.device,
            "user_code": codes.user,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': codes.user})}",
            "expires_in": codes.seconds,
            "interval": codes.interval,
        }
        return 200, "application/json", json.dumps(told).encode()

    async def token(self, form: Form, scope: Scope, caller: Caller) -> Answer:  # noqa: ARG002 -- see above
        grant = form.get("grant_type")
        if grant == "refresh_token":
            try:
                return _tokens(await self._signing().refreshed(caller, form.get("refresh_token", "")))
            except AuthInvalid:
                return _error(400, "invalid_grant")
        if grant != DEVICE_GRANT:
            return _error(400, "unsupported_grant_type")
        found = await self._signing().poll_device(caller, form.get("device_code", ""))
        return _error(400, found) if isinstance(found, str) else _tokens(found)

    async def page(self, form: Form, scope: Scope, caller: Caller) -> Answer:  # noqa: ARG002 -- see above
        return _page(200, "Type the code that your device shows, and sign in.", form.get("user_code", ""))

    async def approve(self, form: Form, scope: Scope, caller: Caller) -> Answer:  # noqa: ARG002 -- see above
        code = form.get("user_code", "")
        try:
            client = await self._signing().approve_by_password(
                caller,
                (form.get("name", ""), form.get("password", "")),
                code,
                deny=form.get("verdict") != "approve",
            )
        except (AuthInvalid, NotFound, RateLimited) as error:
            return _page(403, str(error), code)
        done = "may sign in as you now" if form.get("verdict") == "approve" else "was turned away"
        return _page(200, f"The device {client} {done}. You can close this page.", "")


async def _form(scope: Scope, receive: Receive) -> Form:
    if scope["method"] == "GET":
        return _fields(scope.get("query_string", b""))
    kind = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/x-www-form-urlencoded":
        raise FormRefused
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise FormRefused
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise FormRefused
        if not message.get("more_body", False):
            return _fields(body)


def _fields(text: bytes) -> Form:
    try:
        pairs = parse_qsl(text.decode("ascii"), max_num_fields=MOST_FIELDS, errors="strict", keep_blank_values=True)
    except ValueError as error:
        raise FormRefused from error
    if len({name for name, _ in pairs}) != len(pairs):
        # "Request and response parameters … MUST NOT be included more than once" (RFC 6749, section 3.2).
        raise FormRefused
    return dict(pairs)


def _tokens(pair: "Tokens") -> Answer:
    told = {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": pair.token_type,
        "expires_in": pair.expires_in,
        "user": pair.user,
    }
    return 200, "application/json", json.dumps(told).encode()


def _error(status: int, code: str) -> Answer:
    return status, "application/json", json.dumps({"error": code}).encode()


def _page(status: int, told: str, code: str) -> Answer:
    page = PAGE.format(told=html.escape(told), code=html.escape(code[:20]))
    return status, "text/html; charset=utf-8", page.encode()


def _origin(scope: Scope) -> str:
    """Return where the caller reached us. It is told to that caller alone, so a Host of its own making fools nobody."""
    host = dict(scope["headers"]).get(b"host", b"localhost").decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{host}"
