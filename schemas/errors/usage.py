"""Errors of what was asked: words that cannot be read, arguments that are not allowed."""

from nexus.schemas.errors.error import NexusError


class ParseError(NexusError):
    """The words of a command line cannot be read."""

    type = "parse"
    code = "PARSE_ERROR"
    exit_status = 2
    hint = "nexus help"


class UnknownOption(ParseError):
    """The command, and every command, has no such option; `available` are those it has."""

    code = "UNKNOWN_OPTION"
    sentence = "There is no option {option}."


class AmbiguousCommand(ParseError):
    """An abbreviation has several meanings, or means what is never abbreviated; `matches` has them all."""

    code = "AMBIGUOUS_COMMAND"
    sentence = "'{given}' can mean {meanings}."


class NotOffered(ParseError):
    """A command that takes stdin and stdout for itself, or runs other commands, where one command is wanted."""

    code = "COMMAND_NOT_OFFERED"
    sentence = "'{command}' runs on a command line of its own only."
    hint = "nexus help {command}"


class InputInvalid(ParseError):
    """What `--input` gives is no JSON object, or too large."""

    code = "INPUT_INVALID"


class ValidationError(NexusError):
    """An argument is missing, of the wrong type, or not allowed; `field` names it."""

    type = "validation"
    code = "VALIDATION_ERROR"
    exit_status = 2
    hint = "nexus help"


class ConfigInvalid(ValidationError):
    """The configuration file cannot be used; `line` and `column` where the fault is known to be."""

    code = "CONFIG_INVALID"
    hint = "nexus doctor"


class ConfirmationRequired(ValidationError):
    """The command cannot be undone: it wants `--yes`, or a person's yes at a terminal."""

    code = "CONFIRMATION_REQUIRED"
    sentence = "'{command}' cannot be undone and wants to be confirmed."


class QueryInvalid(ValidationError):
    """The expression of `--query` is no JMESPath, or does not fit the result."""

    code = "QUERY_INVALID"
    hint = "nexus help"


class PathOutsideRoot(ValidationError):
    """A path leaves the folder that it must stay in: `..`, an absolute path, or a link."""

    code = "PATH_OUTSIDE_ROOT"
    sentence = "The path {path!r} leaves its root folder."
    hint = "nexus agent file browse --path ."


class RequestTooLarge(ValidationError):
    """A request has more bytes than the server takes."""

    code = "REQUEST_TOO_LARGE"
    sentence = "A request has at most {limit} bytes here."
    hint = "nexus help"
