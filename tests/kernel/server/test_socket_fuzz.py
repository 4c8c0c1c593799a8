"""Odd values in every field of every command of the socket: each is answered, and none is a fault of ours."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, get_args

from nexus.schemas.protocol import KernelCommand
from tests.kernel.accounts.test_roles import socket_of
from tests.kernel.server.running import Running

NO_PROGRAM = "/nowhere/no-program"
BASE: dict[str, Any] = {
    "sessionId": "ses_none",
    "session": {"type": "terminal", "name": "x", "context": {}, "options": {"shell": NO_PROGRAM, "argv": [NO_PROGRAM]}},
    "query": {"limit": 5},
    "restart": {"epoch": 1},
    "input": {"client": "c", "number": 1, "data": "x", "encoding": "utf-8"},
    "size": {"columns": 80, "rows": 24},
    "attachment": 1,
    "seq": 1,
}
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 10**40, 1.5, float("nan"), "", "\0", "\ud800", "é" * 3000),
    *([], {}, [[]], {"a": {"b": None}}, ["x"] * 2000, {"type": "terminal"}),
)


def odd(kind: Any) -> Iterator[dict[str, Any]]:
    """Yield a command with each field, and each field below one, replaced by each odd value."""
    whole = {"type": kind.model_fields["type"].default}
    whole |= {
        field.alias or name: BASE.get(field.alias or name, 1) for name, field in kind.model_fields.items()
    } | whole
    whole.pop("id")
    yield whole
    for name, value in whole.items():
        if name == "type":
            continue
        for each in ODD:
            yield {**whole, name: each}
            if isinstance(value, dict):
                yield from ({**whole, name: {**value, below: each}} for below in value)


def is_read(command: dict[str, Any]) -> bool:
    return "\\ud800" not in json.dumps(command) and "NaN" not in json.dumps(command)


async def test_odd_commands_are_refused_and_the_socket_goes_on(server: Running) -> None:
    await server.user("root", "admin")
    asked = [each for kind in get_args(get_args(KernelCommand)[0]) for each in odd(kind)]
    # What is no JSON is answered under no id of its own.
    wanted = {str(number) for number, told in enumerate(asked) if is_read(told) and told["type"] != "session.consumed"}
    answered: set[str] = set()
    async with socket_of(server, (await server.login("root"))["accessToken"]) as connection:

        async def listen() -> None:
            while wanted - answered:
                message = await connection.recv()
                told = json.loads(message if isinstance(message, str) else message.partition(b"\n")[0])
                if "error" in told:
                    assert told["error"]["type"] != "internal", told
                assert told["type"] != "session.created", asked[int(told["id"])]
                answered.add(told.get("id", ""))

        listening = asyncio.create_task(listen())
        for number, command in enumerate(asked):
            await connection.send(json.dumps({**command, "id": str(number)}))
        await asyncio.wait_for(listening, 60)
