"""The tables of accounts and secrets, which a kernel that serves its owner alone never asks for."""

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, false, text

from nexus.kernel.store.schema import metadata

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    # As argon2 or scrypt writes it; null for who signs in by API keys only.
    Column("password", Text),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    # Access tokens of an earlier generation are not valid any more.
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

roles = Table(
    "roles",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("patterns", JSON, nullable=False),
    Column("built_in", Boolean, nullable=False, server_default=false()),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

role_grants = Table(
    "role_grants",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", Text, ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True),
    Column("created_at", Text, nullable=False),
    Index("role_grants_of_role", "role_id"),
)

token_families = Table(
    "token_families",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    # SHA-256 of the one refresh token that is good now, and of the one before it.
    Column("current", Text, nullable=False),
    Column("previous", Text),
    Column("rotated_at", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text, nullable=False),
    Index("token_families_of_user", "user_id"),
    Index("token_families_by_end", "expires_at"),
)
"""One row a sign-in: its refresh tokens follow one another, and a used one that comes again ends them all."""

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    # Null is all that the user may do.
    Column("scopes", JSON),
    Column("created_at", Text, nullable=False),
    Column("expires_at", Text),
    Column("last_used_at", Text),
    Index("api_keys_of_user", "user_id"),
)

device_codes = Table(
    "device_codes",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_code", Text, nullable=False, unique=True),
    Column("client", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE")),
    Column("interval", Integer, nullable=False),
    Column("polled_at", Text),
    Column("expires_at", Text, nullable=False),
)
"""Devices that wait for a person's yes (RFC 8628)."""

secrets = Table(
    "secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("version", Integer, nullable=False),
    # How it is rotated by itself: seconds between, and how many characters are made; null is by hand.
    Column("rotation", JSON),
    Column("rotates_at", Text),
    Column("created_at", Text, nullable=False),
    Column("rotated_at", Text, nullable=False),
    # Where the value is, when it is not `sealed` here: {"kept": "vault"}, or {"kept": "lease", "path": …, "field": …}.
    Column("source", JSON),
)
"""Values by name, encrypted by a key that is not in the database."""
