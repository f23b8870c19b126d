"""What Alembic runs: the migrations, on the connection and in the transaction that it is given."""

from __future__ import annotations

from alembic import context

from actwright.journal.schema import metadata

__all__ = ["migrate"]


def migrate() -> None:
    """Run what was asked of Alembic. Whoever began the transaction ends it: an upgrade is done whole or not at all."""
    context.configure(
        connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # Alembic runs this file under that name; whoever imports it only looks
    migrate()
