"""Bytes over a server with accounts: roles decide who is given a URL, the URL decides the rest, and no log tells it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.kernel.answers import answer, refusal
from tests.kernel.data.conftest import begin, complete, send
from tests.kernel.server.running import running

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"a,b\n1,2\n" * 100_000


async def test_roles_decide_who_is_given_a_url_and_the_url_decides_the_rest(tmp_path: Path) -> None:
    async with running(tmp_path / "data", body_bytes=1000) as server:
        writer = await server.signed_in("writer", patterns=["data.dataset.push"])
        reader = await server.signed_in("reader", patterns=["data.dataset.list", "data.dataset.pull"])
        nobody = server.client()

        body = {"name": "a", "filename": "a", "size": 1}
        refusal(await nobody.post("/api/data/datasets/uploads", json=body), 401, "AUTHENTICATION_REQUIRED")
        refusal(await reader.post("/api/data/datasets/uploads", json=body), 403, "PERMISSION_DENIED")
        upload = await begin(writer, CONTENT, "prices")
        # Whoever has the URL may send: it is larger than any other request may be.
        await send(nobody, CONTENT, upload["parts"])
        refusal(await complete(reader, upload, CONTENT), 403, "PERMISSION_DENIED")
        item = answer(await complete(writer, upload, CONTENT))

        at = f"/api/data/datasets/{item['id']}"
        refusal(await writer.get(f"{at}/download"), 403, "PERMISSION_DENIED")
        refusal(await reader.delete(at), 403, "PERMISSION_DENIED")
        url = answer(await reader.get(f"{at}/download"))["url"]
        assert (await nobody.get(url)).content == CONTENT
        refusal(await nobody.get(url[:-1] + ("0" if url[-1] != "0" else "1")), 403, "URL_REFUSED")
        # A token in place of the signature is none.
        refusal(await reader.get(url.partition("?")[0]), 403, "URL_REFUSED")
        assert url.partition("signature=")[2] not in json.dumps(server.log, default=str)
