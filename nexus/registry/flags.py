"""The flags that every command takes, before, between or after the words of its path."""

from nexus.schemas.command import OptionSpec

OUTPUT_FORMATS = ("json", "human", "table", "yaml", "toon")


def _text(name: str, description: str, *flags: str, metavar: str | None = None) -> OptionSpec:
    word = name.replace("_", "-")
    return OptionSpec(name=name, flags=(f"--{word}", *flags), metavar=metavar or word.upper(), description=description)


def _switch(name: str, description: str, *flags: str) -> OptionSpec:
    word = name.replace("_", "-")
    return OptionSpec(name=name, flags=(f"--{word}", *flags), kind="boolean", default=False, description=description)


GLOBAL_OPTIONS: tuple[OptionSpec, ...] = (
    OptionSpec(
        name="output",
        flags=("--output", "-o"),
        metavar="FORMAT",
        choices=OUTPUT_FORMATS,
        description="How the answer is written. JSON unless you or your configuration say otherwise.",
    ),
    _text("input", "Take the arguments from a JSON object in this file, or from stdin (-).", metavar="FILE"),
    _text("project", "Work in this project (id or name).", "--project-id"),
    _text("roadmap", "Work in this roadmap (id or title).", "--roadmap-id"),
    _text("chat", "Work in this chat (id or title).", "--chat-id"),
    _text("fields", "Keep only these fields of the result, or of each item of a list.", metavar="A,B"),
    _text("query", "Apply this JMESPath expression to the complete result.", metavar="JMESPATH"),
    _text("profile", "Use this profile's server and credentials."),
    _text("server", "Speak to the kernel at this URL.", metavar="URL"),
    _text("context", "Use this named context's selections.", metavar="NAME"),
    _text("session_id", "Use this session.", metavar="ID"),
    OptionSpec(
        name="timeout",
        flags=("--timeout",),
        kind="number",
        metavar="SECONDS",
        description="Give up after this many seconds.",
    ),
    _text("request_id", "Carry this request id.", metavar="ID"),
    _text("idempotency_key", "Do a write once, however often it is sent with this key.", metavar="KEY"),
    _switch("dry_run", "Show what would run, and run nothing."),
    _switch("yes", "Confirm what cannot be undone.", "-y"),
    OptionSpec(
        name="max_tokens",
        flags=("--max-tokens",),
        kind="integer",
        metavar="N",
        description="Cut the answer between two records at so many tokens (bytes / 4); nextCursor goes on.",
    ),
    _text("resume", "Go on from the nextCursor of an answer that was cut.", metavar="CURSOR"),
    _text("config", "Read this configuration file instead of your own.", metavar="PATH"),
    _switch("verbose", "Log more, to stderr.", "-v"),
    _switch("help", "Show help for this command or level.", "-h"),
    _switch("version", "Show the version."),
)

GLOBAL_FLAGS: dict[str, OptionSpec] = {flag: option for option in GLOBAL_OPTIONS for flag in option.flags}
