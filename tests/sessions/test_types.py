"""The session types that are built in, and how others come beside them."""

import pytest

from nexus.schemas.errors import ContextMissing, ResourceUnavailable, ValidationError
from nexus.schemas.session import Capabilities, SessionContext
from nexus.sessions.types import BUILT_IN, EVERY_TRANSPORT, SessionType, SessionTypes

EVERYTHING = {"send", "receive", "interrupt", "resize", "close", "restart", "stream"}
LISTENING = {"receive", "close", "stream"}
TYPES = {
    "terminal": (("project",), EVERYTHING, ("cwd", "shell")),
    "ai-chat": ((), LISTENING | {"send", "interrupt"}, ("backend", "workspacePath", "streamingMode")),
    "meta-chat": (("roadmap",), LISTENING, ("roadmapId",)),
    "debug-stream": (("source",), LISTENING, ("source",)),
    "network-stream": ((), LISTENING, ("source",)),
    "agent-run": (("run",), LISTENING | {"send", "interrupt"}, ("role", "model")),
    "pipeline-run": (("run",), LISTENING | {"interrupt"}, ("definition",)),
}


def can(capabilities: Capabilities) -> set[str]:
    return {name for name, value in capabilities if value}


def test_the_seven_types_are_what_the_session_abi_says():
    found = {each.name: (each.needs, can(each.capabilities), each.metadata) for each in BUILT_IN}
    assert found == TYPES
    assert all(each.transports == EVERY_TRANSPORT for each in BUILT_IN)


def test_a_type_may_be_added_once():
    types = SessionTypes()
    types.add(SessionType("mine", Capabilities(receive=True)))
    assert types.get("mine").name == "mine"
    with pytest.raises(ValueError, match="already"):
        types.add(SessionType("terminal", Capabilities()))
    with pytest.raises(ValidationError, match="no session type"):
        SessionTypes().get("mine")


def test_a_stream_of_a_process_needs_a_process_or_a_file():
    debug = SessionTypes().get("debug-stream")
    with pytest.raises(ContextMissing, match="process or a file"):
        debug.check(SessionContext(), {}, "local")
    debug.check(SessionContext(), {"file": "/var/log/syslog"}, "polling")
    debug.check(SessionContext(process_id="1"), {}, "hybrid")


def test_what_a_type_cannot_do_is_told():
    with pytest.raises(ResourceUnavailable, match="cannot resize") as caught:
        SessionTypes().get("ai-chat").require("resize", "ses_1")
    assert caught.value.entry().details["capability"] == "resize"
