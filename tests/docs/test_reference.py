"""The reference and the table of errors are what the registry and the tree of errors say now."""

import re
from pathlib import Path

from nexus.registry.index import CommandIndex
from nexus.registry.reference import error_classes, errors_table, pages, with_errors

DOCS = Path(__file__).resolve().parents[2] / "docs"
AGAIN = "python -m nexus.registry.reference writes it again"


def test_the_pages_are_what_the_registry_says() -> None:
    wanted = pages(CommandIndex.built_in())
    assert {path.name for path in (DOCS / "reference").glob("*.md")} == wanted.keys(), AGAIN
    for name, text in wanted.items():
        assert (DOCS / "reference" / name).read_text() == text, AGAIN


def test_the_contract_lists_every_error_with_a_meaning() -> None:
    contract = (DOCS / "contract.md").read_text()
    assert with_errors(contract) == contract, AGAIN
    for error in error_classes():
        assert error.code in contract
        assert (error.__doc__ or "").strip(), f"{error.__name__} says nothing of itself"
    assert "|  |\n" not in errors_table().replace("|  | A", "")


def test_the_exit_codes_of_the_contract_are_those_of_the_errors() -> None:
    contract = (DOCS / "contract.md").read_text()
    section = contract.partition("## Exit codes")[2].partition("\n## ")[0]
    listed = {int(row.split("|")[1]) for row in section.splitlines() if row.startswith("| ") and row[2].isdigit()}
    assert listed == {0} | {error.exit_status for error in error_classes()} | {1}


def test_the_contract_lists_what_the_launcher_says_by_itself() -> None:
    contract = (DOCS / "contract.md").read_text()
    launcher = Path(__file__).resolve().parents[2] / "nexus" / "launcher"
    said = re.compile(r'(?:code(?:: str)? ?=+ ?|(?:envelope|told)\("[a-z]+", |\d: \()"([A-Z_]+)"')
    codes = {code for path in launcher.glob("*.py") for code in said.findall(path.read_text())}
    assert {"OUTPUT_FAILED", "INTERRUPTED", "RESIDENT_UNAVAILABLE"} <= codes
    assert [code for code in codes if f"`{code}`" not in contract] == []
