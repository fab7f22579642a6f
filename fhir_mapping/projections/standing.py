"""Which photo is meant where the record names one that was corrected since: the one that stands in its place.

A correction leaves all else that names the photo as it was written. What was said of it by whoever looked at it is said
of the picture, which is the same; it goes on as long as the picture shows the same patients, and no further.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from consent.codec import photo_from_json
from consent.facts import PhotoFacts
from consent.store.load import LINKED
from consent.store.tables import photo, photo_facts
from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.tables import fhir_reference


def successors(connection: Connection, documents: Collection[str]) -> set[str]:
    """Ids of the DocumentReferences that take the place of these, by their ids, however often that happened."""
    found: set[str] = set()
    pending = set(documents)
    while pending:
        query = select(fhir_reference.c.id).where(
            among(connection, fhir_reference.c.target, {f"DocumentReference/{each}" for each in pending}),
            fhir_reference.c.type == "DocumentReference",
            fhir_reference.c.path == "relatesTo.target",
        )
        pending = set(connection.execute(query).scalars()) - found - set(documents)
        found |= pending
    return found


def standing(connection: Connection, documents: Collection[str]) -> dict[str, str]:
    """The documents that stand in the place of some now; what nothing took the place of is left out.

    Parameters
    ----------
    documents
        ``DocumentReference/…``, in any number.
    """
    later = successors(connection, {references.id_of(each) for each in documents})
    found: dict[str, str] = {}
    for facts in _linked(connection, later):
        for former in set(facts.formerly_hers).intersection(documents):
            found[former] = facts.document or former
    return found


def formers(connection: Connection, document: str) -> frozenset[str]:
    """The documents of the same patients in whose place one stands, ``DocumentReference/…`` all."""
    return frozenset(
        each for facts in _linked(connection, [references.id_of(document)]) for each in facts.formerly_hers
    )


def _linked(connection: Connection, documents: Collection[str]) -> list[PhotoFacts]:
    """The facts of those photos that are linked, by the ids of their documents."""
    if not documents:
        return []
    query = (
        select(photo_facts.c.body)
        .join(photo, photo.c.photo == photo_facts.c.photo)
        .where(among(connection, photo.c.document, documents), photo.c.state == LINKED)
    )
    return [photo_from_json(body) for body in connection.execute(query).scalars()]
