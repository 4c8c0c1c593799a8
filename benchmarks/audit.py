"""Audit verify: at least 50,000 records a second. `python benchmarks/audit.py [RECORDS]`."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Connection, insert

from nexus.kernel.audit.chain import BEGIN, Chain, hash_of, line_of, seal_of
from nexus.kernel.audit.verify import verify
from nexus.kernel.database import open_store
from nexus.kernel.keys import Keys
from nexus.kernel.store.schema import audit, audit_head

FACTS = {
    "user": "anna",
    "userId": "usr_01a1f9cac42e30d7ffcf4bdd6c2d6072",
    "by": "token",
    "address": "192.0.2.17",
    "operation": "agent.project.create",
    "outcome": "done",
    "request": "POST /api/projects",
    "requestId": "req_c73af5cf9a00f1b9fe5ab01c",
}
BAR = 50_000


async def main(count: int) -> None:
    """Write a chain of so many records, and follow it."""
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(Path(folder) / "nexus.db", None)
        key = Chain(Keys(Path(folder))).key

        def fill(connection: Connection) -> None:
            digest, rows = BEGIN, []
            for seq in range(1, count + 1):
                record = line_of(seq, FACTS)
                digest = hash_of(key, digest, record)
                rows.append({"seq": seq, "record": record, "hash": digest})
            connection.execute(insert(audit), rows)
            head = {"id": 1, "seq": count, "hash": digest, "seal": seal_of(key, count, digest)}
            connection.execute(insert(audit_head), [head])

        await store.write(fill)
        begun = time.perf_counter()
        verdict = await verify(store, key)
        seconds = time.perf_counter() - begun
        await store.close()
    assert verdict.intact, verdict
    rate = count / seconds
    missed = rate < BAR
    print(f"audit verify: {rate:,.0f} records a second (bar: at least {BAR:,}) {'MISSED' if missed else 'ok'}")
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000))
