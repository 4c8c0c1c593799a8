"""Spool files: what a program printed, kept on disk until its reader has it safe.

A spool is a folder of append-only segments. A segment is named by the position of its first byte, and a position counts
the bytes of all records since the spool began: it only grows, over segments, restarts of the program and trims. A
record is a header (payload's length, checksum, microseconds since 1970, kind) and the payload. A record that is cut off
at the end of the last segment was never there: a reader waits for the rest, a writer that opens the spool again removes
it.

No fsync: a spool has to survive the death of processes; when the machine dies, the programs died with it.
"""

import os
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

SEGMENT_BYTES = 4 * 1024 * 1024
MOST_PAYLOAD = 1024 * 1024
_HEADER = struct.Struct("<IIQB")
_SUMMED = struct.Struct("<IQB")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    """What a record tells. STARTED, EXIT and NOTICE carry a JSON object."""

    STDOUT = 1
    STDERR = 2
    EXIT = 3
    STARTED = 4
    NOTICE = 5


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `end` is the position after it, `time` microseconds since 1970 when the holder had it."""

    kind: Kind
    time: int
    payload: bytes
    end: int

    @property
    def start(self) -> int:
        """The position of the record."""
        return self.end - HEADER_BYTES - len(self.payload)


class SpoolDamaged(Exception):
    """A record does not fit its checksum, or bytes in the middle are missing."""


def segments(folder: str) -> list[int]:
    """Return the positions at which the folder's segments begin, in order."""
    return sorted(int(name) for name in os.listdir(folder) if name.isdecimal())


def segment_path(folder: str, base: int) -> str:
    return os.path.join(folder, f"{base:020d}")


def _checksum(length: int, moment: int, kind: int, chunks: Sequence[bytes]) -> int:
    total = zlib.crc32(_SUMMED.pack(length, moment, kind))
    for chunk in chunks:
        total = zlib.crc32(chunk, total)
    return total


def parse(data: bytes, position: int) -> tuple[list[Record], int]:
    """Return the whole records that `data` begins with, and how many bytes they are. Raises `SpoolDamaged`."""
    records = []
    offset = 0
    size = len(data)
    while size - offset >= HEADER_BYTES:
        length, checksum, moment, kind = _HEADER.unpack_from(data, offset)
        if length > MOST_PAYLOAD:
            raise SpoolDamaged(f"a record of {length} bytes at position {position + offset}")
        end = offset + HEADER_BYTES + length
        if end > size:
            break
        payload = data[offset + HEADER_BYTES : end]
        if _checksum(length, moment, kind, (payload,)) != checksum:
            raise SpoolDamaged(f"a wrong checksum at position {position + offset}")
        records.append(Record(Kind(kind), moment, payload, position + end))
        offset = end
    return records, offset


class SpoolWriter:
    """The writing end, one for each spool. `start` and `end` are the positions that it holds; `confirmed` is read."""

    def __init__(self, folder: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._bases = segments(folder)
        base = self._bases[-1] if self._bases else 0
        if not self._bases:
            self._bases.append(base)
        self._file = self._open(base)
        self.end = base + self._whole_bytes(base)
        os.ftruncate(self._file, self.end - base)
        self.confirmed = self._bases[0]

    @property
    def start(self) -> int:
        """The oldest position that can still be read."""
        return self._bases[0]

    @property
    def unconfirmed(self) -> int:
        """How many bytes wait for their reader."""
        return self.end - self.confirmed

    def append(self, kind: Kind, chunks: Sequence[bytes], moment: int | None = None) -> None:
        """Add one record, whole or not at all. Raises `OSError` when the disk takes no more."""
        length = sum(map(len, chunks))
        moment = time.time_ns() // 1000 if moment is None else moment
        if self.end - self._bases[-1] >= self._segment_bytes:
            self._roll()
        header = _HEADER.pack(length, _checksum(length, moment, kind, chunks), moment, kind)
        wanted = HEADER_BYTES + length
        written = 0
        try:
            written = os.writev(self._file, [header, *chunks])
            if written < wanted:
                rest = memoryview(b"".join([header, *chunks]))[written:]
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, self.end - self._bases[-1])
            raise
        self.end += wanted

    def confirm(self, position: int) -> None:
        """Say that everything before `position` is safe elsewhere, and delete the segments that hold nothing else."""
        self.confirmed = max(self.confirmed, min(position, self.end))
        while len(self._bases) > 1 and self._bases[1] <= self.confirmed:
            os.unlink(segment_path(self.folder, self._bases.pop(0)))

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        """Delete the spool."""
        self.close()
        remove_spool(self.folder)

    def _roll(self) -> None:
        file = self._open(self.end)
        os.close(self._file)
        self._file = file
        self._bases.append(self.end)

    def _open(self, base: int) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(segment_path(self.folder, base), flags, 0o600)

    def _whole_bytes(self, base: int) -> int:
        reader = SpoolReader(self.folder, base)
        try:
            while reader.read():
                pass
        except SpoolDamaged:
            pass  # a page lost in a power cut: what follows it cannot be told apart from rubbish
        finally:
            reader.close()
        return reader.position - base


class SpoolReader:
    """The reading end: records from a position on, in order, also while the writer adds to them.

    A position may lie inside a payload: a reader that cut a character there begins with the rest of it.
    """

    def __init__(self, folder: str, position: int = 0) -> None:
        self.folder = folder
        self.position = position
        self._base = -1
        self._file = -1
        self._skip = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, limit: int = 256 * 1024) -> list[Record]:
        """Return the next records, about `limit` bytes of them; none when the reader has caught up.

        Raises `SpoolDamaged` when what is at the position is no record, or is there no more.
        """
        limit = max(limit, HEADER_BYTES)
        while True:
            if self._file < 0 and not self._open():
                return []
            data = os.pread(self._file, limit, self.position - self._base)
            records, used = parse(data, self.position)
            if not records and len(data) == limit:
                records, used = self._read_large(data)
            self.position += used
            if records and self._skip:
                first = records[0]
                records[0] = Record(first.kind, first.time, first.payload[self._skip :], first.end)
                self._skip = 0
            if records or not self._next_segment():
                return records

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read_large(self, data: bytes) -> tuple[list[Record], int]:
        """Read one record that is larger than the limit."""
        (length,) = struct.unpack_from("<I", data)
        data = os.pread(self._file, HEADER_BYTES + length, self.position - self._base)
        return parse(data, self.position)

    def _open(self) -> bool:
        """Open the segment that holds the position."""
        bases = [base for base in segments(self.folder) if base <= self.position]
        if not bases:
            raise SpoolDamaged(f"position {self.position} is not in {self.folder} any more")
        self._base = bases[-1]
        self._file = os.open(segment_path(self.folder, self._base), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._align()
        return True

    def _align(self) -> None:
        """Go back to the beginning of the record that the position is in, and remember what of it to skip."""
        wanted = self.position - self._base
        data = os.pread(self._file, wanted, 0) if wanted else b""
        start = 0
        while start < len(data):
            end = start + HEADER_BYTES + _HEADER.unpack_from(data.ljust(start + HEADER_BYTES, b"\0"), start)[0]
            if end > wanted:
                self._skip = wanted - start - HEADER_BYTES
                self.position = self._base + start
                if self._skip < 0:
                    raise SpoolDamaged(f"position {self._base + wanted} is inside a record's header")
                return
            start = end

    def _next_segment(self) -> bool:
        """Go on to the segment that begins at the position, if there is one: then this one is read to its end."""
        if self.position == self._base or not os.path.exists(segment_path(self.folder, self.position)):
            return False
        self.close()
        return self._open()


def remove_spool(folder: str) -> None:
    """Delete a spool's folder and all in it."""
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)
