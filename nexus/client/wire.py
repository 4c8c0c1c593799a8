"""Bytes over HTTP by signed URLs, in threads: the connection is the command's own and ends with it."""

import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from nexus.schemas.envelope import ErrorEntry
from nexus.schemas.errors import BackendUnavailable, NexusError, ReportedError, TransferBroken
from nexus.sessions.outbound import DIRECT, Outbound

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
HEADERS = {"accept-encoding": "identity"}
_MOST_TOLD = 64 * 1024
"""How much of an error's body is read."""


class HttpWire:
    """A `ByteWire`. `server` is where URLs without a host lead, by a Unix socket where there is one.

    A network is crossed as `outbound` says.
    """

    def __init__(self, server: str, *, socket: Path | None, stall: float, outbound: Outbound = DIRECT) -> None:
        """`stall` is how many seconds nothing may move before a transfer is given up."""
        self._timeout = httpx.Timeout(stall, connect=min(stall, 10.0), pool=stall)
        self._outbound = outbound
        if socket is None:
            self._kernel = self._across(server)
        else:
            transport = httpx.HTTPTransport(uds=str(socket))
            self._kernel = httpx.Client(
                base_url=server, transport=transport, timeout=self._timeout, headers=HEADERS, trust_env=False
            )
        self._others: dict[str, httpx.Client] = {}
        self._making = threading.Lock()

    def put(self, url: str, chunks: Iterable[bytes], size: int) -> None:
        headers = {"content-length": str(size)}
        with _told(), self._client(url).stream("PUT", url, content=chunks, headers=headers) as answer:
            _check(answer, 200)
            if "etag" not in answer.headers:
                # Whoever keeps bytes says what it kept: this is somebody in between.
                raise TransferBroken.because("The answer is not of a server that keeps bytes.")

    @contextmanager
    def get(self, url: str, first: int) -> "Iterator[HttpBytes]":
        headers = {"range": f"bytes={first}-"} if first else {}
        with _told(), self._client(url).stream("GET", url, headers=headers) as answer:
            _check(answer, 206 if first else 200)
            yield HttpBytes(answer, first)

    def close(self) -> None:
        """Close the connections."""
        self._kernel.close()
        for other in self._others.values():
            other.close()

    def _client(self, url: str) -> httpx.Client:
        """Return the client of a URL: one that names its host leads there, wherever the kernel is."""
        if url.startswith("/"):
            return self._kernel
        place = url.partition("://")[0] + "://" + url.partition("://")[2].partition("/")[0]
        with self._making:
            if place not in self._others:
                self._others[place] = self._across(place)
            return self._others[place]

    def _across(self, place: str) -> httpx.Client:
        return httpx.Client(
            base_url=place,
            timeout=self._timeout,
            headers=HEADERS,
            proxy=self._outbound.proxy(place),
            verify=self._outbound.certificates(place) or True,
            trust_env=False,
        )


class HttpBytes:
    """A `ByteAnswer`."""

    def __init__(self, answer: httpx.Response, first: int) -> None:
        self.first = first
        self._answer = answer
        length = answer.headers.get("content-length", "")
        if not length.isdecimal():
            raise TransferBroken.because("The server does not say how many bytes it sends.")
        self._length = int(length)
        self.size = first + self._length
        if first:
            told = _RANGE.fullmatch(answer.headers.get("content-range", ""))
            if told is None or int(told[1]) != first or int(told[2]) + 1 != int(told[3]) != self.size:
                raise TransferBroken.because("The server does not send the bytes that it was asked for.")

    def chunks(self) -> Iterator[bytes]:
        received = 0
        for chunk in self._answer.iter_raw():
            received += len(chunk)
            yield chunk
        if received != self._length:
            raise TransferBroken.because(f"The answer ended after {received} of {self._length} bytes.")


@contextmanager
def _told() -> Iterator[None]:
    """Raise what httpx raises as an error of ours."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
        raise BackendUnavailable.because(f"The bytes' server cannot be reached: {_words(error)}.") from error
    except httpx.TimeoutException as error:
        raise TransferBroken.because("Nothing moved any more.") from error
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise TransferBroken.because(f"The connection broke: {_words(error)}.") from error


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check(answer: httpx.Response, status: int) -> None:
    if answer.status_code != status:
        raise _refusal(answer)


def _refusal(answer: httpx.Response) -> NexusError:
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > _MOST_TOLD:
            break
    try:
        import json

        return ReportedError(ErrorEntry.model_validate(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError):
        return TransferBroken.because(
            f"The bytes' server answered {answer.status_code}, and nothing that can be read.",
            http_status=answer.status_code,
        )
