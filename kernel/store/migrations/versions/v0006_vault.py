"""Where secrets are that a Vault keeps or lends, and the marks of the kernel's own keys."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("secrets", sa.Column("source", sa.JSON))
    op.create_table(
        "seals",
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
    )
