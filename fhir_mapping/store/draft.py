"""Drafts: versions of resources that are about to be kept, with their index and what they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from consent.store.clock import micros
from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.errors import Conflict, Invalid, Issue, VersionMismatch
from fhir_mapping.photo_names import KINDS
from fhir_mapping.projections import consents
from fhir_mapping.projections.written import Setting
from fhir_mapping.resources.appraisal import is_appraisal
from fhir_mapping.search import index
from fhir_mapping.store.deletion import versions_before
from fhir_mapping.store.kinds import CLINICAL
from fhir_mapping.store.prepared import placed
from fhir_mapping.store.reader import RecordReader, existing
from fhir_mapping.tables import fhir_resource, fhir_version


@dataclass(slots=True)
class Draft:
    """One version on its way into the record; what it lacks is filled in on the way."""

    type: str
    id: str
    body: bytes
    resource: dict[str, Any]
    source: str
    received: bytes | None = None
    must_be_new: bool = False
    if_match: int | None = None
    element: str = ""
    """Where it stands in a Bundle, for an OperationOutcome."""

    url: str | None = None
    """Its fullUrl there."""

    version: int = 0
    fresh: bool = True
    """There is no current version before it."""

    previous: dict[str, Any] | None = None

    def at(self, element: str) -> str:
        """An element of the resource, seen from the Bundle where it came in one."""
        return placed(element, self.element) if self.element else element


def keep(connection: Connection, reader: RecordReader, drafts: Sequence[Draft], now: datetime) -> None:
    """Write the versions, the current rows and the index.

    Raises
    ------
    VersionMismatch, Conflict, Invalid
    """
    known, deleted = _versions(connection, drafts)
    versions: list[dict[str, Any]] = []
    fresh: list[dict[str, Any]] = []
    extracts: list[tuple[str, str, index.Index]] = []
    for draft in drafts:
        current = known.get((draft.type, draft.id))
        if draft.if_match is not None and draft.if_match != (current or 0):
            raise VersionMismatch(Issue("conflict", "The resource has another version now.", draft.at(draft.type)))
        if draft.must_be_new and current is not None:
            raise Conflict(Issue("duplicate", "This id is taken.", draft.at(f"{draft.type}.id")))
        if current is not None:
            draft.previous = reader.read(connection, draft.type, draft.id).json()
            _require_same_kind(draft, draft.previous)
        draft.version = (current or deleted.get((draft.type, draft.id), 0)) + 1
        draft.fresh = current is None
        try:
            extracted = index.extract(draft.id, draft.resource, reader.site.zone, reader.base)
        except (ValueError, OverflowError):
            raise Invalid(Issue("value", "A date or time does not exist.", draft.at(draft.type))) from None
        extracts.append((draft.type, draft.id, extracted))
        key = {"type": draft.type, "id": draft.id}
        shared = {
            "version": draft.version,
            "updated": micros(now),
            "source": draft.source,
            "status": extracted.status,
        }
        versions.append(key | shared | {"body": draft.body, "received": draft.received})
        if current is None:
            fresh.append(key | shared | {"patient": extracted.patient})
        else:
            connection.execute(
                update(fhir_resource)
                .where(fhir_resource.c.type == draft.type, fhir_resource.c.id == draft.id)
                .values(**shared, patient=extracted.patient)
            )
    if versions:
        connection.execute(insert(fhir_version), versions)
    if fresh:
        connection.execute(insert(fhir_resource), fresh)
    index.save(connection, extracts, former={(each.type, each.id) for each in drafts if not each.fresh})


def _require_same_kind(draft: Draft, previous: Mapping[str, Any]) -> None:
    """What the judge has said of a photo stays such: another Observation under its id would take it away.

    Raises
    ------
    Invalid
    """
    if is_appraisal(previous) and not is_appraisal(draft.resource):
        said = "Under this id stands how a photo was taken, which the judge alone says; take another id."
        raise Invalid(Issue("business-rule", said, draft.at(f"{draft.type}.id")))


def check_references(connection: Connection, setting: Setting, drafts: Sequence[Draft]) -> None:
    """Every reference to this server names something that is here (with the transaction's own resources).

    Whether a photo is there is told to nobody who might not see it: what others write may name any.

    Raises
    ------
    Invalid
        A Consent's is a ConsentRefused.
    """
    wanted = [_wanted(draft, setting.base) for draft in drafts]
    here = existing(connection, {target for targets, _ in wanted for target in targets})
    for draft, (targets, issues) in zip(drafts, wanted, strict=True):
        issues += [
            Issue("not-found", "The reference names nothing that is here.", targets[target])
            for target in sorted(set(targets) - here)
        ]
        if issues and draft.type == "Consent":
            raise consents.refused(setting, draft.resource, issues[:20], draft.body)
        if issues:
            raise Invalid(issues[:20])


def _wanted(draft: Draft, base: str | None) -> tuple[dict[str, str], list[Issue]]:
    """What a resource names on this server, each with the element that names it; and references that are none."""
    contained = {str(each.get("id")) for each in draft.resource.get("contained") or ()}
    wanted: dict[str, str] = {}
    issues = []
    for found in references.found(draft.resource):
        target = references.local(found.text, base)
        if target is not None:
            # What the rules of a Consent read, reading it refuses; its paper or its witness may be kept elsewhere.
            if (draft.type != "Consent" or found.path == "patient") and not (
                draft.type in CLINICAL and target.startswith(KINDS)
            ):
                wanted.setdefault(target, draft.at(found.element))
        elif found.text.startswith("#"):
            if found.text != "#" and found.text[1:] not in contained:
                issues.append(Issue("not-found", "No contained resource has this id.", draft.at(found.element)))
        elif references.target_type(found.text) is None:
            issues.append(Issue("value", "The reference cannot be read.", draft.at(found.element)))
    return wanted, issues


_Kept = tuple[str, str]
"""Type and id."""


def _versions(connection: Connection, drafts: Iterable[Draft]) -> tuple[dict[_Kept, int], dict[_Kept, int]]:
    """The current versions of those that are in the record; and of those that are deleted, the deletion's version."""
    by_type: dict[str, set[str]] = {}
    for draft in drafts:
        by_type.setdefault(draft.type, set()).add(draft.id)
    found: dict[_Kept, int] = {}
    for kind, ids in by_type.items():
        query = select(fhir_resource.c.id, fhir_resource.c.version).where(
            fhir_resource.c.type == kind, among(connection, fhir_resource.c.id, ids)
        )
        found |= {(kind, row.id): row.version for row in connection.execute(query)}
    asked = {(kind, each) for kind, ids in by_type.items() for each in ids}
    return found, versions_before(connection, asked - set(found))
