"""This machine: its interfaces with their addresses and counters, and how it is."""

import socket
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nexus.kernel.readable import readable
from nexus.schemas.network import Machine


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. `speed_mbit` is null where the driver does not say; counters are since it came up."""

    name: str
    up: bool
    addresses: tuple[str, ...] = ()
    mac: str | None = None
    mtu: int | None = None
    speed_mbit: int | None = None
    counters: dict[str, int] = field(default_factory=dict)

    def details(self) -> dict[str, Any]:
        """Return what is told beside name and addresses; what is not known is left out."""
        told = {"mac": self.mac, "mtu": self.mtu, "speedMbit": self.speed_mbit, **self.counters}
        return {name: value for name, value in told.items() if value is not None}


def machine() -> Machine:
    """Return how the machine is. Blocks for a moment."""
    import platform

    import psutil

    memory = psutil.virtual_memory()
    return Machine(
        hostname=readable(socket.gethostname()),
        system=f"{platform.system()} {platform.release()}",
        cpu_count=psutil.cpu_count() or 1,
        load=[round(load, 2) for load in psutil.getloadavg()],
        memory_bytes=memory.total,
        memory_available_bytes=memory.available,
        started_at=datetime.fromtimestamp(psutil.boot_time(), UTC),
    )


def interfaces() -> tuple[list[Interface], list[str]]:
    """Return the interfaces by name, and notes on what could not be read. Blocks for a moment."""
    import psutil

    notes: list[str] = []
    addresses = psutil.net_if_addrs()
    stats = _read(psutil.net_if_stats, "The state of the interfaces", notes)
    counters = _read(lambda: psutil.net_io_counters(pernic=True), "What the interfaces carried", notes)
    found = []
    for name in sorted({*addresses, *stats}):
        given = addresses.get(name, [])
        stat, counted = stats.get(name), counters.get(name)
        found.append(
            Interface(
                name=readable(name),
                up=bool(stat.isup) if stat else bool(given),
                addresses=tuple(
                    str(each.address) for each in given if each.family in (socket.AF_INET, socket.AF_INET6)
                ),
                mac=next((str(each.address) for each in given if each.family == psutil.AF_LINK), None),
                mtu=stat.mtu if stat else None,
                speed_mbit=(stat.speed or None) if stat else None,
                counters=_counters(counted) if counted else {},
            )
        )
    return found, notes


def _read(read: Any, what: str, notes: list[str]) -> dict[str, Any]:
    import psutil

    try:
        return dict(read())
    except (psutil.Error, OSError) as error:
        notes.append(f"{what} cannot be read: {error}.")
        return {}


def _counters(counted: Any) -> dict[str, int]:
    return {
        "receivedBytes": counted.bytes_recv,
        "sentBytes": counted.bytes_sent,
        "receivedPackets": counted.packets_recv,
        "sentPackets": counted.packets_sent,
        "errors": counted.errin + counted.errout,
        "dropped": counted.dropin + counted.dropout,
    }
