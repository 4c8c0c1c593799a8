"""The tables, and the revision of the schema that they make.

`schema.sql` beside this module is what a fresh home gets; a test holds it equal to the head of the migrations, and the
tables below equal to both. A change of a table is a new migration, a new `schema.sql` and a new last revision here.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
)

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
"""Every revision that this code knows, the newest last. A database at any other is newer than the code."""

HEAD = REVISIONS[-1]

metadata = MetaData()

# Moments are RFC 3339 text in UTC of one width: they sort as they are, and reach the answer as they are.
# A `…_key` is the name casefolded, so that names are compared alike in every database.

projects = Table(
    "projects",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("category", Text),
    Column("description", Text),
    Column("status", Text, nullable=False),
    Column("theme", JSON, nullable=False),
    # Null is the folder that the kernel made, below its data folder; such a project stays whole when that moves.
    Column("content_path", Text),
    # True when the kernel made a folder for it, which goes when the project goes.
    Column("made_folder", Boolean, nullable=False),
    Column("git_url", Text),
    Column("hidden", Boolean, nullable=False, server_default=false()),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

roadmaps = Table(
    "roadmaps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("progress", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("roadmaps_of_project", "project_id", "created_at"),
)

chats = Table(
    "chats",
    metadata,
    Column("id", Text, primary_key=True),
    Column("roadmap_id", Text, ForeignKey("roadmaps.id", ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_key", Text, nullable=False),
    Column("note", Text),
    Column("status", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("chats_of_roadmap", "roadmap_id", "created_at"),
)

messages = Table(
    "messages",
    metadata,
    # The order in which messages were said: a clock may step back, this never does.
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("chat_id", Text, ForeignKey("chats.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Index("messages_of_chat", "chat_id", "position"),
    sqlite_autoincrement=True,
)

templates = Table(
    "templates",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("content", Text, nullable=False),
    Column("description", Text),
    Column("category", Text),
    Column("favorite", Boolean, nullable=False, server_default=false()),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("type", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("health_path", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

server_drains = Table(
    "server_drains",
    metadata,
    # No foreign key: the kernel's own server, which drains like any other, has no row in `servers`.
    Column("server_id", Text, primary_key=True),
    Column("since", Text, nullable=False),
)
"""The servers on which nothing new is placed."""

ai_sessions = Table(
    "ai_sessions",
    metadata,
    # The id of the session in the event log that its answers stream in.
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("model", Text),
    Column("workspace_path", Text),
    Column("permissions", Text, nullable=False),
    # What a coding agent calls the conversation, so that it can take it up again.
    Column("agent_session", Text),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("ai_sessions_by_age", "created_at"),
)

ai_messages = Table(
    "ai_messages",
    metadata,
    # The order in which messages were said, as in `messages`.
    Column("position", Integer, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("session_id", Text, ForeignKey("ai_sessions.id", ondelete="CASCADE"), nullable=False),
    Column("role", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("backend", Text),
    Column("model", Text),
    Column("finish_reason", Text),
    Column("usage", JSON),
    Column("error", JSON),
    Column("created_at", Text, nullable=False),
    Column("finished_at", Text),
    Index("ai_messages_of_session", "session_id", "position"),
    sqlite_autoincrement=True,
)

answers = Table(
    "answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", Text, nullable=False),
    Index("answers_by_age", "created_at"),
)
"""What was answered under an idempotency key."""

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    # One JSON object, which begins with its seq; and what holds the record before it and this one.
    Column("record", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    # HMAC-SHA256 over both, by a key that is not in the database.
    Column("seal", LargeBinary, nullable=False),
)
"""Where the chain ends: one row."""

seals = Table(
    "seals",
    metadata,
    Column("purpose", Text, primary_key=True),
    Column("mark", Text, nullable=False),
    Column("created_at", Text, nullable=False),
)
"""What tells the kernel's own secret from any other: a mark of its key for each purpose, written once."""

blobs = Table(
    "blobs",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    # Where the store keeps the bytes; no place is used twice, so that one given back is never somebody else's.
    Column("place", Text, nullable=False, unique=True),
    Column("created_at", Text, nullable=False),
)
"""Bytes that are kept, each content once; one that no data set and no artifact has any more goes."""

datasets = Table(
    "datasets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("filename", Text, nullable=False),
    Column("sha256", Text, ForeignKey("blobs.sha256"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("datasets_of_blob", "sha256"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("description", Text),
    Column("run_id", Text),
    Column("filename", Text, nullable=False),
    Column("sha256", Text, ForeignKey("blobs.sha256"), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("artifacts_of_blob", "sha256"),
    Index("artifacts_of_run", "run_id", "created_at"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    # dataset or artifact, and what it is to be when its bytes are whole.
    Column("kind", Text, nullable=False),
    Column("item", JSON, nullable=False),
    # What the client knows its file by, so that it finds the upload again.
    Column("resume_key", Text),
    Column("size", BigInteger, nullable=False),
    Column("part_size", BigInteger, nullable=False),
    # What the store knows the upload by.
    Column("draft", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index("uploads_by_key", "kind", "resume_key"),
    Index("uploads_by_expiry", "expires_at"),
)
"""Uploads that are under way."""

blob_removals = Table(
    "blob_removals",
    metadata,
    Column("place", Text, primary_key=True),
    Column("created_at", Text, nullable=False),
)
"""Places whose bytes nobody has any more and which the store has still to remove."""

pipelines = Table(
    "pipelines",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("project_id", Text, ForeignKey("projects.id", ondelete="CASCADE")),
    Column("revision", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    # A list does not read the documents.
    Column("step_count", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
    Index("pipelines_of_project", "project_id", "created_at"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("pipeline_id", Text, ForeignKey("pipelines.id", ondelete="CASCADE"), nullable=False),
    Column("pipeline_name", Text, nullable=False),
    # What it began with: a run does not change with its pipeline.
    Column("revision", Integer, nullable=False),
    Column("document", JSON, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("datasets", JSON, nullable=False),
    Column("project_id", Text),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("session_id", Text),
    # The kernel that coordinates it, for as long as the lease says; who takes it over counts the fence up, and what
    # the one before still writes is refused.
    Column("kernel", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Text),
    Column("retry_of", Text),
    Column("started_by", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("started_at", Text),
    Column("finished_at", Text),
    Index("runs_by_age", "created_at"),
    Index("runs_of_pipeline", "pipeline_id", "created_at"),
    Index("runs_by_lease", "status", "lease_until"),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("exit_code", Integer),
    Column("reason", Text),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("next_attempt_at", Text),
    # Attempts of before the run was resumed: they do not count against how many there may be.
    Column("spent", Integer, nullable=False),
)

run_attempts = Table(
    "run_attempts",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("step", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    # The run's, when the attempt was claimed.
    Column("fence", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("exit_code", Integer),
    Column("reason", Text),
    Column("error", JSON),
    # The ids of those that it made; null where it made none.
    Column("artifacts", JSON),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    ForeignKeyConstraint(["run_id", "step"], ["run_steps.run_id", "run_steps.name"], ondelete="CASCADE"),
)
