"""Signing in as a device (RFC 8628): a code is shown here, and approved by a person elsewhere."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from nexus.client.way import Request, Way
from nexus.schemas.account import Tokens
from nexus.schemas.errors import AuthInvalid, BackendError, TimeoutExceeded

CLIENT = "nexus-cli"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
SLOWER_SECONDS = 5.0
LEAST_INTERVAL = 1.0

Show = Callable[[str, str], Awaitable[None]]


async def sign_in_as_device(way: Way, server: str, show: Show) -> Tokens:
    """Return the tokens that the server gives once a person approved.

    Raises `AuthInvalid` when the device is denied, `TimeoutExceeded` when nobody answers while the code is good.
    """
    begun = await _post(way, server, "/oauth/device_authorization", {"client_id": CLIENT})
    try:
        address = str(begun.get("verification_uri_complete") or begun["verification_uri"])
        code, device = str(begun["user_code"]), str(begun["device_code"])
        left, interval = float(begun["expires_in"]), float(begun.get("interval", SLOWER_SECONDS))
    except (KeyError, ValueError) as error:
        raise BackendError.because(f"{server} knows no device flow.", server=server) from error
    await show(address, code)
    interval = max(interval, LEAST_INTERVAL)
    asked = {"grant_type": GRANT, "device_code": device, "client_id": CLIENT}
    deadline = asyncio.get_running_loop().time() + left
    while True:
        await asyncio.sleep(interval)
        told = await _post(way, server, "/oauth/token", asked)
        answer = told.get("error")
        if answer is None:
            return _tokens(told, server)
        if answer == "slow_down":
            interval += SLOWER_SECONDS
        elif answer == "expired_token" or asyncio.get_running_loop().time() > deadline:
            raise TimeoutExceeded(seconds=left, hint="nexus settings auth login --device")
        elif answer != "authorization_pending":
            raise AuthInvalid.because(f"{server} denies this device: {answer}.", server=server)


async def _post(way: Way, server: str, path: str, form: dict[str, str]) -> dict[str, Any]:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    reply = await way.send(Request("POST", path, headers, urlencode(form).encode()))
    try:
        told = json.loads(reply.body)
    except ValueError:
        told = None
    if not isinstance(told, dict) or (reply.status >= 400 and not isinstance(told.get("error"), str)):
        raise BackendError.because(f"{server} answered {reply.status} to a device.", server=server)
    return told


def _tokens(told: dict[str, Any], server: str) -> Tokens:
    try:
        return Tokens(
            access_token=told["access_token"],
            refresh_token=told["refresh_token"],
            expires_in=int(told["expires_in"]),
            user=str(told.get("user", "unknown")),
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BackendError.because(f"{server} gave a device tokens that cannot be used.", server=server) from error
