"""Kernels with a coordinator, runs started on them, and what becomes of those."""

import asyncio
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert, select, update

from nexus.kernel import kernel as kernels
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.host import OneShotHost
from nexus.kernel.kernel import HOLDER_NAME, Kernel
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.pipelines.coordination import Coordination
from nexus.kernel.pipelines.inputs import Inputs
from nexus.kernel.pipelines.outputs import Outputs
from nexus.kernel.pipelines.part import Pipelines
from nexus.kernel.pipelines.walls import Walls
from nexus.kernel.sessions.record import new_session_id
from nexus.kernel.sessions_part import SessionsPart
from nexus.kernel.settings import KernelSettings, Node, SandboxKind, StepSettings
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import artifacts, pipelines, run_attempts, run_steps, runs
from nexus.kernel.store.store import DatabaseAddress
from nexus.resident.local import CONFINEMENT
from nexus.schemas.pipeline import PipelineDocument
from tests.kernel.answers import answer
from tests.kernel.holder.programs import end

COMMAND = (sys.executable, "-I", "-S", "-B", str(CONFINEMENT))
SECONDS = 120


class Bare:
    """No walls: what they hold back is tried elsewhere."""

    path = "/usr/local/bin:/usr/bin:/bin"

    async def kind(self) -> SandboxKind:
        return "none"

    def command(self, walls: Walls, kind: SandboxKind, file: Path) -> tuple[str, ...]:
        return walls.argv


class House:
    """A data folder, and the kernel that has it. `lease` and `look` are the coordinator's, in seconds.

    Its steps have no walls unless they are to be `walled`, or by which `sandbox`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database: DatabaseAddress | None = None,
        mode: Any = "one-shot",
        parallel: int = 4,
        sandbox: SandboxKind | None = None,
        walled: bool = False,
        capacity: int | None = None,
        lease: float = 60.0,
        look: float = 30.0,
    ) -> None:
        self.folder = folder
        self.kernel: Any = None
        self.coordination: Any = None
        self._mode = mode
        self._durations = {"lease_seconds": lease, "renew_seconds": lease / 4, "look_seconds": look}
        steps = StepSettings(parallel, sandbox, COMMAND if walled or sandbox else ())
        node = Node() if capacity is None else Node(role="hub", capacity=capacity)
        # Kernels on one database share a secret.
        secret = "s" * 40 if database is not None else None
        self._settings = KernelSettings(secret, database, node=node, steps=steps)

    async def open(self) -> "House":
        def part(surroundings: Surroundings) -> Part:
            made = RunsPart(surroundings, self._durations)
            self.coordination = made.coordination
            return made

        before = kernels.PARTS
        others = [each for each in before if getattr(each, "__name__", "") not in ("Pipelines", "SessionsPart")]
        kernels.PARTS = (*others, part, SessionsPart)
        try:
            host = OneShotHost(mode=self._mode)
            self.kernel = await Kernel.open(self.folder, host, settings=self._settings)
        finally:
            kernels.PARTS = before
        self.api = httpx.AsyncClient(transport=httpx.ASGITransport(self.kernel.app), base_url="http://kernel")
        return self

    async def close(self) -> None:
        await self.api.aclose()
        await self.kernel.close()

    async def end(self) -> None:
        """Close the kernel, and end what holds its programs."""
        await self.close()
        await end(HolderPlace(str(self.folder / HOLDER_NAME)))

    async def start(self, steps: dict[str, Any], **more: Any) -> "Run":
        """Start a run of these steps. A step is a script of `sh`, or all that a document says of it."""
        run = await self.queue(steps, **more)
        await self.coordination.begin(run.id, run.session, None)
        return run

    async def queue(self, steps: dict[str, Any], **more: Any) -> "Run":
        """Write down a run that nobody began."""
        document = PipelineDocument.model_validate({"name": "demo", "steps": {n: step(s) for n, s in steps.items()}})
        pipeline, run = new_id("pip"), Run(self, new_id("run"), new_session_id())
        rows = _rows(pipeline, run, document, self.coordination.kernel_id, more)

        def write(connection: Any) -> None:
            for table, row in rows:
                connection.execute(insert(table).values(**row))

        await self.kernel._store.write(write)
        return run


class RunsPart(Pipelines):
    """The kernel's part, with a coordinator of these durations."""

    def __init__(self, surroundings: Surroundings, durations: dict[str, float]) -> None:
        super().__init__(surroundings)
        outputs = Outputs(surroundings.store, surroundings.kept)
        inputs = Inputs(surroundings.store, surroundings.kept)
        sandbox = None if surroundings.steps.confinement else Bare()
        self.coordination = Coordination(surroundings, outputs, inputs, sandbox, **durations)


def step(said: Any) -> dict[str, Any]:
    """Return a step as documents have it; `sh` stands for a script."""
    told = {"sh": said} if isinstance(said, str) else dict(said)
    script = told.pop("sh", None)
    return {**({"run": ["/bin/sh", "-c", script]} if script is not None else {}), **told}


def python(source: str, *words: str) -> str:
    """Return a script that runs Python."""
    return shlex.join(["exec", "python3", "-ISc", source, *words]).replace("'exec'", "exec")


class Run:
    """A run on one of the houses."""

    def __init__(self, house: House, run_id: str, session: str) -> None:
        self.house = house
        self.id = run_id
        self.session = session

    async def rows(self, wanted: Any) -> Any:
        return await self.house.kernel._store.read(lambda connection: connection.execute(wanted).all())

    async def row(self) -> Any:
        return (await self.rows(select(runs).where(runs.c.id == self.id)))[0]

    async def steps(self) -> dict[str, Any]:
        rows = await self.rows(select(run_steps).where(run_steps.c.run_id == self.id).order_by(run_steps.c.position))
        return {row.name: row for row in rows}

    async def statuses(self) -> dict[str, str]:
        return {name: row.status for name, row in (await self.steps()).items()}

    async def attempts(self, name: str) -> Sequence[Any]:
        wanted = select(run_attempts).where(run_attempts.c.run_id == self.id, run_attempts.c.step == name)
        return await self.rows(wanted.order_by(run_attempts.c.number))

    async def artifacts(self) -> Sequence[Any]:
        return await self.rows(select(artifacts).where(artifacts.c.run_id == self.id))

    async def cancel(self) -> None:
        """Do what the part does that is asked to cancel it."""
        changed = update(runs).where(runs.c.id == self.id).values(status="cancelling")
        await self.house.kernel._store.write(lambda connection: connection.execute(changed))
        await self.house.coordination.stir(self.id)

    async def events(self, until: Callable[[list[dict[str, Any]]], bool] | None = None) -> list[dict[str, Any]]:
        """Return the events of its session, once what is wanted is among them: its end, if nothing else is said."""
        until = until or (lambda events: bool(events) and events[-1]["event"] == "close")
        events: list[dict[str, Any]] = []
        async with asyncio.timeout(SECONDS):
            while not until(events):
                query = {"after": events[-1]["seq"] if events else 0, "wait": 5}
                path = f"/api/sessions/{self.session}/events"
                events += answer(await self.house.api.get(path, params=query))["events"]
        return events

    async def until_printed(self, message: str) -> list[dict[str, Any]]:
        return await self.events(lambda events: message in [each["payload"].get("message") for each in events])

    async def until(self, name: str, status: str) -> list[dict[str, Any]]:
        """Wait until it is told that a step is so."""
        return await self.events(lambda events: (name, status) in changes(events))

    async def over(self) -> tuple[str, int]:
        """Wait for its end, and return the reason and the exit code of the stream's close."""
        payload = (await self.events())[-1]["payload"]
        return payload["reason"], payload["exitCode"]


def changes(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what became of the steps, in order."""
    told = [each["payload"] for each in events if each["event"] == "data" and each["payload"]["type"] == "step"]
    return [(each["step"], each["status"]) for each in told]


def printed(events: list[dict[str, Any]], name: str) -> list[str]:
    """Return the lines that a step printed."""
    told = [each["payload"] for each in events if each["event"] == "data" and each["payload"]["type"] == "log"]
    return [each["message"] for each in told if each["step"] == name]


def _rows(
    pipeline: str, run: Run, document: PipelineDocument, kernel: str, more: dict[str, Any]
) -> list[tuple[Any, dict[str, Any]]]:
    kept = json.loads(document.model_dump_json(by_alias=True))
    moment = {"created_at": now()}
    name = f"{document.name} {pipeline}"
    common = {"revision": 1, "document": kept}
    made = {"id": pipeline, "name": name, "name_key": name_key(name), "step_count": len(document.steps)}
    waiting = {"status": "waiting", "attempt": 0, "spent": 0}
    started = {
        "id": run.id,
        "pipeline_id": pipeline,
        "pipeline_name": document.name,
        "parameters": {},
        "datasets": {},
        "status": "queued",
        "session_id": run.session,
        "kernel": kernel,
        "fence": 0,
        "started_by": "owner",
        **more,
    }
    return [
        (pipelines, {**made, **common, **moment, "updated_at": now()}),
        (runs, {**started, **common, **moment}),
        *(
            (run_steps, {"run_id": run.id, "name": each, "position": place, **waiting})
            for place, each in enumerate(document.steps)
        ),
    ]
