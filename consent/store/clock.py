"""Time: the clock of the database, the same for all nodes, and instants as whole microseconds since 1970 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_POSTGRESQL = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)")


def now(connection: Connection) -> datetime:
    """The time by the clock of the database.

    SQLite lives in the process that asks and in one host alone, so the host's clock is the database's; its own SQL
    functions would give milliseconds.
    """
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    return instant(int(connection.execute(_POSTGRESQL).scalar_one()))


def micros(moment: datetime) -> int:
    """An aware datetime as microseconds since 1970."""
    return (moment - EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The datetime, in UTC, of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=value)


def micros_or_none(moment: datetime | None) -> int | None:
    """:func:`micros`, None staying None (an open end)."""
    return None if moment is None else micros(moment)


def instant_or_none(value: int | None) -> datetime | None:
    """:func:`instant`, None staying None (an open end)."""
    return None if value is None else instant(value)
