"""The configurations of agent clients: where each keeps its MCP servers, and how one is added to them.

Nothing in them is changed but the one entry that is added; a file that cannot be read as what it should be is left
as it is.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nexus.schemas.regular import open_regular

Change = Literal["created", "unchanged", "kept", "refused"]


@dataclass(frozen=True)
class Client:
    """One client: its file below the user's home, and the key that its servers stand under."""

    name: str
    file: str
    key: str = "mcpServers"
    typed: bool = False

    @property
    def is_toml(self) -> bool:
        """Say whether the file is TOML and not JSON."""
        return self.file.endswith(".toml")


CLIENTS = (
    Client("claude-code", ".claude.json", typed=True),
    Client("claude-desktop", ".config/Claude/claude_desktop_config.json"),
    Client("claude-desktop", "Library/Application Support/Claude/claude_desktop_config.json"),
    Client("codex", ".codex/config.toml", key="mcp_servers"),
    Client("cursor", ".cursor/mcp.json"),
    Client("gemini", ".gemini/settings.json"),
    Client("qwen", ".qwen/settings.json"),
    Client("vscode", ".config/Code/User/mcp.json", key="servers", typed=True),
    Client("vscode", "Library/Application Support/Code/User/mcp.json", key="servers", typed=True),
    Client("windsurf", ".codeium/windsurf/mcp_config.json"),
)
NAMES = tuple(dict.fromkeys(client.name for client in CLIENTS))


class Unreadable(Exception):
    """The file is not of the form that its client reads; the text says how."""


def found(home: Path) -> list[Client]:
    """Return the clients of this user: those whose file, or the folder of their own that it is in, is there."""
    return [client for client in CLIENTS if _is_there(home, client)]


def _is_there(home: Path, client: Client) -> bool:
    path = home / client.file
    return path.exists() or (path.parent != home and path.parent.is_dir())


def register(path: Path, client: Client, name: str, entry: Mapping[str, Any]) -> tuple[Change, str | None]:
    """Add the entry under the name; say what was done, and why where it was not.

    An entry of that name that says something else is kept. Raises `OSError`.
    """
    wanted = {"type": "stdio", **entry} if client.typed else dict(entry)
    try:
        text = _content(path)
        document = _read(client, text)
    except (Unreadable, UnicodeDecodeError) as error:
        return "refused", f"{path} is left as it is: {error}."
    servers = document[client.key]
    if name in servers:
        same = json.loads(json.dumps(servers[name])) == wanted
        return ("unchanged", None) if same else ("kept", f"{path} has another server called {name!r}: it stays.")
    servers[name] = wanted
    _write(path, _written(client, document, text))
    return "created", None


def _content(path: Path) -> str:
    if not path.exists():
        return ""
    with open_regular(path) as file:
        return file.read().decode("utf-8")


def _read(client: Client, text: str) -> Any:
    """Return the file's content, with a table of servers in it. Raises `Unreadable`."""
    document = _parsed(client, text)
    if not isinstance(document.setdefault(client.key, {}), dict):
        raise Unreadable(f"its {client.key} is no table of servers")
    return document


def _parsed(client: Client, text: str) -> Any:
    if client.is_toml:
        import tomlkit
        from tomlkit.exceptions import TOMLKitError

        try:
            return tomlkit.parse(text)
        except TOMLKitError as error:
            raise Unreadable(f"it is no TOML ({error})") from error
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no plain JSON ({error})") from error
    if not isinstance(document, dict):
        raise Unreadable("it is no JSON object")
    return document


def _written(client: Client, document: Any, before: str) -> str:
    if client.is_toml:
        import tomlkit

        return tomlkit.dumps(document)
    return json.dumps(document, indent=_indentation(before), ensure_ascii=False) + "\n"


def _indentation(text: str) -> int | str:
    """Return what the file is indented by, so that its other lines stay as they are."""
    for line in text.splitlines()[1:]:
        blanks = line[: len(line) - len(line.lstrip())]
        if blanks:
            return "\t" if "\t" in blanks else len(blanks)
    return 2


def _write(path: Path, text: str) -> None:
    """Put the file in place at once, where a link leads, with the mode that it had."""
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
