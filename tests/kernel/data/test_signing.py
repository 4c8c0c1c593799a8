"""Signed URLs: good for what they were signed for until their time is over, and for nothing else."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.kernel.data.signing import UrlSigner
from nexus.schemas.errors import UrlExpired, UrlRefused

NOW = 1_800_000_000
SIGNER = UrlSigner(b"k" * 32, now=lambda: NOW)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("?")[2], keep_blank_values=True))


@given(TEXT, TEXT)
def test_what_was_signed_is_let_in_and_any_change_is_not(name: str, other: str) -> None:
    query = query_of(SIGNER.signed("GET", "/blobs/a", NOW + 60, {"filename": name}))
    SIGNER.check("GET", "/blobs/a", query)
    SIGNER.check("HEAD", "/blobs/a", query)
    changed = [
        ("PUT", "/blobs/a", query),
        ("GET", "/blobs/b", query),
        ("GET", "/blobs/a", {**query, "expires": str(NOW + 61)}),
        ("GET", "/blobs/a", {**query, "more": other}),
        ("GET", "/blobs/a", {**query, "signature": other}),
        ("GET", "/blobs/a", {key: value for key, value in query.items() if key != "signature"}),
    ]
    if other != name:
        changed.append(("GET", "/blobs/a", {**query, "filename": other}))
    for method, path, told in changed:
        with pytest.raises(UrlRefused):
            SIGNER.check(method, path, told)


def test_words_cannot_wander_between_the_fields_of_a_signature() -> None:
    query = query_of(SIGNER.signed("GET", "/a", NOW + 60, {"b": "c"}))
    with pytest.raises(UrlRefused):
        SIGNER.check("GET", "/a", {"expires": query["expires"], "signature": query["signature"], "bc": ""})


@pytest.mark.parametrize("expires", [NOW, NOW - 1, NOW + 8 * 86_400])
def test_a_url_whose_time_is_over_or_absurd_is_told_as_expired(expires: int) -> None:
    with pytest.raises(UrlExpired):
        SIGNER.check("GET", "/a", query_of(SIGNER.signed("GET", "/a", expires)))
