"""Servers: the kernel itself and those it was told of; added, changed, drained, removed, and how they are."""

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from nexus import __version__
from nexus.kernel.api.operation import ApiRequest
from nexus.kernel.network.health import Health, HealthProbes, Target
from nexus.kernel.store.lookup import changed_values, count, find, refuse_taken, values_of
from nexus.kernel.store.rows import name_key, new_id, now
from nexus.kernel.store.schema import server_drains, servers
from nexus.kernel.store.store import Store
from nexus.schemas.errors import Conflict
from nexus.schemas.kernel import Deleted
from nexus.schemas.network import LOCAL, NewServer, Server, ServerChanges

MOST_SERVERS = 200
"""What bounds the time in which all can be asked."""
FRESH_SECONDS = 30.0
"""For how long an answer of a server is told again."""
NEVER_NULL = ("name", "url", "type", "health_path")

Values = dict[str, Any]


class Servers:
    """The servers that this kernel knows."""

    def __init__(self, store: Store, probes: HealthProbes, started_at: datetime) -> None:
        self.store = store
        self.probes = probes
        self.started_at = started_at

    async def all(self, *, within: float = FRESH_SECONDS) -> list[Server]:
        """Return every server, the kernel itself first; who was not asked within so many seconds is asked now."""
        rows, own = await self._rows()
        health = await self.probes.of(map(target_of, rows), within=within)
        return [own, *(server_of(row, health[row["id"]]) for row in rows)]

    async def known(self) -> list[tuple[Server, bool]]:
        """Return every server as it answered last, and whether it was ever asked. Nobody is waited for."""
        rows, own = await self._rows()
        healths = [(row, self.probes.known(target_of(row))) for row in rows]
        return [(own, True), *((server_of(row, health or NEVER_ASKED), health is not None) for row, health in healths)]

    async def one(self, server_id: str, *, within: float = FRESH_SECONDS) -> Server:
        """Return one server. Raises `NotFound`."""
        if server_id == LOCAL:
            return (await self._rows())[1]
        row = await self.row(server_id)
        health = await self.probes.of([target_of(row)], within=within)
        return server_of(row, health[server_id])

    async def row(self, server_id: str) -> Values:
        """Return what is stored of a server. Raises `NotFound`."""
        return await self.store.read(lambda connection: _find(connection, server_id))

    async def add(self, request: ApiRequest[None, NewServer]) -> Server:
        """Add a server and ask it once. Raises `Conflict` when its name is taken, or there are too many."""
        new = request.body
        values = {
            **new.model_dump(by_alias=False),
            "id": new_id("srv"),
            "name_key": name_key(new.name),
            "created_at": now(),
            "draining_since": None,
        }
        values["updated_at"] = values["created_at"]
        health = await self.probes.ask(target_of(values))

        def work(connection: Connection) -> Server:
            _refuse_name(connection, new.name)
            if count(connection, servers, servers.c.id.is_not(None)) >= MOST_SERVERS:
                raise Conflict.because(f"There are {MOST_SERVERS} servers already.", hint="nexus network server list")
            connection.execute(insert(servers).values(_stored(values)))
            return server_of(values, health)

        try:
            return await request.write(work)
        except BaseException:
            self.probes.forget(values["id"])
            raise

    async def change(self, request: ApiRequest[None, ServerChanges]) -> Server:
        """Change the fields that are given. Raises `Conflict` for the kernel's own server."""
        server_id = _not_local(request.path["id"], "changed")
        values = changed_values(request.body, NEVER_NULL)
        if "name" in values:
            values["name_key"] = name_key(values["name"])
        target = target_of(await self.row(server_id) | values)
        self.probes.forget(server_id)
        health = await self.probes.ask(target)

        def work(connection: Connection) -> Server:
            _find(connection, server_id)
            if "name" in values:
                _refuse_name(connection, values["name"], but=server_id)
            if values:
                changed = update(servers).where(servers.c.id == server_id).values(**values, updated_at=now())
                connection.execute(changed)
            return server_of(_find(connection, server_id), health)

        return await request.write(work)

    async def remove(self, request: ApiRequest[None, None]) -> Deleted:
        """Forget a server. Raises `Conflict` for the kernel's own."""
        server_id = _not_local(request.path["id"], "removed")

        def work(connection: Connection) -> Deleted:
            _find(connection, server_id)
            connection.execute(delete(servers).where(servers.c.id == server_id))
            connection.execute(delete(server_drains).where(server_drains.c.server_id == server_id))
            return Deleted(id=server_id)

        deleted = await request.write(work)
        self.probes.forget(server_id)
        return deleted

    async def drain(self, request: ApiRequest[None, Any]) -> Server:
        """Mark a server so that nothing new is placed on it, or take the mark away."""
        server_id, draining = request.path["id"], request.body.draining
        current = await self.one(server_id)

        def work(connection: Connection) -> Server:
            if server_id != LOCAL:
                _find(connection, server_id)
            since = _drains(connection).get(server_id)
            if draining and since is None:
                since = now()
                connection.execute(insert(server_drains).values(server_id=server_id, since=since))
            elif not draining:
                since = None
                connection.execute(delete(server_drains).where(server_drains.c.server_id == server_id))
            values = {**current.model_dump(by_alias=False), "draining": draining, "draining_since": since}
            return Server.model_validate(values)

        return await request.write(work)

    async def _rows(self) -> tuple[list[Values], Server]:
        """Return what is stored of all servers, and the kernel's own, asked by reading that."""
        began = time.perf_counter()

        def work(connection: Connection) -> tuple[list[Values], str | None]:
            rows = connection.execute(_selected().order_by(servers.c.name_key, servers.c.id)).all()
            return [values_of(row) for row in rows], _drains(connection).get(LOCAL)

        rows, draining_since = await self.store.read(work)
        latency = round((time.perf_counter() - began) * 1000, 3)
        return rows, self._own(draining_since, latency)

    def _own(self, draining_since: str | None, latency_ms: float) -> Server:
        return Server.model_validate(
            {
                "id": LOCAL,
                "name": LOCAL,
                "type": "manager",
                "status": "online",
                "version": __version__,
                "latency_ms": latency_ms,
                "checked_at": datetime.now(UTC),
                "draining": draining_since is not None,
                "draining_since": draining_since,
                "created_at": self.started_at,
                "updated_at": self.started_at,
            }
        )


NEVER_ASKED = Health("offline", datetime.fromtimestamp(0, UTC), error="It has not been asked yet.")


def target_of(values: Values) -> Target:
    """Return where a stored server is asked."""
    return Target(values["id"], values["url"], values["health_path"])


def server_of(values: Values, health: Health) -> Server:
    """Put together what is stored of a server and how it answered."""
    return Server(
        id=values["id"],
        name=values["name"],
        type=values["type"],
        url=values["url"],
        health_path=values["health_path"],
        status=health.status,
        version=health.version,
        latency_ms=health.latency_ms,
        http_status=health.http_status,
        error=health.error,
        checked_at=health.checked_at,
        draining=values["draining_since"] is not None,
        draining_since=values["draining_since"],
        created_at=values["created_at"],
        updated_at=values["updated_at"],
    )


def _selected() -> Any:
    joined = servers.outerjoin(server_drains, servers.c.id == server_drains.c.server_id)
    return select(servers, server_drains.c.since.label("draining_since")).select_from(joined)


def _find(connection: Connection, server_id: str) -> Values:
    row: Row[Any] | None = connection.execute(_selected().where(servers.c.id == server_id)).one_or_none()
    return values_of(row if row is not None else find(connection, servers, server_id, namespace="network"))


def _drains(connection: Connection) -> dict[str, str]:
    return {row.server_id: row.since for row in connection.execute(select(server_drains))}


def _stored(values: Values) -> Values:
    return {name: value for name, value in values.items() if name in servers.c}


def _refuse_name(connection: Connection, name: str, *, but: str | None = None) -> None:
    if name_key(name) == LOCAL:
        raise Conflict.because(f"{name!r} is the kernel's own server.", field="name", hint="nexus network server list")
    refuse_taken(connection, servers, name, but=but, namespace="network")


def _not_local(server_id: str, done: str) -> str:
    if server_id == LOCAL:
        raise Conflict.because(f"The kernel's own server cannot be {done}.", field="id")
    return server_id
