# ruff: noqa: TID251 -- a program of its own: its environment and its streams are its caller's
"""A small coding agent over the Agent Client Protocol, written with the library's side for agents.

It does what the prompt's last line says: `echo TEXT`, `tools`, `slow`, `die`, `sign in`, `env NAME`, `history`.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import acp
from acp.schema import AgentCapabilities, InitializeResponse, NewSessionResponse, PermissionOption, PromptResponse

KEPT = Path("agent-session.txt")


class SmallAgent:
    def __init__(self) -> None:
        self.client: Any = None
        self.cancelled = asyncio.Event()
        self.heard: list[str] = []

    def on_connect(self, conn: Any) -> None:
        self.client = conn

    async def initialize(self, protocol_version: int, **_: Any) -> InitializeResponse:
        loads = os.environ.get("AGENT_LOADS") == "yes"
        return InitializeResponse(
            protocol_version=protocol_version, agent_capabilities=AgentCapabilities(load_session=loads)
        )

    async def new_session(self, cwd: str, **_: Any) -> NewSessionResponse:
        assert Path(cwd) == Path.cwd()
        return NewSessionResponse(session_id=f"of-{os.getpid()}")

    async def load_session(self, cwd: str, session_id: str, **_: Any) -> None:
        self.heard = KEPT.read_text().splitlines()
        await self.say(session_id, "told again")

    async def cancel(self, session_id: str, **_: Any) -> None:
        Path("cancelled").write_text(session_id)
        self.cancelled.set()

    async def say(self, session_id: str, text: str) -> None:
        await self.client.session_update(session_id=session_id, update=acp.update_agent_message_text(text))

    async def prompt(self, session_id: str, prompt: list[Any], **_: Any) -> PromptResponse:
        words = prompt[-1].text
        self.heard.append(" ".join(" ".join(block.text for block in prompt).split()))
        KEPT.write_text("\n".join(self.heard))
        if words.startswith("echo "):
            for word in words[5:].split(" "):
                await self.say(session_id, f"{word} ")
        elif words == "history":
            await self.say(session_id, " | ".join(self.heard))
        elif words.startswith("env "):
            await self.say(session_id, os.environ.get(words[4:], "unset"))
        elif words == "die":
            sys.stderr.write(f"cannot go on with {os.environ.get('AGENT_API_KEY')}\n")
            sys.stderr.flush()
            os._exit(3)
        elif words == "sign in":
            raise acp.RequestError.auth_required()
        elif words == "slow":
            await self.say(session_id, "begun")
            await self.cancelled.wait()
            self.cancelled.clear()
            return PromptResponse(stop_reason="cancelled")
        elif words == "deaf":
            await self.say(session_id, "begun")
            await asyncio.Event().wait()
        elif words == "tools":
            await self.tools(session_id)
        return PromptResponse(stop_reason="end_turn")

    async def tools(self, session_id: str) -> None:
        update = self.client.session_update
        await update(session_id=session_id, update=acp.update_agent_thought_text("Let me look."))
        await update(session_id=session_id, update=acp.update_plan([acp.plan_entry("Read", status="in_progress")]))
        await update(session_id=session_id, update=acp.start_read_tool_call("t1", "Read a.txt", "a.txt"))
        done = [acp.tool_content(acp.text_block("12 lines"))]
        await update(session_id=session_id, update=acp.update_tool_call("t1", status="completed", content=done))
        for call, kind in (("t2", "read"), ("t3", "execute")):
            answer = await self.client.request_permission(
                session_id=session_id,
                tool_call=acp.update_tool_call(call, title=f"May I {kind}", kind=kind),
                options=[
                    PermissionOption(option_id="always", name="Always", kind="allow_always"),
                    PermissionOption(option_id="yes", name="Yes", kind="allow_once"),
                    PermissionOption(option_id="no", name="No", kind="reject_once"),
                ],
            )
            await self.say(session_id, f"{kind}: {answer.outcome.option_id}; ")


if __name__ == "__main__":
    if "garbage" in sys.argv:
        for _ in range(1000):
            sys.stdout.write("Welcome!\n")
        sys.stdout.flush()
        sys.stdin.read()
    asyncio.run(acp.run_agent(SmallAgent()))
