"""Where a database is, as people write it."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, StringConstraints

SCHEMES = ("postgresql", "postgres")


def without_password(url: str) -> str:
    """Return an address of PostgreSQL's. Raises `ValueError`, with nothing of it, for none and for one with a password.

    What is on a command line or in the settings is seen by others; a password comes from the environment or a passfile.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("it cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise ValueError("it begins with postgresql://")
    if ":" in parts.netloc.rpartition("@")[0] or "password=" in parts.query:
        raise ValueError("a password has no place here: NEXUS_DATABASE_URL, PGPASSWORD and PGPASSFILE may have it")
    return url


DatabaseUrl = Annotated[str, StringConstraints(min_length=1, max_length=4096), AfterValidator(without_password)]
"""An address without a password, which may be shown."""
