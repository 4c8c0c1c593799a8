"""Commands run for a program, by line or by path and arguments: what batch and MCP have in common."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nexus.call import Call
from nexus.cli.line import flags_over, parse_line
from nexus.cli.parse import Parsed, command_of
from nexus.dispatch.dispatcher import Answer, Invocation, dispatch
from nexus.dispatch.faults import execution_error
from nexus.dispatch.inputs import by_argument_name
from nexus.dispatch.runtime import Runtime
from nexus.dispatch.surroundings import configuration_of, request_id_of
from nexus.registry.flags import GLOBAL_OPTIONS
from nexus.registry.resolve import aliased, resolve, split_dotted
from nexus.schemas.command import CommandSpec, GlobalFlags, GroupSpec, OptionSpec
from nexus.schemas.envelope import failure, new_request_id
from nexus.schemas.errors import NexusError, NotOffered, ValidationError
from nexus.schemas.front import Forward

if TYPE_CHECKING:
    from nexus.schemas.stream import OutputStream

_NOT_FOR_PROGRAMS = frozenset({"output", "input", "config", "help", "version", "verbose"})
"""Global flags that say how a command line is read and its answer written."""

_FLAGS: dict[str, OptionSpec] = {
    option.name: option for option in GLOBAL_OPTIONS if option.name not in _NOT_FOR_PROGRAMS
}


class NoInput:
    """The stdin of a command whose caller's stdin has something else to carry."""

    is_terminal = False

    async def read(self, limit: int) -> bytes:  # noqa: ARG002 -- the interface's
        """Raise `ValidationError`."""
        raise _no_input()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raise `ValidationError`."""
        raise _no_input()
        yield b""


def _no_input() -> ValidationError:
    return ValidationError.because(
        "There is no standard input here: it carries the commands. Give the text itself.", expected="text"
    )


@dataclass(frozen=True, slots=True)
class Request:
    """A command as a program asks for it: a `line`, or a `path` with `arguments`, global flags among them by name."""

    line: str | None = None
    path: Sequence[str] = ()
    arguments: Mapping[str, Any] | None = None
    request_id: str | None = None


class Runner:
    """Runs requests in the surroundings of one call, under its global flags; names are never abbreviated.

    `allowed` is asked before a command runs, and raises what refuses it.
    """

    def __init__(
        self, call: Call, flags: GlobalFlags, runtime: Runtime, *, allowed: Callable[[CommandSpec], None] | None = None
    ) -> None:
        self._allowed = allowed
        self._call = replace(call, stdin=NoInput())
        self._flags = flags_over(GlobalFlags(), flags)
        self._runtime = runtime

    async def run(self, request: Request) -> "tuple[Answer | OutputStream, str]":
        """Return the answer or the stream of a command, and its request id. Nothing but cancellation is raised."""
        request_id = request.request_id or new_request_id()
        try:
            words, parsed = self._read(request)
            answer, request_id = await self._dispatched(words, parsed, request_id)
            if isinstance(answer, Forward):
                words, parsed = parse_line(self._runtime.index, answer.line, parsed.flags)
                answer, request_id = await self._dispatched(words, parsed, request_id)
            if isinstance(answer, Forward):
                return _refused(NotOffered(command="exec"), request_id)
        except NexusError as error:
            return _refused(error, request_id)
        except Exception as fault:  # noqa: BLE001 -- the contract: a bug of ours is an envelope too
            told = execution_error(fault, self._runtime.folders.state / "logs", request_id, "nexus")
            return _refused(told, request_id)
        return answer, request_id

    async def _dispatched(
        self, words: Sequence[str], parsed: Parsed, request_id: str
    ) -> "tuple[Answer | OutputStream | Forward, str]":
        spec, arguments = command_of(self._runtime.index, parsed)
        if spec.command_line_only:
            raise NotOffered(command=" ".join(spec.path))
        if self._allowed is not None:
            self._allowed(spec)
        request_id = request_id_of(parsed.flags, request_id)
        call, config = replace(self._call, argv=tuple(words)), configuration_of(self._runtime, self._call, parsed.flags)
        invocation = Invocation(spec, arguments, parsed.flags, call, config, request_id)
        return await dispatch(invocation, self._runtime), request_id

    def _read(self, request: Request) -> tuple[Sequence[str], Parsed]:
        if request.line is not None:
            return parse_line(self._runtime.index, request.line, self._flags)
        path = split_dotted(list(request.path))
        found = resolve(self._runtime.index, path, abbreviations=False)
        node = found.node
        if isinstance(node, GroupSpec):
            # Words alone are a question, as on a command line; with arguments its alias's command is meant.
            meant = aliased(self._runtime.index, node) if request.arguments else None
            if meant is None:
                return path, Parsed(node, {}, replace(self._flags, help=True))
            node = meant
        if found.words < len(path):
            if mistyped := found.mistyped(path):
                raise mistyped
            raise ValidationError.because(
                f"'{' '.join(path)}' has words after the command's own: put them into its arguments.",
                field="path",
                hint=f"nexus help {' '.join(node.path)}",
            )
        arguments, given = split_flags(node, request.arguments or {})
        flags = flags_over(given, self._flags)
        return words_for(node, arguments), Parsed(node, arguments, flags)


def _refused(error: NexusError, request_id: str) -> tuple[Answer, str]:
    return Answer(failure(error.entries(), request_id)), request_id


def split_flags(spec: CommandSpec, given: Mapping[str, Any]) -> tuple[dict[str, Any], GlobalFlags]:
    """Tell a command's own arguments from the global flags among them. Raises `ValidationError`."""
    named = by_argument_name(given, (*spec.options, *_FLAGS.values()))
    own = {option.name for option in spec.options}
    flags = {name: _checked(_FLAGS[name], value) for name, value in named.items() if name in _FLAGS and name not in own}
    return {name: value for name, value in named.items() if name not in flags}, GlobalFlags(**flags)


def _checked(option: OptionSpec, value: Any) -> Any:
    if option.kind == "boolean":
        fits = isinstance(value, bool)
    elif option.kind == "integer":
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif option.kind == "number":
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = isinstance(value, str)
    if not fits:
        raise ValidationError.because(
            f"{option.name} wants {option.kind}.", field=option.name, expected=option.kind, hint="nexus help"
        )
    return value


def words_for(spec: CommandSpec, arguments: Mapping[str, Any]) -> list[str]:
    """Write arguments as a command line has them, for a hint that a person can run."""
    words, last = list(spec.path), []
    for option in spec.options:
        if option.name not in arguments or option.secret:
            continue
        value = arguments[option.name]
        written = value if isinstance(value, str) else _written(value)
        if option.positional:
            last += [str(item) for item in value] if isinstance(value, list) else [written]
        elif option.kind == "boolean":
            words += [option.flags[0]] if value else []
        else:
            words += [option.flags[0], written]
    return words + last


def _written(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, default=str)
