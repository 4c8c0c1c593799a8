"""Paths that may not leave a folder: one behaviour, by the system's call and by the walk."""

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexus.kernel.files.beneath import SEARCH, Beneath, best, walk

WAYS = list(dict.fromkeys([walk, best()]))


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def beneath(request: pytest.FixtureRequest) -> Beneath:
    way: Beneath = request.param
    return way


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    links = {
        "to-file": "a/file",
        "a/b/up": "../file",
        "a/b/around": "../../a/b/up",
        "to-folder": "a",
        "leaves": "../secret",
        "leaves-deep": "a/b/../../../secret",
        "absolute": str(root / "a" / "file"),
        "loop": "loop",
        "dangling": "nothing",
        "itself": ".",
        "above": "..",
        "slash": "a/",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    return root


@pytest.fixture
def root(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, SEARCH)
    yield descriptor
    os.close(descriptor)


def content(beneath: Beneath, root: int, path: str) -> str:
    with os.fdopen(beneath(root, path, os.O_RDONLY)) as file:
        return file.read()


@pytest.mark.parametrize(
    "path",
    ["a/file", "./a//file", "to-file", "a/b/up", "a/b/around", "to-folder/file", "itself/a/file", "slash/file"],
)
def test_a_path_that_stays_inside_is_opened(beneath: Beneath, root: int, path: str) -> None:
    assert content(beneath, root, path) == "inside"


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("leaves", errno.EXDEV),
        ("leaves-deep", errno.EXDEV),
        ("absolute", errno.EXDEV),
        ("above/secret", errno.EXDEV),
        ("to-folder/../../secret", errno.EXDEV),
        ("loop", errno.ELOOP),
        ("loop/x", errno.ELOOP),
        ("dangling", errno.ENOENT),
        ("a/none", errno.ENOENT),
        ("none/x", errno.ENOENT),
        ("a/file/x", errno.ENOTDIR),
        ("n" * 300, errno.ENAMETOOLONG),
    ],
)
def test_a_path_that_leaves_or_leads_nowhere_is_refused(beneath: Beneath, root: int, path: str, number: int) -> None:
    with pytest.raises(OSError) as refused:  # noqa: PT011 -- the number is what is claimed
        os.close(beneath(root, path, os.O_RDONLY))
    assert refused.value.errno == number


def test_a_last_link_is_not_followed_when_that_is_asked(beneath: Beneath, root: int) -> None:
    with pytest.raises(OSError) as refused:  # noqa: PT011 -- see above
        os.close(beneath(root, "to-file", os.O_RDONLY | os.O_NOFOLLOW))
    assert refused.value.errno == errno.ELOOP


def test_the_root_itself_is_opened(beneath: Beneath, root: int, folder: Path) -> None:
    for path in (".", "itself", "a/..", "a/b/../.."):
        descriptor = beneath(root, path, os.O_RDONLY | os.O_DIRECTORY)
        assert os.fstat(descriptor).st_ino == folder.stat().st_ino
        os.close(descriptor)


def test_nothing_stays_open(beneath: Beneath, root: int) -> None:
    before = len(os.listdir("/dev/fd"))
    for path in ("a/file", "a/b/around", "leaves-deep", "loop", "a/none"):
        try:
            os.close(beneath(root, path, os.O_RDONLY))
        except OSError:
            continue
    assert len(os.listdir("/dev/fd")) == before


def test_a_folder_swapped_for_a_link_never_shows_what_is_outside(
    beneath: Beneath, root: int, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (folder / "a").rename(folder / "kept")
            (folder / "a").symlink_to("../outside")
            (folder / "a").unlink()
            (folder / "kept").rename(folder / "a")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: set[str] = set()
    refusals: set[int] = set()
    try:
        for _ in range(3000):
            try:
                seen.add(content(beneath, root, "a/file"))
            except OSError as error:
                refusals.add(error.errno or 0)
    finally:
        stop.set()
        swapping.join()
    assert seen <= {"inside"}
    assert refusals <= {errno.EXDEV, errno.ENOENT, errno.EAGAIN, errno.ELOOP, errno.ENOTDIR}


NAMES = st.sampled_from(["a", "b", "c", ".", "..", ""])
PATHS = st.lists(NAMES, min_size=1, max_size=6).map("/".join)


@pytest.mark.skipif(len(WAYS) < 2, reason="the system has one way only")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(links=st.dictionaries(st.sampled_from(["a", "b", "a/a", "a/b", "b/a"]), PATHS, max_size=4), path=PATHS)
def test_both_ways_find_the_same(tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: str) -> None:
    top = tmp_path_factory.mktemp("both") / "root"
    for name in ("a/b", "b/b", "c"):
        (top / name).mkdir(parents=True)
    for name, target in links.items():
        place = top / name
        if target and place.parent.is_dir() and not place.parent.is_symlink() and not place.exists():
            place.symlink_to(target)

    def outcome(way: Beneath) -> tuple[str, int]:
        root = os.open(top, SEARCH)
        try:
            descriptor = way(root, path or ".", SEARCH)
        except OSError as error:
            return "refused", error.errno or 0
        else:
            found = os.fstat(descriptor).st_ino
            os.close(descriptor)
            return "opened", found
        finally:
            os.close(root)

    if not path.startswith("/"):
        assert outcome(walk) == outcome(best())
