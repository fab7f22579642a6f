"""What a search may look at: the resources that its requester may read, as conditions for queries.

A chain, ``_has``, a sort key or an included resource that looked further would tell of what is refused.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement, Select, Subquery, true

from fhir_mapping.search.parameters import Parameter

Row = Any
"""``fhir_resource`` or an alias of it."""


class Sight(Protocol):
    """What the requester of one search may see."""

    def seen(self, kind: str, row: Row) -> ColumnElement[bool]:
        """The condition that a resource of the type may be read.

        Raises
        ------
        fhir_mapping.errors.Forbidden
            None of the type may; that does not depend on what the record holds.
        """

    def begins(self, kind: str) -> Select[str] | None:
        """A query for the ids of all of a type that may be read, where that is little; else None."""

    def element(self, kind: str, parameter: Parameter, rows: Any, *, uid: bool = False) -> ColumnElement[bool]:
        """The further condition that the element of an index row is one that the requester is shown.

        Parameters
        ----------
        rows
            The index table, or an alias of it.
        uid
            Whether the rows that are asked for may hold a DICOM UID: what is asked for is one, or has its system.
        """

    def updated(self, kind: str, row: Row) -> ColumnElement[int]:
        """When what she is shown of a resource was written last."""

    def written(self, kind: str, *, opens: bool = True) -> Subquery | None:
        """What :meth:`updated` is the newest of: ``id`` of the resource, ``updated``, and ``part`` of it.

        None where a resource was written as a whole: its own row says when.

        Parameters
        ----------
        opens
            Whether the search begins with the time; else with the resource.
        """


class Everything:
    """For this product's own use: no question of access is asked, whatever its methods are told."""

    def seen(self, kind: str, row: Row) -> ColumnElement[bool]:  # noqa: ARG002
        """All of it."""
        return true()

    def begins(self, kind: str) -> Select[str] | None:  # noqa: ARG002
        """It is not little."""
        return None

    def element(
        self,
        kind: str,  # noqa: ARG002
        parameter: Parameter,  # noqa: ARG002
        rows: Any,  # noqa: ARG002
        *,
        uid: bool = False,  # noqa: ARG002
    ) -> ColumnElement[bool]:
        """Each."""
        return true()

    def updated(self, kind: str, row: Row) -> ColumnElement[int]:  # noqa: ARG002
        """When it was written."""
        found: ColumnElement[int] = row.c.updated
        return found

    def written(self, kind: str, *, opens: bool = True) -> Subquery | None:  # noqa: ARG002
        """As a whole."""
        return None
