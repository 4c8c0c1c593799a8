"""The secrets of one program, as the driver of its session has them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nexus.kernel.secrets.values import Secrets
from nexus.sessions import lines

if TYPE_CHECKING:
    from nexus.kernel.secrets.given import Given
    from nexus.kernel.secrets.masking import Masker
    from nexus.kernel.sessions.output import SessionOutput


class ProgramSecrets:
    """Gives, and tells the session's readers of what changes: a `status` event whose `secrets` are names.

    A session with several programs tells them apart by `part`, and by the members `more` of those events.
    """

    def __init__(
        self,
        secrets: Secrets,
        output: "SessionOutput",
        names: Sequence[str],
        *,
        part: str | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self._secrets = secrets
        self._output = output
        self._names = names
        self._more = more or {}
        session_id = output.session.session_id
        self._key = f"{session_id}/{part}" if part is not None else session_id
        self._given: Given | None = None

    @property
    def mask(self) -> "Masker | None":
        """Masks what the program was ever given; None where that is nothing."""
        return self._given.mask if self._given is not None else None

    async def give(self) -> Mapping[str, str]:
        """Give them, and return the program's environment of them. Raises as `Secrets.give`."""
        self._given = await self._secrets.give(self._key, self._names, self._told)
        return self.environment

    @property
    def environment(self) -> Mapping[str, str]:
        """What the environment of a program says that is started now."""
        return self._given.environment if self._given is not None else {}

    @property
    def folder(self) -> Path | None:
        """Where the files are that have the newest values; None where it was given nothing."""
        return self._given.folder if self._given is not None else None

    async def end_former(self) -> None:
        """Learn that the program ended with the process of the kernel that had it."""
        if self._names:
            await (await self._secrets.giving()).end_former(self._key)

    async def take_up(self) -> None:
        """Go on with what an earlier process of the kernel gave."""
        self._given = await self._secrets.take_up(self._key, self._names, self._told)

    async def let_go(self) -> None:
        """Learn that the program has ended."""
        if self._given is not None:
            await (await self._secrets.giving()).let_go(self._given.session_id)

    async def _told(self, message: str, names: Sequence[str]) -> None:
        payload = {"status": "connected", "message": message, "secrets": list(names), **self._more}
        await self._output.append([lines.payload(payload)], event="status")
