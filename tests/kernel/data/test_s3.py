"""Bytes at a service that speaks S3, and checks what it is sent: signed URLs, parts, and nothing believed unread."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from nexus.kernel.data import s3
from nexus.kernel.data.sigv4 import Credentials, Presigner
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings, ObjectStore
from tests.kernel.answers import answer, refusal
from tests.kernel.data import swift
from tests.kernel.data.conftest import begin, complete, send

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.conftest import Shell

PART = 5 * 1024 * 1024
CONTENT = os.urandom(2 * PART + 1000)

needs_swift = pytest.mark.skipif(not swift.available(), reason="Swift is not installed")


def test_a_url_is_signed_as_the_documentation_of_aws_signs_it() -> None:
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    signer = Presigner("https://examplebucket.s3.amazonaws.com", "us-east-1", credentials)
    url = signer.url("GET", "/test.txt", 86_400, datetime(2013, 5, 24, tzinfo=UTC))
    assert url.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    assert "wJalr" not in repr(credentials)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with swift.running(tmp_path_factory.mktemp("swift")) as found:
        made = httpx.put(signer_of(found).url("PUT", f"/{swift.BUCKET}", 600, datetime.now(UTC)))
        assert made.is_success, made.text
        yield found


def signer_of(endpoint: str) -> Presigner:
    return Presigner(endpoint, "us-east-1", Credentials(swift.ACCESS_KEY, swift.SECRET_KEY))


@pytest.fixture
def objects(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Return a place of this test's own in the bucket."""
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    path = tmp_path / "credentials"
    path.write_text(f"[default]\naws_access_key_id = {swift.ACCESS_KEY}\naws_secret_access_key = {swift.SECRET_KEY}\n")
    path.chmod(0o600)
    return ObjectStore(endpoint, swift.BUCKET, path, prefix=f"{time.monotonic_ns()}/")


@pytest.fixture
async def kernel(data_folder: Path, objects: ObjectStore) -> AsyncIterator[Kernel]:
    kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(objects=objects))
    yield kernel
    await kernel.close()


@pytest.fixture
async def api(kernel: Kernel) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as client:
        yield client


async def sent(parts: list[dict[str, Any]], content: bytes = CONTENT) -> None:
    """Send parts to the service."""
    async with httpx.AsyncClient(timeout=60) as client:
        await send(client, content, parts)


def keys(objects: ObjectStore) -> list[str]:
    """Return what there is below the test's prefix."""
    query = {"prefix": objects.prefix}
    url = signer_of(objects.endpoint).url("GET", f"/{objects.bucket}", 600, datetime.now(UTC), query)
    return s3._texts(httpx.get(url, timeout=60).content, "Key")


@needs_swift
async def test_a_file_goes_to_the_service_in_parts_and_is_deleted_there(
    api: httpx.AsyncClient, objects: ObjectStore
) -> None:
    upload = await begin(api, CONTENT, resumeKey="file")
    assert [part["url"].startswith(objects.endpoint) for part in upload["parts"]] == [True] * 3
    await sent([upload["parts"][2], upload["parts"][0]])
    assert refusal(await complete(api, upload, CONTENT), 409, "UPLOAD_INCOMPLETE")["details"]["missing"] == [2]
    again = await begin(api, CONTENT, resumeKey="file")
    assert ([part["number"] for part in again["parts"]], again["resumed"]) == ([2], True)
    assert again["transferred"] == PART + 1000
    await sent(again["parts"])
    item = answer(await complete(api, upload, CONTENT))
    assert answer(await complete(api, upload, CONTENT)) == item
    assert len(keys(objects)) == 1
    url = answer(await api.get(f"/api/data/datasets/{item['id']}/download"))["url"]
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(url)).content == CONTENT
        part = await client.get(url, headers={"range": "bytes=7-"})
        assert (part.status_code, part.content) == (206, CONTENT[7:])
        # A URL is good for what it was signed for.
        other = url.replace(item["id"].removeprefix("dst_"), "0" * 32)
        for refused in (await client.get(url[:-1] + "x"), await client.put(url, content=b""), await client.get(other)):
            assert refused.status_code == 403, refused.text
    assert answer(await api.post(f"/api/data/datasets/{item['id']}/verify"))["verified"]
    # The same bytes a second time are kept once.
    twin = await begin(api, CONTENT, "twin")
    await sent(twin["parts"])
    twin_item = answer(await complete(api, twin, CONTENT))
    assert len(keys(objects)) == 1
    answer(await api.delete(f"/api/data/datasets/{item['id']}"))
    assert len(keys(objects)) == 1
    answer(await api.delete(f"/api/data/datasets/{twin_item['id']}"))
    assert keys(objects) == []


@needs_swift
async def test_a_digest_that_is_claimed_is_not_believed(api: httpx.AsyncClient, objects: ObjectStore) -> None:
    secret = b"what somebody else keeps" * 10
    kept = await begin(api, secret, "secret")
    await sent(kept["parts"], secret)
    answer(await complete(api, kept, secret))
    # Whoever knows a digest does not get the bytes by it.
    guess = await begin(api, b"x" * len(secret), "guess")
    await sent(guess["parts"], b"x" * len(secret))
    refusal(await complete(api, guess, secret), 409, "CHECKSUM_MISMATCH")
    refusal(await complete(api, guess, secret), 409, "UPLOAD_EXPIRED")
    assert len(keys(objects)) == 1


@needs_swift
async def test_a_url_whose_time_is_over_is_refused(objects: ObjectStore) -> None:
    old = datetime.now(UTC) - timedelta(hours=1)
    url = signer_of(objects.endpoint).url("GET", f"/{objects.bucket}/any", 60, old)
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(url)).status_code == 403


@needs_swift
async def test_bytes_stay_where_they_are_when_the_configuration_changes(
    data_folder: Path, objects: ObjectStore
) -> None:
    items = {}
    for name, place in (("here", None), ("there", objects)):
        kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(objects=place))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            content = name.encode()
            upload = await begin(api, content, name)
            await (send(api, content, upload["parts"]) if place is None else sent(upload["parts"], content))
            items[name] = answer(await complete(api, upload, content))
        await kernel.close()
    for place, refused in ((objects, []), (None, ["there"])):
        kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(objects=place))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            for name, item in items.items():
                verified = await api.post(f"/api/data/datasets/{item['id']}/verify")
                if name in refused:
                    refusal(verified, 422, "CONFIG_INVALID")
                else:
                    assert answer(verified)["verified"]
        await kernel.close()


@needs_swift
def test_a_kernel_is_told_of_the_service_by_its_configuration(shell: Shell, objects: ObjectStore) -> None:
    (shell.cwd / "file").write_bytes(CONTENT)
    values = {
        "s3_endpoint": objects.endpoint,
        "s3_bucket": objects.bucket,
        "s3_prefix": objects.prefix,
        "s3_credentials": str(objects.credentials),
    }
    settings = "\n".join(
        f"nexus settings config set --key data.{key} --value '{value}'" for key, value in values.items()
    )
    done = shell.run(
        f"{settings}\nnexus data dataset push file; nexus data dataset pull file copy; cmp file copy\n"
        'test -z "$(find "$NEXUS_HOME/data/blobs" -type f)"\nnexus data dataset delete file --yes'
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert keys(objects) == []


@pytest.mark.parametrize("fault", ["none", "open to others", "empty"])
async def test_credentials_that_cannot_be_used_are_told(data_folder: Path, tmp_path: Path, fault: str) -> None:
    path = tmp_path / "credentials"
    if fault != "none":
        path.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n" * (fault != "empty"))
        path.chmod(0o644 if fault == "open to others" else 0o600)
    place = ObjectStore("http://127.0.0.1:9", "b", path)
    kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(objects=place))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        body = {"name": "a", "filename": "a", "size": 1}
        refusal(await api.post("/api/data/datasets/uploads", json=body), 422, "CONFIG_INVALID")
        path.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
        path.chmod(0o600)
        refusal(await api.post("/api/data/datasets/uploads", json=body), 503, "BACKEND_UNAVAILABLE")
    await kernel.close()
