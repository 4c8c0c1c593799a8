"""Every setting says where its value came from; a file that cannot be used says where it is wrong."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nexus.config.configuration import TomlConfiguration
from nexus.schemas.errors import ConfigInvalid, NotFound, ValidationError


def test_flag_over_environment_over_file_over_default(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    key, variable = "output.format", {"NEXUS_OUTPUT_FORMAT": "table"}
    assert TomlConfiguration(path, {}).get(key).source == "default"
    path.write_text('[output]\nformat = "yaml"\n')
    assert (TomlConfiguration(path, {}).get(key).value, TomlConfiguration(path, {}).get(key).origin) == (
        "yaml",
        str(path),
    )
    assert TomlConfiguration(path, variable).get(key).source == "environment"
    assert TomlConfiguration(path, variable, {key: "human"}).get(key).source == "flag"


def test_setting_and_unsetting_keep_comments(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('# mine\n[theme]\nmode = "dark" # at night\n')
    config = TomlConfiguration(path, {})
    assert config.set("workspace.detail-mode", "expanded").value == "expanded"
    assert config.unset("theme.mode").source == "default"
    assert "# mine" in path.read_text()
    assert 'detail_mode = "expanded"' in path.read_text()


@pytest.mark.parametrize("key", ["nope", "output", "output.nope", "", "a.b.c"])
def test_a_key_that_does_not_exist_brings_all_that_do(tmp_path: Path, key: str) -> None:
    with pytest.raises(NotFound) as caught:
        TomlConfiguration(tmp_path / "config.toml", {}).get(key)
    assert "output.format" in caught.value.entry().details["available"]


def test_a_value_of_the_wrong_kind_is_refused_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    with pytest.raises(ValidationError):
        TomlConfiguration(path, {}).set("theme.mode", "pink")
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "line", "column"), [(b"[output\n", 1, 8), (b"a = 1\nb = \n", 2, 5), (b"x = 1\nx = 2\n", 2, 6)]
)
def test_a_file_that_is_no_toml_names_line_and_column(tmp_path: Path, content: bytes, line: int, column: int) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigInvalid) as caught:
        TomlConfiguration(path, {}).get("output.format")
    details = caught.value.entry().details
    assert (details["line"], details["column"]) == (line, column)


@pytest.mark.parametrize(
    ("text", "line", "column", "mends", "told"),
    [
        ("[output]\nformat = 'xml'\n", 2, 10, "output.format", "should be"),
        ("# mine\n[outputt]\nformat = 'json'\n", 2, 2, "outputt.format", "did you mean 'output'"),
        ("[theme]\nmode = 'dark'\n[output]\n formt = 1\n", 4, 10, "output.formt", "did you mean 'format'"),
        ("outputt.format = 'json'\n", 1, 1, "outputt.format", "did you mean 'output'"),
        ("output = 1\n", 1, 10, "output", "no table"),
        ("[strange]\n", 1, 2, "strange", "no category 'strange'"),
    ],
)
def test_a_fault_anywhere_is_told_with_its_place_and_what_mends_it(
    tmp_path: Path, text: str, line: int, column: int, mends: str, told: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as refused:
        TomlConfiguration(path, {}).get("serve.port")
    details = refused.value.entry().details
    assert (details["line"], details["column"]) == (line, column)
    assert told in str(refused.value)
    assert details["hint"] == f"nexus settings config unset --key {mends}"
    TomlConfiguration(path, {}).unset(mends)
    assert TomlConfiguration(path, {}).get("serve.port").source == "default"
    assert path.read_text().startswith("# mine") == text.startswith("# mine")


def test_what_is_at_fault_can_be_set_right_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("output = 3\n[theme]\nmode = 'pink'\n")
    assert TomlConfiguration(path, {}).set("theme.mode", "dark").value == "dark"
    assert TomlConfiguration(path, {}).set("output.format", "yaml").value == "yaml"
    assert TomlConfiguration(path, {}).get("theme.mode").value == "dark"


@pytest.mark.parametrize("change", [lambda c: c.set("theme.mode", "dark"), lambda c: c.unset("theme.mode")])
def test_a_file_that_is_no_toml_is_not_written_over(
    tmp_path: Path, change: Callable[[TomlConfiguration], object]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[output\n")
    with pytest.raises(ConfigInvalid):
        change(TomlConfiguration(path, {}))
    assert path.read_text() == "[output\n"


@pytest.mark.parametrize("content", [b"\xff", b"output = 1\n", b"[output]\nformat = 3\n"])
def test_a_file_with_wrong_values_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigInvalid):
        TomlConfiguration(path, {}).get("output.format")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("# mine\n[output]\nformat = 'xml'\n", 3, 10),
        ("[theme]\nmode = 'dark'\n\n[ output ]\n  format='xml'\n", 5, 10),
        ("output.format = 'xml'\n", 1, 17),
    ],
)
def test_a_value_that_cannot_be_is_told_with_its_place(tmp_path: Path, text: str, line: int, column: int) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigInvalid) as refused:
        TomlConfiguration(path, {}).get("output.format")
    details = refused.value.entry().details
    assert (details["line"], details["column"]) == (line, column)
    assert f"line {line}, column {column}" in str(refused.value)


def test_a_profile_stands_between_the_environment_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[serve]\nport = 1\norigins = ['https://a.example']\n")
    settings = {"serve.port": 2}
    config = TomlConfiguration(path, {}, profile=lambda: ("team", settings))
    assert (config.get("serve.port").value, config.get("serve.port").source) == (2, "profile")
    assert config.get("serve.port").origin == "team"
    assert config.get("serve.origins").source == "file"
    named = TomlConfiguration(path, {"NEXUS_PORT": "3", "NEXUS_SERVE_ORIGINS": "https://b.example, https://c.example"})
    assert (named.get("serve.port").value, named.get("serve.port").origin) == (3, "NEXUS_PORT")
    assert named.get("serve.origins").value == ["https://b.example", "https://c.example"]
    assert TomlConfiguration(path, {"NEXUS_PORT": "3"}, {"serve.port": 4}).get("serve.port").source == "flag"


def test_settings_that_are_set_at_once_are_all_set(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    settings = {"theme.palette": "x", "runtime.timeout": 5.0, "runtime.idle": 6.0, "data.stall": 7.0, "ai.timeout": 8.0}
    start = threading.Barrier(len(settings))

    def write(key: str, value: object) -> None:
        start.wait()
        for _ in range(5):
            TomlConfiguration(path, {}).unset(key)
            TomlConfiguration(path, {}).set(key, value)

    with ThreadPoolExecutor(len(settings)) as threads:
        list(threads.map(write, settings, settings.values()))
    assert {key: TomlConfiguration(path, {}).get(key).value for key in settings} == settings
