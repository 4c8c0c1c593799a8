"""Chats of a roadmap and their messages."""

from typing import Literal

from pydantic import Field

from nexus.schemas.model import Model, StrictModel, Timestamp
from nexus.schemas.page import PageQuery
from nexus.schemas.roadmap import Title

ChatStatus = Literal["open", "paused", "closed", "archived"]
Role = Literal["user", "assistant", "system"]


class Chat(Model):
    id: str
    roadmap_id: str
    title: str
    note: str | None = None
    status: ChatStatus = "open"
    created_at: Timestamp
    updated_at: Timestamp


class ChatQuery(PageQuery):
    """`title` asks for the one chat of the roadmap with this exact title."""

    title: str | None = None


class NewChat(StrictModel):
    title: Title
    note: str | None = Field(default=None, max_length=10_000)


class ChatChanges(StrictModel):
    """What is left out stays as it is."""

    title: Title | None = None
    note: str | None = Field(default=None, max_length=10_000)
    status: ChatStatus | None = None


class Message(Model):
    id: str
    chat_id: str
    role: Role
    content: str
    created_at: Timestamp


class NewMessage(StrictModel):
    content: str = Field(min_length=1, max_length=1_000_000)
    role: Role = "user"


class MessagesCleared(Model):
    """How many messages were deleted."""

    deleted: int
