"""Servers by command; the servers are real ones on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.kernel.network.answering import answering

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


async def test_a_server_is_added_listed_viewed_and_removed(nexus: Nexus) -> None:
    async with answering() as server:
        added = await nexus(f"network server add --name build --url {server.url} --type ai")
        assert added.envelope["message"] == "Added the server 'build': it is online."
        assert added.data.pop("change") == "created"
        assert (added.data["type"], added.data["version"]) == ("ai", "9.9")
        assert (await nexus("network server view --name build")).data == added.data
        assert (await nexus(f"network server view --id {added.data['id']}")).data == added.data
        names = "--query 'items[].name'"
        assert (await nexus(f"network server list {names}")).data == ["build", "local"]
        assert (await nexus(f"network server list --filter-type ai {names}")).data == ["build"]
        assert (await nexus(f"network server list --filter-status degraded {names}")).data == []
        assert (await nexus("network server remove --name build")).error["code"] == "CONFIRMATION_REQUIRED"
        assert (await nexus("network server remove --name build --yes")).data["deleted"] is True
    missing = (await nexus("network server view --name build")).error
    assert (missing["code"], missing["details"]["hint"]) == ("RESOURCE_NOT_FOUND", "nexus network server list")


async def test_refresh_and_status_ask_again(nexus: Nexus) -> None:
    async with answering() as server:
        await nexus.all(f"network server add --name build --url {server.url}")
        server.status = 503
        [change] = (await nexus("network server refresh")).data["changed"]
        assert (change["name"], change["before"], change["after"]) == ("build", "online", "degraded")
        told = (await nexus("network server status --name build --requests 2")).data
        assert (told["status"], told["error"], told["latency"]["requests"]) == ("degraded", "It answers HTTP 503.", 2)
        assert len(server.requests) == 4
    assert (await nexus("network server status --id local")).data["machine"]["cpuCount"] >= 1


async def test_a_server_drains_and_is_changed(nexus: Nexus) -> None:
    async with answering() as one, answering(status=500) as two:
        await nexus.all(f"network server add --name build --url {one.url}")
        drained = await nexus("network server drain --name build")
        assert drained.data["draining"] is True
        assert drained.envelope["message"] == "The server 'build' drains: nothing new is placed on it."
        assert (await nexus("network server drain --name build --undo")).data["draining"] is False
        assert (await nexus("network server drain --id local")).data["draining"] is True
        changed = (await nexus(f"network server update --id build --url {two.url} --name other")).data
        assert (changed["changed"], changed["status"]) == (["name", "url"], "degraded")
        assert (await nexus("network server update --id other --name other")).data["changed"] == []
        assert (await nexus("network server update --id local --name me")).error["code"] == "RESOURCE_CONFLICT"


async def test_a_url_that_cannot_be_is_refused_before_anything_is_asked(nexus: Nexus) -> None:
    for url in ("ftp://127.0.0.1", "http://me:secret@127.0.0.1", "http://127.0.0.1:99999"):
        refused = await nexus(f"network server add --name x --url {url}")
        assert (refused.error["code"], refused.error["details"]["field"]) == ("VALIDATION_ERROR", "url")
        assert "secret" not in str(refused.envelope)
