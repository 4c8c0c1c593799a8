"""Which back ends there are, what each needs, and which one a caller gets."""

import shlex
import shutil
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from nexus.schemas.ai import ADDRESS_VARIABLES, KEY_VARIABLES, AiCaller, AiSettings, Backend, BackendKind
from nexus.schemas.errors import AiBackendMissing, AiKeyMissing, ExtraMissing, ProgramMissing, ValidationError
from nexus.schemas.session import CallerSurroundings

LOOK_SECONDS = 0.2

ProviderName = Literal["openai", "anthropic", "google", "ollama"]


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider of models. A server of one's own, at another base URL, may want no key and has models of its own."""

    name: ProviderName
    title: str
    base_url: str
    model: str | None
    needs_key: bool = True

    @property
    def keys(self) -> tuple[str, ...]:
        return KEY_VARIABLES[self.name]

    @property
    def addresses(self) -> tuple[str, ...]:
        return ADDRESS_VARIABLES[self.name]


PROVIDERS: dict[str, Provider] = {
    each.name: each
    for each in (
        Provider("openai", "OpenAI, or any server that speaks as it does", "https://api.openai.com/v1", "gpt-6-luna"),
        Provider("anthropic", "Anthropic", "https://api.anthropic.com", "claude-haiku-5-5"),
        Provider("google", "Gemini, by Google's API", "https://generativelanguage.googleapis.com", "gemini-3.8-flash"),
        Provider("ollama", "Ollama", "http://127.0.0.1:11434/v1", None, needs_key=False),
    )
}


@dataclass(frozen=True, slots=True)
class Agent:
    """A coding agent: the command lines that speak the Agent Client Protocol, the best first, and how to get one."""

    name: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    install: str


AGENTS: dict[str, Agent] = {
    each.name: each
    for each in (
        Agent(
            "claude",
            "Claude Code",
            (("claude-agent-acp",), ("claude-code-acp",)),
            "@agentclientprotocol/claude-agent-acp",
        ),
        Agent("codex", "Codex", (("codex-acp",),), "@zed-industries/codex-acp"),
        Agent("gemini", "Gemini CLI", (("gemini", "--acp"),), "@google/gemini-cli"),
        Agent("qwen", "Qwen Code", (("qwen", "--acp"),), "@qwen-code/qwen-code"),
    )
}

SCRIPT = "script"
ANY_AGENT = "acp"


@dataclass(frozen=True, slots=True)
class Choice:
    """A back end that a caller can use. `reference` is how it is asked for again."""

    reference: str
    name: str
    kind: BackendKind
    title: str
    model: str | None = None
    base_url: str | None = None
    key: str | None = None
    key_variable: str = ""
    command: tuple[str, ...] = ()
    path: str | None = None

    def __repr__(self) -> str:
        return f"Choice({self.reference!r})"

    def told(self) -> Backend:
        """Return it as it is told: without its key."""
        return Backend(
            name=self.name,
            reference=self.reference,
            kind=self.kind,
            title=self.title,
            available=True,
            model=self.model,
            base_url=self.base_url,
            program=self.command[0] if self.command else None,
        )


def surroundings_of(caller: AiCaller, own: CallerSurroundings) -> CallerSurroundings:
    """Return whose keys are used: the caller's, else the kernel's `own`, which go to no address but their provider's.

    Who may ask could otherwise have the kernel's keys sent to an address of their choice.
    """
    if caller.surroundings is not None:
        return caller.surroundings
    kept = {variable for name in caller.settings.base_urls for variable in KEY_VARIABLES.get(name, ())}
    left = {name: value for name, value in own.environment.items() if name not in kept}
    return own.model_copy(update={"environment": left}) if kept else own


def choose(reference: str | None, caller: CallerSurroundings, settings: AiSettings) -> Choice:
    """Return the back end that is meant: the one that is named, the configured one, or the first that is there.

    Raises `ValidationError` for a name that there is not, and `AiKeyMissing`, `ProgramMissing` or `AiBackendMissing`
    with what to set.
    """
    reference = reference or settings.backend
    if reference is None:
        return _first(caller, settings)
    name, _, rest = reference.partition(":")
    if name == SCRIPT and rest:
        return Choice(reference, SCRIPT, "script", "A recorded or written conversation", path=rest)
    if name == ANY_AGENT and rest:
        return _any_agent(reference, rest, caller)
    if name in PROVIDERS:
        return _provider(PROVIDERS[name], rest or None, caller, settings)
    if name in AGENTS and not rest:
        return _agent(AGENTS[name], caller)
    raise ValidationError.because(
        f"There is no back end {reference[:200]!r}.",
        field="backend",
        expected=[*PROVIDERS, *AGENTS, "script:FILE", "acp:COMMAND"],
        hint="nexus ai backend list",
    )


def listed(caller: CallerSurroundings, settings: AiSettings) -> Iterator[Backend]:
    """Yield every back end that has a name of its own, as it stands for the caller. Blocks for a moment."""
    for provider in PROVIDERS.values():
        try:
            told = _provider(provider, None, caller, settings).told()
            if provider.needs_key or _address(provider, caller.environment, settings) or _listens(provider.base_url):
                yield told
            else:
                needs = f"Start {provider.title} on this machine, or set {provider.addresses[0]}."
                yield told.model_copy(update={"available": False, "needs": needs})
        except AiKeyMissing as missing:
            model, base_url = _model(provider, settings), _base_url(provider, caller.environment, settings)
            yield _absent(provider.name, "model", provider.title, missing, model=model, base_url=base_url)
    for agent in AGENTS.values():
        try:
            yield _agent(agent, caller).told()
        except ProgramMissing as missing:
            yield _absent(agent.name, "agent", agent.title, missing)


def _absent(
    name: str, kind: BackendKind, title: str, error: AiKeyMissing | ProgramMissing, **known: str | None
) -> Backend:
    needs = str(error.entry().details.get("hint") or error)
    return Backend(name=name, reference=name, kind=kind, title=title, available=False, needs=needs, **known)


def _listens(base_url: str) -> bool:
    """Say whether somebody listens there, on this machine. Blocks for a fifth of a second at the most."""
    parts = urlsplit(base_url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=LOOK_SECONDS):
            return True
    except OSError:
        return False


def _first(caller: CallerSurroundings, settings: AiSettings) -> Choice:
    for provider in PROVIDERS.values():
        # A server without a key cannot be seen in the environment: it counts when its address is set.
        if provider.needs_key or _address(provider, caller.environment, settings):
            try:
                return _provider(provider, None, caller, settings)
            except AiKeyMissing:
                continue
    for agent in AGENTS.values():
        try:
            return _agent(agent, caller)
        except ProgramMissing:
            continue
    variables = [provider.keys[0] for provider in PROVIDERS.values() if provider.needs_key]
    raise AiBackendMissing.because(
        "No back end is there to answer: no key is set, and no coding agent was found.",
        hint=f"Set {', '.join(variables)} or OLLAMA_BASE_URL, install a coding agent ({', '.join(AGENTS)}), or name a"
        " script: nexus ai session create --backend script:FILE",
        available=[*PROVIDERS, *AGENTS],
    )


def _provider(provider: Provider, model: str | None, caller: CallerSurroundings, settings: AiSettings) -> Choice:
    own = _address(provider, caller.environment, settings)
    variable, key = next(
        ((name, caller.environment[name]) for name in provider.keys if caller.environment.get(name)),
        (provider.keys[0], None),
    )
    if key is None and provider.needs_key and own is None:
        raise AiKeyMissing(backend=provider.name, variable=variable)
    model = model or settings.models.get(provider.name) or (provider.model if own is None else None)
    reference = f"{provider.name}:{model}" if model else provider.name
    base_url = own or provider.base_url
    return Choice(reference, provider.name, "model", provider.title, model, base_url, key, variable)


def _model(provider: Provider, settings: AiSettings) -> str | None:
    return settings.models.get(provider.name) or provider.model


def _base_url(provider: Provider, environment: Mapping[str, str], settings: AiSettings) -> str:
    return _address(provider, environment, settings) or provider.base_url


def _address(provider: Provider, environment: Mapping[str, str], settings: AiSettings) -> str | None:
    """Return the address that the caller set, as a URL, if one is set."""
    given = settings.base_urls.get(provider.name) or next(
        (environment[name] for name in provider.addresses if environment.get(name)), None
    )
    if given is None:
        return None
    url = given if "://" in given else f"http://{given}"
    if not url.startswith(("http://", "https://")):
        raise ValidationError.because(
            f"{given[:200]!r} is no URL of a server.", field="baseUrl", expected="http(s)://…"
        )
    url = url.rstrip("/")
    # Ollama's own variable names the host; what speaks as OpenAI does stands below it.
    return f"{url}/v1" if provider.name == "ollama" and url.count("/") == 2 else url


def _agent(agent: Agent, caller: CallerSurroundings) -> Choice:
    for command in agent.commands:
        if found := shutil.which(command[0], path=caller.environment.get("PATH", "")):
            return Choice(agent.name, agent.name, "agent", agent.title, command=(found, *command[1:]))
    program = agent.commands[0][0]
    raise ProgramMissing(resource=agent.title, program=program, hint=f"npm install -g {agent.install}")


def _any_agent(reference: str, line: str, caller: CallerSurroundings) -> Choice:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise ValidationError.because(f"The agent's command cannot be read: {error}.", field="backend") from error
    found = shutil.which(words[0], path=caller.environment.get("PATH", "")) if words else None
    if found is None:
        raise ProgramMissing(resource="The coding agent", program=words[0] if words else line)
    return Choice(reference, ANY_AGENT, "agent", "A coding agent", command=(found, *words[1:]))


def is_agent(reference: str) -> bool:
    """Say whether a back end is a coding agent: a program."""
    return reference.partition(":")[0] in (*AGENTS, ANY_AGENT)


def require_extra(feature: str, error: ImportError) -> ExtraMissing:
    """Return what is told where the libraries behind back ends are not installed."""
    return ExtraMissing(feature=feature, extra="ai", missing=error.name)
