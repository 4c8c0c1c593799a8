"""Alembic's environment: runs on the connection that it is given, inside the transaction that stands around it all."""

from alembic import context

from nexus.kernel.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    # Alembic takes SQLite for a database whose DDL is not transactional; within BEGIN IMMEDIATE it is.
    transactional_ddl=True,
)
context.run_migrations()
