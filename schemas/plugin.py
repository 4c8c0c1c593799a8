"""Plugins as commands show them: where each is from, what it may do, and why one does not run."""

from pathlib import Path
from typing import Literal, Protocol

from pydantic import Field

from nexus.schemas.model import Model

PluginKind = Literal["io", "processor", "adapter", "custom"]
PluginOrigin = Literal["installed", "user", "project"]
"""Found by an entry point of a Python package, in the user's data folder, or in a project's folders."""
PluginState = Literal["active", "disabled", "untrusted", "invalid", "conflict"]
"""Only what is active has commands. `conflict`: a path or a name is taken, or what it needs is not there."""
PluginChange = Literal["created", "updated", "unchanged", "deleted"]


class PluginProblem(Model):
    """Why a plugin is not active, or what of it does not work; `hint` is what to do."""

    code: str
    message: str
    hint: str | None = None


class Plugin(Model):
    """One plugin that was found. `name` is its folder's where the manifest cannot be read."""

    name: str
    version: str | None = None
    kind: PluginKind | None = None
    summary: str | None = None
    origin: PluginOrigin
    state: PluginState
    path: str = Field(description="The folder that holds its manifest.")
    problem: PluginProblem | None = None


class PluginView(Plugin):
    """A plugin with what it adds, what it asks for and what it was granted."""

    commands: list[str] = Field(default_factory=list)
    hooks: list[str] = Field(default_factory=list)
    contributes: dict[str, list[str]] = Field(default_factory=dict)
    requires: dict[str, str] = Field(default_factory=dict)
    asks: list[str] = Field(default_factory=list, description="The rights that its manifest asks for.")
    granted: list[str] = Field(default_factory=list, description="Those of them that it has.")
    digest: str | None = Field(default=None, description="The hash of its files, to which trust is bound.")
    workers: int = Field(default=0, description="How many processes of it are running here.")


class PluginChanged(Plugin):
    """What was done to a plugin."""

    change: PluginChange
    granted: list[str] = Field(default_factory=list)
    files: list[str] = Field(default_factory=list, description="What was written, below its folder.")


Rights = list[str]
"""Rights as they are granted by name, `["all"]`, or `["none"]`."""
Changes = list[PluginChanged]


class PluginStore(Protocol):
    """The plugins that a command's caller has, and what may be done with them."""

    async def list(self) -> list[Plugin]: ...

    async def view(self, name: str) -> PluginView: ...

    async def create(self, name: str, *, kind: PluginKind, folder: Path | None, template: str) -> PluginChanged: ...

    async def install(self, source: Path, *, grants: Rights | None, replace: bool) -> PluginChanged: ...

    async def remove(self, name: str) -> PluginChanged: ...

    async def enable(self, name: str, enabled: bool) -> PluginChanged: ...

    async def trust(self, name: str, *, grants: Rights | None) -> PluginChanged: ...

    async def reload(self, name: str | None) -> Changes: ...
