"""The way to a kernel over HTTP: a server's, or the socket of another process; and httpx's own way over any other."""

from collections.abc import AsyncIterator

import httpx

from nexus.client.way import LOCAL_URL, SAFE_METHODS, Reply, Request, Way
from nexus.schemas.errors import BackendError, BackendUnavailable, NexusError, OutcomeUnknown, TimeoutExceeded
from nexus.sessions.outbound import CONNECT_SECONDS, DIRECT, Outbound

ANSWER_SECONDS = 600.0


class HttpWay:
    """Sends requests by an httpx client, which is closed with it."""

    def __init__(self, client: httpx.AsyncClient, name: str) -> None:
        self.client = client
        self.name = name

    async def send(self, request: Request) -> Reply:
        """Send a request. Every failure of httpx is raised as one of ours."""
        try:
            response = await self.client.request(
                request.method, request.target, content=request.content, headers=dict(request.headers)
            )
        except httpx.HTTPError as error:
            raise told(error, request.method, self.name) from error
        return Reply(response.status_code, response.headers.raw, response.content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


def client_of(
    server: str, transport: httpx.AsyncBaseTransport | None = None, outbound: Outbound = DIRECT
) -> httpx.AsyncClient:
    """Return a new client of a server; `transport` is how it reaches it, where that is not the network.

    Raises `ValidationError` for certificates that cannot be used.
    """
    return httpx.AsyncClient(
        base_url=server,
        transport=transport,
        proxy=outbound.proxy(server),
        verify=outbound.certificates(server) or True,
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
        headers={"accept": "application/json"},
        trust_env=False,
    )


def to_server(server: str, outbound: Outbound = DIRECT) -> HttpWay:
    """Return a new way to a server by its URL. Raises `ValidationError` for certificates that cannot be used."""
    return HttpWay(client_of(server, outbound=outbound), server)


def to_socket(path: str) -> HttpWay:
    """Return a new way to the kernel that listens at this socket."""
    return HttpWay(client_of(LOCAL_URL, httpx.AsyncHTTPTransport(uds=path)), LOCAL_URL)


def is_broken(error: NexusError) -> bool:
    """Say whether an error of a way means that its connection ended, so that another way may be looked for."""
    return isinstance(error.__cause__, httpx.NetworkError | httpx.RemoteProtocolError)


def told(error: httpx.HTTPError, method: str, server: str) -> NexusError:
    """Translate what httpx raises; a test holds this complete."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return BackendUnavailable.because(
            f"{server} cannot be reached: {error or type(error).__name__}.", server=server
        )
    if isinstance(error, httpx.UnsupportedProtocol | httpx.TooManyRedirects | httpx.DecodingError):
        return BackendError.because(f"{server} cannot be spoken to: {error}.", server=server)
    if method not in SAFE_METHODS:
        return OutcomeUnknown.because(
            "The connection ended before the kernel answered: whether it did the work is not known.", server=server
        )
    if isinstance(error, httpx.TimeoutException):
        return TimeoutExceeded(seconds=ANSWER_SECONDS, server=server)
    return BackendUnavailable.because(
        f"The connection to {server} broke: {error or type(error).__name__}.", server=server
    )


class OverWay(httpx.AsyncBaseTransport):
    """httpx's face of a way, for who speaks httpx: the polling transport of the Session ABI."""

    def __init__(self, way: Way) -> None:
        self._to_kernel = way

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises what httpx raises of a connection, and what the way raises besides."""
        given = Request(
            request.method, request.url.raw_path.decode("ascii"), dict(request.headers), await request.aread()
        )
        try:
            reply = await self._to_kernel.send(given)
        except NexusError as error:
            if isinstance(error.__cause__, httpx.HTTPError):
                raise error.__cause__ from None
            raise
        return httpx.Response(reply.status, headers=reply.headers, stream=_Whole(reply.body))


class _Whole(httpx.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
