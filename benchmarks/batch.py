"""How many envelopes of reads `nexus batch` writes in a second of one core, and how large MCP's list of tools is.

The processor time of the resident and of the launcher together is what is counted, so that others at work on the
machine do not count.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile

import psutil
from installed import Installed, installed
from measure import Row, at_least, at_most, report

RECORDS: dict[str, list[dict[str, object]]] = {
    "commands as lines": [
        {"command": "version"},
        {"command": "settings config get --key output.format"},
        {"command": "help agent project"},
        {"command": "settings theme get"},
    ],
    "paths and arguments": [
        {"path": "version", "id": 1},
        {"path": "settings.config.get", "args": {"key": "output.format"}},
        {"path": "help", "args": {"path": ["agent", "project"]}},
        {"path": "settings.theme.get"},
    ],
    "projects of the kernel": [
        {"path": "agent.project.list"},
        {"path": "agent.project.view", "args": {"name": "benchmark"}},
    ],
}


def seconds_of(nexus: Installed, records: list[dict[str, object]], count: int) -> float:
    """Run `count` records and return the processor seconds of the resident and the launcher."""
    resident = psutil.Process(json.loads(nexus.run("debug", "kernel", "status").stdout)["data"]["pid"])
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        for number in range(count):
            given.write(json.dumps(records[number % len(records)]).encode() + b"\n")
        given.seek(0)
        before, children = resident.cpu_times(), os.times()
        done = subprocess.run(
            [nexus.nexus, "batch"], env=nexus.environment, stdin=given, stdout=told, timeout=600, check=True
        )
        after, ended = resident.cpu_times(), os.times()
        told.seek(0)
        written = sum(json.loads(line)["status"] == "ok" for line in told)
    if done.returncode or written != count:
        raise RuntimeError(f"{written} of {count} were answered")
    launcher = ended.children_user + ended.children_system - children.children_user - children.children_system
    return after.user + after.system - before.user - before.system + launcher


def batches(nexus: Installed, count: int) -> list[Row]:
    """Measure each kind of records, the best of three."""
    rows = []
    for what, records in RECORDS.items():
        seconds = min(seconds_of(nexus, records, count) for _ in range(3))
        rows.append(at_least(f"batch: {what}", count / seconds, 3000, unit="/s", detail=f"{count} in {seconds:.2f} s"))
    return rows


async def tool_list(nexus: Installed) -> Row:
    """Measure the whole list of tools, as the official client is given it."""
    from mcp import StdioServerParameters
    from mcp.client.client import Client

    # The extra is the measuring interpreter's: the server is the module of this checkout there.
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "nexus", "mcp", "serve"],
        env=nexus.environment | {"NEXUS_RESIDENT": "0", "PYTHONPATH": os.path.dirname(os.path.dirname(__file__))},
    )
    async with Client(server) as client:
        listed = (await client.list_tools()).model_dump_json(by_alias=True, exclude_none=True)
    return at_most("MCP's list of tools", len(listed.encode()) / 4, 2000, unit="tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--records", type=int, default=5000)
    options = parser.parse_args()
    with installed(options.python) as nexus:
        nexus.run("agent", "project", "create", "--name", "benchmark")
        rows = batches(nexus, options.records)
        nexus.stop()
        rows.append(asyncio.run(tool_list(nexus)))
    report("Batch and MCP", rows)


if __name__ == "__main__":
    main()
