"""A stand-in for the kernel that may be killed at any moment: it commits output and position together.

Run as `python consumer.py FOLDER DATABASE NAME`; ends with 0 when it has committed the program's exit.
"""

import asyncio
import sqlite3
import sys

from nexus.kernel.holder.client import Holder
from nexus.kernel.holder.place import HolderPlace
from nexus.kernel.holder.spool import Kind


async def consume(folder: str, database: str, name: str) -> None:
    """Read the program's output from the committed position on, to its exit."""
    store = sqlite3.connect(database, isolation_level=None)
    store.execute("PRAGMA journal_mode=WAL")
    store.execute("CREATE TABLE IF NOT EXISTS printed (id INTEGER PRIMARY KEY, data BLOB)")
    store.execute("CREATE TABLE IF NOT EXISTS read (name TEXT PRIMARY KEY, position INTEGER, ended INTEGER)")
    found = store.execute("SELECT position, ended FROM read WHERE name = ?", (name,)).fetchone()
    if found and found[1]:
        return  # the one before was killed behind its last commit
    holder = await Holder.open(HolderPlace(folder), idle=5)
    output = holder.output(name, found[0] if found else 0)
    while True:
        records = await output.read()
        data = b"".join(record.payload for record in records if record.kind == Kind.STDOUT)
        store.execute("BEGIN IMMEDIATE")
        store.execute("INSERT INTO printed (data) VALUES (?)", (data,))
        ended = any(record.kind == Kind.EXIT for record in records)
        store.execute("INSERT OR REPLACE INTO read VALUES (?, ?, ?)", (name, records[-1].end, ended))
        store.execute("COMMIT")
        output.confirmed = records[-1].end
        if ended:
            return


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:]))
