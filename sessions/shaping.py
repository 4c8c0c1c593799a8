"""What may stand between a stream's lines and who prints them: joining pieces of text, and thinning out the rest.

Both say what they did: a joined event carries `firstSeq`, and what was left out is told by a metadata event. Status,
errors, closes and metadata are never touched. The bytes of a text are never lost, only put into fewer events.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from nexus.sessions import lines
from nexus.sessions.core.position import Batch

JOINED_CHARACTERS = 256 * 1024
TEXTS = {"terminal-output": "contentType", "ai-token": "messageId"}
"""Payloads whose `content` may be joined, and what must be the same in both."""


@dataclass(slots=True)
class Shaper:
    """Takes batches, gives fewer lines. `samples`: of events that cannot be joined only the newest of a kind is kept.

    Text that waits is bounded by `JOINED_CHARACTERS`; `full` says that it should be flushed.
    """

    session_id: str
    samples: bool = False
    last: int = 0
    _ready: list[bytes] = field(default_factory=list)
    _text: dict[str, Any] | None = None
    _pieces: list[str] = field(default_factory=list)
    _characters: int = 0
    _kept: dict[str, bytes] = field(default_factory=dict)
    _omitted: int = 0
    _first_omitted: int = 0

    @property
    def full(self) -> bool:
        return self._characters >= JOINED_CHARACTERS

    @property
    def empty(self) -> bool:
        return not (self._ready or self._pieces or self._kept or self._omitted)

    def feed(self, batch: Batch) -> None:
        """Take a batch."""
        for line in batch.lines.splitlines(keepends=True):
            self._take(line)
        self.last = batch.last

    def flush(self) -> bytes:
        """Return the lines so far, in order, and begin anew."""
        self._end_text()
        self._end_samples()
        ready, self._ready = self._ready, []
        return b"".join(ready)

    def _take(self, line: bytes) -> None:
        event = json.loads(line)
        payload = event["payload"]
        kind = str(payload.get("type"))
        if event["event"] != "data":
            self._end_text()
            self._end_samples()
            self._ready.append(line)
        elif kind in TEXTS:
            self._end_samples()
            self._join(event, kind)
        elif self.samples:
            self._end_text()
            self._sample(event["seq"], kind, line)
        else:
            self._end_text()
            self._ready.append(line)

    def _join(self, event: dict[str, Any], kind: str) -> None:
        payload, same = event["payload"], TEXTS[kind]
        before = self._text["payload"] if self._text is not None else None
        if before is None or before["type"] != kind or before[same] != payload[same]:
            self._end_text()
            self._text = event | {"firstSeq": event["seq"]}
        elif self._text is not None:
            self._text |= {"timestamp": event["timestamp"], "seq": event["seq"]}
            self._text["payload"] = payload
        self._pieces.append(payload["content"])
        self._characters += len(payload["content"])

    def _sample(self, seq: int, kind: str, line: bytes) -> None:
        if kind in self._kept:
            self._first_omitted = self._first_omitted or seq
            self._omitted += 1
            # Taken out and put in again: the newest stands last.
            del self._kept[kind]
        self._kept[kind] = line

    def _end_text(self) -> None:
        if self._text is None:
            return
        event = self._text
        first = event.pop("firstSeq")
        payload = event["payload"] | {"content": "".join(self._pieces)}
        if first != event["seq"]:
            payload["firstSeq"] = first
        written = json.dumps(event | {"payload": payload}, ensure_ascii=False, separators=(",", ":"))
        self._ready.append(lines.utf8(written + "\n"))
        self._text, self._pieces, self._characters = None, [], 0

    def _end_samples(self) -> None:
        if self._omitted:
            told = lines.payload({"throttle": {"omitted": self._omitted, "fromSeq": self._first_omitted - 1}})
            moment = json.loads(next(iter(self._kept.values())))["timestamp"]
            self._ready.append(lines.own_line("metadata", self.session_id, told, lines.moment_of(moment)))
        self._ready += self._kept.values()
        self._kept, self._omitted, self._first_omitted = {}, 0, 0
