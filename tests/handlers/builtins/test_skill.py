"""What agents are told of nexus is small, comes from the registry, and leaves the rest of a file alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus.handlers.builtins.skill import namespace_text, whole_text
from nexus.registry.index import CommandIndex

if TYPE_CHECKING:
    from tests.conftest import Shell
    from tests.handlers.conftest import Nexus

INDEX = CommandIndex.built_in()


def test_it_is_small_and_names_every_namespace() -> None:
    text = whole_text(INDEX)
    assert len(text.encode()) / 4 <= 800
    assert all(f"`{spec.path[0]}`" in text for spec in INDEX.commands() if len(spec.path) == 3)


def test_a_namespace_opens_to_the_usage_of_its_commands() -> None:
    for namespace in {spec.path[0] for spec in INDEX.commands() if len(spec.path) == 3}:
        text = namespace_text(INDEX, namespace)
        assert all(f"`nexus {' '.join(spec.path)}" in text for spec in INDEX.commands((namespace,)))


async def test_a_section_of_a_file_is_written_and_replaced_alone(nexus: Nexus) -> None:
    file = nexus.cwd / "AGENTS.md"
    file.write_text("# Mine\n\nRules.\n")
    line = "skill --form agents --to AGENTS.md"
    assert (await nexus(line)).data["change"] == "updated"
    written = file.read_text()
    assert written.startswith("# Mine\n\nRules.\n\n<!-- nexus")
    assert (await nexus(line)).data["change"] == "unchanged"
    file.write_text(written.replace("## Namespaces", "## Old") + "\nMore of mine.\n")
    assert (await nexus(line)).data["change"] == "updated"
    assert file.read_text() == written + "\nMore of mine.\n"


async def test_a_file_that_is_no_text_is_left_alone(nexus: Nexus) -> None:
    file = nexus.cwd / "AGENTS.md"
    file.write_bytes(b"\xff\xfe")
    assert (await nexus("skill --form agents --to AGENTS.md")).error["code"] == "VALIDATION_ERROR"
    assert file.read_bytes() == b"\xff\xfe"


def test_without_a_file_the_text_itself_is_printed(shell: Shell) -> None:
    printed = shell.run("nexus skill")
    assert printed.returncode == 0
    assert printed.stdout.startswith(b"---\nname: nexus\n")
    opened = shell.run("nexus skill agent")
    assert b"nexus agent project create --name NAME" in opened.stdout
