"""What is to be run behind which walls, as a file of JSON says it."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KINDS = ("bubblewrap", "landlock", "none")


class SpecInvalid(Exception):
    """The file says no such thing."""


class Spec:
    """`argv` is run in `cwd`. It reads `read`, and writes `write` and `tmp`; paths are absolute, and the same inside.

    `hidden` is seen by nobody, though it lie in one of those. `memory` (bytes) bounds what each process may have of its
    own; `files` bounds its open files. `env` is a program of that name that can set signals to their defaults.
    """

    __slots__ = ("argv", "cwd", "env", "files", "hidden", "kind", "memory", "network", "read", "tmp", "write")

    def __init__(self, told: "dict[str, Any]") -> None:
        """Read it. Raises `SpecInvalid`."""
        try:
            self.kind = str(told["kind"])
            self.argv = [str(word) for word in told["argv"]]
            self.cwd = _absolute(told["cwd"])
            self.tmp = _absolute(told["tmp"])
            self.read = [_absolute(path) for path in told["read"]]
            self.write = [_absolute(path) for path in told["write"]]
            self.hidden = [_absolute(path) for path in told["hidden"]]
            self.network = told["network"] is True
            self.memory = int(told["memoryMib"]) << 20 if told.get("memoryMib") else None
            self.files = int(told["files"])
            self.env = _absolute(told["env"]) if told.get("env") else None
        except (KeyError, TypeError, ValueError) as error:
            raise SpecInvalid(f"the walls are not told as they should be: {error}") from error
        if self.kind not in KINDS or not self.argv:
            raise SpecInvalid(f"there are no walls {self.kind} for {self.argv}")


def _absolute(path: object) -> str:
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError(f"{path} is no absolute path")
    return path.rstrip("/") or "/"


def read(path: str) -> Spec:
    """Read the file. Raises `SpecInvalid`, `OSError`."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        told = _parsed(text)
    except (ValueError, StopIteration) as error:
        raise SpecInvalid(f"{path} is no JSON") from error
    if not isinstance(told, dict):
        raise SpecInvalid(f"{path} is no object of JSON")
    return Spec(told)


class _Plain:
    """What the scanner of `json` is told; `json` itself compiles regular expressions, for 10 ms."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = float
    memo: "dict[str, str]" = {}


def _parsed(text: str) -> "Any":
    try:
        from _json import make_scanner
    except ImportError:
        from json import loads

        return loads(text)
    return make_scanner(_Plain)(text, 0)[0]  # type: ignore[arg-type]  # it wants a JSONDecoder's attributes
