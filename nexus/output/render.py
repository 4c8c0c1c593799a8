"""The bytes of an envelope in the format that was asked for."""

from typing import Any

from pydantic_core import PydanticSerializationError, to_json

from nexus.output.screen import Screen
from nexus.schemas.envelope import Envelope


def render(envelope: Envelope, output: str, screen: Screen) -> bytes:
    """Write an envelope: compact JSON, indented and coloured only on a terminal; or human, table, yaml, toon."""
    if output == "json":
        return _json_for_people(envelope, screen) if screen.is_terminal else json_line(envelope)
    if output == "yaml":
        return _yaml(envelope)
    if output == "toon":
        return _toon(envelope)
    from nexus.output.human import render_human

    return render_human(plain(envelope), screen, table=output == "table")


def json_line(envelope: Envelope) -> bytes:
    """Write an envelope as one line of JSON, whatever its strings hold."""
    try:
        return envelope.__pydantic_serializer__.to_json(envelope, by_alias=True) + b"\n"
    except (PydanticSerializationError, UnicodeEncodeError):
        return to_json(plain(envelope)) + b"\n"


def plain(envelope: Envelope) -> dict[str, Any]:
    """Return the envelope as plain data that is always writable: lone surrogates become escapes."""
    return {name: _writable(value) for name, value in envelope.model_dump(mode="python", by_alias=True).items()} | {
        "timestamp": envelope.model_dump(include={"timestamp"})["timestamp"]
    }


def _writable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_writable(key): _writable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner) for inner in value]
    return value


def _json_for_people(envelope: Envelope, screen: Screen) -> bytes:
    import json
    import re

    text = json.dumps(plain(envelope), indent=2, ensure_ascii=False, default=str)
    # JSON lets these stand as they are, and a terminal takes them for commands.
    text = re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text)
    if not screen.colour:
        return text.encode() + b"\n"
    from nexus.output.human import highlighted_json

    return highlighted_json(text, screen)


def _yaml(envelope: Envelope) -> bytes:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(plain(envelope), Dumper=dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return text.encode()


def _toon(envelope: Envelope) -> bytes:
    """Write Token-Oriented Object Notation (toonformat.dev): the same data, its keys once a table."""
    import json

    from toon_format import encode

    text: str = encode(json.loads(json.dumps(plain(envelope), default=str)))
    return text.encode() + b"\n"
