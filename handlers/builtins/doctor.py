"""`doctor`: whether what nexus stands on is as it should be, each finding with what to do."""

import asyncio
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from nexus import __version__
from nexus.schemas.command import CommandHandler, Effect, Example, ExecutionContext, NoArguments
from nexus.schemas.errors import NexusError
from nexus.schemas.kernel import Health, KernelStatus, SandboxStatus
from nexus.schemas.model import Model

_KEYRING_SECONDS = 5.0
_SERVER_SECONDS = 10.0
_SANDBOX_SECONDS = 90.0
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_EXTRAS = {"mcp": "mcp", "ai": "pydantic_ai"}

Status = Literal["ok", "warning", "problem"]
Context = ExecutionContext[NoArguments]


class Finding(Model):
    """One thing that was looked at. `hint` says what to do, as a command where one exists."""

    check: str
    status: Status
    message: str
    hint: str | None = None


class Diagnosis(Model):
    """`healthy` says that nothing is a problem; warnings may be as you want them."""

    healthy: bool
    items: list[Finding]


class Examine(CommandHandler[NoArguments, Diagnosis]):
    """Check the installation and all that it needs.

    Folders, configuration, kernel, socket, sandbox, keyring, proxies and the server. Every finding says what it is,
    and what to do where it is not as it should be. Nothing is changed.
    """

    path = ("doctor",)
    result = Diagnosis
    effects = frozenset({Effect.READ, Effect.IDEMPOTENT})
    examples = (
        Example(line="nexus doctor", shows="Everything that was looked at"),
        Example(line="nexus doctor --query \"items[?status!='ok']\"", shows="Only what is not as it should be"),
    )

    async def execute(self, context: Context) -> Diagnosis:
        items = [
            _installation(),
            *_extras(),
            *_folders(context),
            _configuration(context),
            _aliases(context),
            await _plugins(context),
        ]
        items += [*_surroundings(context), await _server(context), *await _kernel(context)]
        items += [*await _sandbox(context), await _keyring(context)]
        return Diagnosis(healthy=all(item.status != "problem" for item in items), items=items)


def _installation() -> Finding:
    told = f"nexus {__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}."
    return Finding(check="installation", status="ok", message=told)


def _extras() -> Iterator[Finding]:
    for extra, module in _EXTRAS.items():
        there = find_spec(module) is not None
        told = f"The extra {extra} is {'installed' if there else 'not installed'}."
        hint = None if there else f"pip install 'nexus-cli[{extra}]'"
        yield Finding(check=f"extra {extra}", status="ok" if there else "warning", message=told, hint=hint)


def _folders(context: Context) -> Iterator[Finding]:
    for name in ("config", "state", "data"):
        folder: Path = getattr(context.folders, name)
        there = next((path for path in (folder, *folder.parents) if os.path.exists(path)), folder)
        check = f"folder {name}"
        if not os.access(there, os.W_OK | os.X_OK):
            hint = f"chmod u+rwx '{there}'"
            yield Finding(check=check, status="problem", message=f"{folder} cannot be written to.", hint=hint)
        elif there == folder and folder.stat().st_mode & 0o022:
            hint = f"chmod go-w '{folder}'"
            yield Finding(check=check, status="problem", message=f"Others can write to {folder}.", hint=hint)
        else:
            yield Finding(check=check, status="ok", message=f"{folder} is yours.")


def _told(check: str, read: Callable[[], Any], good: str) -> Finding:
    try:
        read()
    except NexusError as error:
        return _failed(check, error)
    return Finding(check=check, status="ok", message=good)


def _failed(check: str, error: NexusError) -> Finding:
    entry = error.entry()
    hint = entry.details.get("hint")
    return Finding(check=check, status="problem", message=f"{entry.message} [{entry.code}]", hint=hint)


def _configuration(context: Context) -> Finding:
    path = context.config.path
    where = f"{path} holds" if os.path.exists(path) else "No file is there: the defaults hold"
    return _told("configuration", context.config.all, f"{where}.")


def _aliases(context: Context) -> Finding:
    return _told("aliases", context.aliases.list, "Your aliases can be read.")


async def _plugins(context: Context) -> Finding:
    """Tell of plugins that are there and do not run, though nobody turned them off."""
    found = await context.plugins.list() if context.plugins is not None else []
    kept_out = [plugin for plugin in found if plugin.state not in ("active", "disabled")]
    if not kept_out:
        running = sum(plugin.state == "active" for plugin in found)
        return Finding(check="plugins", status="ok", message=f"{running} of {len(found)} plugins are active.")
    first = kept_out[0]
    reason = first.problem.message if first.problem else f"It is {first.state}."
    told = f"{len(kept_out)} of {len(found)} plugins do not run. {first.name}: {reason}"
    return Finding(check="plugins", status="warning", message=told, hint="nexus settings plugin list")


def _surroundings(context: Context) -> Iterator[Finding]:
    for name in _PROXIES:
        if value := context.environment.get(name):
            yield _proxy(name, value, context.environment.get("NO_PROXY") or context.environment.get("no_proxy"))
    for name in _CERTIFICATES:
        if value := context.environment.get(name):
            there = os.path.exists(value)
            told = f"{name} names {value}, which is {'there' if there else 'not there'}."
            hint = None if there else f"unset {name}"
            yield Finding(check=f"certificates {name}", status="ok" if there else "problem", message=told, hint=hint)


def _proxy(name: str, value: str, besides: str | None) -> Finding:
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        return Finding(
            check=f"proxy {name}", status="problem", message=f"{name} is no URL of a proxy.", hint=f"unset {name}"
        )
    # The URL may hold a password: its host and port alone are told.
    told = f"Servers are reached by {host}{f':{port}' if port else ''}{f', but for {besides}' if besides else ''}."
    return Finding(check=f"proxy {name}", status="ok", message=told)


async def _server(context: Context) -> Finding:
    where = "The local kernel"
    try:
        url = context.flags.server or context.config.get("server.url").value
        where = f"The server {url}" if url else where
        async with asyncio.timeout(_SERVER_SECONDS):
            health = await context.api.get("/health", Health)
    except NexusError as error:
        return _failed("server", error)
    except TimeoutError:
        hint = "nexus debug kernel status"
        return Finding(check="server", status="problem", message=f"{where} does not answer.", hint=hint)
    status: Status = "ok" if health.status == "ok" else "warning"
    return Finding(check="server", status=status, message=f"{where} answers: {health.status}, {health.version}.")


async def _kernel(context: Context) -> list[Finding]:
    try:
        async with asyncio.timeout(_SERVER_SECONDS):
            kernel = await context.api.get("/api/debug/kernel", KernelStatus)
    except (NexusError, TimeoutError):
        # The server's own finding has said why.
        return []
    same = kernel.version == __version__
    hint = None if same else "nexus debug kernel restart"
    told = f"The kernel {kernel.pid} is {kernel.mode}, version {kernel.version}, on {kernel.database}."
    findings = [Finding(check="kernel", status="ok" if same else "warning", message=told, hint=hint)]
    if kernel.socket is not None:
        findings.append(_socket(Path(kernel.socket)))
    return findings


def _socket(path: Path) -> Finding:
    try:
        mode = path.parent.stat().st_mode & 0o777
    except OSError as error:
        hint = "nexus debug kernel restart"
        return Finding(check="socket", status="problem", message=f"{path}: {error.strerror}.", hint=hint)
    if mode & 0o077:
        hint = f"chmod 700 '{path.parent}'"
        return Finding(check="socket", status="problem", message=f"Others reach into {path.parent}.", hint=hint)
    return Finding(check="socket", status="ok", message=f"{path} is yours alone.")


async def _sandbox(context: Context) -> list[Finding]:
    """Tell what steps of pipelines run in where the kernel is."""
    try:
        async with asyncio.timeout(_SANDBOX_SECONDS):
            found = await context.api.get("/api/debug/kernel/sandbox", SandboxStatus)
    except (NexusError, TimeoutError):
        # A server that may not be asked, or is older; one that does not answer has its own finding.
        return []
    missing = "; ".join(f"{kind}: {reason}" for kind, reason in found.missing.items())
    if found.kind is None:
        told = f"Steps of pipelines have no sandbox, and do not run{f': {missing}' if missing else ''}."
    elif found.kind == "none":
        told = "Steps of pipelines run without a sandbox: they do what you may do."
    else:
        told = f"Steps of pipelines run in {found.kind}{f' ({missing})' if missing else ''}."
    good = found.kind == "bubblewrap" or (found.kind == "landlock" and found.hint is None)
    return [Finding(check="sandbox", status="ok" if good else "warning", message=told, hint=found.hint)]


async def _keyring(context: Context) -> Finding:
    """Ask the keyring in a process of its own: without a desktop it may never answer."""
    if find_spec("keyring") is None:
        return Finding(check="keyring", status="ok", message="No keyring is used: tokens are kept in a file of yours.")
    program = "import keyring; print(keyring.get_keyring().name)"
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            env=dict(context.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        told = f"The keyring cannot be asked: {error.strerror}. Tokens are kept in a file of yours."
        return Finding(check="keyring", status="warning", message=told)
    try:
        async with asyncio.timeout(_KEYRING_SECONDS):
            answer, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        answer = b""
    name = answer.decode(errors="replace").strip()
    if process.returncode == 0 and name:
        return Finding(check="keyring", status="ok", message=f"The keyring answers: {name}.")
    return Finding(check="keyring", status="warning", message="The keyring does not answer: a file is used.")
