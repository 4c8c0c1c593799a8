"""Archives that mean harm: what would leave the plugin's folder, link, or fill the disk is refused, without a trace."""

import ast
import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import nexus
from nexus.plugins.install import copied_in
from nexus.schemas.errors import PluginInvalid

ROOT = Path(nexus.__file__).resolve().parent.parent
UNPACKING = {"zipfile", "tarfile", "zipimport", "py7zr", "rarfile"}
MANIFEST = "name: evil\nversion: 1.0.0\nkind: io\nsummary: Evil.\n"


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packed) as archive:
        archive.writestr("evil/plugin.yml", MANIFEST)
        for name, data in members:
            archive.writestr(name, data)
    return made.getvalue()


def of_kind(name: str, kind: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = (kind | 0o777) << 16
    return member


def of_size(size: int) -> bytes:
    """A member of a million bytes that says it has another size, in both places that say so."""
    made = bytearray(zipped(("evil/zeros", bytes(1_000_000))))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = made.rindex(signature)
        struct.pack_into("<I", made, at + offset, size)
    return bytes(made)


def flagged(flag: int) -> bytes:
    made = bytearray(zipped(("evil/x", b"x" * 100)))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", made, made.rindex(signature) + offset, flag)
    return bytes(made)


def damaged() -> bytes:
    made = bytearray(zipped(("evil/x", bytes(range(256)) * 100)))
    at = made.rindex(b"evil/x", 0, made.rindex(b"PK\x01\x02"))
    made[at + 20 : at + 60] = b"\xff" * 40
    return bytes(made)


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "a name that climbs": lambda: zipped(("evil/../../outside", b"x")),
    "a name that climbs at once": lambda: zipped(("../outside", b"x")),
    "a name from the root": lambda: zipped(("/tmp/outside", b"x")),  # a name only
    "a name of Windows": lambda: zipped(("evil\\..\\..\\outside", b"x")),
    "a name of nothing": lambda: zipped((".", b"x")),
    "a link": lambda: zipped((of_kind("evil/link", stat.S_IFLNK), b"../../outside")),
    "a link, and a file below it": lambda: zipped(
        (of_kind("evil/link", stat.S_IFLNK), b"../.."), ("evil/link/outside", b"x")
    ),
    "a pipe": lambda: zipped((of_kind("evil/pipe", stat.S_IFIFO), b"")),
    "two of one name": lambda: zipped(("evil/a", b"x"), ("evil/./a", b"y")),
    "a file below a file": lambda: zipped(("evil/a", b"x"), ("evil/a/b", b"y")),
    "too many files": lambda: zipped(*((f"evil/{number}", b"") for number in range(5001)), packed=zipfile.ZIP_STORED),
    "a bomb": lambda: of_size(300 << 20),
    "a bomb that says it is none": lambda: of_size(10),
    "an encrypted file": lambda: flagged(1),
    "a damaged file": damaged,
    "half an archive": lambda: zipped(("evil/x", b"x" * 1000))[:-100],
    "no archive": lambda: b"PK\x03\x04 nothing",
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("attack", ARCHIVES)
def test_an_archive_that_means_harm_is_refused_and_leaves_nothing(tmp_path: Path, attack: str) -> None:
    source, plugins = tmp_path / "evil.zip", tmp_path / "home" / "plugins"
    source.write_bytes(ARCHIVES[attack]())
    with pytest.raises(PluginInvalid):
        copied_in(source, plugins, replace=True)
    assert list(plugins.iterdir()) == []
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["evil.zip", "home", "plugins"]


def test_a_folder_with_a_link_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "evil"
    source.mkdir()
    (source / "plugin.yml").write_text(MANIFEST)
    (source / "link").symlink_to("/etc/passwd")
    with pytest.raises(PluginInvalid):
        copied_in(source, tmp_path / "plugins", replace=True)
    assert list((tmp_path / "plugins").iterdir()) == []


def test_archives_are_unpacked_in_one_place_and_nowhere_else() -> None:
    """Whatever comes to unpack them elsewhere has to be shown harmless here."""
    found = set()
    for folder in ("nexus", "handlers", "kernel", "schemas", "sessions"):
        for path in (ROOT / folder).rglob("*.py"):
            if not path.is_symlink() and not (folder == "nexus" and path.relative_to(ROOT).parts[1] in FOLDERS):
                found |= {(path.relative_to(ROOT).as_posix(), name) for name in unpacks(path)}
    assert found == {("nexus/plugins/install.py", "zipfile")}


FOLDERS = ("handlers", "kernel", "schemas", "sessions")
"""The links beside which the real folders are."""


def unpacks(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
            names |= {alias.name for alias in node.names if alias.name == "unpack_archive"}
        elif isinstance(node, ast.Attribute) and node.attr == "unpack_archive":
            names.add(node.attr)
    return names & {*UNPACKING, "unpack_archive"}
