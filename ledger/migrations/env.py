"""Alembic's entry point: it migrates the connection it is handed, inside the caller's transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
