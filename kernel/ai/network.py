"""How requests to a model's provider leave: by the caller's proxies and certificates, not by this process's."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nexus.schemas.errors import ValidationError

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 10.0


def proxy_of(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the proxy that the caller's environment names for a URL, None where it is reached directly."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    for rule in (_variable(environment, "no_proxy") or "").split(","):
        pattern = rule.strip().lstrip(".").partition(":")[0]
        if pattern == "*" or (pattern and (host == pattern or host.endswith(f".{pattern}"))):
            return None
    return _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")


def _variable(environment: Mapping[str, str], name: str) -> str | None:
    return environment.get(name) or environment.get(name.upper()) or None


def certificates(environment: Mapping[str, str]) -> "ssl.SSLContext":
    """Return the certificates that the caller trusts: SSL_CERT_FILE, else the usual ones. Blocks a few milliseconds."""
    import ssl

    file = environment.get("SSL_CERT_FILE") or None
    try:
        if file is not None:
            return ssl.create_default_context(cafile=file)
        import certifi

        return ssl.create_default_context(cafile=certifi.where())
    except (OSError, ssl.SSLError) as error:
        raise ValidationError.because(
            f"SSL_CERT_FILE {file} cannot be used: {error}.", field="SSL_CERT_FILE", expected="a file of certificates"
        ) from error
