"""What one attempt at a step starts: its program in its walls, with the folders and the environment that it has."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

from nexus.kernel.holder.spec import ProgramSpec
from nexus.kernel.pipelines.folders import AttemptFolders
from nexus.kernel.pipelines.means import Means, RunFacts
from nexus.kernel.pipelines.parameters import text_of
from nexus.kernel.pipelines.words import filled
from nexus.kernel.secrets.program import ProgramSecrets
from nexus.kernel.settings import SandboxKind
from nexus.kernel.store.failures import told_as_storage
from nexus.schemas.pipeline import StepDefinition

LINGER_SECONDS = 5.0
"""So long others may hold the pipes of a step that has ended."""


class StepProgram:
    """One attempt's program. Its folders are made anew when it is specified."""

    def __init__(self, means: Means, run: RunFacts, step: str, number: int) -> None:
        self.name = f"{run.id}.{step}.{number}"
        self.definition: StepDefinition = run.document.steps[step]
        self._means = means
        self._run = run
        self._step = step
        self._number = number

    async def specify(self, inputs: Mapping[str, Path], secrets: ProgramSecrets, session_id: str) -> ProgramSpec:
        """Prepare everything, and return what to start; `inputs` are the folders that the needed steps left.

        Raises what data sets, secrets, the sandbox and storage raise.
        """
        means, run, definition = self._means, self._run, self.definition
        kind = await means.sandbox.kind()
        project = await means.project_folder(run.project_id) if run.project_id is not None else None
        datasets = await self._datasets()
        given = await secrets.give()
        folders = await asyncio.to_thread(means.folders.make, run.id, self._step, self._number, inputs)
        values = {
            **{f"parameters.{name}": text_of(value) for name, value in run.parameters.items()},
            **{f"datasets.{name}": str(path) for name, path in datasets.items()},
            **{f"inputs.{name}": str(path) for name, path in inputs.items()},
            **({"project": str(project)} if project is not None else {}),
        }
        readable = (folders.inputs, *inputs.values(), *(path.parent for path in datasets.values()), project)
        argv = tuple(filled(word, values) for word in definition.run)
        command = await asyncio.to_thread(
            self._walled, argv, folders, [path for path in (*readable, secrets.folder) if path is not None], kind
        )
        own = {name: filled(text, values) for name, text in definition.environment.items()}
        return ProgramSpec(
            argv=command,
            cwd=str(folders.work),
            environment={**self._environment(folders, project), **own, **given},
            timeout=definition.timeout_seconds,
            linger=LINGER_SECONDS,
            label=json.dumps({"process": self.name, "name": self._step, "session": session_id}),
        )

    async def _datasets(self) -> dict[str, Path]:
        wanted = {name: self._run.datasets[name] for name in self.definition.datasets}
        if not wanted:
            return {}
        async with self._run.laying:
            folder = await asyncio.to_thread(self._means.folders.prepare, self._run.id)
            return await self._means.inputs.lay_out(wanted, folder)

    def _walled(
        self, argv: tuple[str, ...], folders: AttemptFolders, read: list[Path], kind: SandboxKind
    ) -> tuple[str, ...]:
        from nexus.kernel.pipelines.walls import Walls

        walls = Walls(
            argv=argv,
            cwd=folders.work,
            read=tuple(read),
            write=(folders.work, folders.tmp),
            network=self.definition.network,
            memory_mib=self.definition.memory_mib,
            tmp=folders.tmp,
        )
        with told_as_storage(folders.file):
            return self._means.sandbox.command(walls, kind, folders.file)

    def _environment(self, folders: AttemptFolders, project: Path | None) -> dict[str, str]:
        run = self._run
        return {
            "PATH": self._means.sandbox.path,
            "HOME": str(folders.work),
            "PWD": str(folders.work),
            "TMPDIR": str(folders.tmp),
            "LANG": "C.UTF-8",
            "NEXUS_RUN_ID": run.id,
            "NEXUS_STEP": self._step,
            "NEXUS_ATTEMPT": str(self._number),
            "NEXUS_PARAMETERS": json.dumps(dict(run.parameters), ensure_ascii=False),
            "NEXUS_INPUTS": str(folders.inputs),
            "NEXUS_DATASETS": str(self._means.folders.datasets(run.id)),
            **({"NEXUS_PROJECT_FOLDER": str(project)} if project is not None else {}),
        }
