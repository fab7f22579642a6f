"""A whole session, and what others write of one: for the tests of treatments."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_mapping.treatment.session import (
    Given,
    Implant,
    Lot,
    Machine,
    Named,
    Person,
    Point,
    PointMap,
    Session,
    Setting,
    Use,
)
from fhir_mapping.treatment.settings import SETTINGS
from tests.fhir.sessions import CHEEK, UNITS

LASER = {
    "resourceType": "Device",
    "id": "yag",
    "deviceName": [{"name": "Laser one", "type": "user-friendly-name"}],
    "serialNumber": "7",
}
PHOTO = "DocumentReference/f1"
WHOLE = Session(
    patient="anna",
    title=Named("Toxin, forehead", "urn:photospine:treatment|toxin"),
    start="2026-05-03T11:00:00+03:00",
    encounter="Encounter/v1",
    number=3,
    places=(CHEEK,),
    performers=(Person("Practitioner/d", "D Doe"),),
    given=(
        Given(
            Lot(Named("Toxin A"), "LOT-9", "2027-01-31"),
            dose=UNITS,
            place=CHEEK,
            maps=(PointMap(PHOTO, (Point(Decimal("0.25"), Decimal("0.5"), UNITS), Point(Decimal("1"), Decimal(0)))),),
        ),
        Given(Lot(Named("Sunscreen"), "SC-1"), Use.HANDED, replace(UNITS, unit="tube", code="")),
    ),
    implants=(
        Implant(
            Named("Filler"),
            "09504000059118",
            "(01)09504000059118(17)270131(10)L7",
            "L7",
            "2027-01-31",
            amount=replace(UNITS, value=Decimal("0.8"), unit="mL", code="mL"),
            place=CHEEK,
        ),
    ),
    machines=(
        Machine(
            "Laser one", "Device/yag", (Setting(Named("Fluence", f"{SETTINGS}|fluence"), replace(UNITS, unit="J/cm2")),)
        ),
    ),
    note="Tolerated well",
)


def known(session: Session) -> Session:
    """A session without the references that writing has given its products and devices."""
    return replace(
        session,
        given=tuple(replace(each, product=replace(each.product, reference=None)) for each in session.given),
        implants=tuple(replace(each, reference=None) for each in session.implants),
    )


def ordered(session: Session) -> Session:
    """Ids are random, and with them the order of what belongs to a session."""
    given_ = [replace(each, maps=tuple(sorted(each.maps, key=repr))) for each in session.given]
    return replace(session, given=tuple(sorted(given_, key=repr)), implants=tuple(sorted(session.implants, key=repr)))


PROCEDURE: dict[str, Any] = {
    "resourceType": "Procedure",
    "id": "px",
    "status": "completed",
    "subject": {"reference": "Patient/anna"},
    "encounter": {"reference": "Encounter/v1"},
    "performedPeriod": {"start": "2026-06-01T10:00:00+03:00", "end": "2026-06-01T10:30:00+03:00"},
}
GIVEN: dict[str, Any] = {
    "resourceType": "MedicationAdministration",
    "id": "gx",
    "status": "completed",
    "subject": {"reference": "Patient/anna"},
    "medicationReference": {"reference": "Medication/lot7"},
    "effectiveDateTime": "2026-06-01T10:00:00+03:00",
    "dosage": {"dose": {"value": 12, "unit": "U"}},
}
OBSERVED: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "ox",
    "status": "final",
    "subject": {"reference": "Patient/anna"},
    "code": {"text": "Fluence"},
    "valueQuantity": {"value": 2.4, "unit": "J/cm2", "system": "http://unitsofmeasure.org", "code": "J/cm2"},
}
PART = {"partOf": [{"reference": "Procedure/px"}]}

#: What others write, and the member of the session that must hold what.
