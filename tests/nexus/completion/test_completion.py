"""What may stand at the cursor: names, flags, values, and what is in the kernel now."""

import pytest

from nexus.completion.words import Typed, typed_in
from tests.conftest import Shell


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("nexus ", Typed((), "")),
        ("nexus ag", Typed((), "ag")),
        ("/opt/a b/nexus ag", Typed((), "ag")),
        ("A=1 nexus agent project ", Typed(("agent", "project"), "")),
        ("nexus a 'b c' d\\ e", Typed(("a", "b c"), "d e")),
        ("nexus --name 'b ", Typed(("--name",), "b ", "'")),
        ('nexus --name "b', Typed(("--name",), "b", '"')),
        ("nexus a b\\", Typed(("a",), "b\\")),
        ("nexus", Typed((), "")),
        ("", Typed((), "")),
    ],
)
def test_a_line_is_read_up_to_the_cursor(line: str, typed: Typed) -> None:
    assert typed_in(line) == typed


def asked(shell: Shell, line: str, kind: str = "bash") -> list[str]:
    done = shell.run(f"nexus completion {kind} --line {_quoted(line)}")
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture
def peopled(shell: Shell) -> Shell:
    """A home with two projects and a roadmap, nothing selected."""
    for line in (
        "nexus agent project create --name 'my demo'",
        "nexus agent project create --name other:one",
        "nexus agent roadmap create --title first --project 'my demo'",
    ):
        assert shell.run(line).returncode == 0
    return shell


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("nexus age", ["agent"]),
        ("nexus agent pro", ["project"]),
        ("nexus ag pro", ["project"]),
        ("nexus AGENT Pro", ["project"]),
        ("nexus agent.project li", ["list"]),
        ("nexus agent project list --include", ["--include-hidden"]),
        ("nexus agent project list --include-hidden --inc", []),
        ("nexus --output j", ["json"]),
        ("nexus agent project list --output=y", ["yaml"]),
        ("nexus settings theme set --mode ", ["auto", "dark", "light"]),
        ("nexus config g", ["get"]),
        ("nexus session rest", ["restart"]),
        ("nexus help agent proj", ["project"]),
        ("nexus schema agent project cre", ["create"]),
        ("nexus completion z", ["zsh"]),
        ("nexus nothing here", []),
        ("nexus agent project view --nothing ", []),
        ("nexus agent project view --name ", ["my\\ demo", "other:one"]),
        ("nexus agent project view --name 'my ", ["my demo"]),
        ("nexus agent project view --name=my\\ d", ["my\\ demo"]),
        ("nexus agent project view --name other:o", ["one"]),
        ("nexus --project m", ["my\\ demo"]),
        ("nexus agent roadmap view --project 'my demo' --title ", ["first"]),
        ("nexus agent roadmap view --title ", []),
        ("nexus agent project create --name ", []),
        ("nexus agent project update --id x --name ", []),
        ("nexus settings config get --key output.f", ["output.format"]),
        ("nexus settings config get --context ", ["default"]),
    ],
)
def test_candidates_are_what_may_come_next(peopled: Shell, line: str, expected: list[str]) -> None:
    assert asked(peopled, line) == ["plain", *expected]


def test_a_level_that_is_a_commands_name_too_gives_its_names_and_the_commands_values(shell: Shell) -> None:
    document = '{"name": "stock", "steps": {"a": {"run": ["true"]}}}'
    assert shell.run(f"nexus pipeline definition create --document '{document}'").returncode == 0
    assert asked(shell, "nexus pipeline run st") == ["plain", "start", "status", "stock"]
    assert asked(shell, "nexus pipeline run --dat") == ["plain", "--dataset"]
    assert asked(shell, "nexus pipeline run stock --par") == ["plain", "--param", "--params"]


def test_files_and_folders_are_left_to_the_shell(shell: Shell) -> None:
    assert asked(shell, "nexus version --input ") == ["files"]
    assert asked(shell, "nexus agent project create --content-path ") == ["folders"]


def test_other_shells_are_told_what_a_candidate_is(peopled: Shell) -> None:
    assert asked(peopled, "nexus agent project cre", "fish") == ["plain", "create\tCreate a project."]
    assert asked(peopled, "nexus --project=m", "fish")[1].startswith("--project=my demo\tprj_")
    done = peopled.run("nexus completion zsh -- agent project view --name 'my d'")
    assert done.stdout.decode().startswith("plain\nmy demo\tprj_")


def test_a_name_with_a_newline_is_no_two_candidates(shell: Shell) -> None:
    assert shell.run("nexus settings context set --context evil").returncode in (0, 2)
    shell.run("nexus agent template create --content x --name $'a\\tb'")
    assert all("\t" not in line for line in asked(shell, "nexus agent template view --name "))
