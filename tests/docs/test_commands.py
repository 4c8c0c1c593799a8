"""Every line of the tutorial and of the how-to pages works as it is written, from the page's first to its last."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Shell

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").glob("*.md"))]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_lines_of_a_page_work_one_after_the_other(page: Path, shell: Shell) -> None:
    script = "\n".join(text for kind, text in FENCED.findall(page.read_text()) if kind == "sh")
    done = shell.run(script)
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])


def test_answers_that_are_shown_are_envelopes() -> None:
    for page in PAGES:
        for kind, text in FENCED.findall(page.read_text()):
            if kind == "json":
                assert list(json.loads(text)) == ["status", "data", "message", "requestId", "timestamp", "errors"]


def test_the_readme_shows_what_is_printed(shell: Shell) -> None:
    shown = [text for kind, text in FENCED.findall((DOCS.parent / "README.md").read_text()) if kind == "console"]
    assert len(shown) == 3
    shell.run("nexus agent project create --name nexus")
    for text in shown:
        line, _, printed = text.partition("\n")
        done = shell.run(line.removeprefix("$ "))
        assert masked(done.stdout.decode()) == masked(printed)


def masked(text: str) -> str:
    """Return what is the same whenever it is printed; rows are filled up with spaces."""
    text = re.sub(r"req_[0-9a-f]{24}", "req_", text)
    return re.sub(r" +$", "", re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "T", text), flags=re.M)
