"""What is said of a photo: by the record where it is linked, else by whoever sent it, or by the object itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.regions import regions
from consent.store.photos import StoredPhoto
from dicom_bridge import ledger
from dicom_bridge.depiction import expression_of, region_of, side_of, taken_of, view_of
from dicom_bridge.plan import Plan
from dicom_bridge.query.tables import dicom_attributes
from fhir_mapping import references
from fhir_mapping.course import views
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from fhir_mapping.resources.session import session_of
from fhir_mapping.store.record import RecordStore


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of a photo; None or empty: nothing. Ids of the record, codes as ``system|code``."""

    patient: str | None = None
    visit: str | None = None
    procedure: str | None = None
    region: str | None = None
    laterality: str | None = None
    view: str | None = None
    expression: str | None = None
    also: tuple[str, ...] | None = None
    """Further regions that it shows, as a plan holds them (:attr:`dicom_bridge.plan.Plan.also`)."""

    taken: str | None = None
    """FHIR dateTime."""

    session: int | None = None


def said_of(connection: Connection, store: RecordStore, photo: StoredPhoto) -> Said:
    """What is said of a photo now: by the record where it is linked, else by the object itself."""
    if photo.facts.document is not None:
        return _recorded(connection, store, photo)
    plan = sent_with(connection, photo)
    if plan is not None:
        return Said(
            plan.patient,
            plan.visit,
            plan.procedure,
            plan.region or None,
            plan.laterality or None,
            plan.view or None,
            plan.expression,
            plan.also,
            plan.taken or taken_of(attributes_of(connection, photo), store.site.zone),
            plan.session,
        )
    attributes = attributes_of(connection, photo)
    region, side = region_of(attributes), side_of(attributes)
    view, expression = view_of(attributes), expression_of(attributes)
    return Said(
        region=None if region is None else region.code,
        laterality=None if side is None else side.value,
        view=None if view is None else view.code,
        expression=None if expression is None else expression.code,
        taken=taken_of(attributes, store.site.zone),
    )


def sent_with(connection: Connection, photo: StoredPhoto) -> Plan | None:
    """The plan that a file was sent with; None: it arrived as DICOM."""
    entry = ledger.entry(connection, photo.sop_uid)
    found = None if entry is None else ledger.plan_of(connection, entry.batch)
    return None if entry is None or found is None else Plan.loads(found[0]).of(entry.sha256)


def attributes_of(connection: Connection, photo: StoredPhoto) -> dict[str, Any]:
    """What the index has of an object: DICOM JSON Model."""
    body = connection.execute(
        select(dicom_attributes.c.attributes).where(dicom_attributes.c.photo == photo.number)
    ).scalar_one_or_none()
    return {} if body is None else dict(json.loads(body))


def _recorded(connection: Connection, store: RecordStore, photo: StoredPhoto) -> Said:
    facts, base = photo.facts, store.base
    document = store.read(connection, "DocumentReference", references.id_of(facts.document or "")).json()
    related = references.local_of(document, base, "context", "related")
    procedure = next((each for each in related if each.startswith("Procedure/")), None)
    region = facts.regions[0] if len(facts.regions) == 1 else None
    also: tuple[str, ...] | None = ()
    if len(facts.regions) > 1:
        also = _further(document)
        region = None if also is None else facts.regions[0]
    session = session_of(document)
    if session is None and procedure is not None:
        session = session_of(store.read(connection, "Procedure", references.id_of(procedure)).json())
    return Said(
        patient=facts.patients[0] if facts.patients else None,
        visit=None if facts.encounter is None else references.id_of(facts.encounter),
        procedure=None if procedure is None else references.id_of(procedure),
        region=None if region is None else region.code,
        laterality=None if region is None else region.laterality.value,
        view=_coded(document, VIEW_EXTENSION),
        expression=_coded(document, EXPRESSION_EXTENSION),
        also=also,
        taken=((document.get("context") or {}).get("period") or {}).get("start"),
        session=session,
    )


def _further(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The regions behind the first one; None where one of them has no code that is known here."""
    view = views.view_of(document)
    codes = [view.key[0], *(each.region.code or "" for each in view.also)]
    if any(regions().by_code(code) is None for code in codes):
        return None
    return tuple(
        code + ("" if each.side is None else f"#{each.side}") for code, each in zip(codes[1:], view.also, strict=True)
    )


def _coded(document: Mapping[str, Any], url: str) -> str | None:
    """The code of a view or an expression that a DocumentReference states, ``system|code``."""
    for extension in document.get("extension") or ():
        if extension.get("url") == url:
            for coding in (extension.get("valueCodeableConcept") or {}).get("coding") or ():
                return f"{coding.get('system', '')}|{coding.get('code', '')}"
    return None
