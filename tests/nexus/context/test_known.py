"""A small file is opened again only when it has changed, and its change is never missed."""

import os
import time
from pathlib import Path

from nexus.context.known import SETTLED_NS, content_of


def later() -> int:
    """A clock by which whatever was written just now is settled."""
    return time.time_ns() + 10 * SETTLED_NS


def test_a_file_that_comes_changes_and_goes_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    assert content_of(str(path), 100) is None
    for content in (b"one", b"two", b"two more"):
        other = tmp_path / "other"
        other.write_bytes(content)
        other.replace(path)
        assert content_of(str(path), 100, clock=later) == content
        assert content_of(str(path), 100, clock=later) == content
    path.unlink()
    assert content_of(str(path), 100) is None


def test_a_file_that_was_written_just_now_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    for content in (b"one", b"two"):
        # In place, of one size, within one tick of the file system's clock.
        path.write_bytes(content)
        os.utime(path, ns=(0, 0))
        assert content_of(str(path), 100) == content


def test_a_file_that_is_settled_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "settings"
    path.write_bytes(b"one")
    assert content_of(str(path), 100, clock=later) is content_of(str(path), 100, clock=later)


def test_no_more_is_read_than_one_byte_over_the_bound(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 1000)
    assert content_of(str(tmp_path / "large"), 10) == b"x" * 11
