"""A package that pip installs beside nexus adds a namespace: found by its entry point, never imported to be found."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus.plugin import Trial

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "weather_package"
SECONDS = 300


def pip() -> list[str]:
    """Return pip for this interpreter: its own, or the system's where an environment was made without."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    return ["python3", "-m", "pip", "--python", sys.executable]


class Installed:
    """nexus with the example beside it, in a home of its own and without a resident."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site-packages"
        self.work = folder / "work"
        self.work.mkdir()
        source = folder / "source"
        shutil.copytree(EXAMPLE, source)
        options = ("--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", str(self.site))
        subprocess.run([*pip(), "install", *options, str(source)], check=True, timeout=SECONDS)
        self.environment = {
            "PATH": os.defpath,
            "HOME": str(folder),
            "NEXUS_HOME": str(folder / "home"),
            "NEXUS_RESIDENT": "0",
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(self.site))),
        }

    def __call__(self, *words: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [sys.executable, "-m", "nexus", *words],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("package"))


def test_an_installed_package_adds_a_namespace_with_a_streaming_command(installed: Installed) -> None:
    [answer] = installed("settings", "plugin", "list")
    [plugin] = answer["data"]["items"]
    assert (plugin["name"], plugin["origin"], plugin["state"]) == ("weather", "installed", "active")
    [viewed] = installed("weather", "city", "view", "--name", "oslo")
    assert viewed["data"] == {"name": "Oslo", "degrees": 4}
    events = installed("weather", "city", "watch", "--name", "Lima", "--days", "2")
    assert [event["event"] for event in events] == ["metadata", "data", "data", "close"]
    [refused] = installed("weather", "city", "view", "--name", "nowhere")
    assert refused["errors"][0]["details"]["hint"] == "nexus weather city list"
    [kept] = installed("settings", "plugin", "remove", "--name", "weather", "--yes")
    assert kept["errors"][0]["details"]["hint"] == "nexus settings plugin disable --name weather"


def test_a_plugin_that_was_created_passes_its_own_test(tmp_path: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME")},  # noqa: TID251 -- the tests'
        "NEXUS_HOME": str(tmp_path / "home"),
        "NEXUS_RESIDENT": "0",
        "PYTHONPATH": str(ROOT),
    }
    words = ("settings", "plugin", "create", "--name", "greeter", "--folder", str(tmp_path))
    subprocess.run(
        [sys.executable, "-m", "nexus", *words], env=environment, check=True, capture_output=True, timeout=SECONDS
    )
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "-s", "tests"],
        cwd=tmp_path / "greeter",
        env=environment,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Ran 1 test" in done.stderr


def test_a_zip_file_is_installed_replaced_and_tried(tmp_path: Path) -> None:
    folder = tmp_path / "zipped"
    folder.mkdir()
    manifest = (
        "name: zipped\nversion: {}\nkind: io\nsummary: Zipped.\n"
        "namespaces: {{zipped: {{resources: {{it: {{actions: {{go: "
        "{{summary: Go., call: 'zipped:go', examples: [{{line: nexus zipped it go, shows: it}}]}}}}}}}}}}}}\n"
    )
    (folder / "zipped.py").write_text("def go(context):\n    return {'here': True}\n")
    (folder / "plugin.yml").write_text(manifest.format("1.0.0"))
    first = Path(shutil.make_archive(str(tmp_path / "first"), "zip", tmp_path, "zipped"))
    (folder / "plugin.yml").write_text(manifest.format("1.1.0"))
    second = Path(shutil.make_archive(str(tmp_path / "second"), "zip", folder))
    with Trial(first) as trial:
        assert trial.run("zipped it go")["data"] == {"here": True}
        assert trial.fail(f"settings plugin install '{second}'")["code"] == "RESOURCE_CONFLICT"
        changed = trial.run(f"settings plugin install '{second}' --replace")["data"]
        assert (changed["change"], changed["version"]) == ("updated", "1.1.0")
        assert trial.run(f"settings plugin install '{second}'")["data"]["change"] == "unchanged"
