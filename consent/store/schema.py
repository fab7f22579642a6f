"""The version of the schema, and the refusal to work on another one.

The migrations (``orthanc_plugin/assembly/migrations``) are run by ``photospine db upgrade`` alone. Everything else,
the wall inside Orthanc above all, only compares the version that they left.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Label, MetaData, String, Table, insert, inspect, select

from consent.errors import ConsentError

REVISION = "0010"
"""The newest migration; a test holds it equal to the head of the migrations."""

#: Alembic's own table: one row, the revision that the database stands at.
_alembic = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))


class WrongSchema(ConsentError):
    """The database has another schema than this software, or is not there.

    Run ``photospine db upgrade`` of the same version.
    """


def revision(connection: Connection) -> str | None:
    """The revision that the database stands at; None where it holds no schema at all."""
    if not inspect(connection).has_table(_alembic.name):
        return None
    return connection.execute(select(_alembic.c.version_num)).scalar_one_or_none()


def require_schema(connection: Connection) -> None:
    """Refuse a database of another version.

    Raises
    ------
    WrongSchema
        The text names both versions and the remedy.
    """
    require_revision(revision(connection))


def schema_column() -> Label[str]:
    """The revision, as a column of the queries that every decision asks.

    The schema may be changed while processes of the former version run: what they read then may have another meaning.
    """
    return select(_alembic.c.version_num).scalar_subquery().label("schema_revision")


def require_revision(found: str | None) -> None:
    """Refuse another revision than this software's. Raises :class:`WrongSchema`, as :func:`require_schema`."""
    if found != REVISION:
        state = "holds no schema" if found is None else f"stands at schema {found}"
        raise WrongSchema(f"the database {state}, this software needs {REVISION}: run 'photospine db upgrade'")


def stamp(connection: Connection) -> None:
    """Mark a database, whose tables were just made from the metadata, as standing at this version (for tests)."""
    _alembic.create(connection)
    connection.execute(insert(_alembic).values(version_num=REVISION))
