"""Alembic's entry into the project: runs revisions on the connection that `store.migrate` opened.

It may not open a connection or commit; without a connection it explains which command to use.
"""

from alembic import context

from store.migration_drafts import DRAFT_OPTIONS
from store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("Run migrations with `sluice migrate`; draft one with `make revision`.")

context.configure(connection=connection, target_metadata=metadata, **DRAFT_OPTIONS)
context.run_migrations()
