"""Data sets and artifacts over the API: what arrives is whole or not there, kept once, and goes with its last owner."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.data import local
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from tests.kernel.answers import answer, refusal
from tests.kernel.data.conftest import Push, begin, complete, send, sha256

CONTENT = bytes(range(256)) * 1000


def kept(data_folder: Path) -> list[Path]:
    """Return the files of whole contents."""
    return sorted(path for path in (data_folder / "blobs" / "sha256").rglob("*") if path.is_file())


def drafts(data_folder: Path) -> list[str]:
    return sorted(path.name for path in (data_folder / "blobs" / "drafts").iterdir())


async def bytes_of(api: httpx.AsyncClient, item: dict[str, Any], **headers: str) -> httpx.Response:
    kind = "datasets" if item["id"].startswith("dst") else "artifacts"
    word = answer(await api.get(f"/api/data/{kind}/{item['id']}/download"))
    return await api.get(word["url"], headers=headers)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "PART_BYTES", 100_000)
    monkeypatch.setattr(local, "CHUNK", 1000)


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["nothing", "one byte", "many"])
async def test_what_is_pushed_is_had_back(api: httpx.AsyncClient, push: Push, content: bytes) -> None:
    item = await push(content, "müller & co", description="A try")
    assert (item["size"], item["sha256"], item["description"]) == (len(content), sha256(content), "A try")
    whole = await bytes_of(api, item)
    assert whole.content == content
    assert whole.headers["etag"] == f'"{sha256(content)}"'
    assert answer(await api.post(f"/api/data/datasets/{item['id']}/verify"))["verified"] is True


async def test_a_range_is_what_was_asked_for(api: httpx.AsyncClient, push: Push) -> None:
    item = await push(CONTENT)
    part = await bytes_of(api, item, range="bytes=10-19")
    assert (part.status_code, part.content) == (206, CONTENT[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(CONTENT)}"
    none = await bytes_of(api, item, range=f"bytes={len(CONTENT)}-")
    assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{len(CONTENT)}")
    other = await bytes_of(api, item, **{"range": "bytes=10-19", "if-range": '"of something else"'})
    assert (other.status_code, other.content) == (200, CONTENT)


async def test_parts_come_in_any_order_and_twice(api: httpx.AsyncClient, data_folder: Path, small_parts: None) -> None:
    upload = await begin(api, CONTENT)
    assert upload["partCount"] == 3
    await send(api, CONTENT, [upload["parts"][2], upload["parts"][0], upload["parts"][2]])
    early = refusal(await complete(api, upload, CONTENT), 409, "UPLOAD_INCOMPLETE")
    assert early["details"]["missing"] == [2]
    # A part that has arrived is not taken again, whatever its bytes are now.
    again = await api.put(upload["parts"][0]["url"], content=b"y" * 100_000)
    assert again.status_code == 200
    await send(api, CONTENT, [upload["parts"][1]])
    item = answer(await complete(api, upload, CONTENT))
    assert (await bytes_of(api, item)).content == CONTENT
    assert answer(await complete(api, upload, CONTENT))["id"] == item["id"]
    assert drafts(data_folder) == []


async def test_a_cut_upload_is_found_again_by_the_next_kernel(data_folder: Path, small_parts: None) -> None:
    for missing in ([1, 2, 3], [2, 3], [3]):
        kernel = await Kernel.open(data_folder, OneShotHost())
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            upload = await begin(api, CONTENT, resumeKey="file 1")
            assert [part["number"] for part in upload["parts"]] == missing
            assert upload["resumed"] is (missing != [1, 2, 3])
            assert upload["transferred"] == (3 - len(missing)) * 100_000
            await send(api, CONTENT, upload["parts"][:1])
            if missing == [3]:
                item = answer(await complete(api, upload, CONTENT))
                assert (await bytes_of(api, item)).content == CONTENT
        await kernel.close()


async def test_bytes_that_are_others_than_was_said_are_not_kept(api: httpx.AsyncClient, data_folder: Path) -> None:
    upload = await begin(api, CONTENT)
    await send(api, CONTENT[::-1], upload["parts"])
    wrong = refusal(await complete(api, upload, CONTENT), 409, "CHECKSUM_MISMATCH")
    assert wrong["details"]["actual"] == sha256(CONTENT[::-1])
    refusal(await complete(api, upload, CONTENT), 409, "UPLOAD_EXPIRED")
    late = await api.put(upload["parts"][0]["url"], content=CONTENT)
    refusal(late, 409, "UPLOAD_EXPIRED")
    assert answer(await api.get("/api/data/datasets"))["items"] == []
    assert kept(data_folder) == drafts(data_folder) == []


@pytest.mark.parametrize("body", [CONTENT[:-1], CONTENT + b"x"], ids=["short", "long"])
async def test_a_part_of_another_length_does_not_count(api: httpx.AsyncClient, body: bytes) -> None:
    upload = await begin(api, CONTENT)
    refusal(await api.put(upload["parts"][0]["url"], content=body), 422, "VALIDATION_ERROR")
    refusal(await complete(api, upload, CONTENT), 409, "UPLOAD_INCOMPLETE")


async def test_equal_content_is_kept_once_and_goes_with_its_last_owner(
    api: httpx.AsyncClient, push: Push, data_folder: Path
) -> None:
    first, second = await push(CONTENT, "a"), await push(CONTENT, "b")
    third = await push(CONTENT, "a", kind="artifact", runId="run 1")
    assert len(kept(data_folder)) == 1
    for item, gone in ((first, 0), (third, 0), (second, 1)):
        kind = "artifacts" if item is third else "datasets"
        deleted = answer(await api.delete(f"/api/data/{kind}/{item['id']}"))
        assert deleted["cascade"] == {"blobs": gone}
    assert kept(data_folder) == []
    # And the same content can come again.
    assert (await bytes_of(api, await push(CONTENT, "a"))).content == CONTENT


async def test_a_name_is_one_data_set_s_until_it_is_replaced(
    api: httpx.AsyncClient, push: Push, data_folder: Path
) -> None:
    old = await push(b"old", "Prices", description="Of May")
    body = {"name": "prices", "filename": "x", "size": 3}
    refusal(await api.post("/api/data/datasets/uploads", json=body), 409, "RESOURCE_CONFLICT")
    new = await push(b"new", "prices", replace=True)
    assert (new["description"], new["createdAt"]) == ("Of May", old["createdAt"])
    assert [item["id"] for item in answer(await api.get("/api/data/datasets"))["items"]] == [new["id"]]
    assert [path.read_bytes() for path in kept(data_folder)] == [b"new"]


async def test_a_name_that_was_taken_meanwhile_is_refused_and_the_bytes_are_not_lost(
    api: httpx.AsyncClient, push: Push
) -> None:
    upload = await begin(api, CONTENT, "a")
    await send(api, CONTENT, upload["parts"])
    taken = await push(b"other", "a")
    refusal(await complete(api, upload, CONTENT), 409, "RESOURCE_CONFLICT")
    answer(await api.delete(f"/api/data/datasets/{taken['id']}"))
    item = answer(await complete(api, upload, CONTENT))
    assert (await bytes_of(api, item)).content == CONTENT


async def test_an_upload_that_is_given_up_leaves_nothing(api: httpx.AsyncClient, data_folder: Path) -> None:
    upload = await begin(api, CONTENT)
    await send(api, CONTENT, upload["parts"])
    answer(await api.delete(f"/api/data/datasets/uploads/{upload['id']}"))
    refusal(await complete(api, upload, CONTENT), 409, "UPLOAD_EXPIRED")
    assert drafts(data_folder) == []


async def test_one_kind_s_upload_is_none_of_the_other_s(api: httpx.AsyncClient) -> None:
    upload = await begin(api, CONTENT)
    path = f"/api/data/artifacts/uploads/{upload['id']}"
    refusal(await api.get(path), 409, "UPLOAD_EXPIRED")
    refusal(await api.post(f"{path}/complete", json={"sha256": sha256(CONTENT)}), 409, "UPLOAD_EXPIRED")
    refusal(await api.delete(path), 409, "UPLOAD_EXPIRED")


async def test_a_url_is_good_for_what_it_was_signed_for(api: httpx.AsyncClient, push: Push) -> None:
    item = await push(CONTENT)
    url = answer(await api.get(f"/api/data/datasets/{item['id']}/download"))["url"]
    assert (await api.head(url)).headers["content-length"] == str(len(CONTENT))
    refusal(await api.put(url, content=b""), 403, "URL_REFUSED")
    refusal(await api.get(url.replace("filename=a.bin", "filename=b.bin")), 403, "URL_REFUSED")
    refusal(await api.get(url.partition("?")[0]), 403, "URL_REFUSED")
    refusal(await api.get("/blobs/key"), 403, "URL_REFUSED")


async def test_damaged_bytes_are_found_by_verify(api: httpx.AsyncClient, push: Push, data_folder: Path) -> None:
    item = await push(CONTENT)
    with kept(data_folder)[0].open("r+b") as file:
        file.seek(77)
        file.write(b"?")
    refusal(await api.post(f"/api/data/datasets/{item['id']}/verify"), 409, "CHECKSUM_MISMATCH")
    kept(data_folder)[0].unlink()
    refusal(await api.post(f"/api/data/datasets/{item['id']}/verify"), 502, "STORAGE_CORRUPT")


async def test_what_nobody_knows_of_is_removed_and_what_somebody_does_is_not(
    kernel: Kernel, api: httpx.AsyncClient, push: Push, data_folder: Path, small_parts: None
) -> None:
    item = await push(CONTENT, "a")
    upload = await begin(api, CONTENT[::-1], "b")
    await send(api, CONTENT[::-1], upload["parts"][:1])
    stray = data_folder / "blobs" / "sha256" / "ab" / f"{'ab' * 32}-01234567"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a kernel that was killed")
    lost = data_folder / "blobs" / "drafts" / f"upl_{'0' * 32}"
    lost.write_bytes(b"so was this")
    part = next(part for part in kernel._parts if type(part).__name__ == "Data")
    await part.behind.tidy()
    assert not stray.exists()
    assert not lost.exists()
    assert (await bytes_of(api, item)).content == CONTENT
    await send(api, CONTENT[::-1], upload["parts"][1:])
    assert answer(await complete(api, upload, CONTENT[::-1]))["size"] == len(CONTENT)


async def test_lists_are_filtered_sorted_and_paged(api: httpx.AsyncClient, push: Push) -> None:
    for size, name in enumerate(("red", "green", "blue")):
        await push(b"x" * size, name, kind="artifact", runId="run 1" if name != "red" else None)
    at = "/api/data/artifacts"
    names = [item["name"] for item in answer(await api.get(at, params={"sort": "-size"}))["items"]]
    assert names == ["blue", "green", "red"]
    of_run = answer(await api.get(at, params={"runId": "run 1", "limit": 1, "sort": "name"}))
    assert [item["name"] for item in of_run["items"]] == ["blue"]
    rest = answer(
        await api.get(at, params={"runId": "run 1", "limit": 1, "sort": "name", "cursor": of_run["nextCursor"]})
    )
    assert [item["name"] for item in rest["items"]] == ["green"]
    assert not rest["truncated"]


async def test_an_upload_that_was_finished_and_never_told_of_is_told_of_by_the_next_try(
    kernel: Kernel, api: httpx.AsyncClient, data_folder: Path
) -> None:
    upload = await begin(api, CONTENT)
    await send(api, CONTENT, upload["parts"])
    # As a process leaves it that is killed between giving the file its place and telling the database.
    place = data_folder / "blobs" / "sha256" / sha256(CONTENT)[:2]
    place.mkdir()
    (data_folder / "blobs" / "drafts" / upload["id"]).rename(place / f"{sha256(CONTENT)}-{upload['id'][-8:]}")
    item = answer(await complete(api, upload, CONTENT))
    assert (await bytes_of(api, item)).content == CONTENT
    assert drafts(data_folder) == []


async def test_what_there_is_no_room_for_is_refused_before_a_byte_is_sent(api: httpx.AsyncClient) -> None:
    body = {"name": "a", "filename": "a", "size": 5 * 1024**4}
    refused = refusal(await api.post("/api/data/datasets/uploads", json=body), 409, "RESOURCE_CONFLICT")
    assert 0 < refused["details"]["free"] < 5 * 1024**4
