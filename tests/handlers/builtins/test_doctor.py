"""The doctor finds what is wrong, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def findings(nexus: Nexus, **environment: str) -> tuple[bool, dict[str, dict[str, Any]]]:
    told = (await nexus("doctor", environment=environment)).data
    return told["healthy"], {item["check"]: item for item in told["items"]}


async def test_a_fresh_home_is_healthy(nexus: Nexus) -> None:
    healthy, found = await findings(nexus)
    assert healthy, found
    assert {"installation", "folder data", "configuration", "server", "kernel", "sandbox", "keyring"} <= found.keys()


async def test_every_problem_has_a_hint(nexus: Nexus) -> None:
    nexus.runtime.folders.config.mkdir(parents=True, exist_ok=True)
    (nexus.runtime.folders.config / "aliases.json").write_text("{")
    nexus.runtime.folders.config.chmod(0o777)
    healthy, found = await findings(nexus, HTTPS_PROXY="http://", SSL_CERT_FILE="/nowhere")
    assert not healthy
    problems = {name for name, item in found.items() if item["status"] == "problem"}
    assert {"aliases", "folder config", "proxy HTTPS_PROXY", "certificates SSL_CERT_FILE"} <= problems
    assert all(found[name]["hint"] for name in problems)


async def test_a_damaged_configuration_is_found_though_it_stops_other_commands(nexus: Nexus) -> None:
    nexus.runtime.folders.config.mkdir(parents=True, exist_ok=True)
    (nexus.runtime.folders.config / "config.toml").write_text('[theme]\nmode = "pink"\n')
    healthy, found = await findings(nexus)
    assert not healthy
    assert "CONFIG_INVALID" in found["configuration"]["message"]


async def test_a_proxys_password_is_not_told(nexus: Nexus) -> None:
    _, found = await findings(nexus, HTTPS_PROXY="http://me:secret@proxy.example:3128", NO_PROXY="localhost")
    assert "proxy.example:3128" in found["proxy HTTPS_PROXY"]["message"]
    assert "secret" not in str(found)


async def test_a_server_that_does_not_answer_is_told(nexus: Nexus) -> None:
    told = (await nexus("doctor --server http://127.0.0.1:9", environment={"NEXUS_TOKEN": "none"})).data
    server = next(item for item in told["items"] if item["check"] == "server")
    assert (told["healthy"], server["status"]) == (False, "problem")
    assert server["hint"]
