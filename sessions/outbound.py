"""How connections leave this machine: by the proxies and certificates of who asks, and not by those of this process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from nexus.schemas.errors import ValidationError

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 10.0

_WITHOUT = "no_proxy"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", _WITHOUT)
_SCHEMES = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Outbound:
    """What a caller says of certificates and proxies; those who say the same can share a connection.

    `ca_file` and `ca_folder` hold the certificates (PEM) that are trusted in the place of the usual ones, `changed` is
    when the file was written: another file under its name is another `Outbound`.
    """

    ca_file: str | None = None
    ca_folder: str | None = None
    changed: int | None = None
    proxies: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str], ca_file: str | None = None) -> Self:
        """Read the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR."""
        found = ((name, environment.get(name) or environment.get(name.upper())) for name in _PROXIES)
        proxies = tuple((name, value) for name, value in found if value)
        file = ca_file or environment.get("SSL_CERT_FILE") or None
        folder = None if ca_file else environment.get("SSL_CERT_DIR") or None
        return cls(file, folder, _changed(file), proxies)

    def proxy(self, url: str) -> str | None:
        """Return the proxy for a URL, None where it is reached directly."""
        parts = urlsplit(url)
        host, named = parts.hostname or "", dict(self.proxies)
        for rule in named.get(_WITHOUT, "").split(","):
            pattern = rule.strip().lstrip(".").partition(":")[0]
            if pattern == "*" or (pattern and (host == pattern or host.endswith(f".{pattern}"))):
                return None
        return named.get(f"{_SCHEMES.get(parts.scheme, parts.scheme)}_proxy") or named.get("all_proxy")

    def certificates(self, url: str) -> "ssl.SSLContext | None":
        """Return what a connection to a URL trusts, None for one without TLS. Blocks a few milliseconds.

        Raises `ValidationError` for a file that holds no certificates.
        """
        if urlsplit(url).scheme not in ("https", "wss"):
            return None
        import ssl

        try:
            if self.ca_file is not None or self.ca_folder is not None:
                return ssl.create_default_context(cafile=self.ca_file, capath=self.ca_folder)
            import certifi

            return ssl.create_default_context(cafile=certifi.where())
        except (OSError, ssl.SSLError) as error:
            raise ValidationError.because(
                f"The certificates in {self.ca_file or self.ca_folder} cannot be used: {error}.",
                field="server.ca_file",
                expected="a file of certificates (PEM)",
                hint="nexus settings config get --key server.ca_file",
            ) from error


DIRECT = Outbound()
"""No proxy, and the usual certificates."""


def _changed(file: str | None) -> int | None:
    if file is None:
        return None
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:
        # Whoever connects is told.
        return None
