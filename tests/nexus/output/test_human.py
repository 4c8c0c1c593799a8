"""What people read fits their screen, and what programs read line by line has a row a line."""

from nexus.output.render import render
from nexus.output.screen import Screen
from nexus.schemas.envelope import success

ROW = {"id": "prj_" + "0" * 32, "name": "a name of some words", "contentPath": "/a/long/path" * 20}


def test_a_row_is_one_line_where_no_terminal_is() -> None:
    listed = success({"items": [ROW, ROW], "nextCursor": None, "truncated": False}, "req_1")
    lines = render(listed, "table", Screen(is_terminal=False)).decode().splitlines()
    assert [line.split()[0] for line in lines] == ["id", ROW["id"], ROW["id"]]
    on_screen = render(listed, "table", Screen(is_terminal=True, columns=60)).decode().splitlines()
    assert max(map(len, on_screen)) <= 60


def test_a_description_flows_over_the_screens_width() -> None:
    described = {
        "name": "nexus x",
        "summary": "Short.",
        "usage": "nexus x",
        "description": "\n".join([" ".join(["word"] * 23), " ".join(["word"] * 9)]),
    }
    for is_terminal in (True, False):
        text = render(success(described, "req_1"), "human", Screen(is_terminal, columns=80)).decode()
        lines = [line.rstrip() for line in text.splitlines() if line.startswith("word")]
        assert [len(line) for line in lines] == [79, 79]


def test_what_has_several_levels_stands_as_yaml_below() -> None:
    data = {"name": "p", "document": {"name": "p", "none": None, "steps": {"a": {"run": ["echo", "x\x1b[2J"]}}}}
    text = render(success(data, "req_1"), "human", Screen(is_terminal=False)).decode()
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines == [
        "name  p",
        "",
        "document",
        "name: p",
        "steps:",
        "  a:",
        "    run:",
        "    - echo",
        '    - "x\\e[2J"',
    ]
