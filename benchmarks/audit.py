"""How many records of the audit chain `settings audit verify` follows in a second."""

import argparse
import subprocess
import sys

from installed import Installed, installed
from measure import Row, at_least, report

BAR = 50_000

# Writes a chain of so many records as the kernel does, and follows it.
CHAIN = """
import asyncio, sys, tempfile, time
from pathlib import Path
from sqlalchemy import insert
from nexus.kernel.audit.chain import BEGIN, Chain, hash_of, line_of, seal_of
from nexus.kernel.audit.verify import verify
from nexus.kernel.database import open_store
from nexus.kernel.keys import Keys
from nexus.kernel.store.schema import audit, audit_head

COUNT = int(sys.argv[1])
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

async def main():
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(Path(folder) / "nexus.db", None)
        key = Chain(Keys(Path(folder))).key

        def fill(connection):
            digest, rows = BEGIN, []
            for seq in range(1, COUNT + 1):
                record = line_of(seq, FACTS)
                digest = hash_of(key, digest, record)
                rows.append({"seq": seq, "record": record, "hash": digest})
            connection.execute(insert(audit), rows)
            head = {"id": 1, "seq": COUNT, "hash": digest, "seal": seal_of(key, COUNT, digest)}
            connection.execute(insert(audit_head), [head])

        await store.write(fill)
        begun = time.perf_counter()
        verdict = await verify(store, key)
        print(time.perf_counter() - begun)
        await store.close()
    assert verdict.intact, verdict

asyncio.run(main())
"""


def verified(nexus: Installed, count: int) -> Row:
    """Verify a chain three times, and take the best."""
    seconds = min(
        float(subprocess.run([nexus.python, "-c", CHAIN, str(count)], check=True, capture_output=True).stdout)
        for _ in range(3)
    )
    detail = f"{count} records in {seconds:.2f} s"
    return at_least("records verified a second", count / seconds, BAR, unit="/s", detail=detail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--records", type=int, default=200_000)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        rows = [verified(nexus, options.records)]
    report("Audit", rows)


if __name__ == "__main__":
    main()
