"""Which paths a step reaches: those that it was given, and what of the machine programs need to run at all."""

import os
import sys
from os.path import join, realpath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nexus.confinement.spec import Spec

PROGRAMS = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store",
    "/run/current-system/sw",
)  # fmt: skip

_ETC = (
    "R", "alternatives", "bash.bashrc", "ca-certificates", "crypto-policies", "default/locale", "fonts", "gai.conf",
    "gitconfig", "group", "host.conf", "inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias",
    "locale.conf", "localtime", "magic", "mime.types", "nsswitch.conf", "odbcinst.ini", "openmpi", "os-release",
    "passwd", "perl", "pki/ca-trust/extracted", "pki/tls/cert.pem", "pki/tls/certs", "pki/tls/openssl.cnf", "profile",
    "protocols", "services", "shells", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf", "terminfo", "texmf", "timezone",
)  # fmt: skip
"""Nothing of these is anybody's secret, root's included."""
_ETC_OF_NETWORK = ("hosts", "resolv.conf")
_ETC_BEGINS = "java-"

MACHINE = ("/sys/devices/system/cpu",)


class Unwalled(Exception):
    """The walls cannot be made."""


def system(spec: "Spec") -> "Iterator[str]":
    """Yield what of the machine is there to be read, the Python that this runs on among it."""
    names = [*_ETC, *(name for name in os.listdir("/etc") if name.startswith(_ETC_BEGINS))]
    names += _ETC_OF_NETWORK if spec.network else ()
    for path in (*PROGRAMS, realpath(sys.base_prefix), *(join("/etc", name) for name in names), *MACHINE):
        if os.path.exists(path):
            yield path


def below(path: str, folder: str) -> bool:
    """Whether one path is the other, or inside of it."""
    return path == folder or path.startswith(folder if folder == "/" else folder + "/")


def covers(bound: "Iterable[str]", hidden: "Iterable[str]") -> "Iterator[tuple[str, str]]":
    """Yield where what is hidden would be seen, each with the folder that is bound there, links resolved.

    What was named itself though it lies in a hidden folder is no such place. Raises `Unwalled` for a folder that was
    named and is hidden.
    """
    secret = [realpath(path) for path in hidden]
    for path in bound:
        real = realpath(path)
        for one in secret:
            if real == one:
                raise Unwalled(f"{path} is hidden from every step")
            if below(one, real):
                yield path, join(path, one[len(real) :].lstrip("/"))
