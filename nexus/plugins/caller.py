"""Who a plugin's function is called for: as much of a command's context as a worker is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from nexus.schemas.command import ApiClient, Configuration, Diagnostics, GlobalFlags
from nexus.schemas.context import ContextState
from nexus.schemas.session import Session


class Caller(Protocol):
    """A command's context has all of it."""

    @property
    def flags(self) -> GlobalFlags: ...
    @property
    def context_state(self) -> ContextState: ...
    @property
    def config(self) -> Configuration: ...
    @property
    def session(self) -> Session | None: ...
    @property
    def api(self) -> ApiClient | None: ...
    @property
    def cwd(self) -> Path: ...
    @property
    def environment(self) -> Mapping[str, str]: ...
    @property
    def request_id(self) -> str: ...
    @property
    def stderr(self) -> Diagnostics | None: ...


@dataclass(frozen=True, slots=True)
class BareCaller:
    """A caller whose command has ended, or has not begun: nothing is selected, and no kernel is called."""

    flags: GlobalFlags
    config: Configuration
    cwd: Path
    environment: Mapping[str, str]
    request_id: str
    stderr: Diagnostics | None
    context_state: ContextState = field(default_factory=ContextState)
    session: Session | None = None
    api: ApiClient | None = None
