"""Answers for people: tables and short texts by Rich, and never a control character from the data."""

import io
import json
import re
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.json import JSON
from rich.table import Table
from rich.text import Text

from nexus.output.screen import Screen

_MOST_COLUMNS = 8
_LONG_FIELDS = ("content", "diff")
_NO_EDGE = 1_000_000
"""Columns of what is no terminal: grep and awk want a row on one line."""


def _console(screen: Screen, *, wide: bool = False) -> tuple[Console, io.StringIO]:
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=_NO_EDGE if wide else max(20, screen.columns),
        force_terminal=screen.colour,
        no_color=not screen.colour,
        color_system="truecolor" if screen.colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    return console, buffer


def safe(text: str) -> str:
    """Return the text without control characters but tab and newline: data must not drive the terminal."""
    return "".join(
        char if char in "\n\t" or (char.isprintable() or char == " ") else f"\\x{ord(char):02x}" for char in text
    )


def highlighted_json(text: str, screen: Screen) -> bytes:
    """Colour indented JSON."""
    console, buffer = _console(screen)
    console.print(JSON(text), soft_wrap=True)
    return buffer.getvalue().encode()


def render_human(envelope: dict[str, Any], screen: Screen, *, table: bool) -> bytes:
    """Write an envelope for a person; `table` prefers a table for one object too."""
    data = envelope["data"]
    console, buffer = _console(screen, wide=not (screen.is_terminal or _is_help(data)))
    if envelope["status"] == "error":
        for part in _error(envelope):
            console.print(part, soft_wrap=True)
    else:
        if envelope["message"]:
            console.print(Text(_line(envelope["message"]), style="green"), soft_wrap=True)
        console.print(_data(data, table=table))
    return buffer.getvalue().encode()


def _error(envelope: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for entry in envelope["errors"]:
        line = Text("Error: ", style="bold red")
        line.append(_line(entry["message"]), style="default")
        line.append(f"  [{entry['code']}]", style="dim")
        parts.append(line)
        details = entry["details"]
        for label, key in ("Did you mean", "suggestions"), ("There are", "available"):
            if details.get(key):
                parts.append(Text(f"{label}: {_line(', '.join(map(str, details[key])))}"))
        if details.get("hint"):
            parts.append(Text(f"Try: {_line(str(details['hint']))}", style="cyan"))
    return parts


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return safe(", ".join(map(str, value)))
    return safe(json.dumps(value, ensure_ascii=False, default=str)) if value not in ({}, []) else ""


def _line(value: Any) -> str:
    """Write a value on one line: no name of a file may look like another row, or like an error of ours."""
    return _cell(value).replace("\n", "\\n").replace("\t", "\\t")


def _is_help(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(data.get("usage"), str)


def _flowing(text: str) -> str:
    """Let paragraphs flow: their lines end where the source's do, and not where the screen does."""
    return re.sub(r"(?<!\n)\n(?![\n\s*|-])", " ", text)


def _data(data: Any, *, table: bool) -> RenderableType:
    if _is_help(data):
        return _help(data)
    if isinstance(data, dict) and isinstance(data.get("items"), list):
        parts: list[RenderableType] = [_rows(data["items"])]
        if data.get("truncated"):
            parts.append(Text(f"More: --cursor {data.get('nextCursor')}", style="dim"))
        return Group(*parts)
    if isinstance(data, list) and data and all(isinstance(item, dict) for item in data):
        return _rows(data)
    if isinstance(data, dict):
        return _fields(data, table=table)
    return Text(_cell(data))


def _rows(items: list[Any]) -> RenderableType:
    if not items:
        return Text("Nothing found.", style="dim")
    if not all(isinstance(item, dict) for item in items):
        return Group(*(Text(_line(item)) for item in items))
    names = [name for name in items[0] if any(_cell(item.get(name)) for item in items)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names[:_MOST_COLUMNS]:
        table.add_column(name, overflow="fold")
    for item in items:
        table.add_row(*(Text(_line(item.get(name))) for name in names[:_MOST_COLUMNS]))
    return table


def _fields(data: dict[str, Any], *, table: bool) -> RenderableType:
    if table and all(not isinstance(value, dict | list) for value in data.values()):
        return _rows([data])
    grid = Table(box=None, show_header=False, pad_edge=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    after: list[RenderableType] = []
    for name, value in data.items():
        if name in _LONG_FIELDS and isinstance(value, str):
            after.append(Text("\n" + safe(value)))
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            after += [Text(f"\n{name}", style="bold"), _rows(value)]
        elif isinstance(value, dict) and any(isinstance(inner, dict) and inner for inner in value.values()):
            after += [Text(f"\n{name}", style="bold"), Text(_block(value))]
        else:
            grid.add_row(name, Text(_cell(value)))
    return Group(grid, *after) if after else grid


def _help(data: dict[str, Any]) -> RenderableType:
    parts: list[RenderableType] = [Text(_cell(data.get("summary")), style="bold")]
    if data.get("description"):
        parts += [Text(""), Text(_flowing(_cell(data["description"])))]
    parts += [Text(""), Text(f"Usage: {safe(data['usage'])}")]
    for name, value in data.items():
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            grid = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 2))
            for item in value:
                cells = [Text(_cell(cell)) for cell in item.values() if _cell(cell)]
                grid.add_row(*cells)
            parts += [Text(f"\n{name.capitalize()}", style="bold"), grid]
    if data.get("flags"):
        parts += [Text("\nFlags", style="bold"), Text("  " + safe("  ".join(data["flags"])))]
    if data.get("next"):
        parts.append(Text(f"\nNext: {_cell(data['next'])}", style="cyan"))
    return Group(*parts)


def _block(value: dict[str, Any]) -> str:
    """Write what has several levels as YAML, without what is empty: in one cell nobody could read it."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(_filled(value), Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return safe(text.rstrip("\n"))


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner) for name, inner in value.items() if inner not in (None, {}, [])}
    return [_filled(inner) for inner in value] if isinstance(value, list) else value
