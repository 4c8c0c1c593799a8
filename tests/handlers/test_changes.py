"""Every command that changes something takes its whole input as JSON as well as by flags, and says what it did."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic.alias_generators import to_camel

from nexus.call import Call
from nexus.cli.parse import command_of, parse
from nexus.cli.tokenizer import tokenize
from nexus.dispatch.inputs import arguments_from_input
from nexus.registry.index import CommandIndex
from nexus.registry.registry import IndexedHandlers
from nexus.schemas.command import Change, CommandSpec, Effect
from tests.handlers.conftest import Given, Kept, Silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.handlers.conftest import Nexus

INDEX = CommandIndex.built_in()
HANDLERS = IndexedHandlers(INDEX)
CHANGING = [spec for spec in INDEX.commands() if {Effect.WRITE, Effect.DESTRUCTIVE} & set(spec.effects)]

SPELLINGS: tuple[Callable[[str], str], ...] = (str, to_camel, lambda name: name.replace("_", "-"))
"""An argument as its model, as JSON and as its flag spell it."""

SESSION = "ses_0123456789abcdef0123456789abcdef"


def given_by_flags(spec: CommandSpec) -> dict[str, Any]:
    """Return the arguments of the command's first example, as its words say them."""
    line = re.sub(r'"?\$\([^)]*\)"?', SESSION, spec.examples[0].line).split(" | ")[-1].split(" <")[0]
    return command_of(INDEX, parse(INDEX, tokenize(line)[1:], abbreviations=False))[1]


@pytest.mark.parametrize("spec", CHANGING, ids=lambda spec: " ".join(spec.path))
async def test_a_whole_input_may_be_json(spec: CommandSpec, tmp_path: Path) -> None:
    handler = HANDLERS.get_handler(spec.path)
    assert handler is not None
    flags = given_by_flags(spec)
    call = Call((), tmp_path, {}, Given(b""), Kept(), Kept(), Silent())
    for spelled in SPELLINGS:
        content = json.dumps({spelled(name): value for name, value in flags.items()}).encode()
        assert await arguments_from_input("-", replace(call, stdin=Given(content)), spec) == flags
        (tmp_path / "input.json").write_bytes(content)
        assert await arguments_from_input("input.json", call, spec) == flags
    # One model takes both, and JSON's own types beside the texts of words.
    typed = json.loads(handler.validate(flags).model_dump_json(by_alias=False, exclude_unset=True))
    assert handler.validate(typed) == handler.validate(flags)


@pytest.mark.parametrize("spec", CHANGING, ids=lambda spec: " ".join(spec.path))
def test_the_schema_says_that_a_result_says_what_was_done(spec: CommandSpec) -> None:
    if spec.command_line_only or spec.path == ("exec",):
        # What they run says it; those that do something themselves say it too, and the examples hold them to it.
        return
    told = spec.result_schema["properties"]["change"]
    assert set(told["enum"]) <= set(get_args(Change))


CREATE = "agent project create --name demo"
DONE: tuple[tuple[str, str], ...] = (
    (CREATE, "created"),
    (f"{CREATE} --if-absent", "unchanged"),
    ("agent project update --id demo --status paused", "updated"),
    ("agent project update --id demo --status paused", "unchanged"),
    ("agent project select --name demo", "updated"),
    ("agent project select --name demo", "unchanged"),
    ("agent roadmap create --title plan --select", "created"),
    ("agent chat create --title talk --select", "created"),
    ("agent chat send --message hello", "created"),
    ("agent chat clear --yes", "deleted"),
    ("agent chat clear --yes", "unchanged"),
    ("agent file write --path a.txt --content one", "created"),
    ("agent file write --path a.txt --content one", "unchanged"),
    ("agent file write --path a.txt --content two", "updated"),
    ("settings config set --key output.format --value json", "unchanged"),
    ("settings config set --key runtime.timeout --value 77", "updated"),
    ("settings config unset --key runtime.timeout", "updated"),
    ("settings theme set --mode dark", "updated"),
    ("settings theme set --mode dark", "unchanged"),
    ("network topology export --to net.json", "created"),
    ("network topology export --to net.json --overwrite", "updated"),
    ("settings context clear", "updated"),
    ("settings context clear", "unchanged"),
    ("settings role create --name lister --pattern agent.project.list", "created"),
    ("settings role grant --name lister --pattern agent.project.view", "updated"),
    ("settings role grant --name lister --pattern agent.project.view", "unchanged"),
    ("settings role revoke --name lister --pattern agent.project.view", "updated"),
    ("settings role revoke --name lister --pattern agent.project.view", "unchanged"),
    ("settings user create --name anna --without-password", "created"),
    ("settings user grant --name anna --role lister", "updated"),
    ("settings user grant --name anna --role lister", "unchanged"),
    ("agent project delete --name demo --yes", "deleted"),
)
"""Lines in their order, and what each has done."""


async def test_a_command_says_what_it_did_and_when_it_did_nothing(nexus: Nexus) -> None:
    for line, change in DONE:
        answer = await nexus(line)
        assert answer.status == 0, answer.envelope
        assert answer.data["change"] == change, line


async def test_what_was_done_may_be_asked_for_alone(nexus: Nexus) -> None:
    assert (await nexus(f"{CREATE} --query change")).data == "created"
    assert (await nexus("agent project delete --name demo --yes --fields change")).data == {"change": "deleted"}
