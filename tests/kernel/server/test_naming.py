"""Who has no shell of the server's machine names none of its folders, files and programs: each is as good as one."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from nexus.kernel.ai.catalog import surroundings_of
from nexus.schemas.ai import AiCaller, AiSettings
from nexus.schemas.session import CallerSurroundings
from tests.kernel.answers import answer, refusal
from tests.kernel.server.running import Running

EVERYTHING_ELSE = ["agent.project.*", "agent.file.*", "ai.*", "session.*", "data.*"]


@pytest.fixture
async def anna(server: Running) -> Any:
    return await server.signed_in("anna", patterns=EVERYTHING_ELSE)


async def test_a_project_has_a_folder_of_its_own_unless_a_shell_is_granted(
    server: Running, anna: Any, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    named = {"name": "mine", "contentPath": str(data)}
    refusal(await anna.post("/api/projects", json=named), 403, "PERMISSION_DENIED")
    made = answer(await anna.post("/api/projects", json={"name": "mine"}), 201)
    moved = await anna.patch(f"/api/projects/{made['id']}", json={"contentPath": str(data)})
    refusal(moved, 403, "PERMISSION_DENIED")
    for address in (str(data), f"file://{data}", "git@localhost:x/y", "ssh://localhost/x"):
        cloned = await anna.post("/api/projects", json={"name": "clone", "gitUrl": address})
        refusal(cloned, 403, "PERMISSION_DENIED")
    read = await anna.get("/api/files/content", params={"projectId": made["id"], "path": "secret.key"})
    refusal(read, 404, "RESOURCE_NOT_FOUND")
    told = answer(await server.owner.get("/api/audit", params={"outcome": "denied"}))["items"]
    assert [record["operation"] for record in told].count("agent.project.create") == 5
    root = await server.signed_in("root", patterns=["agent.*"])
    assert answer(await root.patch(f"/api/projects/{made['id']}", json={"contentPath": str(data)}))


def repository_in(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True, timeout=30)


async def test_the_configuration_of_git_names_programs_and_is_written_by_who_has_a_shell(
    server: Running, anna: Any
) -> None:
    made = answer(await anna.post("/api/projects", json={"name": "mine"}), 201)
    folder = Path(made["contentPath"])
    repository_in(folder)
    before = (folder / ".git" / "config").read_bytes()
    (folder / "link").symlink_to(".git")
    (folder / "file").symlink_to(".git/config")
    wanted = {"projectId": made["id"], "content": "[core]\n\tfsmonitor = /nowhere\n"}
    for path in (".git/config", ".GIT/config", "a/.git/hooks/x", "link/config", "link/hooks/x", "file", ".gi\u200ct/x"):
        refused = await anna.post("/api/files/content", json={**wanted, "path": path})
        refusal(refused, 403, "PERMISSION_DENIED")
    assert (folder / ".git" / "config").read_bytes() == before
    assert not (folder / "a").exists()
    answer(await anna.post("/api/files/content", json={**wanted, "path": ".gitignore"}))
    root = await server.signed_in("root", patterns=["agent.*"])
    answer(await root.post("/api/files/content", json={**wanted, "path": ".git/description"}))


async def test_a_folder_laid_out_as_a_repository_is_none(server: Running, anna: Any, tmp_path: Path) -> None:
    made = answer(await anna.post("/api/projects", json={"name": "mine"}), 201)
    config = f"[core]\n\tbare = false\n\tworktree = .\n\tfsmonitor = touch {tmp_path / 'done'}\n"
    files = {"HEAD": "ref: refs/heads/main\n", "objects/x": "", "refs/x": "", "config": config, "file": "x"}
    for path, content in files.items():
        answer(await anna.post("/api/files/content", json={"projectId": made["id"], "path": path, "content": content}))
    told = await anna.get("/api/files/diff", params={"projectId": made["id"], "path": "file"})
    refusal(told, 422, "VALIDATION_ERROR")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("backend", ["acp:/bin/sh", "script:/etc/passwd", "claude"])
async def test_a_chat_with_a_program_or_a_file_wants_a_shell(server: Running, anna: Any, backend: str) -> None:
    session = {"type": "ai-chat", "options": {"backend": backend}}
    refusal(await anna.post("/api/sessions", json=session), 403, "PERMISSION_DENIED")
    # One with a model is theirs; it cannot be made one with a program later.
    model = {"type": "ai-chat", "options": {"backend": "ollama:x"}}
    made = answer(await anna.post("/api/sessions", json=model), 201)["sessionId"]
    path = f"/api/ai/sessions/{made}"
    programs = {"surroundings": {"environment": {"PATH": "/bin"}}}
    asked = {"backend": backend, "caller": programs}
    refusal(await anna.post(f"{path}/backend", json=asked), 403, "PERMISSION_DENIED")
    refusal(await anna.post("/api/ai/backends/check", json=asked), 403, "PERMISSION_DENIED")
    refusal(await anna.patch(path, json={"permissions": "allow"}), 403, "PERMISSION_DENIED")


async def test_another_environment_for_a_program_wants_a_shell(server: Running, anna: Any) -> None:
    session = {"type": "ai-chat", "options": {"backend": "acp:/bin/true"}}
    made = answer(await server.owner.post("/api/sessions", json=session), 201)["sessionId"]
    said = {"content": "hello", "caller": {"surroundings": {"environment": {"PATH": "/tmp"}}}}
    refusal(await anna.post(f"/api/ai/sessions/{made}/messages", json=said), 403, "PERMISSION_DENIED")


def test_the_servers_keys_go_to_no_address_of_the_callers() -> None:
    own = CallerSurroundings(environment={"OPENAI_API_KEY": "secret", "ANTHROPIC_API_KEY": "other", "PATH": "/bin"})
    elsewhere = AiCaller(settings=AiSettings(base_urls={"openai": "https://evil.example"}))
    assert surroundings_of(elsewhere, own).environment == {"ANTHROPIC_API_KEY": "other", "PATH": "/bin"}
    assert surroundings_of(AiCaller(), own) is own
    theirs = CallerSurroundings(environment={"OPENAI_API_KEY": "mine"})
    assert surroundings_of(elsewhere.model_copy(update={"surroundings": theirs}), own) is theirs
