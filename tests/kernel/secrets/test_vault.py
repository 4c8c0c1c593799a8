"""A Vault as the back end of secrets, against the stand-in of `vault_server`: values, sign-ins, and what is refused."""

import ipaddress
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.settings import KernelSettings, VaultAddress
from tests.conftest import Shell
from tests.kernel.answers import answer, refusal
from tests.kernel.kept import everything_kept
from tests.kernel.secrets import vault_server
from tests.kernel.secrets.vault_server import ROLE_ID, SECRET_ID, Vault

VALUE = "correct-horse-battery"


@pytest.fixture(scope="module")
def server() -> Iterator[Vault]:
    with vault_server.running() as vault:
        yield vault


@pytest.fixture
def vault(server: Vault) -> Vault:
    """The server as it is when it starts."""
    url = server.url
    server.__dict__.update(vars(Vault()), url=url)
    return server


def as_role(vault: Vault, folder: Path, **more: Any) -> VaultAddress:
    secret = folder / "secret-id"
    secret.write_text(f"{SECRET_ID}\n")
    return VaultAddress(vault.url, method="approle", role_id=ROLE_ID, secret_id_file=secret, **more)


@pytest.fixture
async def kernel(data_folder: Path, vault: Vault, tmp_path: Path) -> AsyncIterator[Kernel]:
    kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(vault=as_role(vault, tmp_path)))
    yield kernel
    await kernel.close()


async def with_vault(folder: Path, address: VaultAddress, name: str = "API_KEY") -> httpx.Response:
    """Set a secret by a kernel of its own."""
    kernel = await Kernel.open(folder, OneShotHost(), KernelSettings(vault=address))
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
            return await api.put(f"/api/secrets/{name}", json={"value": VALUE})
    finally:
        await kernel.close()


async def test_values_are_in_the_vault_and_nowhere_else(api: httpx.AsyncClient, kernel: Kernel, vault: Vault) -> None:
    made = answer(await api.put("/api/secrets/API_KEY", json={"value": VALUE}))
    assert (made["version"], made["kept"]) == (1, "vault")
    assert vault.values["nexus/API_KEY"][-1]["data"] == {"value": VALUE}
    rotated = answer(await api.post("/api/secrets/API_KEY/rotate", json={"characters": 40, "everySeconds": 3600}))
    assert rotated["version"] == 2
    assert len(vault.values["nexus/API_KEY"][-1]["data"]["value"]) == 40
    vault.values["nexus/OF_OTHERS"] = [{"data": {"password": VALUE}, "created_time": "2026-01-02T03:04:05.123456789Z"}]
    vault.values["nexus/folder/DEEP"] = vault.values["nexus/OF_OTHERS"]
    listed = answer(await api.get("/api/secrets"))["items"]
    assert [(each["name"], each["version"], each["kept"]) for each in listed] == [
        ("API_KEY", 2, "vault"),
        ("OF_OTHERS", 1, "vault"),
    ]
    assert listed[0]["rotatesAt"] > listed[0]["rotatedAt"]
    assert listed[1]["createdAt"] == "2026-01-02T03:04:05.123456Z"
    found = await (await secrets_of(kernel).catalog()).find(["API_KEY", "OF_OTHERS"])
    assert [each.value for each in found] == [vault.values["nexus/API_KEY"][-1]["data"]["value"], VALUE]
    answer(await api.delete("/api/secrets/API_KEY"))
    answer(await api.delete("/api/secrets/OF_OTHERS"))
    refusal(await api.delete("/api/secrets/OF_OTHERS"), 404, "RESOURCE_NOT_FOUND")
    refusal(await api.post("/api/secrets/NONE/rotate", json={}), 404, "RESOURCE_NOT_FOUND")
    assert list(vault.values) == ["nexus/folder/DEEP"]
    assert VALUE.encode() not in await everything_kept(kernel._store)


async def test_what_was_sealed_before_stays_readable_until_it_is_set_anew(
    data_folder: Path, vault: Vault, tmp_path: Path
) -> None:
    before = await Kernel.open(data_folder, OneShotHost())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(before.app), base_url="http://kernel") as api:
        answer(await api.put("/api/secrets/OLD", json={"value": VALUE}))
        refusal(await api.put("/api/secrets/LENT", json={"lease": {"path": "a/b"}}), 422, "CONFIG_INVALID")
    await before.close()
    kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(vault=as_role(vault, tmp_path)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        catalog = await secrets_of(kernel).catalog()
        assert [each.value for each in await catalog.find(["OLD"])] == [VALUE]
        assert [each["kept"] for each in answer(await api.get("/api/secrets"))["items"]] == ["kernel"]
        assert answer(await api.put("/api/secrets/OLD", json={"value": "another value"}))["kept"] == "vault"
        assert [each.value for each in await catalog.find(["OLD"])] == ["another value"]
    await kernel.close()


async def test_what_is_due_in_the_vault_is_rotated_by_one_kernel(
    api: httpx.AsyncClient, kernel: Kernel, vault: Vault
) -> None:
    await api.put("/api/secrets/DUE", json={"value": VALUE})
    answer(await api.post("/api/secrets/DUE/rotate", json={"everySeconds": 3600}))
    await kernel._store.write(lambda c: c.exec_driver_sql("UPDATE secrets SET rotates_at = '2020-01-01T00:00:00Z'"))
    catalog = await secrets_of(kernel).catalog()
    told: list[str] = []

    def hear(_connection: Any, name: str) -> None:
        told.append(name)

    claimed = await kernel._store.write(lambda connection: catalog._rows.rotate_due(connection, hear))
    assert [row.name for row in claimed] == ["DUE"]
    # Another kernel that looks meanwhile finds nothing to do.
    await catalog.rotate_due(hear)
    assert len(vault.values["nexus/DUE"]) == 2
    await kernel._store.write(lambda c: c.exec_driver_sql("UPDATE secrets SET rotates_at = '2020-01-01T00:00:00Z'"))
    assert not told
    await catalog.rotate_due(hear)
    assert told == ["DUE"]
    assert len(vault.values["nexus/DUE"]) == 3
    due = await kernel._store.read(lambda c: c.exec_driver_sql("SELECT rotates_at FROM secrets").scalar_one())
    assert due > datetime.now(UTC).isoformat()


async def test_a_token_that_ends_is_signed_in_anew_and_one_that_is_good_is_used_on(
    api: httpx.AsyncClient, kernel: Kernel, vault: Vault
) -> None:
    for value in ("first value", "second value"):
        answer(await api.put("/api/secrets/A", json={"value": value}))
    assert vault.asked.count(("POST", "auth/approle/login")) == 1
    vault.tokens.clear()
    answer(await api.put("/api/secrets/A", json={"value": "third value"}))
    assert vault.asked.count(("POST", "auth/approle/login")) == 2
    assert len(vault.values["nexus/A"]) == 3


async def test_a_sign_in_is_kept_sealed_for_the_next_kernel(data_folder: Path, vault: Vault, tmp_path: Path) -> None:
    address = as_role(vault, tmp_path)
    for name in ("A", "B"):
        answer(await with_vault(data_folder, address, name))
    assert vault.asked.count(("POST", "auth/approle/login")) == 1
    (token,) = vault.tokens
    assert not [file for file in data_folder.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]


async def test_each_way_in_which_a_vault_refuses_has_an_error_that_says_what_to_do(
    api: httpx.AsyncClient, vault: Vault, tmp_path: Path
) -> None:
    async def refused(status: int, code: str, says: str) -> None:
        error = refusal(await api.put("/api/secrets/A", json={"value": VALUE}), status, code)
        assert says in error["details"]["hint"]
        assert VALUE not in str(error)

    vault.sealed = True
    await refused(503, "VAULT_SEALED", "operator unseal")
    vault.sealed, vault.away = False, True
    await refused(503, "VAULT_UNAVAILABLE", "vault.url")
    vault.away, vault.redirects = False, True
    await refused(502, "VAULT_FAILED", "redirect")
    vault.redirects = False
    answer(await api.put("/api/secrets/A", json={"value": VALUE}))
    for token in vault.tokens.values():
        token.may = False
    await refused(403, "VAULT_DENIED", "policy")

    folder = tmp_path / "another"
    token_file = tmp_path / "token"
    token_file.write_text("hvs.one-that-expired")
    by_token = VaultAddress(vault.url, token_file=token_file)
    error = refusal(await with_vault(folder, by_token), 502, "VAULT_SIGN_IN_FAILED")
    assert "vault.token_file" in error["details"]["hint"]
    token_file.write_text(vault.token())
    answer(await with_vault(folder, by_token))
    by_token = VaultAddress(vault.url, token_file=tmp_path / "none", environment={"VAULT_TOKEN": vault.token(ttl=60)})
    answer(await with_vault(folder, by_token))
    elsewhere = VaultAddress(vault.url, token_file=token_file, mount="nothing")
    assert "vault.mount" in str(refusal(await with_vault(folder, elsewhere), 422, "CONFIG_INVALID"))
    nobody = VaultAddress("http://127.0.0.1:9", token_file=token_file)
    refusal(await with_vault(folder, nobody), 503, "VAULT_UNAVAILABLE")
    in_the_open = VaultAddress("http://vault.example.com", token_file=token_file)
    refusal(await with_vault(folder, in_the_open), 422, "CONFIG_INVALID")
    as_nobody = VaultAddress(
        vault.url, method="approle", role_id=ROLE_ID, environment={"VAULT_SECRET_ID": "a-wrong-one"}
    )
    error = refusal(await with_vault(folder, as_nobody), 502, "VAULT_SIGN_IN_FAILED")
    assert "a-wrong-one" not in str(error)


async def test_a_vault_is_believed_by_the_certificates_that_were_given_for_it(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    with vault_server.running(certificate, key) as vault:
        answer(await with_vault(tmp_path / "a", as_role(vault, tmp_path, ca=certificate)))
        error = refusal(await with_vault(tmp_path / "b", as_role(vault, tmp_path)), 503, "VAULT_UNAVAILABLE")
        assert "vault.ca_file" in error["details"]["hint"]
        lost = as_role(vault, tmp_path, ca=tmp_path / "none.pem")
        refusal(await with_vault(tmp_path / "b", lost), 422, "CONFIG_INVALID")
        assert list(vault.values) == ["nexus/API_KEY"]


def test_a_kernel_is_told_of_its_vault_by_the_configuration(shell: Shell, vault: Vault) -> None:
    settings = {"url": vault.url, "method": "approle", "role_id": ROLE_ID, "secret_id_file": str(shell.home / "id")}
    (shell.home / "id").write_text(SECRET_ID)
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    folder = Path(shell.environment["NEXUS_HOME"]) / "config"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f"[vault]\n{table}")
    done = shell.run(
        """
        echo 'correct-horse-battery' | nexus settings secret set API_KEY | jq -r .data.kept
        nexus settings secret set DB --lease database/creds/reporting --field password | jq -r .data.kept
        nexus settings secret rotate API_KEY --every 30d | jq -r .data.version
        nexus settings secret list | jq -r '.data.items | map(.name) | join(",")'
        id=$(nexus debug process start --secret API_KEY --secret DB -- sh -c 'echo "$API_KEY|$DB|"' | jq -r .data.id)
        nexus debug log tail --id "$id" --follow | jq -r 'select(.event == "data").payload.message'
        nexus settings secret delete API_KEY --yes | jq -r .data.id
        """
    )
    assert done.returncode == 0, done.stderr
    *told, deleted = done.stdout.decode().splitlines()
    assert told == ["vault", "lease", "2", "API_KEY,DB", "***|***|"]
    assert deleted.startswith("sec_")
    assert len(vault.leases) + len(vault.revoked) == 1
    # Which settings a Vault's own errors speak of.
    vault.sealed = True
    refused = shell.run("echo value | nexus settings secret set API_KEY")
    assert refused.returncode == 5
    assert json.loads(refused.stdout)["errors"][0]["code"] == "VAULT_SEALED"
    vault.sealed = False


def secrets_of(kernel: Kernel) -> Any:
    """Return the kernel's secrets, as its parts have them."""
    part: Any = next(part for part in kernel._parts if type(part).__name__ == "SecretsPart")
    return part._secrets


def certified(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for loopback that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a Vault")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    return paths
