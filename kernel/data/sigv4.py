"""AWS Signature Version 4 in a URL's query: whoever has the URL may do the one thing, until its time is over.

The steps are those of "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
MOST_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and its secret; `token` belongs to credentials that were lent for a time."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, …)"


@dataclass(frozen=True, slots=True)
class Presigner:
    """Signs URLs of one service. `endpoint` is a URL without a path; `region` is the service's word for its place."""

    endpoint: str
    region: str
    credentials: Credentials

    def url(
        self, method: str, path: str, seconds: int, moment: datetime, query: Mapping[str, str] | None = None
    ) -> str:
        """Return a URL that is good for `seconds` from the moment on. `path` begins with a slash, not quoted yet."""
        stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{self.region}/s3/aws4_request"
        asked = {
            **(query or {}),
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.credentials.access_key}/{scope}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(max(1, min(seconds, MOST_SECONDS))),
            "X-Amz-SignedHeaders": "host",
        }
        if self.credentials.token is not None:
            asked["X-Amz-Security-Token"] = self.credentials.token
        quoted = quote(path, safe="/-_.~")
        told = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in sorted(asked.items()))
        host = urlsplit(self.endpoint).netloc
        canonical = f"{method}\n{quoted}\n{told}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.new(self._key(stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()
        return f"{self.endpoint}{quoted}?{told}&X-Amz-Signature={signature}"

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self.credentials.secret_key}".encode()
        for word in (day, self.region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), hashlib.sha256)
        return key


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
