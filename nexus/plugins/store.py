"""The plugins of one caller as commands see them: what there is, and what is to be done with it."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.plugins.plugins import Plugins
from nexus.schemas.errors import NotFound, ValidationError

if TYPE_CHECKING:
    from nexus.plugins.catalog import Catalog, Known
    from nexus.schemas.plugin import Changes, Plugin, PluginChange, PluginChanged, PluginKind, PluginView, Rights

ALL, NONE = "all", "none"
"""What stands for every right that a plugin asks for, and for no right."""


class CallerPlugins:
    """A `PluginStore`: the installed plugins, the caller's own, and those of the project around their folder."""

    def __init__(self, plugins: Plugins, cwd: Path, environment: Mapping[str, str]) -> None:
        self._plugins = plugins
        self._cwd = cwd
        self._environment = environment

    async def list(self) -> "list[Plugin]":
        """Return every plugin that was found, the active ones and the others."""
        from nexus.schemas.plugin import Plugin

        catalog = await self._plugins.catalog(self._cwd)
        return [Plugin.model_validate(_told(known)) for known in catalog.plugins]

    async def view(self, name: str) -> "PluginView":
        """Return one plugin with all that is known of it. Raises `NotFound`."""
        from nexus.plugins.digest import digest_of
        from nexus.plugins.manifest import Manifest
        from nexus.schemas.plugin import PluginView

        known = await self._known(name)
        told = _told(known) | {"workers": self._plugins.pool.count(known.name)}
        if known.told is not None:
            manifest: Manifest = known.manifest
            told |= _declared(manifest)
            told["granted"] = list(known.granted)
        try:
            told["digest"] = digest_of(Path(known.candidate.folder))
        except (OSError, ValueError):
            # A folder that cannot be read is told by its state.
            told["digest"] = None
        return PluginView.model_validate(told)

    async def create(self, name: str, *, kind: "PluginKind", folder: Path | None, template: str) -> "PluginChanged":
        """Write a new plugin that works. Raises `Conflict`, `ValidationError`, storage errors."""
        from nexus.plugins.scaffold import write_scaffold

        catalog = await self._plugins.catalog(self._cwd)
        self._plugins.folders.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = (folder or self._plugins.folders.data / "plugins") / name
        files = write_scaffold(catalog, name, kind=kind, target=target, template=template)
        return await self._changed(name, "created", files=files, folder=str(target))

    async def install(self, source: Path, *, grants: "Rights | None", replace: bool) -> "PluginChanged":
        """Copy a plugin into the user's folder, and grant it rights.

        Raises `PluginInvalid`, `Conflict`, `ValidationError` for a right that it does not ask for, storage errors.
        """
        from nexus.plugins.install import copied_in

        self._plugins.folders.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        plugins = self._plugins.folders.data / "plugins"
        # In a thread, as what follows on the disk: other commands do not wait for 64 MiB to be copied.
        name, change = await asyncio.to_thread(copied_in, source, plugins, replace=replace)
        if grants is not None and await self._grant(await self._known(name), grants) and change == "unchanged":
            change = "updated"
        return await self._changed(name, change)

    async def remove(self, name: str) -> "PluginChanged":
        """Delete a plugin of the user's folder, and what was decided about it; nothing of it is run.

        Raises `NotFound`, `ValidationError` for one that nexus did not put where it is, storage errors.
        """
        from nexus.plugins.install import deleted
        from nexus.plugins.records import forget

        known = await self._known(name)
        told = await self._result(known, "deleted")
        self._plugins.pool.retire(known.name)
        await asyncio.to_thread(deleted, known.candidate, self._plugins.folders.data)
        await forget(self._plugins.records, known.candidate.key)
        return told

    async def enable(self, name: str, enabled: bool) -> "PluginChanged":
        """Turn a plugin on or off. Raises `NotFound`, storage errors."""
        from nexus.plugins.records import decide

        known = await self._known(name)
        before, after = await decide(self._plugins.records, known.candidate.key, enabled=enabled)
        if not enabled:
            self._plugins.pool.retire(known.name)
        return await self._changed(name, "unchanged" if before == after else "updated", folder=known.candidate.folder)

    async def trust(self, name: str, *, grants: "Rights | None") -> "PluginChanged":
        """Trust a plugin's files as they are, and grant the rights that it asks for, or these of them.

        Raises `NotFound`, `ValidationError` for a right that it does not ask for, `PluginInvalid`, storage errors.
        """
        known = await self._known(name)
        changed = await self._grant(known, [ALL] if grants is None else grants)
        return await self._changed(name, "updated" if changed else "unchanged", folder=known.candidate.folder)

    async def reload(self, name: str | None) -> "Changes":
        """Leave the workers of a plugin, or of all, so that the next command starts new ones. Raises `NotFound`."""
        catalog = await self._plugins.catalog(self._cwd)
        wanted = [await self._known(name)] if name else catalog.active
        return [
            await self._result(known, "updated" if self._plugins.pool.retire(known.name) else "unchanged")
            for known in wanted
        ]

    async def _grant(self, known: "Known", grants: "Rights") -> bool:
        """Write down the trust in the files as they are, and the rights; say whether that is another decision."""
        from nexus.plugins.digest import digest_of
        from nexus.plugins.records import decide
        from nexus.schemas.errors import PluginInvalid

        if known.told is None:
            raise PluginInvalid.because(
                f"The plugin {known.name} has no manifest that can be used.", path=known.candidate.manifest
            )
        asked = list(known.manifest.permissions.rights())
        if grants in ([ALL], [NONE]):
            grants = asked if grants == [ALL] else []
        strangers = sorted(set(grants) - set(asked))
        if strangers:
            raise ValidationError.because(
                f"The plugin {known.name} does not ask for the right {strangers[0]!r}.",
                field="grant",
                expected=asked,
                hint=f"nexus settings plugin view --name {known.name}",
            )
        try:
            digest = digest_of(Path(known.candidate.folder))
        except (OSError, ValueError) as error:
            raise PluginInvalid.because(
                f"The plugin {known.name} cannot be trusted: {error}.", path=known.candidate.folder
            ) from error
        granted = tuple(right for right in asked if right in grants)
        before, after = await decide(self._plugins.records, known.candidate.key, trusted=digest, granted=granted)
        self._plugins.pool.retire(known.name)
        return before != after

    async def _known(self, name: str, folder: str | None = None) -> "Known":
        """Return a plugin by its name; of several with it the active one, else the first."""
        catalog = await self._plugins.catalog(self._cwd)
        named = [each for each in catalog.plugins if each.name == name]
        if folder is not None:
            named = [each for each in named if each.candidate.folder == folder] or named
        if not named:
            raise NotFound(
                resource="plugin",
                reference=name[:200],
                available=sorted({each.name for each in catalog.plugins}),
                hint="nexus settings plugin list",
            )
        return next((each for each in named if each.state == "active"), named[0])

    async def _changed(
        self, name: str, change: "PluginChange", files: Sequence[str] = (), folder: str | None = None
    ) -> "PluginChanged":
        """Return what was done, with the plugin as it is now; one that is written elsewhere is told by its folder."""
        try:
            known = await self._known(name, folder)
        except NotFound:
            known = None
        if folder is not None and (known is None or known.candidate.folder != folder):
            from nexus.plugins.catalog import Known
            from nexus.plugins.discovery import Candidate

            known = Known(Candidate("user", folder, name), "disabled", None, _ELSEWHERE)
        if known is None:
            raise NotFound(resource="plugin", reference=name[:200], hint="nexus settings plugin list")
        return await self._result(known, change, files)

    async def _result(self, known: "Known", change: "PluginChange", files: Sequence[str] = ()) -> "PluginChanged":
        from nexus.schemas.plugin import PluginChanged

        told = {**_told(known), "change": change, "granted": list(known.granted), "files": list(files)}
        return PluginChanged.model_validate(told)


_ELSEWHERE = {
    "code": "RESOURCE_NOT_FOUND",
    "message": "It is in no folder that plugins are found in.",
    "hint": "nexus help settings plugin install",
}


def _told(known: "Known") -> dict[str, Any]:
    return {
        "name": known.name,
        "version": known.list_of("version"),
        "kind": known.list_of("kind"),
        "summary": known.list_of("summary"),
        "origin": known.candidate.origin,
        "state": known.state,
        "path": known.candidate.folder,
        "problem": known.problem,
    }


def _declared(manifest: Any) -> dict[str, Any]:
    contributes = manifest.contributes.model_dump(by_alias=True, exclude_defaults=True)
    templates = contributes.pop("templates", {})
    named = {
        name: sorted(each) if isinstance(each, dict) else [v["command"] for v in each]
        for name, each in contributes.items()
    }
    named |= {f"templates.{name}": sorted(each) for name, each in templates.items()}
    return {
        "commands": [" ".join(path) for path, _ in manifest.actions()],
        "hooks": [hook.event for hook in manifest.hooks],
        "contributes": named,
        "requires": {"nexus": manifest.requires.nexus, **manifest.requires.plugins},
        "asks": list(manifest.permissions.rights()),
    }


def catalog_problems(catalog: "Catalog") -> list[str]:
    """Return a sentence for each plugin that is found and cannot be used."""
    return [str(known.problem["message"]) for known in catalog.plugins if known.problem]
