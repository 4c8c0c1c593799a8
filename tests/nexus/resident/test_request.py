"""A hello is read as it was written, and refused when it was not."""

import os
import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.launcher import exchange as sender
from nexus.launcher.frames import FrameInvalid
from nexus.resident.request import Limits, OtherProtocol, read_request


def written(*argv: bytes, again: bool = False) -> bytes:
    return sender.hello("1.2.3", "/", "0123456789abcdef", list(argv), again=again)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50).filter(lambda word: b"\0" not in word)))
def test_words_and_surroundings_arrive(argv: list[bytes]) -> None:
    request = read_request(written(*argv))
    assert [os.fsencode(word) for word in request.argv] == argv
    assert (request.version, request.key) == ("1.2.3", "0123456789abcdef")
    assert request.site == sender.identity("/").decode()
    assert request.cwd == Path.cwd()
    assert request.environment == dict(os.environ)  # noqa: TID251 -- the test is the caller
    assert not request.again
    assert read_request(written(*argv, again=True)).again


def test_reading_the_umask_does_not_change_it() -> None:
    before = os.umask(0o027)
    try:
        assert sender.mask() == 0o027
        assert read_request(written()).umask == 0o027
    finally:
        assert os.umask(before) == 0o027


@pytest.mark.parametrize("name", ["CPU", "FSIZE", "DATA", "STACK", "CORE", "NPROC", "NOFILE", "MEMLOCK", "AS"])
def test_limits_are_those_of_the_system(name: str) -> None:
    number = getattr(resource, f"RLIMIT_{name}")
    assert read_request(written()).limits[number] == resource.getrlimit(number)


def test_limits_may_be_told_by_the_names_that_python_has() -> None:
    limits = Limits(b"RLIMIT_NOFILE  10  20\nRLIMIT_CPU  unlimited  unlimited\nRLIMIT_NONSENSE  1  2")
    assert dict(limits) == {
        resource.RLIMIT_NOFILE: (10, 20),
        resource.RLIMIT_CPU: (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    }


def test_another_protocol_is_recognized_by_its_first_field_alone() -> None:
    with pytest.raises(OtherProtocol):
        read_request(b"2\0whatever comes")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_is_no_hello_is_refused(payload: bytes) -> None:
    with pytest.raises((FrameInvalid, OtherProtocol)):
        read_request(b"1\0" + payload)


@pytest.mark.parametrize("kept", range(11))
def test_a_hello_that_was_cut_short_is_refused(kept: int) -> None:
    fields = written(b"one", b"two").split(b"\0")
    with pytest.raises(FrameInvalid):
        read_request(b"\0".join(fields[: kept + 1]))
