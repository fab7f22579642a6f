"""What is shown of resources that name photos: a photo that the requester may not see is named nowhere.

The references to it are taken out, the resource bears SUBSETTED, and every other byte is as it was sent; who may see
all that is named gets all of it. A photo that never was there is treated like one that is refused. Two types are shown
as they are: Consents, which would say something else without what they name, and Tasks, which are about just that.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import Column, Connection, select

from consent.sets import Permitted
from consent.store.tables import photo
from consent.store.write import among
from fhir_mapping import photo_names, text
from fhir_mapping.photo_names import DOCUMENT, STUDY, UID, Naming
from fhir_mapping.pruning import without

EXEMPT = frozenset({"Consent", "Task"})
"""Types that are shown as they are."""


class Seeing(Protocol):
    """Which photos may be seen."""

    @property
    def may(self) -> Permitted:
        """They, as the connection's snapshot has them; asked for once something names a photo."""


def shown(connection: Connection, seeing: Seeing, bodies: Sequence[tuple[str, bytes]], base: str | None) -> list[bytes]:
    """What is shown of resources, in order; photos are looked up once for all of them.

    Parameters
    ----------
    bodies
        Type and JSON of each, as it is served to who may see all.
    base
        This server's FHIR address; absolute references below it are local.
    """
    read: dict[int, tuple[dict[str, Any], list[Naming]]] = {}
    for number, (kind, body) in enumerate(bodies):
        if kind not in EXEMPT and photo_names.may_name(body):
            resource = text.kept(body)
            named = list(photo_names.found(resource, base))
            if named:
                read[number] = resource, named
    made = [body for _, body in bodies]
    hidden = unseen(connection, seeing, [each for _, named in read.values() for each in named]) if read else frozenset()
    for number, (resource, named) in read.items():
        paths = [each.path for each in named if each in hidden]
        if paths:
            made[number] = without(made[number], photo_names.what_goes(resource, paths))
    return made


def unseen(connection: Connection, seeing: Seeing, named: Iterable[Naming]) -> frozenset[Naming]:
    """Those of some namings that go."""
    wanted = set(named)
    here = _here(connection, {each.name for each in wanted}, None)
    seen = _here(connection, here, seeing.may) if here else frozenset[str]()
    return frozenset(each for each in wanted if each.name not in seen and (each.stated or each.name in here))


def _here(connection: Connection, names: Collection[str], may: Permitted | None) -> set[str]:
    """Those of some names that a photo bears, or one that may be seen."""

    def bearing(column: Column[Any], prefix: str) -> set[str]:
        values = {each.removeprefix(prefix) for each in names if each.startswith(prefix)}
        if not values:
            return set()
        rows = connection.execute(select(column, photo.c.photo).where(among(connection, column, values))).all()
        shown = {row[1] for row in rows} if may is None else may.of({row[1] for row in rows})
        return {f"{prefix}{row[0]}" for row in rows if row[1] in shown}

    found = bearing(photo.c.document, DOCUMENT) | bearing(photo.c.imaging_study, STUDY)
    for column in (photo.c.sop_uid, photo.c.series_uid, photo.c.study_uid):
        found |= bearing(column, UID)
    return found
