"""Secrets of coding agents: in their environment and files, masked in all that they say, theirs while they run."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.ai.chunks import Action, Chunk, Finish, Observation, Thought, Token
from nexus.kernel.ai.masked import MaskedSpeech
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import Kernel
from nexus.kernel.secrets.masking import Masker
from nexus.kernel.settings import KernelSettings
from tests.kernel.ai.talk import ask, open_chat, text_of
from tests.kernel.answers import answer, refusal
from tests.kernel.holder.programs import eventually
from tests.kernel.secrets import vault_server
from tests.kernel.secrets.test_vault import as_role
from tests.kernel.secrets.vault_server import Vault

VALUE = "correct-horse-battery"
NEXT = "staple-of-another-day"
AGENT = f"acp:{sys.executable} {shlex.quote(str(Path(__file__).with_name('agent_program.py')))}"


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with vault_server.running() as vault:
        yield vault


@given(st.lists(st.sampled_from([VALUE, VALUE[:4], VALUE[4:], "x", "ß", "\n"]), max_size=10), st.booleans())
def test_however_an_answer_is_cut_no_word_or_thought_shows_a_secret(pieces: list[str], think: bool) -> None:
    said = MaskedSpeech(Masker([VALUE]))
    kind = Thought if think else Token
    shown: list[Chunk] = [chunk for piece in pieces for chunk in said.take(kind(piece))]
    shown += said.take(Finish("stop"))
    text = "".join(chunk.text for chunk in shown if isinstance(chunk, Thought | Token))
    assert text == "".join(pieces).replace(VALUE, "***")
    assert isinstance(shown[-1], Finish)


def test_what_tools_are_told_and_tell_is_masked() -> None:
    said = MaskedSpeech(Masker([VALUE]))
    action = Action("t1", f"curl {VALUE}", input={"header": ["x", {VALUE: f"Bearer {VALUE}"}]}, locations=[VALUE])
    (shown,) = said.take(action)
    assert shown == Action("t1", "curl ***", input={"header": ["x", {"***": "Bearer ***"}]}, locations=["***"])
    assert list(said.take(Observation("t1", "completed", VALUE))) == [Observation("t1", "completed", "***")]


async def test_an_agent_finds_its_secrets_and_what_it_says_of_them_is_masked(
    data_folder: Path, tmp_path: Path, vault: Vault
) -> None:
    address = as_role(vault, tmp_path)
    kernel = await Kernel.open(data_folder, OneShotHost(), KernelSettings(vault=address))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(kernel.app), base_url="http://kernel") as api:
        for name, body in (("AGENT_API_KEY", {"value": VALUE}), ("DB", {"lease": {"path": "database/creds/agents"}})):
            answer(await api.put(f"/api/secrets/{name}", json=body))
        options = {"workspacePath": str(tmp_path), "secrets": ["AGENT_API_KEY", "DB"]}
        session = await open_chat(api, AGENT, **options)
        assert text_of(await ask(api, session, "env AGENT_API_KEY")) == "***"
        assert len(vault.leases) == 1
        file = Path(text_of(await ask(api, session, "env AGENT_API_KEY_FILE")))
        assert file.read_text() == VALUE
        answer(await api.post("/api/secrets/AGENT_API_KEY/rotate", json={"value": NEXT}))
        await eventually(lambda: file.read_text() == NEXT)
        told = await ask(api, session, f"echo {NEXT} {VALUE[:7]}{VALUE[7:]} .")
        assert text_of(told).split() == ["***", "***", "."]
        died = await ask(api, session, "die")
        assert "cannot go on with ***" in str(died)
        # One that is started again has the newest.
        assert text_of(await ask(api, session, "env AGENT_API_KEY")) == "***"
        stream = (await api.get(f"/api/sessions/{session}/events")).text
        assert VALUE not in stream
        assert NEXT not in stream
        answer(await api.delete(f"/api/ai/sessions/{session}"))
        assert not file.exists()
    await kernel.close()
    assert len(vault.revoked) == 1
    assert not vault.leases


async def test_only_programs_take_secrets(api: httpx.AsyncClient) -> None:
    new = {"type": "ai-chat", "options": {"backend": "openai:gpt", "secrets": ["AGENT_API_KEY"]}}
    refusal(await api.post("/api/sessions", json=new), 422, "VALIDATION_ERROR")
