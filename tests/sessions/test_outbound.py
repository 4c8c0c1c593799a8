"""Connections leave by the proxies and the certificates of who asks."""

from pathlib import Path

import pytest

from nexus.schemas.errors import ValidationError
from nexus.sessions.outbound import DIRECT, Outbound


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://api.example.com/v1", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://api.example.com/v1", {"all_proxy": "http://p:2"}, "http://p:2"),
        ("https://api.example.com/v1", {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".example.com"}, None),
        ("https://api.example.com/v1", {"HTTPS_PROXY": "http://p:1", "no_proxy": "ample.com"}, "http://p:1"),
        ("http://localhost:8/v1", {"HTTPS_PROXY": "http://p:1"}, None),
        ("http://localhost:8/v1", {"HTTP_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
        ("wss://api.example.com/kernel", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
    ],
)
def test_the_callers_proxies_are_used(url: str, environment: dict[str, str], proxy: str | None) -> None:
    assert Outbound.of(environment).proxy(url) == proxy


def test_a_file_of_certificates_that_is_written_anew_is_another(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    first = Outbound.of({"SSL_CERT_FILE": str(file)})
    assert first == Outbound.of({}, str(file))
    with pytest.raises(ValidationError, match=r"ca\.pem"):
        first.certificates("https://api.example.com")
    file.unlink()
    assert Outbound.of({"SSL_CERT_FILE": str(file)}) != first
    assert Outbound.of({}) == DIRECT
    assert DIRECT.certificates("http://localhost") is None
