"""Which run of the machine this is: what a power cut took is known by it."""

from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return a text that is the same until the machine starts again."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        # Where there is no /proc. The clock may have been set since, so not to the second.
        import psutil

        return str(int(psutil.boot_time()) // 60)
