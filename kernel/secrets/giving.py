"""Gives secrets to programs, and keeps what they have good: newer values, leases renewed in time, revoked at the end.

One task does it all, while a program has a secret: it sleeps until a lease is due, a value may have changed, or it is
stirred.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.kernel.secrets.catalog import SecretCatalog
from nexus.kernel.secrets.folder import SecretFiles
from nexus.kernel.secrets.given import Given, Told, by_path
from nexus.kernel.secrets.lending import Lending
from nexus.kernel.secrets.records import SealedRecords
from nexus.schemas.errors import NexusError, SessionClosed

if TYPE_CHECKING:
    from nexus.kernel.vault.vault import Vault

LOOK_SECONDS = 30.0
"""So often it is looked whether a value is another, where nobody told of it: other kernels and a Vault do not."""
AT_ONCE = 8
LEAST_SECONDS = 0.05
LEAST_PAUSE = 1.0
"""So long, and then twice as long each time, after a lease could not be revoked."""
KEPT_SECONDS = 25 * 3600.0
"""So long it is known what an ended program had: it may be started again, as it was, within a day."""
CLOSE_SECONDS = 5.0
PREFIX = "session "

log = logging.getLogger("nexus.kernel.secrets")


class Giving:
    """What the programs of this kernel have of its secrets: by their sessions, SESSION/PART where one has several."""

    def __init__(
        self, catalog: SecretCatalog, vault: "Vault | None", records: SealedRecords, data_folder: Path
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._files = SecretFiles(data_folder)
        self._lending = Lending(vault)
        self._live: dict[str, Given] = {}
        self._ended: dict[str, Given] = {}
        """Those with leases that are to be revoked yet."""
        self._stirred = asyncio.Event()
        self._look_at = 0.0
        self._revoke_at = 0.0
        self._revoke_pause = LEAST_PAUSE
        self._keeping: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    @property
    def lent(self) -> int:
        """How many programs have what a Vault lent."""
        return sum(bool(given.lent) for given in self._live.values())

    async def give(self, session_id: str, names: Sequence[str], told: Told) -> Given:
        """Give a program these secrets: it is told of newer values until it is `let_go`.

        Raises `NotFound`, `StorageCorrupt`, and the errors of the Vault; then nothing is given.
        """
        found = await self._catalog.find(list(dict.fromkeys(names)))
        if (before := self._ended.pop(session_id, None)) is not None:
            await self._lending.revoke_all(before)
            await self._keep(before)
        given = self._before(session_id, told) or Given(session_id, self._files.choose(session_id), told)
        given.ended = 0.0
        given.leave([name for lent in given.lent for name in lent.names])
        given.take({each.name: each.value for each in found if each.lease is None})
        given.versions = {each.name: each.version for each in found}
        leased = by_path({each.name: each.lease for each in found if each.lease is not None})
        self._live[session_id] = given
        try:
            for path, fields in leased.items():
                lent, values = await self._lending.lend(path, fields)
                given.take_lease(lent)
                given.take(values)
            await self._keep(given)
            self._files.write(given.folder, given.newest)
        except BaseException:
            await self.let_go(session_id)
            raise
        self._begin()
        return given

    async def take_up(self, session_id: str, names: Sequence[str], told: Told) -> Given:
        """Go on with what an earlier process gave. What it kept of it may be gone: then the newest values are it."""
        given = self._before(session_id, told)
        if given is None:
            given = Given(session_id, self._files.choose(session_id), told)
            for name in names:
                # One that is there no more cannot be masked.
                with suppress(NexusError):
                    given.take({each.name: each.value for each in await self._catalog.find([name]) if not each.lease})
        self._live[session_id] = given
        self._begin()
        self.stir()
        return given

    async def let_go(self, session_id: str) -> None:
        """Learn that a program has ended: its files go, and its leases are revoked. More than once is safe."""
        given = self._live.pop(session_id, None)
        if given is None:
            return
        given.ended = time.time()
        if given.lent or given.over:
            self._ended[session_id] = given
            self._revoke_at = 0.0
            self._begin()
            self.stir(look=False)
        try:
            self._files.remove(given.folder)
            await self._keep(given)
        except NexusError:
            # The session ends all the same.
            log.exception("what session %s had of secrets could not be taken away", session_id)

    async def end_former(self, session_id: str) -> None:
        """Learn that the program which an earlier process of the kernel had is gone."""
        given = self._before(session_id, _to_nobody)
        if given is not None and not given.ended and session_id not in self._live:
            self._live[session_id] = given
            await self.let_go(session_id)

    async def end_parts(self, session_id: str) -> None:
        """Learn that all the programs which a session had beside each other have ended."""
        beginning = f"{session_id}/"
        for key in [key for key in self._live if key.startswith(beginning)]:
            await self.let_go(key)
        for name, record in await asyncio.to_thread(lambda: list(self._records.all())):
            key = name.removeprefix(PREFIX)
            if key.startswith(beginning) and not record["ended"]:
                self._live[key] = Given.of(key, record, _to_nobody)
                await self.let_go(key)

    def stir(self, *, look: bool = True) -> None:
        """Have it looked now, also at the values unless that is not asked for."""
        if look:
            self._look_at = 0.0
        self._stirred.set()

    async def sweep(self, at_work: Collection[str]) -> None:
        """End what was given to programs whose sessions are not at work: they ended while no kernel was there."""
        taken = {*self._live, *self._ended, *at_work}
        for name, record in await asyncio.to_thread(lambda: list(self._records.all())):
            session_id = name.removeprefix(PREFIX)
            # One of a session's several programs is SESSION/PART, and the session's driver sees to it.
            if session_id == name or not taken.isdisjoint((session_id, session_id.partition("/")[0])):
                continue
            given = Given.of(session_id, record, _to_nobody)
            if not given.ended:
                self._live[session_id] = given
                await self.let_go(session_id)
            elif given.lent or given.over:
                self._ended[session_id] = given
                self._revoke_at = 0.0
                self._begin()
            elif time.time() - given.ended > KEPT_SECONDS:
                self._records.forget(name)

    async def close(self) -> None:
        """Revoke what ended, within seconds; what runs keeps what it has until a kernel goes on with it."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait((keeping,))
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._revoke_ended()

    # -- within

    def _begin(self) -> None:
        if self._keeping is None or self._keeping.done():
            self._look_at = time.time() + LOOK_SECONDS
            self._keeping = asyncio.create_task(self._keep_good(), name="secrets of programs")

    async def _keep_good(self) -> None:
        while self._live or self._ended:
            self._stirred.clear()
            try:
                await self._look()
            except Exception:
                # Whatever it is, the leases of the others are renewed all the same.
                log.exception("the secrets of programs could not be looked after")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._stirred.wait()

    def _pause(self) -> float:
        due = [self._look_at, *(lent.due for given in self._live.values() for lent in given.lent)]
        if self._ended:
            due.append(self._revoke_at)
        if self.lent:
            due.append(self._lending.token_due)
        return min(max(min(due) - time.time(), LEAST_SECONDS), LOOK_SECONDS)

    async def _look(self) -> None:
        """Do what is due now."""
        if time.time() >= self._revoke_at:
            await self._revoke_ended()
        if self.lent:
            await self._lending.keep_token()
        newest = None
        if time.time() >= self._look_at:
            self._look_at = time.time() + LOOK_SECONDS
            newest = await self._versions()
        await asyncio.gather(*(self._look_after(given, newest) for given in list(self._live.values())))

    async def _versions(self) -> dict[str, int]:
        """Return the number of the newest value of each secret that a program has; without those that are gone."""
        names = {name for given in self._live.values() for name in given.versions}
        room = asyncio.Semaphore(AT_ONCE)

        async def look(name: str) -> tuple[str, int | None]:
            async with room:
                try:
                    return name, await self._catalog.version(name)
                except NexusError as error:
                    log.warning("whether %s has a newer value is not known: %s", name, error)
                    return name, None

        looked = await asyncio.gather(*(look(name) for name in names))
        return {name: version for name, version in looked if version is not None}

    async def _look_after(self, given: Given, newest: Mapping[str, int] | None) -> None:
        try:
            if newest is not None:
                await self._look_for_newer(given, newest)
                if not self._files.there(given.folder, given.newest):
                    self._files.write(given.folder, given.newest)
            for lent in list(given.lent):
                if self._lending.is_due(lent):
                    await self._renew(given, lent.path, lent.names)
        except NexusError as error:
            log.warning("the secrets of session %s could not be looked after: %s", given.session_id, error)

    async def _look_for_newer(self, given: Given, newest: Mapping[str, int]) -> None:
        for name, before in list(given.versions.items()):
            if newest.get(name, before) == before:
                continue
            found = (await self._catalog.find([name]))[0]
            if found.lease is None:
                given.leave([name])
                await self._deliver(given, {name: found.value}, "has a new value")
            else:
                await self._anew(given, found.lease.path, by_path({name: found.lease})[found.lease.path])
            # What could not be handed over is tried again at the next look.
            given.versions[name] = found.version

    async def _renew(self, given: Given, path: str, names: dict[str, str | None]) -> None:
        lent = next((each for each in given.lent if each.path == path), None)
        if lent is None:
            return
        if await self._lending.renewed(lent):
            await self._keep(given)
        elif self._lending.is_due(lent):
            await self._anew(given, path, names)

    async def _anew(self, given: Given, path: str, names: dict[str, str | None]) -> None:
        """Have credentials lent in the place of those that end; the secrets of one path change together."""
        before = next((each.names for each in given.lent if each.path == path), {})
        try:
            lent, values = await self._lending.lend(path, {**before, **names})
        except NexusError as error:
            for each in given.lent:
                if each.path == path and self._lending.fails(each):
                    await _tell(given, f"cannot be renewed: {error}", list(each.names))
            raise
        if self._live.get(given.session_id) is not given:
            await self._lending.revoke(lent.id, path)
            return
        given.take_lease(lent)
        await self._deliver(given, values, "was lent anew")

    async def _deliver(self, given: Given, values: dict[str, str], what: str) -> None:
        """Hand newer values over: masked first, then kept, then in the files, then told of."""
        if self._live.get(given.session_id) is not given:
            return
        new = given.take(values)
        await self._keep(given)
        if new:
            self._files.write(given.folder, new)
            await _tell(given, what, list(new))

    async def _revoke_ended(self) -> None:
        """Revoke what is to be revoked; what cannot be is tried again, ever later."""
        for session_id, given in list(self._ended.items()):
            await self._lending.revoke_all(given)
            if not given.over and self._ended.get(session_id) is given:
                # Else its program was started again meanwhile.
                await self._keep(given)
                if self._ended.get(session_id) is given:
                    del self._ended[session_id]
        self._revoke_pause = min(self._revoke_pause * 2, LOOK_SECONDS) if self._ended else LEAST_PAUSE
        self._revoke_at = time.time() + self._revoke_pause

    def _before(self, session_id: str, told: Told) -> Given | None:
        """Return what the session's program had before: a program that is started again has its first environment."""
        record = self._records.read(f"{PREFIX}{session_id}")
        return Given.of(session_id, record, told) if record is not None else None

    async def _keep(self, given: Given) -> None:
        # One after the other, each as it is by then; what is waited for is the disk.
        async with self._writing:
            await asyncio.to_thread(self._records.write, f"{PREFIX}{given.session_id}", given.record())


async def _tell(given: Given, what: str, names: Sequence[str]) -> None:
    # Its readers may be gone with it.
    with suppress(SessionClosed):
        await given.told(f"{', '.join(names)} {what}.", names)


async def _to_nobody(_message: str, _names: Sequence[str]) -> None:
    """Tell it to nobody: the session is over."""
