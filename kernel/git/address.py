"""The address of a repository: which may be cloned, and what of it may be shown."""

import base64
import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from nexus.schemas.errors import ValidationError

SCHEMES = ("https", "ssh", "git", "file")
SCP_LIKE = re.compile(r"[^/:\s]+:[^:].*")
USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")


@dataclass(frozen=True, slots=True)
class Address:
    """An address that git may be given. `url` has no password; `config` hands it to git beside the command line."""

    url: str
    config: dict[str, str]

    @property
    def is_the_machines(self) -> bool:
        """Whether it is on this machine, or reached with the keys of this machine's user (ssh)."""
        return not self.url.lower().startswith(("https://", "git://"))


def parse_address(given: str) -> Address:
    """Read an address: https, ssh, git, file, `user@host:path`, or an absolute path. Raises `ValidationError`."""
    if not given.isprintable() or not given.strip() or given.startswith("-"):
        raise _refused("It is no address of a repository.")
    scheme, separator, rest = given.partition("://")
    if separator:
        if scheme.lower() not in SCHEMES:
            raise _refused(f"{scheme}:// is not cloned from.")
        return _without_password(given) if scheme.lower() == "https" else Address(_checked(given, rest), {})
    if given.startswith("/"):
        return Address(given, {})
    if SCP_LIKE.fullmatch(given) and "::" not in given:
        return Address(given, {})
    raise _refused("It is neither a URL nor an absolute path.")


def masked(text: str) -> str:
    """Return the text with what may be a password in a URL left out."""
    return USERINFO.sub("***@", text)


def _checked(given: str, rest: str) -> str:
    host = rest.split("/", 1)[0].rpartition("@")[2]
    if host.startswith("-"):
        raise _refused("A host's name begins with a letter or a digit.")
    if ":" in rest.split("/", 1)[0].rpartition("@")[0]:
        raise _refused("A password in this kind of address would be seen by every user of the machine.")
    return given


def _without_password(given: str) -> Address:
    try:
        parts = urlsplit(given)
        user, password, host = parts.username, parts.password, parts.hostname
    except ValueError:
        raise _refused("It is no valid URL.") from None
    if not host or host.startswith("-"):
        raise _refused("It names no host.")
    if password is None:
        return Address(given, {})
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    credentials = base64.b64encode(f"{unquote(user or '')}:{unquote(password)}".encode()).decode()
    # By the environment: the command line is seen by every user, and the clone's own configuration would keep it.
    scope = f"http.{bare.scheme}://{bare.netloc}/.extraHeader"
    return Address(bare.geturl(), {scope: f"Authorization: Basic {credentials}"})


def _refused(reason: str) -> ValidationError:
    return ValidationError.because(reason, field="gitUrl", expected=[*(f"{name}://" for name in SCHEMES), "host:path"])
