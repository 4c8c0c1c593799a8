"""A bar on a person's terminal: bytes that move, how fast, and how long still."""

import io
import time
from typing import TYPE_CHECKING

from nexus.call import Output

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

SECONDS_BETWEEN = 0.1


class TerminalProgress:
    """Shows one transfer on stderr, which is a terminal. Nothing is imported before the first is shown."""

    def __init__(self, stderr: Output, columns: int, *, colour: bool) -> None:
        self._stderr = stderr
        self._columns = columns
        self._colour = colour
        self._written = io.StringIO()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._shown_at = 0.0

    async def tell(self, label: str, done: int, total: int) -> None:
        """Show the state, if the last was long enough ago or this is the end."""
        moment = time.monotonic()
        if self._bar is not None and moment - self._shown_at < SECONDS_BETWEEN and done < total:
            return
        self._shown_at = moment
        if self._bar is None or self._task is None:
            self._bar = self._made()
            self._task = self._bar.add_task(label, total=total)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total, description=label)
        self._bar.refresh()
        await self._flush()

    async def end(self) -> None:
        """Leave the bar as it is, and give the cursor back."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            await self._flush()

    def _made(self) -> "Bar":
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        console = Console(
            file=self._written,
            width=max(20, self._columns),
            force_terminal=True,
            no_color=not self._colour,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), Speed())
        return Progress(
            *(*columns, TimeRemainingColumn()),
            console=console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    async def _flush(self) -> None:
        text = self._written.getvalue()
        self._written.seek(0)
        self._written.truncate()
        await self._stderr.write(text.encode())
