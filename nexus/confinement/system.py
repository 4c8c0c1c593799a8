"""What a process of Linux gives up for good, and what it is bound to: privileges, capabilities, its parent.

Nothing is imported that a bare interpreter has not, but for `ctypes`: a step of a pipeline waits for this.
"""

import ctypes

SIGKILL = 9
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63

libc = ctypes.CDLL(None, use_errno=True)


def give_up_privileges() -> None:
    """Never gain privileges again."""
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """Be an ordinary process though this is root's, and all that it starts too: behind `give_up_privileges`."""
    for capability in range(_LAST_CAPABILITY + 1):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    libc.capset(header, (ctypes.c_uint32 * 6)())


def end_with_parent() -> None:
    """Be killed when the process that started this one ends."""
    libc.prctl(_PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever is left behind below this process."""
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
