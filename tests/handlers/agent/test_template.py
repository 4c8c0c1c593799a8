"""Templates by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.handlers.conftest import Nexus


@pytest.fixture
async def bug(nexus: Nexus) -> Nexus:
    """A home with one template."""
    await nexus.all("agent template create --name bug --content 'Seen:' --category issues --description Bugs")
    return nexus


async def test_a_template_is_created_listed_and_viewed(bug: Nexus) -> None:
    viewed = (await bug("agent template view --name bug")).data
    assert (viewed["name"], viewed["content"], viewed["favorite"]) == ("bug", "Seen:", False)
    assert (await bug("agent template list --category issues")).data["items"] == [viewed]
    assert (await bug("agent template list --category other")).data["items"] == []


async def test_content_comes_from_standard_input(bug: Nexus) -> None:
    created = await bug("agent template create --name long --content -", stdin=b"one\ntwo\n")
    assert created.data["content"] == "one\ntwo\n"
    updated = await bug("agent template update --id long --content -", stdin=b"three\n")
    assert (updated.data["content"], updated.data["changed"]) == ("three\n", ["content"])


async def test_two_templates_never_have_one_name(bug: Nexus) -> None:
    again = await bug("agent template create --name bug --content x")
    assert (again.status, again.error["code"]) == (6, "RESOURCE_CONFLICT")


async def test_a_favourite_is_marked_listed_and_unmarked(bug: Nexus) -> None:
    marked = (await bug("agent template favorite --name bug")).data
    assert (marked["favorite"], marked["changed"]) == (True, ["favorite"])
    assert (await bug("agent template favorite --name bug")).data["changed"] == []
    assert len((await bug("agent template list --favorites")).data["items"]) == 1
    assert (await bug("agent template favorite --name bug --remove")).data["favorite"] is False
    assert (await bug("agent template list --favorites")).data["items"] == []
    assert len((await bug("agent template list")).data["items"]) == 1


async def test_a_template_is_changed_and_deleted(bug: Nexus) -> None:
    changed = (await bug("agent template update --id bug --description '' --name fault")).data
    assert (changed["name"], changed["description"], changed["changed"]) == ("fault", None, ["name", "description"])
    assert (await bug("agent template delete --name fault --yes")).data["deleted"] is True
    assert (await bug("agent template delete --name fault --yes")).status == 4
