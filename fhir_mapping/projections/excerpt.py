"""What the record says around some photos, read in a few statements however many they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.store.clock import instant
from consent.store.write import among
from fhir_mapping import references, text
from fhir_mapping.resources.document_reference import DICOM_UID
from fhir_mapping.search.values import indexed
from fhir_mapping.tables import CURRENT, fhir_reference, fhir_token, fhir_version

LINKED_TYPES = frozenset({"Procedure", "Encounter", "EpisodeOfCare", "CarePlan"})


_MAX_FORMER = 256
"""So often a photo may have been corrected."""


class Excerpt:
    """DocumentReferences with their versions, and the studies, links and Provenances that name them."""

    def __init__(self, connection: Connection, documents: Collection[str]) -> None:
        """Read.

        Parameters
        ----------
        documents
            Ids of DocumentReferences; those that are not there are left out.
        """
        self.connection = connection
        self._versions = _versions(connection, documents)
        uids = {identity: sop_uid_of(versions[0][2]) for identity, versions in self._versions.items()}
        self._former = self._replaced()
        self._studies = _studies(connection, {uid for uid in uids.values() if uid is not None})
        named = {study for studies in self._studies.values() for study in studies}
        self._bodies = {"ImagingStudy": _bodies(connection, "ImagingStudy", named)}
        self._links: dict[str, set[str]] = defaultdict(set)
        _gather_links(connection, self._links, {"DocumentReference": set(self._versions), "ImagingStudy": named})
        self._provenances = _provenances(connection, set(uids))
        everything = {each for ids in self._provenances.values() for each in ids}
        self._bodies["Provenance"] = _bodies(connection, "Provenance", everything)

    def _replaced(self) -> dict[str, tuple[str, ...]]:
        """For each document those whose place it takes, the last one first; their versions are read with it."""
        line = {identity: [identity] for identity in self._versions}
        for _ in range(_MAX_FORMER):
            following = {identity: replaced_by(self._versions[each[-1]][0][2]) for identity, each in line.items()}
            found = {identity: next(iter(sorted(each)), None) for identity, each in following.items()}
            wanted = {each for each in found.values() if each is not None} - set(self._versions)
            self._versions |= _versions(self.connection, wanted) if wanted else {}
            grown = False
            for identity, former in found.items():
                if former is not None and former in self._versions and former not in line[identity]:
                    line[identity].append(former)
                    grown = True
            if not grown:
                break
        return {identity: tuple(each[1:]) for identity, each in line.items()}

    def former(self, identity: str) -> tuple[str, ...]:
        """Ids of the DocumentReferences whose place a document takes, one after the other, the last one first."""
        return self._former.get(identity, ())

    def document(self, identity: str) -> dict[str, Any] | None:
        """The current version of a DocumentReference."""
        versions = self._versions.get(identity)
        return versions[0][2] if versions else None

    def history(self, identity: str) -> list[tuple[int, datetime, dict[str, Any]]]:
        """Every version of a DocumentReference, newest first: its number, when it was written, what it says."""
        return self._versions.get(identity, [])

    def studies_of(self, sop_uid: str) -> list[str]:
        """Ids of the ImagingStudies that hold a photo, sorted."""
        return self._studies.get(sop_uid, [])

    def study(self, identity: str) -> dict[str, Any]:
        """An ImagingStudy."""
        return self._bodies["ImagingStudy"].get(identity, {})

    def linked(self, reference: str) -> set[str]:
        """Procedures, Encounters, EpisodesOfCare and CarePlans that a resource names, or that name it."""
        return self._links.get(reference, set())

    def provenances(self, document: str) -> list[dict[str, Any]]:
        """The Provenances of a DocumentReference, by id."""
        bodies = self._bodies["Provenance"]
        return [bodies[each] for each in sorted(self._provenances.get(document, ())) if each in bodies]


def sop_uid_of(document: Mapping[str, Any]) -> str | None:
    """The SOP Instance UID that a DocumentReference names (system ``urn:dicom:uid``, value ``urn:oid:…``)."""
    listed = list(document.get("identifier") or ())
    master = document.get("masterIdentifier")
    for identifier in [master, *listed] if isinstance(master, Mapping) else listed:
        value = str(identifier.get("value", ""))
        if identifier.get("system") == DICOM_UID and value.startswith("urn:oid:"):
            return value.removeprefix("urn:oid:")
    return None


def replaced_by(document: Mapping[str, Any]) -> set[str]:
    """Ids of the DocumentReferences whose place a document says it takes (relatesTo, code ``replaces``)."""
    relations = [each for each in document.get("relatesTo") or () if each.get("code") == "replaces"]
    targets = (references.local(text) for relation in relations for text in references.of(relation, "target"))
    return {references.id_of(each) for each in targets if each is not None and each.startswith("DocumentReference/")}


def _versions(
    connection: Connection, documents: Collection[str]
) -> dict[str, list[tuple[int, datetime, dict[str, Any]]]]:
    found: dict[str, list[tuple[int, datetime, dict[str, Any]]]] = defaultdict(list)
    query = (
        select(fhir_version.c.id, fhir_version.c.version, fhir_version.c.updated, fhir_version.c.body)
        .where(fhir_version.c.type == "DocumentReference", among(connection, fhir_version.c.id, set(documents)))
        .order_by(fhir_version.c.id, fhir_version.c.version.desc())
    )
    for row in connection.execute(query).all():
        found[row.id].append((row.version, instant(row.updated), text.kept(bytes(row.body))))
    return dict(found)


def _studies(connection: Connection, uids: Collection[str]) -> dict[str, list[str]]:
    if not uids:
        return {}
    by_value = {indexed(uid): uid for uid in uids}
    query = select(fhir_token.c.id, fhir_token.c.value).where(
        fhir_token.c.type == "ImagingStudy",
        fhir_token.c.name == "instance",
        among(connection, fhir_token.c.value, by_value),
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(query):
        found[by_value[row.value]].add(row.id)
    return {uid: sorted(ids) for uid, ids in found.items()}


def _bodies(connection: Connection, kind: str, ids: Collection[str]) -> dict[str, dict[str, Any]]:
    if not ids:
        return {}
    query = (
        select(fhir_version.c.id, fhir_version.c.body)
        .select_from(CURRENT)
        .where(fhir_version.c.type == kind, among(connection, fhir_version.c.id, set(ids)))
    )
    return {row.id: text.kept(bytes(row.body)) for row in connection.execute(query)}


def _gather_links(connection: Connection, links: dict[str, set[str]], wanted: Mapping[str, Iterable[str]]) -> None:
    targets = {f"{kind}/{identity}" for kind, ids in wanted.items() for identity in ids}
    if not targets:
        return
    for kind, ids in wanted.items():
        out = select(fhir_reference.c.id, fhir_reference.c.target).where(
            fhir_reference.c.type == kind, among(connection, fhir_reference.c.id, set(ids))
        )
        for row in connection.execute(out):
            if row.target.partition("/")[0] in LINKED_TYPES:
                links[f"{kind}/{row.id}"].add(row.target)
    into = select(fhir_reference.c.target, fhir_reference.c.type, fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, targets), fhir_reference.c.type.in_(sorted(LINKED_TYPES))
    )
    for found in connection.execute(into):
        links[found.target].add(f"{found.type}/{found.id}")


def _provenances(connection: Connection, documents: Collection[str]) -> dict[str, set[str]]:
    if not documents:
        return {}
    query = select(fhir_reference.c.target, fhir_reference.c.id).where(
        among(connection, fhir_reference.c.target, {f"DocumentReference/{each}" for each in documents}),
        fhir_reference.c.type == "Provenance",
        fhir_reference.c.path == "target",
    )
    found: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(query):
        found[row.target.partition("/")[2]].add(row.id)
    return dict(found)
