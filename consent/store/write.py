"""Small statements that both databases understand."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert


def upsert(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or change the row with the same primary key."""
    insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = insert(table).values(**values)
    keys = [column.name for column in table.primary_key]
    changes = {name: statement.excluded[name] for name in values if name not in keys}
    if changes:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=changes)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    connection.execute(statement)


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those rows whose primary key is not there yet."""
    if rows:
        insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        keys = [column.name for column in table.primary_key]
        connection.execute(insert(table).on_conflict_do_nothing(index_elements=keys), [dict(row) for row in rows])


def among(
    connection: Connection, column: Column[Any] | ColumnElement[Any], values: Collection[Any]
) -> ColumnElement[bool]:
    """``column IN values`` with one parameter, however many values there are."""
    listed = sorted(values)
    if connection.dialect.name == "sqlite":
        each = func.json_each(bindparam(None, json.dumps(listed), unique=True)).table_valued("value")
        return column.in_(select(each.c.value))
    return column == any_(bindparam(None, listed, type_=ARRAY(column.type), unique=True))


def each_value(column: Column[Any]) -> Select[Any]:
    """The different values of a key's first column, by one look into its index each: DISTINCT would read all rows."""
    found = select(func.min(column).label("value")).cte(recursive=True)
    following = select(func.min(column)).where(column > found.c.value).scalar_subquery()
    found = found.union_all(select(following).where(found.c.value.is_not(None)))
    return select(found.c.value).where(found.c.value.is_not(None))
