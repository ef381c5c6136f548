"""What all tables share: one set of names for constraints, one way to store each kind of value.

It may not define a table.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

NAMING: Final[Mapping[str, str]] = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    # For the CHECK that comes with an enum column. A CHECK written by hand carries its whole name:
    # CheckConstraint("amount_minor > 0", name="ck_<table>_<what must hold>").
    "ck": "ck_%(table_name)s_%(column_0_name)s",
}
"""Without names a constraint can't be dropped by a later migration."""

metadata: Final = MetaData(naming_convention=dict(NAMING))

ENUM_LENGTH: Final = 40
"""Longer than any word of an enum; SQLite ignores it, PostgreSQL stores only what is there."""

ExtraDdl: TypeAlias = Callable[[str], tuple[str, ...]]
"""A table module's `extra_ddl(dialect)`: statements that metadata can't express, such as triggers,
in the order to run them. `dialect` is `sqlite` or `postgresql`.
"""


class Row(SQLModel):
    """Base of every table. Table models do not validate when constructed: enums, sizes and signs
    are guarded by the database.
    """

    metadata = metadata


def enum_column(enum: type[StrEnum], *, nullable: bool = False, **options: Any) -> Column[Any]:
    """A word of `enum`, stored by value, with a CHECK that refuses any other word."""
    words = Enum(
        enum,
        values_callable=lambda members: [member.value for member in members],
        native_enum=False,
        create_constraint=True,
        length=ENUM_LENGTH,
        validate_strings=True,
    )
    # Named after its class, the CHECK would clash in a table that has two columns of one enum;
    # unnamed, it is named by the convention after its column.
    words.name = None
    return Column(words, nullable=nullable, **options)


def utc_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """A point in time: aware UTC in and out on both databases; a naive one is refused.

    SQLite keeps it as text of fixed width that sorts by time.
    """
    return Column(UTCDateTime(), nullable=nullable, **options)


def json_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """JSON as given, order of keys included: stored parameters must be sent again unchanged."""
    return Column(JSON(none_as_null=True), nullable=nullable, **options)


def minor_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """An amount in minor units: 64 bits, since 32 end at 21 million of a two-decimal currency."""
    return Column(BigInteger(), nullable=nullable, **options)


def serial_column() -> Column[Any]:
    """A primary key that counts up by itself."""
    # SQLite counts only in a column declared INTEGER, which there holds 64 bits, too.
    return Column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )


def text_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """Text of any length."""
    return Column(Text(), nullable=nullable, **options)


def reference_column(target: str, *, nullable: bool = False, **options: Any) -> Column[Any]:
    """The key of a row elsewhere, as `table.column`; the database refuses one that isn't there."""
    return Column(Text(), ForeignKey(target), nullable=nullable, **options)


def integer_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """A count or a position, not money."""
    return Column(Integer(), nullable=nullable, **options)


def boolean_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """Yes or no."""
    return Column(Boolean(), nullable=nullable, **options)


def bytes_column(*, nullable: bool = False, **options: Any) -> Column[Any]:
    """Raw bytes."""
    return Column(LargeBinary(), nullable=nullable, **options)


def run_ddl(connection: Connection, statements: tuple[str, ...]) -> None:
    """Run DDL as written: a colon or a percent sign in a trigger is no parameter."""
    plain = connection.execution_options(no_parameters=True)
    for statement in statements:
        plain.exec_driver_sql(statement)


def table_of(model: type[Row]) -> Table:
    """Return a model's table, for statements that are built once and bypass the session."""
    table = metadata.tables[str(model.__tablename__)]
    assert isinstance(table, Table)
    return table
