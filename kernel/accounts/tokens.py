"""Access tokens: short, signed, and good for this kernel's API alone (RFC 7519, RFC 8725)."""

import time
from dataclasses import dataclass

import jwt

from nexus.schemas.errors import AuthInvalid

ALGORITHMS = ["HS256"]
"""What a token may be signed with. What a token's own header says has no say in it."""

ISSUER = "nexus-kernel"
AUDIENCE = "nexus-api"
LEEWAY_SECONDS = 5
MOST_CHARACTERS = 4096
REQUIRED = ["exp", "iat", "iss", "aud", "sub", "fam", "gen"]


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: the user, the sign-in it came from, and the user's generation then.

    `ends` is when it stops being good, in seconds since 1970; of one that is to be issued it is not known yet.
    """

    user_id: str
    family: str
    generation: int
    ends: int = 0

    def is_past(self) -> bool:
        """Say whether its time is over."""
        return self.ends + LEEWAY_SECONDS <= time.time()


def issue(key: bytes, claims: Claims, seconds: int) -> str:
    """Return a token that is good for so many seconds."""
    now = int(time.time())
    told = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": claims.user_id,
        "fam": claims.family,
        "gen": claims.generation,
        "iat": now,
        "exp": now + seconds,
    }
    return jwt.encode(told, key, algorithm=ALGORITHMS[0])


def read(key: bytes, token: str) -> Claims:
    """Return what a token says, also one of the past: `is_past` tells. Raises `AuthInvalid` for whatever is wrong."""
    if len(token) > MOST_CHARACTERS:
        raise AuthInvalid
    try:
        told = jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED, "verify_exp": False},
        )
    except jwt.PyJWTError:
        raise AuthInvalid from None
    user, family, generation, ends = told["sub"], told["fam"], told["gen"], told["exp"]
    if not (isinstance(user, str) and isinstance(family, str) and type(generation) is int and type(ends) is int):
        raise AuthInvalid
    return Claims(user, family, generation, ends)
