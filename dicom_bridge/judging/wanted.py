"""Which shot of which protocol each photo of a patient is meant to be, by what she was treated with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from consent.store.clock import instant
from consent.store.versions import group
from consent.store.write import among
from dicom_bridge.judging.choosing import Candidate
from dicom_bridge.judging.distance import scale_of
from dicom_bridge.protocols.choosing import concerning
from dicom_bridge.protocols.meeting import meets
from dicom_bridge.protocols.protocol import Protocol, Shot
from dicom_bridge.protocols.wanted import places_of
from fhir_mapping.course.views import view_of
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_resource
from fhir_mapping.treatment import moments
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.surroundings import Surroundings

_MOST = 500
"""Treatments of one patient that are looked at, the latest ones."""


def asked_for(shot: Shot) -> str:
    """All that a photo is held against of what the protocol asks for: ``1:10, colour-card``."""
    return scale_of(shot) if shot.target is None else f"{scale_of(shot)}, {shot.target.value}"


def wanted(
    connection: Connection, reader: RecordReader, patient: str, photos: Sequence[Candidate], known: Iterable[Protocol]
) -> Mapping[str, Shot]:
    """By ``DocumentReference/…`` what each photo is meant to be; none where no protocol asks for such a photo.

    Where several treatments ask for the same view, the one of the photo's own visit counts, else the nearest in time.
    """
    protocols = tuple(known)
    if not photos or not protocols:
        return {}
    done, zone = _treated(connection, reader, patient), reader.site.zone
    found: dict[str, Shot] = {}
    for photo in photos:
        moment = None if photo.taken is None else instant(photo.taken)
        for each in sorted(done, key=lambda one: _away(one, photo.visit, moment, zone)):
            meant = _meant(photo, each, protocols)
            if meant is not None:
                found[photo.reference] = meant
                break
    return found


def _meant(photo: Candidate, done: Treated, protocols: Iterable[Protocol]) -> Shot | None:
    view = view_of(photo.document)
    for protocol in concerning(protocols, done.session.title, places_of(done.session)):
        for shot in protocol.shots:
            if meets(shot, view):
                return shot
    return None


def _away(done: Treated, visit: str, taken: datetime | None, zone: ZoneInfo) -> tuple[bool, float]:
    begun = moments.begun(done.session, zone)
    far = float("inf") if taken is None or begun is None else abs((begun - taken).total_seconds())
    return done.session.encounter != visit, far


def _treated(connection: Connection, reader: RecordReader, patient: str) -> list[Treated]:
    query = (
        select(fhir_resource.c.id)
        .where(
            fhir_resource.c.type == "Procedure",
            among(connection, fhir_resource.c.patient, group(connection, [patient])),
        )
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(_MOST)
    )
    anchors = [f"Procedure/{each}" for each in connection.execute(query).scalars()]
    if not anchors:
        return []
    around = Surroundings(connection, reader.base, anchors)
    return [each for each in treatments(around, others=is_outcome) if each.took_place]
