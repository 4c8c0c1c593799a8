"""Graphics processors: what NVIDIA's own program tells, and what Linux tells of all others below /sys/class/drm."""

import asyncio
import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nexus.kernel.host import Environment
from nexus.schemas.errors import TimeoutExceeded
from nexus.schemas.gpu import Gpu

SECONDS = 10.0
"""The program wakes a sleeping card, which takes a while."""
MIB = 1024 * 1024
NVIDIA = "0x10de"
VENDORS = {NVIDIA: "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
FIELDS = "uuid,name,driver_version,memory.total,memory.used,utilization.gpu,temperature.gpu"
CARDS = Path("/sys/class/drm")


async def gpus(environment: Environment, cards: Path = CARDS) -> list[Gpu]:
    """Return the machine's graphics processors, none where it has none or tells of none.

    Raises `TimeoutExceeded` when a card does not answer.
    """
    told = await _of_nvidia(environment)
    others = await asyncio.to_thread(lambda: list(_of_system(cards)))
    return told + [gpu for gpu in others if not (told and gpu.vendor == VENDORS[NVIDIA])]


async def _of_nvidia(environment: Environment) -> list[Gpu]:
    try:
        process = await asyncio.create_subprocess_exec(
            *("nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits"),
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return []
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise TimeoutExceeded(seconds=SECONDS) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    rows = csv.reader(output.decode("utf-8", "replace").splitlines(), skipinitialspace=True)
    # It prints why it failed where its rows would be.
    return [] if process.returncode else [_of_row(row) for row in rows if len(row) == FIELDS.count(",") + 1]


def _of_row(row: list[str]) -> Gpu:
    uuid, name, driver, total, used, busy, degrees = row
    return Gpu(
        id=uuid,
        name=name,
        vendor=VENDORS[NVIDIA],
        driver=driver or None,
        memory_bytes=_times(total, MIB),
        memory_used_bytes=_times(used, MIB),
        utilization=_number(busy),
        temperature_celsius=_number(degrees),
    )


def _of_system(cards: Path) -> Iterator[Gpu]:
    """Yield the cards that the system knows, the connectors of their screens aside."""
    try:
        names = sorted(path.name for path in cards.iterdir() if re.fullmatch(r"card\d+", path.name))
    except OSError:
        return
    for name in names:
        device = cards / name / "device"
        vendor = _text(device / "vendor")
        if vendor is None:
            continue
        kind = VENDORS.get(vendor)
        yield Gpu(
            id=name,
            name=_text(device / "product_name") or f"{kind or vendor} {_text(device / 'device') or ''}".strip(),
            vendor=kind,
            driver=_driver(device),
            memory_bytes=_times(_text(device / "mem_info_vram_total"), 1),
            memory_used_bytes=_times(_text(device / "mem_info_vram_used"), 1),
            utilization=_number(_text(device / "gpu_busy_percent")),
            temperature_celsius=_degrees(device),
        )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or None
    except OSError:
        return None


def _driver(device: Path) -> str | None:
    try:
        return (device / "driver").readlink().name
    except OSError:
        return None


def _degrees(device: Path) -> float | None:
    """Return what the card's first sensor says; the system counts in thousandths."""
    for sensor in sorted(device.glob("hwmon/hwmon*/temp1_input")):
        thousandths = _number(_text(sensor))
        return None if thousandths is None else thousandths / 1000
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        # "[N/A]": this card does not tell.
        return None


def _times(text: str | None, unit: int) -> int | None:
    number = _number(text)
    return None if number is None else int(number * unit)
