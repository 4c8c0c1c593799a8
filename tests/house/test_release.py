"""What a release is made of: a formula that fits its bundles, and a workflow that publishes with no password."""

import hashlib
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = ("linux-arm64", "linux-x86_64", "macos-arm64", "macos-x86_64")


@pytest.fixture
def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("formula", ROOT / "packaging" / "homebrew" / "formula.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    for target in TARGETS:
        (tmp_path / f"nexus-cli-1.2.3-{target}.tar.gz").write_bytes(target.encode())
    return tmp_path


def test_a_formula_names_every_bundle_by_its_checksum(writer: ModuleType, bundles: Path) -> None:
    text = writer.formula("1.2.3", "somebody/nexus", bundles)
    for target in TARGETS:
        url = f"https://github.com/somebody/nexus/releases/download/v1.2.3/nexus-cli-1.2.3-{target}.tar.gz"
        assert f'url "{url}"\n      sha256 "{hashlib.sha256(target.encode()).hexdigest()}"' in text
    assert 'depends_on "python@3.13"' in text
    assert not re.search(r"@[A-Z]", text)


def test_a_bundle_that_is_missing_makes_no_formula(writer: ModuleType, bundles: Path) -> None:
    (bundles / "nexus-cli-1.2.3-macos-arm64.tar.gz").unlink()
    with pytest.raises(FileNotFoundError, match="macos-arm64"):
        writer.formula("1.2.3", "somebody/nexus", bundles)


@pytest.mark.skipif(shutil.which("ruby") is None, reason="no Ruby here")
def test_a_formula_is_ruby(writer: ModuleType, bundles: Path, tmp_path: Path) -> None:
    path = tmp_path / "nexus-cli.rb"
    path.write_text(writer.formula("1.2.3", "somebody/nexus", bundles))
    subprocess.run(["ruby", "-c", str(path)], check=True, capture_output=True)


def test_the_release_publishes_behind_the_gate_and_with_no_password() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    assert set(jobs["publish"]["needs"]) == {"gate", "dist", "bundle"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert {each["target"] for each in jobs["bundle"]["strategy"]["matrix"]["include"]} == set(TARGETS)
    assert "secrets." not in text
    assert "password" not in re.sub(r"#.*", "", text)
