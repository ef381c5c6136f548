"""How Alembic writes the draft of a revision from the tables: plain types, and triggers as text.

It may not run a revision; `store.migrate` does.
"""

from typing import Any, Final

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations import MigrateOperation, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Enum
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from store.tables import extra_ddl

DIALECTS: Final = ("sqlite", "postgresql")


class ExtraDdl(MigrateOperation):
    """What the table modules declare beyond their metadata, to be written into a revision."""


@renderers.dispatch_for(ExtraDdl)
def _render_extra_ddl(_context: AutogenContext, _operation: ExtraDdl) -> str:
    statements = {dialect: extra_ddl(dialect) for dialect in DIALECTS}
    words = "".join(
        f"{dialect!r}: ({''.join(f'{_by_line(one)}, ' for one in statements[dialect])}), "
        for dialect in DIALECTS
    )
    # As written: a colon or a percent sign in a trigger is no parameter.
    return (
        f"for statement in {{{words}}}[op.get_bind().dialect.name]:\n"
        "    op.get_bind().exec_driver_sql("
        "statement, execution_options={'no_parameters': True})"
    )


def _by_line(statement: str) -> str:
    return "(" + " ".join(repr(line) for line in statement.splitlines(keepends=True)) + ")"


def _render_item(kind: str, item: Any, _context: AutogenContext) -> str | bool:
    # A revision must not change its meaning when a class of ours, or of SQLModel's, does.
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.Text()"
    if kind == "type" and isinstance(item, Enum):
        words = ", ".join(repr(word) for word in item.enums)
        return f"sa.Enum({words}, native_enum=False, create_constraint=True, length={item.length})"
    return False


def _add_extra_ddl(
    context: MigrationContext, _revision: object, directives: list[ops.MigrationScript]
) -> None:
    """Put triggers into the first revision; later ones change them by hand, and a test compares."""
    if context.get_current_heads() or not any(extra_ddl(dialect) for dialect in DIALECTS):
        return
    for script in directives:
        upgrade = script.upgrade_ops
        assert upgrade is not None
        upgrade.ops.append(ExtraDdl())


DRAFT_OPTIONS: Final[dict[str, Any]] = {
    "render_item": _render_item,
    "process_revision_directives": _add_extra_ddl,
    "compare_type": True,
}
