"""The kernel's part for processes and logs: sessions of type debug-stream, and what is asked of processes and files."""

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import pydantic

from nexus.kernel.api.failure import refused
from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.paging import cut
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.processes.known import KnownProcesses
from nexus.kernel.sessions.driver import Driver
from nexus.kernel.sessions.output import SessionOutput
from nexus.schemas.errors import NexusError, NotFound
from nexus.schemas.log import LogEntry, LogOptions, LogQuery
from nexus.schemas.page import Page, PageQuery
from nexus.schemas.process import (
    MonitorOptions,
    ProcessDetails,
    ProcessInfo,
    ProcessOptions,
    ProcessQuery,
    Signalled,
    SignalQuery,
)

SORTS: dict[str, Any] = {
    "pid": lambda process: process.pid or 0,
    "name": lambda process: process.name,
    "state": lambda process: process.state,
    "createdAt": lambda process: process.created_at.isoformat() if process.created_at else "",
    "memoryBytes": lambda process: process.memory_bytes or 0,
    "cpuPercent": lambda process: int((process.cpu_percent or 0) * 100),
}


class Processes(Part):
    """Processes and logs."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._holding = surroundings.holding
        self._environment = surroundings.environment
        self._secrets = surroundings.secrets
        self._known = KnownProcesses(surroundings.holding)
        surroundings.drivers.add("debug-stream", self._driver)

    def operations(self) -> Sequence[Operation]:
        many, one, command = "/api/debug/processes", "/api/debug/processes/{id}", "debug.process"
        return (
            *(
                Operation(
                    *("GET", path, f"{command}.list{suffix}", "List processes.", self.list, Page[ProcessInfo]),
                    query=ProcessQuery,
                )
                for path, suffix in ((many, ""), ("/api/processes", ".short"))
            ),
            Operation("GET", one, f"{command}.view", "View a process.", self.view, ProcessInfo),
            Operation(
                *("GET", f"{one}/inspect", f"{command}.inspect", "Tell all that can be known of a process."),
                *(self.inspect, ProcessDetails),
            ),
            Operation(
                *("DELETE", one, f"{command}.kill", "Send a signal to a process.", self.kill, Signalled),
                query=SignalQuery,
            ),
            Operation(
                *("GET", "/api/debug/logs", "debug.log.view", "Find entries of a log file."),
                *(self.logs, Page[LogEntry]),
                query=LogQuery,
            ),
            LateOperation("GET", "/api/gpu", "debug.gpu.list", "List graphics processors.", self._behind_gpus),
        )

    async def list(self, request: ApiRequest[ProcessQuery, None]) -> Page[ProcessInfo]:
        """Return a page of what the kernel started, of the user's other processes, or of both."""
        query = request.query
        found = await self._known.started() if query.kind != "other" else []
        if query.kind in ("other", "all"):
            found += await self._known.others()
        wanted = [
            process
            for process in found
            if (query.kind in (None, "all") or process.kind == query.kind)
            and (query.status is None or process.state == query.status)
            and (query.filter is None or query.filter.casefold() in process.model_dump_json().casefold())
        ]
        items, cursor = cut(wanted, query, sorts=SORTS, order="pid", identity=lambda process: process.id)
        return Page[ProcessInfo](items=items, next_cursor=cursor, truncated=cursor is not None)

    async def view(self, request: ApiRequest[None, None]) -> ProcessInfo:
        return await self._known.view(request.path["id"])

    async def inspect(self, request: ApiRequest[None, None]) -> ProcessDetails:
        return await self._known.inspect(request.path["id"])

    async def kill(self, request: ApiRequest[SignalQuery, None]) -> Signalled:
        return await self._known.kill(request.path["id"], request.query.signal, everyone=request.query.everyone)

    async def logs(self, request: ApiRequest[LogQuery, None]) -> Page[LogEntry]:
        from nexus.kernel.logs.search import search

        query = request.query
        if query.file is None and query.pid is None:
            own = self._holding.place.log
            if not await asyncio.to_thread(os.path.exists, own):
                return Page[LogEntry](items=[])
            return await asyncio.to_thread(search, own, query)
        return await asyncio.to_thread(search, await self._log_path(query), query)

    def _behind_gpus(self, _operation_id: str) -> Behind:
        from nexus.kernel.processes.gpus import gpus
        from nexus.schemas.gpu import Gpu

        async def listed(request: ApiRequest[PageQuery, None]) -> Page[Gpu]:
            """Return a page of the machine's graphics processors."""
            query = request.query
            wanted = [
                gpu
                for gpu in await gpus(self._environment)
                if query.filter is None or query.filter.casefold() in gpu.model_dump_json().casefold()
            ]
            sorts = {"id": lambda gpu: gpu.id, "name": lambda gpu: gpu.name}
            items, cursor = cut(wanted, query, sorts=sorts, order="id", identity=lambda gpu: gpu.id)
            return Page[Gpu](items=items, next_cursor=cursor, truncated=cursor is not None)

        return Behind(listed, Page[Gpu], query=PageQuery)

    async def _log_path(self, named: LogQuery | LogOptions) -> str:
        """Return the file that is meant. Raises `NotFound` for a process that writes to none."""
        if named.file is not None:
            return named.file
        reference = str(named.pid)
        path = await self._known.output_file(reference)
        if path is None:
            raise NotFound(
                resource="log of process",
                reference=reference,
                hint="Start it by nexus debug process start, or name its log with --file.",
            )
        return path

    def _driver(self, output: SessionOutput) -> Driver:
        """Make what stands behind a debug-stream; options that cannot be are told when it starts."""
        model: type[pydantic.BaseModel] = LogOptions
        if "argv" in output.options:
            model = ProcessOptions
        elif "monitor" in output.options:
            model = MonitorOptions
        try:
            options = model.model_validate(output.options)
        except pydantic.ValidationError as error:
            return Refusing(refused(error, model, "options"))
        if isinstance(options, ProcessOptions):
            from nexus.kernel.processes.driver import ProcessDriver

            return ProcessDriver(output, self._holding, self._environment, self._secrets)
        if isinstance(options, MonitorOptions):
            from nexus.kernel.processes.monitor import MonitorDriver

            return MonitorDriver(output, options, self._known)
        from nexus.kernel.logs.driver import FileDriver

        return FileDriver(output, LogOptions.model_validate(output.options), self._log_path)


class Refusing(Driver):
    """Stands for a session that cannot be: it does not start."""

    def __init__(self, error: NexusError) -> None:
        self._error = error

    async def start(self) -> None:
        raise self._error

    async def close(self, reason: str) -> None:
        """Nothing was begun."""
