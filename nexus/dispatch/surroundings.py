"""What one command works with: its request id, configuration, selections and API, from flags and environment."""

import os
import re
import secrets
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.call import Call
from nexus.client.api import HttpApiClient
from nexus.client.way import Way
from nexus.config.configuration import TomlConfiguration
from nexus.context.store import DEFAULT_NAME, ContextFiles
from nexus.dispatch.runtime import Runtime
from nexus.handlers.places import absolute
from nexus.registry.flags import OUTPUT_FORMATS
from nexus.schemas.command import GlobalFlags
from nexus.schemas.errors import BackendUnavailable, NexusError, ValidationError

if TYPE_CHECKING:
    import httpx

    from nexus.client.bearer import Bearer
    from nexus.config.profiles import Profiles
    from nexus.credentials.store import CredentialStore
    from nexus.output.progress import TerminalProgress
    from nexus.plugins.reaching import PluginWay
    from nexus.plugins.runner import PluginRunner
    from nexus.schemas.profile import SignIns
    from nexus.schemas.session import TransportName
    from nexus.schemas.wire import ByteWire
    from nexus.sessions.client import SessionClient
    from nexus.sessions.outbound import Outbound

LOCAL_PROFILE = "local"
"""The profile that is always there: the kernel on this machine."""

_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,200}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def header_safe(value: str, flag: str) -> str:
    """Return a value that a header can carry. Raises `ValidationError`."""
    if not _HEADER_SAFE.fullmatch(value):
        raise ValidationError.because(
            f"{flag} takes 1 to 200 visible ASCII characters.", field=flag.lstrip("-").replace("-", "_")
        )
    return value


def request_id_of(flags: GlobalFlags, fresh: str) -> str:
    """Return the request id that was given, or the fresh one. Raises `ValidationError`."""
    return fresh if flags.request_id is None else header_safe(flags.request_id, "--request-id")


def _traceparent(environment_value: str | None) -> str:
    """Continue the caller's trace, or begin one (W3C Trace Context, level 1)."""
    if environment_value and _TRACEPARENT.fullmatch(environment_value):
        version, trace, _, flags = environment_value.split("-")
        return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


class Surroundings:
    """Configuration, contexts and API of one command. Raises `ValidationError` for flags that cannot be used."""

    def __init__(
        self, runtime: Runtime, call: Call, flags: GlobalFlags, config: TomlConfiguration, request_id: str
    ) -> None:
        self._runtime = runtime
        self.config = config
        name = flags.context or call.environment.get("NEXUS_CONTEXT") or DEFAULT_NAME
        self.contexts = ContextFiles(runtime.contexts_folder, name)
        self.token = call.environment.get("NEXUS_TOKEN") or None
        self._flags = flags
        self.progress = _progress(call)
        self._call = call
        self._request_id = request_id
        self._plugin_way: PluginWay | None = None
        key = flags.idempotency_key
        self.api = HttpApiClient(
            self._to_kernel,
            request_id=request_id,
            traceparent=_traceparent(call.environment.get("TRACEPARENT")),
            idempotency_key=None if key is None else header_safe(key, "--idempotency-key"),
            bearer=lambda: self.bearer,
        )

    async def reach(self, *, needed: bool) -> None:
        """Have plugins open the way to the server and sign in to it, where they bring its scheme, or the method.

        Where the way is `needed` it raises what they mean, `PluginError`, `NotFound` for a method that none brings.
        """
        extensions = self._runtime.extensions
        if extensions is None or not extensions.catalog.reaches:
            return
        try:
            await self._reach(extensions)
        except NexusError:
            # A plugin that opens no way must not keep anybody from turning it off.
            if needed:
                raise

    async def _reach(self, extensions: "PluginRunner") -> None:
        from nexus.plugins.caller import BareCaller
        from nexus.plugins.reaching import Reaching

        call = self._call
        caller = BareCaller(self._flags, self.config, call.cwd, call.environment, self._request_id, call.stderr)
        reaching = Reaching(extensions, caller)
        url = self._flags.server or self.config.value("server.url")
        if url is None:
            return
        self._plugin_way = reaching.back_end(str(url))
        if self._plugin_way is not None:
            self.server = str(url)
            return
        opened = await reaching.opened(str(url))
        if opened is not None:
            self.server = opened
        method = self.config.value("server.authentication")
        if method is not None and self.token is None and self.server is not None:
            self.token = await reaching.token(str(method), self.server)

    @cached_property
    def server(self) -> str | None:
        """The URL of the server that is spoken to; None is the local kernel. Raises `ValidationError`."""
        url = self._flags.server or self.config.value("server.url")
        if url is not None and not re.fullmatch(r"https?://[^\s/?#@\\]+(/[^\s?#]*)?", url):
            raise ValidationError.because(
                "--server wants the URL of a kernel, as in http://127.0.0.1:3001.", field="server", expected="URL"
            )
        return str(url) if url is not None else None

    @property
    def signed_in(self) -> bool:
        """Whether there is something to sign in by; whether it is still good is the server's to say."""
        server = self.server
        if self._plugin_way is not None:
            return True
        return self.token is not None or (server is not None and self._profiles.of_server(server) is not None)

    @cached_property
    def _outbound(self) -> "Outbound | None":
        """How the command's server is reached; None for the local kernel, to which no network leads."""
        if self.server is None:
            return None
        from nexus.sessions.outbound import Outbound

        file = self.config.value("server.ca_file")
        trusted = None if file is None else str(Path(str(file)).expanduser())
        return Outbound.of(self._call.environment, trusted)

    def sign_in_line(self, server: str) -> str:
        """Return the command that signs in to a server as this command would."""
        from nexus.config.profiles import sign_in_line

        return sign_in_line(server, self._profiles.named)

    @cached_property
    def bearer(self) -> "Bearer | None":
        """What signs the requests to the command's server; None to the local kernel, which serves its owner."""
        server = self.server
        if server is None or self._plugin_way is not None:
            return None
        from nexus.client.bearer import GivenBearer, KeptBearer

        if self.token is not None:
            return GivenBearer(self.token)
        return KeptBearer(self._credentials, self._profiles, server, self._to_kernel, self._runtime.remembered)

    @cached_property
    def sign_ins(self) -> "SignIns":
        """Profiles and credentials, for the commands on them."""
        from nexus.client.sign_in import CommandSignIns

        return CommandSignIns(
            self._profiles,
            self._credentials,
            self._to_kernel,
            self._runtime.remembered,
            from_environment=self.token is not None,
        )

    @cached_property
    def _profiles(self) -> "Profiles":
        return profiles_of(self._runtime, self._call, self._flags)

    @cached_property
    def _credentials(self) -> "CredentialStore":
        from nexus.credentials.store import CredentialStore

        return CredentialStore(self._runtime.folders.state / "credentials", self._call.environment)

    async def client(self, transport: "TransportName | None", poll_interval: float | None) -> "SessionClient":
        """Return a client of the sessions of this command's kernel: the `SessionAccess` that handlers are given."""
        from nexus.client.sessions import CommandSessions, Signed

        ways = self._runtime.session_ways
        signed = Signed(self._who(), self.bearer)
        access = CommandSessions(ways, self.server, signed, self.config, self._http, self._outbound)
        return await access.client(transport, poll_interval)

    async def wire(self) -> "ByteWire":
        """Return a way for bytes, to the local kernel's socket or to the server: the `ByteAccess` of handlers."""
        from nexus.client.way import LOCAL_URL
        from nexus.client.wire import HttpWire
        from nexus.sessions.outbound import DIRECT

        stall = float(self.config.get("data.stall").value)
        if self.server is not None:
            return HttpWire(self.server, socket=None, stall=stall, outbound=self._outbound or DIRECT)
        socket = await self._runtime.kernel.socket()
        if socket is None:
            raise BackendUnavailable.because("The kernel has no socket that bytes could go by.")
        return HttpWire(LOCAL_URL, socket=socket, stall=stall)

    def _who(self) -> str:
        """Tell one who signs in from another: a connection is never shared by two."""
        server = self.server
        name = self._profiles.of_server(server) if server is not None and self.token is None else None
        kept = self._profiles.find(name) if name is not None else None
        return f"profile {name} {kept.user}" if kept is not None else f"token {self.token}"

    async def _to_kernel(self) -> Way:
        if self._plugin_way is not None:
            return self._plugin_way
        return await self._runtime.way(self.server, self._outbound)

    async def _http(self) -> "httpx.AsyncClient":
        return await self._runtime.client(self.server, self._outbound)


def _progress(call: Call) -> "TerminalProgress | None":
    if not call.stderr.is_terminal or call.environment.get("TERM") == "dumb":
        return None
    from nexus.output.progress import TerminalProgress

    return TerminalProgress(call.stderr, call.columns, colour=not call.environment.get("NO_COLOR"))


def profiles_of(runtime: Runtime, call: Call, flags: GlobalFlags) -> "Profiles":
    """Return the profiles of a call."""
    from nexus.config.profiles import Profiles

    return Profiles(
        runtime.folders.config / "profiles.json", flags.profile or call.environment.get("NEXUS_PROFILE") or None
    )


def configuration_of(runtime: Runtime, call: Call, flags: GlobalFlags) -> TomlConfiguration:
    """Return the configuration of a call."""
    named = flags.config or call.environment.get("NEXUS_CONFIG")
    path = Path(absolute(named, call.cwd, call.environment)) if named else runtime.config_file
    # A plugin's format is none that a configuration may hold: without the plugin no answer could be written.
    output = flags.output if flags.output in OUTPUT_FORMATS else None
    given = {"output.format": output, "runtime.timeout": flags.timeout, "server.url": flags.server}

    def profile() -> tuple[str, Mapping[str, Any]]:
        name = flags.profile or call.environment.get("NEXUS_PROFILE")
        if not name and not os.path.exists(runtime.folders.config / "profiles.json"):
            # Most have one kernel: what reads profiles is not imported for them.
            return LOCAL_PROFILE, {}
        profiles = profiles_of(runtime, call, flags)
        if flags.server is not None and profiles.find(profiles.current) is None:
            # To sign in makes the profile that is named.
            return LOCAL_PROFILE, {}
        return profiles.current, profiles.settings()

    return TomlConfiguration(
        path,
        call.environment,
        {key: value for key, value in given.items() if value is not None},
        cache(profile),
        named=bool(named),
    )
