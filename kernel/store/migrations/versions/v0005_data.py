"""Data sets, artifacts, the bytes behind them, and uploads under way."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blobs",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("place", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False, unique=True),
        *_content(),
    )
    op.create_index("datasets_of_blob", "datasets", ["sha256"])
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        *_content(),
    )
    op.create_index("artifacts_of_blob", "artifacts", ["sha256"])
    op.create_index("artifacts_of_run", "artifacts", ["run_id", "created_at"])
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("item", sa.JSON, nullable=False),
        sa.Column("resume_key", sa.Text),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("part_size", sa.BigInteger, nullable=False),
        sa.Column("draft", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Text, nullable=False),
    )
    op.create_index("uploads_by_key", "uploads", ["kind", "resume_key"])
    op.create_index("uploads_by_expiry", "uploads", ["expires_at"])
    op.create_table(
        "blob_removals",
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("created_at", sa.Text, nullable=False),
    )


def _content() -> tuple[sa.Column[object], ...]:
    return (
        sa.Column("description", sa.Text),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, sa.ForeignKey("blobs.sha256"), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
    )
