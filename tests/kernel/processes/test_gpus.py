"""Graphics processors are told of as NVIDIA's program and the system tell of them, and a machine without has none."""

from pathlib import Path

import httpx
import pytest

from nexus.kernel.processes.gpus import gpus
from tests.kernel.answers import answer


def program(folder: Path, text: str) -> dict[str, str]:
    """Put a program there that speaks as nvidia-smi does, and return an environment that finds it."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin"}


def card(cards: Path, name: str, **files: str) -> None:
    device = cards / name / "device"
    device.mkdir(parents=True)
    for file, content in files.items():
        (device / file).write_text(f"{content}\n")


async def test_what_the_program_tells_is_read_and_what_it_does_not_know_is_null(tmp_path: Path) -> None:
    rows = ("GPU-1, NVIDIA A100, 550.54, 81920, 1024, 37, [N/A]", "GPU-2, X, [N/A], [N/A], 0, 0, 40")
    environment = program(tmp_path, "\n".join(f"echo '{row}'" for row in rows))
    first, second = await gpus(environment, tmp_path / "none")
    assert (first.id, first.name, first.driver) == ("GPU-1", "NVIDIA A100", "550.54")
    assert (first.memory_bytes, first.memory_used_bytes) == (81920 * 2**20, 2**30)
    assert (first.utilization, first.temperature_celsius) == (37, None)
    assert (second.memory_bytes, second.temperature_celsius) == (None, 40)


async def test_other_cards_are_read_from_the_system(tmp_path: Path) -> None:
    card(tmp_path, "card0", vendor="0x1002", device="0x744c", mem_info_vram_total="25753026560", gpu_busy_percent="3")
    card(tmp_path, "card1", vendor="0x10de", device="0x20b0")
    (tmp_path / "card0-DP-1").mkdir()
    amd, nvidia = await gpus({"PATH": "/nonexistent"}, tmp_path)
    assert (amd.id, amd.vendor, amd.memory_bytes, amd.utilization) == ("card0", "AMD", 25753026560, 3)
    assert (nvidia.name, nvidia.memory_bytes) == ("NVIDIA 0x20b0", None)


@pytest.mark.parametrize("text", ["echo 'NVIDIA-SMI has failed'; exit 9", "exec /nonexistent", "echo; echo a,b"])
async def test_a_program_that_fails_tells_of_none(tmp_path: Path, text: str) -> None:
    assert await gpus(program(tmp_path, text), tmp_path / "none") == []


async def test_the_route_answers_with_a_page(api: httpx.AsyncClient) -> None:
    page = answer(await api.get("/api/gpu"))
    assert page["truncated"] is False
    assert all({"id", "name"} <= gpu.keys() for gpu in page["items"])
