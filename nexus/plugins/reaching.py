"""How plugins reach servers: back ends that answer for one, transports that open a way to one, and sign-ins.

The scheme of a server's URL names the back end or the transport: `demo://anything` is a plugin's that brings `demo`.
"""

import json
from collections.abc import Mapping
from typing import Any

from nexus.client.way import Reply, Request
from nexus.plugins.caller import Caller
from nexus.plugins.catalog import Known
from nexus.plugins.runner import PluginRunner
from nexus.schemas.errors import BackendError, NotFound, PluginError

SECONDS = 60.0
_NOT_PASSED_ON = frozenset({"authorization", "cookie"})
"""Headers that sign in: a plugin is never given them."""


class PluginWay:
    """The API of a server that a plugin answers for, request by request."""

    def __init__(self, runner: PluginRunner, known: Known, reference: str, url: str, caller: Caller) -> None:
        self.name = url
        self._runner = runner
        self._known = known
        self._reference = reference
        self._caller = caller

    async def send(self, request: Request) -> Reply:
        """Have the plugin answer. Raises what its function means, `PluginError`, `TimeoutExceeded`."""
        given = {
            "url": self.name,
            "method": request.method,
            "target": request.target,
            "headers": {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON},
            "body": json.loads(request.content) if request.content else None,
        }
        answer = await self._runner.call(self._known, self._reference, given, self._caller, SECONDS)
        if not isinstance(answer, Mapping) or not isinstance(answer.get("status", 200), int):
            raise BackendError.because(f"The back end {self.name} answered nothing that can be read.")
        body = json.dumps(answer.get("body")).encode()
        return Reply(answer.get("status", 200), [(b"content-type", b"application/json")], body)

    async def aclose(self) -> None:
        """Do nothing: the worker is the process's."""


class Reaching:
    """What plugins bring to reach the server of one command."""

    def __init__(self, runner: PluginRunner, caller: Caller) -> None:
        self._runner = runner
        self._caller = caller

    def back_end(self, url: str) -> PluginWay | None:
        """Return the way to a back end of a plugin, None where the URL's scheme names none."""
        found = self._contribution("backends", url.partition("://")[0])
        return PluginWay(self._runner, *found, url, self._caller) if found is not None else None

    async def opened(self, url: str) -> str | None:
        """Return the URL at which a plugin's transport has opened a way, None where the scheme names none.

        The way is open for as long as this process lives, and opened again when its worker has ended. Raises what the
        plugin's function means, `PluginError`.
        """
        found = self._contribution("transports", url.partition("://")[0])
        if found is None:
            return None
        known, reference = found
        answer = await self._runner.held(known, reference, {"url": url}, self._caller, SECONDS)
        there = answer.get("url") if isinstance(answer, Mapping) else None
        if not isinstance(there, str) or not there.startswith(("http://", "https://")):
            raise PluginError.because(f"The transport to {url} opened no way that can be used.", plugin=known.name)
        return there

    async def token(self, method: str, server: str) -> str:
        """Return what signs in to a server, by a method of a plugin. Raises `NotFound`, what the plugin means."""
        found = self._contribution("authentication", method)
        if found is None:
            raise NotFound(resource="authentication method", reference=method[:200], hint="nexus settings plugin list")
        token = await self._runner.call(*found, {"server": server, "method": method}, self._caller, SECONDS)
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise PluginError.because(f"The method {method} gave no token.", plugin=found[0].name)
        return token

    def _contribution(self, kind: str, name: str) -> tuple[Known, str] | None:
        contributing: list[tuple[Known, dict[str, Any]]] = list(self._runner.catalog.contributing("contributes", kind))
        return next(((known, named[name]["call"]) for known, named in contributing if name in named), None)
