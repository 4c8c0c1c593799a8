"""Processes of others that a test waits for."""

import os
import select

import psutil


def gone(pid: int, seconds: float) -> bool:
    """Wait for a process to end; say whether it has.

    One that has ended and that its parent has not yet looked at is gone too: an init may take seconds to look.
    """
    if not hasattr(os, "pidfd_open"):
        try:
            psutil.Process(pid).wait(timeout=seconds)
        except psutil.NoSuchProcess:
            return True
        except psutil.TimeoutExpired:
            return False
        return True
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)
