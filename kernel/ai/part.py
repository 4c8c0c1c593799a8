"""AI chats as a part of the kernel: where they are asked, and nothing else of them before they are."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nexus.kernel.api.late import Behind, LateOperation
from nexus.kernel.api.operation import Method, Operation
from nexus.kernel.part import Part, Surroundings
from nexus.kernel.sessions.driver import Driver

if TYPE_CHECKING:
    from nexus.kernel.ai.chats import AiChats
    from nexus.kernel.sessions.output import SessionOutput

SESSION_TYPE = "ai-chat"
BACKENDS = "/api/ai/backends"
SESSIONS = "/api/ai/sessions"
ONE = f"{SESSIONS}/{{id}}"

PLACES: tuple[tuple[Method, str, str, str], ...] = (
    ("POST", f"{BACKENDS}/choose", "ai.backend.list.choose", "Say which back end the caller gets."),
    ("POST", f"{BACKENDS}/check", "ai.backend.status", "Ask a back end whether it is there."),
    ("POST", f"{ONE}/backend", "ai.backend.select", "Have another back end answer."),
    ("GET", SESSIONS, "ai.session.list", "List AI sessions."),
    ("GET", ONE, "ai.session.view", "View an AI session."),
    ("PATCH", ONE, "ai.session.update", "Change an AI session."),
    ("DELETE", ONE, "ai.session.delete", "Delete an AI session."),
    ("GET", f"{ONE}/conversation", "ai.conversation.export", "Read a conversation as a file has it."),
    ("POST", f"{ONE}/conversation", "ai.conversation.import", "Take a conversation into a new session."),
    ("GET", f"{ONE}/messages", "ai.message.list", "List what was said."),
    ("DELETE", f"{ONE}/messages", "ai.message.clear", "Forget what was said."),
    ("GET", f"{ONE}/messages/{{message}}", "ai.message.view", "View one message."),
)


class AiPart(Part):
    """Back ends, AI sessions, messages and conversations."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        surroundings.drivers.add(SESSION_TYPE, self._driver)

    def operations(self) -> Sequence[Operation]:
        """Return where AI chats are asked."""
        return (
            *(LateOperation(method, path, name, summary, self._behind) for method, path, name, summary in PLACES),
            LateOperation(
                *("POST", BACKENDS, "ai.backend.list", "List back ends as they stand for the caller."),
                self._behind,
                body_required=False,
            ),
            LateOperation(
                *("POST", f"{ONE}/messages", "ai.message.send", "Say something, and have it answered."),
                self._behind,
                status=201,
            ),
        )

    @cached_property
    def chats(self) -> "AiChats":
        """The chats; made when somebody asks for one."""
        from nexus.kernel.ai.chats import AiChats

        return AiChats(self.surroundings)

    @cached_property
    def _all_behind(self) -> dict[str, Behind]:
        return self.chats.behind()

    def _behind(self, operation_id: str) -> Behind:
        return self._all_behind[operation_id]

    def _driver(self, output: "SessionOutput") -> Driver:
        return self.chats.driver(output)
