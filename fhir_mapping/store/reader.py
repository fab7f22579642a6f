"""Reading the clinical record: one resource, a version of it, those that match, those with an identifier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_

from consent.site import Site
from consent.store.clock import instant, now
from consent.store.write import among
from fhir_mapping import dates, text
from fhir_mapping.errors import Issue, NotFound
from fhir_mapping.search.condition import Scene
from fhir_mapping.search.query import matching
from fhir_mapping.search.sight import Everything, Sight
from fhir_mapping.search.values import indexed
from fhir_mapping.tables import CURRENT, fhir_resource, fhir_token, fhir_version


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource."""

    type: str
    id: str
    version: int
    updated: datetime
    """UTC, to the microsecond; served to the millisecond."""

    body: bytes
    """As served: what was received with ``id`` and ``meta`` spliced in."""

    created: bool = False
    notes: tuple[Issue, ...] = ()
    """What the writer should know, of severity information or warning."""

    @property
    def reference(self) -> str:
        """``Type/id``."""
        return f"{self.type}/{self.id}"

    def json(self) -> dict[str, Any]:
        """The resource, parsed; decimals as :class:`~decimal.Decimal`."""
        return text.kept(self.body)


class RecordReader:
    """Reads resources on the connection that it is given; no question of access is asked.

    Parameters
    ----------
    site
        Settings of the site: its time zone tells what a date without one means.
    base
        This server's FHIR address without a final slash; absolute references below it are local.
    """

    def __init__(self, site: Site, base: str | None = None) -> None:
        self.site = site
        self.base = base

    def read(self, connection: Connection, type: str, id: str) -> Stored:
        """The current version.

        Raises
        ------
        NotFound
        """
        row = connection.execute(
            select(fhir_version.c.version, fhir_version.c.updated, fhir_version.c.body)
            .select_from(CURRENT)
            .where(fhir_version.c.type == type, fhir_version.c.id == id)
        ).one_or_none()
        if row is None:
            raise NotFound
        return _stored(type, id, row.version, row.updated, row.body)

    def vread(self, connection: Connection, type: str, id: str, version: int) -> Stored:
        """One version.

        Raises
        ------
        NotFound
        """
        row = connection.execute(
            select(fhir_version.c.updated, fhir_version.c.body).where(
                fhir_version.c.type == type, fhir_version.c.id == id, fhir_version.c.version == version
            )
        ).one_or_none()
        if row is None:
            raise NotFound
        return _stored(type, id, version, row.updated, row.body)

    def read_versions(self, connection: Connection, type: str, keys: Sequence[tuple[str, int]]) -> list[Stored]:
        """Versions of one type by id and number, in the order asked; those that are not there are left out."""
        rows = connection.execute(
            select(fhir_version.c.id, fhir_version.c.version, fhir_version.c.updated, fhir_version.c.body).where(
                fhir_version.c.type == type, tuple_(fhir_version.c.id, fhir_version.c.version).in_(list(keys))
            )
        )
        found = {(row.id, row.version): _stored(type, row.id, row.version, row.updated, row.body) for row in rows}
        return [found[key] for key in keys if key in found]

    def read_many(self, connection: Connection, type: str, ids: Sequence[str]) -> list[Stored]:
        """The current versions of those that are there, in the order asked."""
        rows = connection.execute(
            select(fhir_version.c.id, fhir_version.c.version, fhir_version.c.updated, fhir_version.c.body)
            .select_from(CURRENT)
            .where(fhir_version.c.type == type, among(connection, fhir_version.c.id, set(ids)))
        )
        found = {row.id: _stored(type, row.id, row.version, row.updated, row.body) for row in rows}
        return [found[each] for each in ids if each in found]

    def scene(self, connection: Connection, sight: Sight | None = None) -> Scene:
        """What search conditions are made in; without a sight no question of access is asked."""
        return Scene(connection, self.site.zone, now(connection), self.base, sight or Everything())

    def search(self, connection: Connection, type: str, parameters: Mapping[str, str]) -> list[Stored]:
        """Everything that matches, by id; for this product's own use, without any question of access.

        Parameters
        ----------
        parameters
            Search parameters of the type, as in a URL: ``{"patient": "Patient/p", "status": "active"}``.
        """
        query = matching(self.scene(connection), type, list(parameters.items()))
        ids = connection.execute(query.order_by(fhir_resource.c.id)).scalars()
        return self.read_many(connection, type, list(ids))

    def find(self, connection: Connection, type: str, name: str) -> str:
        """The id of the one resource that is named by its FHIR id, by ``system|value``, or by an identifier's value.

        Where one resource has as its id what another one has as an identifier, neither is meant for certain;
        ``Type/id`` is the id and nothing else.

        Raises
        ------
        NotFound
            None or several are named so; the text says which.
        """
        plain = name.removeprefix(f"{type}/")
        matches = set(self.named(connection, type, name)) if plain == name else set()
        if existing(connection, [f"{type}/{plain}"]):
            matches.add(plain)
        if len(matches) == 1:
            return matches.pop()
        if matches:
            remedy = f"name one by system|value, or as {type}/ID"
            raise NotFound(
                Issue("multiple-matches", f"{len(matches)} resources of type {type} are named so; {remedy}.")
            )
        raise NotFound(Issue("not-found", f"No {type} is named so; give its id, system|value, or a unique value."))

    def named(self, connection: Connection, type: str, name: str) -> list[str]:
        """Ids of the resources with an identifier ``system|value``, or ``value`` in any system.

        ``|value`` is an identifier without a system, as in a search (R4 3.1.1.4.10); a name without a value names
        nothing.
        """
        system, bar, value = name.partition("|")
        return self.by_identifier(connection, type, value if bar else name, system if bar else None)

    def by_identifier(self, connection: Connection, type: str, value: str, system: str | None = None) -> list[str]:
        """Ids of the resources with exactly this Identifier.value, in this Identifier.system ("": in none)."""
        if not value:
            return []
        query = select(fhir_token.c.id).where(
            fhir_token.c.type == type, fhir_token.c.name == "identifier", fhir_token.c.value == indexed(value)
        )
        if system is not None:
            query = query.where(fhir_token.c.system == indexed(system))
        return sorted(set(connection.execute(query).scalars()))

    def exists(self, connection: Connection, reference: str) -> bool:
        """Whether ``Type/id`` is in the record."""
        return bool(existing(connection, [reference]))

    def patients_of(self, connection: Connection, wanted: Iterable[str]) -> dict[str, str | None]:
        """Of those references ``Type/id`` that are in the record, the patient whom each is about; None: nobody."""
        found: dict[str, str | None] = {}
        for kind, ids in _by_type(wanted).items():
            query = select(fhir_resource.c.id, fhir_resource.c.patient).where(
                fhir_resource.c.type == kind, among(connection, fhir_resource.c.id, ids)
            )
            found |= {f"{kind}/{row.id}": row.patient for row in connection.execute(query)}
        return found


def existing(connection: Connection, wanted: Iterable[str]) -> set[str]:
    """Those of the references ``Type/id`` that are in the record."""
    found: set[str] = set()
    for kind, ids in _by_type(wanted).items():
        query = select(fhir_resource.c.id).where(
            fhir_resource.c.type == kind, among(connection, fhir_resource.c.id, ids)
        )
        found.update(f"{kind}/{each}" for each in connection.execute(query).scalars())
    return found


def _by_type(wanted: Iterable[str]) -> dict[str, set[str]]:
    by_type: dict[str, set[str]] = {}
    for reference in wanted:
        kind, _, identity = reference.partition("/")
        by_type.setdefault(kind, set()).add(identity)
    return by_type


def _stored(type: str, id: str, version: int, updated: int, body: bytes) -> Stored:
    moment = instant(updated)
    return Stored(type, id, version, moment, served(bytes(body), id, version, moment))


def served(body: bytes, identity: str, version: int, updated: datetime) -> bytes:
    """What was received, with ``id`` and ``meta`` spliced in."""
    return text.splice(body, identity, str(version), dates.instant(updated))
