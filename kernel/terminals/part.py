"""The kernel's part for terminals: their driver, and the screen that a reader who comes later starts from."""

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

from nexus.kernel.api.operation import ApiRequest, Operation
from nexus.kernel.events import ProjectDeleted
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.projects.content import ContentFolders
from nexus.kernel.sessions.output import SessionOutput
from nexus.kernel.terminals.driver import TerminalDriver
from nexus.kernel.terminals.folder import ProjectFolders
from nexus.schemas.errors import SessionClosed
from nexus.schemas.session import WindowSize
from nexus.schemas.terminal import TerminalScreen


class Terminals(Part):
    """The terminals of all projects. What is common to sessions is done by the sessions' part."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._holding = surroundings.holding
        self._environment = surroundings.environment
        self._secrets = surroundings.secrets
        content = ContentFolders(surroundings.projects, surroundings.environment)
        self._folders = ProjectFolders(surroundings.store, content)
        self._drivers: WeakValueDictionary[str, TerminalDriver] = WeakValueDictionary()
        surroundings.drivers.add("terminal", self._driver)
        surroundings.bus.subscribe(ProjectDeleted, self._project_deleted)

    def operations(self) -> Sequence[Operation]:
        return (
            Operation(
                *("POST", "/api/terminal/sessions/{id}/screen", "agent.terminal.attach"),
                *("Give a terminal's screen to one that comes later.", self.screen, TerminalScreen),
                body=WindowSize,
            ),
        )

    async def screen(self, request: ApiRequest[None, WindowSize]) -> TerminalScreen:
        """Return what the screen starts from; the terminal takes the reader's size."""
        driver = self._drivers.get(request.path["id"])
        if driver is None:
            raise SessionClosed(session_id=request.path["id"])
        return await driver.show(request.body.columns, request.body.rows)

    async def close(self) -> None:
        await self._holding.close()

    async def _project_deleted(self, event: ProjectDeleted) -> None:
        """End the project's terminals."""
        theirs = [
            driver for driver in self._drivers.values() if driver.output.session.context.project_id == event.project_id
        ]
        await asyncio.gather(*(driver.close("project-deleted") for driver in theirs))

    def _driver(self, output: SessionOutput) -> TerminalDriver:
        driver = TerminalDriver(output, self._holding, self._folders, self._environment, self._secrets)
        self._drivers[output.session.session_id] = driver
        return driver
