"""What programs have of secrets stays good while they run: newer values in files, leases renewed, then revoked."""

import asyncio
import json
import stat
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.secrets.lending import Lending
from nexus.kernel.secrets.records import SealedRecords
from nexus.kernel.secrets.values import opened
from nexus.kernel.settings import KernelSettings, VaultAddress
from nexus.kernel.vault.sign_in import Token
from nexus.kernel.vault.term import Term
from tests.kernel.answers import answer, refusal
from tests.kernel.holder.programs import end as end_holder
from tests.kernel.holder.programs import eventually
from tests.kernel.secrets import vault_server
from tests.kernel.secrets.test_vault import as_role, secrets_of
from tests.kernel.secrets.vault_server import Vault

VALUE = "correct-horse-battery"
NEXT = "staple-of-another-day"
SECONDS = 60


@pytest.fixture(scope="module")
def server() -> Iterator[Vault]:
    with vault_server.running() as vault:
        yield vault


@pytest.fixture
def vault(server: Vault) -> Vault:
    server.__dict__.update(vars(Vault()), url=server.url)
    return server


class House:
    """A data folder, the kernel that has it now, and what its sessions tell."""

    def __init__(self, folder: Path, vault: Any = None) -> None:
        self.folder = folder
        self._vault = vault
        self.kernel: Any = None
        self.api: Any = None

    async def open(self) -> None:
        self.kernel = await Kernel.open(self.folder, OneShotHost(), KernelSettings(vault=self._vault))
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(self.kernel.app), base_url="http://kernel")

    async def close(self) -> None:
        await self.api.aclose()
        await self.kernel.close()

    async def start(self, script: str, *names: str, number: int = 0) -> str:
        """Start a process that has these secrets, and return its session's id."""
        options = {"argv": ["/bin/sh", "-c", script], "cwd": str(self.folder.parent), "secrets": list(names)}
        new = {"type": "debug-stream", "context": {"processId": f"prc_{number:020}"}, "options": options}
        return str(answer(await self.api.post("/api/sessions", json=new), 201)["sessionId"])

    async def told(self, session: str, until: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Return the session's events once what is wanted is among them."""
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(SECONDS):
            while not until(events):
                query = {"after": events[-1]["seq"] if events else 0, "wait": 5}
                piece = answer(await self.api.get(f"/api/sessions/{session}/events", params=query))
                events += piece["events"]
        return events


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "data")
    await house.open()
    yield house
    await house.close()
    await end_holder(HolderPlace(str(house.folder / "holder")))


@pytest.fixture
async def lent(tmp_path: Path, vault: Vault) -> AsyncIterator[House]:
    """A kernel with a Vault; DB_USER and DB_PASSWORD are of one lease."""
    house = House(tmp_path / "data", as_role(vault, tmp_path))
    await house.open()
    for name, field in (("DB_USER", "username"), ("DB_PASSWORD", "password")):
        lease = {"path": "database/creds/reporting", "field": field}
        answer(await house.api.put(f"/api/secrets/{name}", json={"lease": lease}))
    yield house
    await house.close()
    await end_holder(HolderPlace(str(house.folder / "holder")))


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [each["payload"].get("message", "") for each in events]


def printed(line: str) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda events: line in messages(events)


def ended(events: list[dict[str, Any]]) -> bool:
    return bool(events) and events[-1]["event"] == "close"


STAY = "while [ ! -e end ]; do sleep 0.05; done"
WAIT = 'while [ "$(cat "$API_KEY_FILE")" = "$API_KEY" ]; do sleep 0.05; done; '


async def test_what_runs_finds_a_newer_value_in_its_file_and_both_are_masked(house: House, tmp_path: Path) -> None:
    await house.api.put("/api/secrets/API_KEY", json={"value": VALUE})
    script = f'echo "$API_KEY_FILE"; {WAIT} echo "old $API_KEY new $(cat "$API_KEY_FILE")"; {STAY}'
    session = await house.start(script, "API_KEY")
    first = await house.told(session, lambda events: any("/API_KEY" in each for each in messages(events)))
    file = Path(next(each for each in messages(first) if each.endswith("/API_KEY")))
    assert file.read_text() == VALUE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == stat.S_IMODE(file.parent.parent.stat().st_mode) == 0o700
    answer(await house.api.put("/api/secrets/API_KEY", json={"value": NEXT}))
    events = await house.told(session, printed("old *** new ***"))
    rotated = [each for each in events if each["event"] == "status" and "secrets" in each["payload"]]
    assert [each["payload"]["secrets"] for each in rotated] == [["API_KEY"]]
    assert VALUE not in str(events)
    assert NEXT not in str(events)
    # Another kernel goes on with it, and knows what both are.
    await house.close()
    kept = [each for each in house.folder.rglob("*") if each.is_file() and "spools" not in each.parts]
    assert not [each for each in kept if NEXT.encode() in each.read_bytes()]
    await house.open()
    await house.told(session, printed("old *** new ***"))
    answer(await house.api.post("/api/secrets/API_KEY/rotate", json={"value": VALUE + NEXT}))
    await eventually(lambda: file.read_text() == VALUE + NEXT)
    answer(await house.api.post(f"/api/sessions/{session}/close"))
    await eventually(lambda: not file.parent.exists())


async def test_a_terminal_masks_what_comes_by_rotation_too(house: House, tmp_path: Path) -> None:
    await house.api.put("/api/secrets/API_KEY", json={"value": VALUE})
    project = answer(await house.api.post("/api/projects", json={"name": "Demo"}), 201)
    script = f'echo ready; {WAIT} echo "old $API_KEY new $(cat "$API_KEY_FILE")"'
    options = {"shell": "/bin/sh", "command": script, "secrets": ["API_KEY"]}
    new = {"type": "terminal", "context": {"projectId": project["id"]}, "options": options}
    session = answer(await house.api.post("/api/sessions", json=new), 201)["sessionId"]
    await house.told(session, lambda events: "ready" in str(events))
    answer(await house.api.post("/api/secrets/API_KEY/rotate", json={"value": NEXT}))
    events = await house.told(session, ended)
    assert "old *** new ***" in str(events)
    assert VALUE not in str(events)
    assert NEXT not in str(events)


async def test_a_program_that_is_started_again_has_its_first_environment_masked(house: House) -> None:
    await house.api.put("/api/secrets/API_KEY", json={"value": VALUE})
    project = answer(await house.api.post("/api/projects", json={"name": "Demo"}), 201)
    script = 'echo "$API_KEY|$(cat "$API_KEY_FILE")|"'
    options = {"shell": "/bin/sh", "command": script, "secrets": ["API_KEY"]}
    new = {"type": "terminal", "context": {"projectId": project["id"]}, "options": options}
    session = answer(await house.api.post("/api/sessions", json=new), 201)["sessionId"]
    await house.told(session, ended)
    answer(await house.api.put("/api/secrets/API_KEY", json={"value": NEXT}))
    answer(await house.api.post(f"/api/sessions/{session}/restart", json={}))
    events = await house.told(session, ended)
    assert "***|***|" in str(events)
    assert VALUE not in str(events)
    assert NEXT not in str(events)


async def test_credentials_are_lent_to_each_program_renewed_and_revoked_when_it_ends(lent: House, vault: Vault) -> None:
    vault.lease_ttl = 4
    script = f'echo "$DB_USER|$DB_PASSWORD|"; {STAY}'
    first, second = [await lent.start(script, "DB_USER", "DB_PASSWORD", number=number) for number in (1, 2)]
    for session in (first, second):
        events = await lent.told(session, printed("***|***|"))
        assert "A1a-" not in str(events)
    # A user and its password are of one lease, and no two programs share one.
    assert len(vault.leases) == 2
    await eventually(lambda: sum(lease.renewals >= 1 for lease in vault.leases.values()) >= 2)
    assert len(vault.good()) == 2
    (lent.folder.parent / "end").touch()
    for session in (first, second):
        await lent.told(session, ended)
    await eventually(lambda: not vault.good())
    assert len(vault.revoked) >= 2


async def test_credentials_at_their_longest_are_replaced_while_they_are_good(lent: House, vault: Vault) -> None:
    vault.lease_ttl = vault.lease_max = 4
    vault.lease_renewable = False
    script = (
        'while [ "$(cat "$DB_USER_FILE")" = "$DB_USER" ]; do sleep 0.05; done; '
        f'echo "$DB_USER $(cat "$DB_USER_FILE") $(cat "$DB_PASSWORD_FILE")"; {STAY}'
    )
    session = await lent.start(script, "DB_USER", "DB_PASSWORD")
    events = await lent.told(session, printed("*** *** ***"))
    first, second, *_ = vault.leases.values()
    assert second.made < first.ends
    told = [each["payload"]["secrets"] for each in events if "secrets" in each["payload"]]
    assert told == [["DB_USER", "DB_PASSWORD"]]
    (lent.folder.parent / "end").touch()
    await lent.told(session, ended)
    await eventually(lambda: not vault.good())


async def test_rotating_a_lent_secret_has_another_lent_to_what_runs(lent: House, vault: Vault) -> None:
    session = await lent.start(f"echo up; {STAY}", "DB_USER", "DB_PASSWORD")
    await lent.told(session, printed("up"))
    answer(await lent.api.post("/api/secrets/DB_PASSWORD/rotate", json={}))
    events = await lent.told(session, lambda events: any("secrets" in each["payload"] for each in events))
    assert len(vault.leases) == 2
    assert events[-1]["payload"]["secrets"] == ["DB_USER", "DB_PASSWORD"]
    refusal(await lent.api.post("/api/secrets/DB_USER/rotate", json={"value": VALUE}), 422, "VALIDATION_ERROR")
    answer(await lent.api.post(f"/api/sessions/{session}/close"))
    await eventually(lambda: not vault.leases)


async def test_the_kernels_token_is_renewed_while_something_is_lent_by_it(lent: House, vault: Vault) -> None:
    # The token that the fixture signed in with is forgotten.
    vault.tokens.clear()
    vault.token_ttl = 4
    session = await lent.start(f"echo up; {STAY}", "DB_USER")
    await lent.told(session, printed("up"))
    part: Any = next(part for part in lent.kernel._parts if type(part).__name__ == "SecretsPart")
    assert part.live().processes == 1
    await eventually(lambda: any(token.renewals for token in vault.tokens.values()))
    # When it was taken away it is signed in anew, and what was lent to it is lent to the next.
    vault.tokens.clear()
    await lent.told(session, lambda events: any("secrets" in each["payload"] for each in events))
    await eventually(lambda: bool(vault.good()))
    answer(await lent.api.post(f"/api/sessions/{session}/close"))
    await eventually(lambda: not vault.good())
    assert part.live().processes == 0


async def test_a_token_that_cannot_be_renewed_is_not_asked_for_without_end(tmp_path: Path, vault: Vault) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(vault.token(ttl=3600))
    records = SealedRecords(tmp_path / "records", b"k" * 32)
    known = opened(VaultAddress(vault.url, token_file=token_file), records)
    lending = Lending(known)
    await lending.keep_token()
    assert lending.token_due > time.time() + 1000
    # It is over for the Vault, and due for us.
    vault.tokens.clear()
    known.sign_in._token = Token(token_file.read_text(), Term(1, renewable=True, began=time.time() - 2))
    await lending.keep_token()
    assert lending.token_due > time.time()
    asked = len(vault.asked)
    await lending.keep_token()
    assert len(vault.asked) == asked
    # What is left of a token in whole seconds may be none; one that never ends has no moment at which it does.
    assert (await known.sign_in._look_up(vault.token())).ends == float("inf")
    assert (await known.sign_in._look_up(vault.token(ttl=0.9))).ends < time.time() + 1
    await known.close()


@pytest.mark.parametrize(("granted", "is_last"), [(60.0, False), (31.0, False), (20.0, True), (0.0, True)])
def test_what_is_granted_less_and_less_is_replaced_in_its_last_time(granted: float, is_last: bool) -> None:
    term = Term(60, renewable=True).renewed(granted, renewable=True)
    assert term.is_last is is_last
    assert term.began < term.due < term.ends
    assert term.due - term.began <= granted * 2 / 3 + 0.01


async def test_a_kernel_that_ends_leaves_leases_that_the_next_one_goes_on_with_or_ends(
    lent: House, vault: Vault
) -> None:
    scripts = [f"echo up; while [ ! -e end{number} ]; do sleep 0.05; done" for number in (1, 2)]
    sessions = [await lent.start(script, "DB_PASSWORD", number=at) for at, script in enumerate(scripts)]
    for session in sessions:
        await lent.told(session, printed("up"))
    # One whose session never came to be.
    await secrets_of(lent.kernel).give("ses_of_a_kernel_that_died", ["DB_PASSWORD"], nobody)
    assert len(vault.good()) == 3
    await lent.close()
    assert not vault.revoked
    (lent.folder.parent / "end1").touch()
    await lent.open()
    part: Any = next(part for part in lent.kernel._parts if type(part).__name__ == "SecretsPart")
    await part.look()
    await lent.told(sessions[0], ended)
    await eventually(lambda: len(vault.revoked) == 2)
    assert len(vault.good()) == 1
    (lent.folder.parent / "end2").touch()
    await lent.told(sessions[1], ended)
    await eventually(lambda: len(vault.revoked) == 3)


async def nobody(_message: str, _names: Any) -> None:
    pass


async def test_a_kernel_that_cannot_use_its_vault_masks_what_was_given_all_the_same(lent: House, vault: Vault) -> None:
    script = 'echo up; while [ ! -e go ]; do sleep 0.05; done; echo "$DB_USER|$DB_PASSWORD|"'
    session = await lent.start(script, "DB_USER", "DB_PASSWORD")
    await lent.told(session, printed("up"))
    await lent.close()
    address, lent._vault = lent._vault, VaultAddress("http://vault.example.com")
    await lent.open()
    await lent.told(session, printed("up"))
    refusal(await lent.api.get("/api/secrets"), 422, "CONFIG_INVALID")
    (lent.folder.parent / "go").touch()
    events = await lent.told(session, ended)
    assert "***|***|" in messages(events)
    # What it could not revoke the next one does.
    await lent.close()
    assert not vault.revoked
    lent._vault = address
    await lent.open()
    part: Any = next(part for part in lent.kernel._parts if type(part).__name__ == "SecretsPart")
    await part.look()
    await eventually(lambda: len(vault.revoked) == 1)


async def test_nothing_is_started_with_what_the_vault_does_not_lend(lent: House, vault: Vault) -> None:
    answer(await lent.api.put("/api/secrets/NO_FIELD", json={"lease": {"path": "database/creds/x", "field": "key"}}))
    answer(await lent.api.put("/api/secrets/NO_ROLE", json={"lease": {"path": "database/creds/none"}}))
    answer(await lent.api.put("/api/secrets/ALL", json={"lease": {"path": "database/creds/x"}}))
    for name, status, code in (("NO_FIELD", 502, "VAULT_FAILED"), ("NO_ROLE", 404, "RESOURCE_NOT_FOUND")):
        new = {
            "type": "debug-stream",
            "context": {"processId": "prc_00000000000000000001"},
            "options": {"argv": ["/bin/true"], "cwd": "/", "secrets": ["ALL", name]},
        }
        refusal(await lent.api.post("/api/sessions", json=new), status, code)
    await eventually(lambda: not vault.leases)
    session = await lent.start('echo "$ALL" | grep -c username; printenv ALL_FILE | wc -l', "ALL")
    events = await lent.told(session, ended)
    assert messages(events).count("1") == 2
    assert json.dumps("password") not in str(events)
