"""Selections on disk: whole, locked, and never lost in silence."""

import asyncio
import json
from pathlib import Path

import pytest

from nexus.context.store import ContextFiles, changed_state
from nexus.schemas.context import ContextState, ContextUpdate, Selection
from nexus.schemas.errors import NotFound, StorageReadOnly, ValidationError

WEB = Selection(id="prj_web", name="web")
SHOP = Selection(id="prj_shop", name="shop")
PLAN = Selection(id="rmp_plan", name="plan")
TALK = Selection(id="cht_talk", name="talk")


def test_selecting_a_project_clears_roadmap_and_chat() -> None:
    before = ContextState(project=WEB, roadmap=PLAN, chat=TALK)
    after, changes = changed_state(before, ContextUpdate(select={"project": SHOP}))
    assert after == ContextState(project=SHOP)
    assert [change.kind for change in changes] == ["project", "roadmap", "chat"]


def test_selecting_the_same_project_again_clears_nothing() -> None:
    before = ContextState(project=WEB, roadmap=PLAN, chat=TALK)
    after, changes = changed_state(before, ContextUpdate(select={"project": WEB}))
    assert (after, changes) == (before, [])


def test_selecting_a_roadmap_clears_the_chat() -> None:
    before = ContextState(project=WEB, chat=TALK)
    assert changed_state(before, ContextUpdate(select={"roadmap": PLAN}))[0] == ContextState(project=WEB, roadmap=PLAN)


def test_clearing_a_project_clears_what_belonged_to_it() -> None:
    before = ContextState(project=WEB, roadmap=PLAN, chat=TALK, element=Selection(id="e"))
    assert changed_state(before, ContextUpdate(clear=("project",)))[0] == ContextState(element=Selection(id="e"))


async def test_what_was_selected_is_there_for_the_next_command(tmp_path: Path) -> None:
    await ContextFiles(tmp_path).apply(ContextUpdate(select={"project": WEB}))
    assert ContextFiles(tmp_path).load() == ContextState(project=WEB)


async def test_named_contexts_do_not_touch_each_other(tmp_path: Path) -> None:
    await ContextFiles(tmp_path, "one").apply(ContextUpdate(select={"project": WEB}))
    await ContextFiles(tmp_path, "two").apply(ContextUpdate(select={"project": SHOP}))
    assert ContextFiles(tmp_path, "one").load().project == WEB
    assert ContextFiles(tmp_path).load() == ContextState()
    assert ContextFiles(tmp_path).names() == ["default", "one", "two"]


async def test_changes_at_the_same_time_all_arrive(tmp_path: Path) -> None:
    updates = [ContextUpdate(select={kind: Selection(id=kind)}) for kind in ("session", "element", "chat")] * 10
    await asyncio.gather(*(ContextFiles(tmp_path).apply(update) for update in updates))
    state = ContextFiles(tmp_path).load()
    assert None not in (state.session, state.element, state.chat)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"project": 1}'])
def test_a_damaged_file_is_set_aside_and_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "default.json").write_bytes(content)
    files = ContextFiles(tmp_path)
    assert files.load() == ContextState()
    assert len(files.warnings) == 1
    aside = list(tmp_path.glob("default.json.corrupt-*"))
    assert [path.read_bytes() for path in aside] == [content]
    assert not (tmp_path / "default.json").exists()


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 65, "a\x00b", "é"])
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError):
        ContextFiles(tmp_path, name)


def test_removing_a_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        ContextFiles(tmp_path).remove("nope")


async def test_a_folder_that_cannot_be_written_is_an_error_of_storage(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageReadOnly):
        await ContextFiles(blocked / "contexts").apply(ContextUpdate(select={"project": WEB}))


async def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    files = ContextFiles(tmp_path)
    for selection in (WEB, SHOP) * 20:
        await files.apply(ContextUpdate(select={"project": selection}))
        assert json.loads((tmp_path / "default.json").read_bytes())["project"]["id"] == selection.id
    assert not list(tmp_path.glob(".default.json.*"))
