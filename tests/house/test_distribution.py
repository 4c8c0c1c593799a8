"""The wheel and the sdist hold the whole tree, and the wheel puts one name into site-packages."""

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("handlers", "kernel", "schemas", "sessions")
DATA_SUFFIXES = (".py", ".typed", ".index", ".sql", ".mako", ".ini")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build sdist and wheel from what git would give a fresh clone."""
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("dist")
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout
    for name in filter(None, files.decode().split("\0")):
        origin, copy = ROOT / name, source / name
        if not origin.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            copy.symlink_to(origin.readlink())
        else:
            copy.write_bytes(origin.read_bytes())
            copy.chmod(origin.stat().st_mode)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(target), str(source)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return target


def tracked() -> set[str]:
    """Return the package's files as git has them, by their path in the wheel."""
    files = (
        subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        .stdout.decode()
        .split("\0")
    )
    found = set()
    for name in files:
        top = name.partition("/")[0]
        path = ROOT / name
        if path.suffix in DATA_SUFFIXES and path.is_file():
            if top in LAYERS:
                found.add(f"nexus/{name}")
            elif top == "nexus":
                found.add(name)
    return found


def test_packages_are_listed_as_the_tree_has_them() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    in_tree = {str(Path(name).parent).replace("/", ".") for name in tracked() if name.endswith("/__init__.py")}
    assert set(settings["packages"]) == in_tree


@pytest.mark.timeout(400)
def test_the_wheel_holds_the_tree_and_one_name(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    package = {name for name in names if ".dist-info/" not in name and ".data/" not in name}
    assert {name.partition("/")[0] for name in package} == {"nexus"}
    assert package == tracked()
    assert any(name.endswith(".data/scripts/nexus") for name in names)


@pytest.mark.timeout(400)
def test_the_sdist_builds_the_same_wheel_and_has_the_tests(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {name.removeprefix("nexus/") if name.split("/")[1] in LAYERS else name for name in tracked()} <= names
    assert "tests/house/test_distribution.py" in names
    assert {"README.md", "LICENSE", "CHANGELOG.md"} <= names
