"""One request to a Vault: made by hvac on a thread of its own, bounded in time, its refusals told as errors of ours."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import hvac
import requests
from hvac import exceptions as refusals

from nexus.kernel.settings import VaultAddress
from nexus.schemas.errors import (
    ConfigInvalid,
    NexusError,
    NotFound,
    VaultDenied,
    VaultFailed,
    VaultSealed,
    VaultUnavailable,
)

THREADS = 4
GRACE_SECONDS = 2.0
"""So much longer than a request's own time-out its thread is waited for."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_WORDS = 300

AWAY = (refusals.VaultDown, refusals.VaultNotInitialized, refusals.BadGateway, refusals.RateLimitExceeded)
"""What is said where the same request may be taken later."""

Body = dict[str, Any]
Call = Callable[[Any], Any]
"""Is given hvac's client."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, for the message of an error: `what` is a verb, `path` what it is done to."""

    what: str
    path: str


class Wire:
    """The way to one Vault. Raises `ConfigInvalid` for an address that must not be used."""

    def __init__(self, address: VaultAddress) -> None:
        _check(address)
        self._address = address
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vault")
        self._local = threading.local()

    async def body(self, token: str, asked: Asked, call: Call) -> Body:
        """Return the answer's object. Raises the errors of the Vault, `NotFound`, `ConfigInvalid`."""
        answer = await self._ask(token, asked, call)
        if not isinstance(answer, dict):
            raise VaultFailed.because(
                f"{self._address.url} did not answer as a Vault does when it was asked to {asked.what} {asked.path}.",
                hint="vault.url is the address of the active Vault itself, without a path and without a redirect.",
            )
        return answer

    async def done(self, token: str, asked: Asked, call: Call) -> None:
        """Do what has no answer. Raises as `body` does."""
        await self._ask(token, asked, call)

    async def close(self) -> None:
        """Let go of the connections; requests under way end at their time-out, and nobody hears of them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, token: str, asked: Asked, call: Call) -> Any:
        working = asyncio.get_running_loop().run_in_executor(self._threads, self._call, token, asked, call)
        try:
            # The request's own time-out is for each wait; an answer that drips has an end too.
            async with asyncio.timeout(self._address.seconds * 2 + GRACE_SECONDS):
                return await working
        except TimeoutError:
            raise self._unavailable(f"it did not answer within {self._address.seconds} seconds") from None

    def _call(self, token: str, asked: Asked, call: Call) -> Any:
        address = self._address
        client = hvac.Client(
            url=address.url,
            token=token,
            timeout=address.seconds,
            session=self._session(),
            namespace=address.namespace,
            # A redirect would take the token to wherever it says.
            allow_redirects=False,
        )
        try:
            return call(client)
        except Exception as error:
            known = self._told(error, asked)
            if known is None:
                raise
            raise known from error

    def _session(self) -> Any:
        """Return the thread's own connections: requests' are not to be shared between threads."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # Neither proxies nor certificates nor passwords come from this process's environment.
            session.trust_env = False
            session.verify = str(self._address.ca) if self._address.ca else True
        return session

    def _told(self, error: Exception, asked: Asked) -> NexusError | None:
        if isinstance(error, refusals.VaultError):
            return self._refused(error, asked)
        if isinstance(error, requests.exceptions.SSLError):
            return VaultUnavailable.because(
                f"The certificate of the Vault at {self._address.url} is not believed: {_short(error)}.",
                hint="Give the certificate of whoever signed it as vault.ca_file.",
            )
        if isinstance(error, requests.exceptions.Timeout):
            return self._unavailable(f"it did not answer within {self._address.seconds} seconds")
        if isinstance(error, requests.exceptions.RequestException):
            return self._unavailable(_short(error))
        if isinstance(error, OSError):
            # What requests raises for a file of certificates that is not there.
            return ConfigInvalid.because(f"{_short(error)}.", field="vault.ca_file", hint="Set vault.ca_file.")
        return None

    def _refused(self, error: refusals.VaultError, asked: Asked) -> NexusError:
        url, words = self._address.url, _words(error)
        if isinstance(error, refusals.Forbidden | refusals.Unauthorized):
            return VaultDenied(url=url, what=asked.what, path=asked.path)
        if isinstance(error, refusals.InvalidPath) and "no handler for route" in words:
            return ConfigInvalid.because(
                f"The Vault at {url} has nothing mounted at {asked.path}.",
                field="vault.mount",
                hint="Mount an engine there (vault secrets enable -path=MOUNT kv-v2), or set vault.mount.",
            )
        if isinstance(error, refusals.InvalidPath):
            return NotFound(resource="Vault path", reference=asked.path, hint=f"vault read {asked.path}")
        if isinstance(error, refusals.VaultDown) and "sealed" in words.casefold():
            return VaultSealed(url=url)
        if isinstance(error, AWAY):
            return self._unavailable(words)
        return VaultFailed.because(
            f"The Vault at {url} refused to {asked.what} {asked.path}: {words}.", path=asked.path
        )

    def _unavailable(self, reason: str) -> VaultUnavailable:
        return VaultUnavailable.because(f"The Vault at {self._address.url} cannot be used now: {reason}.")


def _check(address: VaultAddress) -> None:
    parts = urlsplit(address.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ConfigInvalid.because(
            "vault.url is the URL of a Vault, without a user or a token.", field="vault.url", expected="https://HOST"
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigInvalid.because(
            f"Tokens and secrets would go to {parts.hostname} for all to read.",
            field="vault.url",
            expected="https://HOST",
            hint="Use https://, or a Vault agent on this machine.",
        )


def _words(error: Exception) -> str:
    """Return what the Vault said: never the request, which has what is secret."""
    said = getattr(error, "errors", None)
    text = "; ".join(str(each) for each in said) if isinstance(said, list) else str(getattr(error, "text", "") or "")
    return " ".join(text.split())[:MOST_WORDS].rstrip(".") or type(error).__name__


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:MOST_WORDS].rstrip(".")
