"""From a path to its endpoint, by the path's words: the way of every request whose operation is known."""

from collections.abc import Mapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

_END = "/"
_VALUE = "{}"


class Table:
    """An app that hands a request to the endpoint of its path, and to `rest` when no path is the request's.

    `endpoints` maps templates such as `/api/projects/{id}` to apps. A word that a template has goes before a value.
    """

    def __init__(self, endpoints: Mapping[str, ASGIApp], rest: ASGIApp) -> None:
        self._rest = rest
        self._root: dict[str, Any] = {}
        for template, app in endpoints.items():
            node, names = self._root, []
            for word in template.split("/")[1:]:
                is_value = word.startswith("{")
                if is_value:
                    names.append(word[1:-1])
                node = node.setdefault(_VALUE if is_value else word, {})
            node[_END] = (app, tuple(names))

    def find(self, path: str) -> tuple[ASGIApp, dict[str, str]] | None:
        """Return the endpoint of a path, and the values in it; None where there is none."""
        node, values = self._root, []
        for word in path.split("/")[1:]:
            below = node.get(word)
            if below is None or word in (_VALUE, _END):
                below = node.get(_VALUE)
                if below is None or not word:
                    return None
                values.append(word)
            node = below
        if _END not in node:
            return None
        app, names = node[_END]
        return app, dict(zip(names, values, strict=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self.find(scope["path"])
            if found is not None:
                app, scope["path_params"] = found
                await app(scope, receive, send)
                return
        await self._rest(scope, receive, send)
