"""A client of a kernel, and the way of a file to it, in process."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from tests.kernel.answers import answer

Push = Callable[..., Awaitable[dict[str, Any]]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def begin(api: httpx.AsyncClient, content: bytes, name: str = "a", **fields: Any) -> dict[str, Any]:
    """Begin an upload of the content and return it."""
    kind = fields.pop("kind", "dataset")
    body = {"name": name, "filename": f"{name}.bin", "size": len(content), **fields}
    return answer(await api.post(f"/api/data/{kind}s/uploads", json=body), 201)


async def send(api: httpx.AsyncClient, content: bytes, parts: list[dict[str, Any]]) -> None:
    """Send parts of the content."""
    for part in parts:
        body = content[part["offset"] : part["offset"] + part["size"]]
        done = await api.put(part["url"], content=body)
        assert done.status_code == 200, done.text


async def complete(api: httpx.AsyncClient, upload: dict[str, Any], content: bytes) -> httpx.Response:
    """Complete an upload with the digest of the content."""
    path = f"/api/data/{upload['kind']}s/uploads/{upload['id']}/complete"
    return await api.post(path, json={"sha256": sha256(content)})


@pytest.fixture
def push(api: httpx.AsyncClient) -> Push:
    """Return what pushes content whole and returns the item."""

    async def pushed(content: bytes, name: str = "a", **fields: Any) -> dict[str, Any]:
        upload = await begin(api, content, name, **fields)
        await send(api, content, upload["parts"])
        return answer(await complete(api, upload, content))

    return pushed
