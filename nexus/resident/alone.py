"""Running a command without a resident: this bare interpreter becomes a whole one."""

import gc
import site as sites
import sys
from contextlib import suppress

from nexus.launcher.main import Command
from nexus.launcher.process import write_all


def run_alone(command: Command, reason: str) -> int:
    """Run the dispatcher in this process and return the exit status. `reason`, if any, goes to stderr."""
    if reason:
        from nexus.launcher.failure import log_line

        with suppress(OSError):
            write_all(2, log_line("warning", f"{reason} The command runs without it."))
    # The process ends before its garbage matters; looking for it takes a tenth of an import's time.
    gc.disable()
    complete(command.site)
    from nexus.resident.oneshot import run_here

    return run_here(command)


def complete(site: str) -> None:
    """Make up for `-S`: the virtual environment's and the system's packages, and those of our own folder."""
    if sys.flags.no_site:
        sites.main()
    if site.endswith("-packages") and not any(_same(site, path) for path in sys.path):
        # A user's own packages go before the system's, as without -I.
        known = list(sys.path)
        before = next((place for place, path in enumerate(known) if path.endswith("-packages")), len(known))
        sites.addsitedir(site)
        sys.path[:] = known[:before] + [path for path in sys.path if path not in known] + known[before:]


def _same(one: str, other: str) -> bool:
    import os

    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
