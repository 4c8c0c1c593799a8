"""Accounts, the audit chain and secrets."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _who()
    _signing_in()
    _audit_and_secrets()
    _built_in_roles()


def _who() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("password", sa.Text),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("generation", sa.Integer, nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("description", sa.Text),
        sa.Column("patterns", sa.JSON, nullable=False),
        sa.Column("built_in", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
    op.create_table(
        "role_grants",
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("role_id", sa.Text, sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_index("role_grants_of_role", "role_grants", ["role_id"])


def _signing_in() -> None:
    op.create_table(
        "token_families",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("current", sa.Text, nullable=False),
        sa.Column("previous", sa.Text),
        sa.Column("rotated_at", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_index("token_families_of_user", "token_families", ["user_id"])
    op.create_index("token_families_by_end", "token_families", ["expires_at"])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.JSON),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text),
        sa.Column("last_used_at", sa.Text),
    )
    op.create_index("api_keys_of_user", "api_keys", ["user_id"])
    op.create_table(
        "device_codes",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("user_code", sa.Text, nullable=False, unique=True),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, sa.ForeignKey("users.id", ondelete="CASCADE")),
        sa.Column("interval", sa.Integer, nullable=False),
        sa.Column("polled_at", sa.Text),
        sa.Column("expires_at", sa.Text, nullable=False),
    )


def _audit_and_secrets() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rotation", sa.JSON),
        sa.Column("rotates_at", sa.Text),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("rotated_at", sa.Text, nullable=False),
    )


def _built_in_roles() -> None:
    roles = sa.table(
        "roles",
        *(sa.column(name, sa.Text) for name in ("id", "name", "name_key", "description")),
        sa.column("patterns", sa.JSON),
        sa.column("built_in", sa.Boolean),
        sa.column("created_at", sa.Text),
        sa.column("updated_at", sa.Text),
    )
    everything = ("agent", "ai", "session", "data", "pipeline", "network")
    reading = [f"{namespace}.*.{action}" for namespace in everything for action in ("list", "view")]
    moment = "2026-01-01T00:00:00.000000Z"
    for name, description, patterns in (
        ("admin", "All of it.", ["*"]),
        ("member", "All work; no accounts, secrets, audit or kernel.", [f"{each}.*" for each in everything]),
        ("viewer", "Lists and views of all work.", [*reading, "agent.file.browse", "agent.file.read"]),
    ):
        values = {"id": f"rol_{name}", "name": name, "name_key": name, "description": description}
        op.bulk_insert(
            roles, [{**values, "patterns": patterns, "built_in": True, "created_at": moment, "updated_at": moment}]
        )
