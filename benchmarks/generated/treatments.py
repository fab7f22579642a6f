"""One treatment with what was given in it, in the shape in which some system writes that down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.generated.foundation import MACHINES, concept, medication
from benchmarks.generated.products import PRODUCTS, SHAPES, Kind, Lot, Shape, misspelt, udi
from benchmarks.generated.visit import Visit
from fhir_mapping.treatment import elements
from fhir_mapping.treatment.elements import UCUM, site
from fhir_mapping.treatment.settings import DEVICE_SETTINGS, SETTINGS

_MISSPELT = 0.03
"""Share of the lots that somebody typed which have a slip in them. A UDI is scanned, a Medication chosen."""

_STATED = 0.2
"""Share of the devices whose use is stated once more by itself."""

_TYPED = frozenset({Shape.CONTAINED, Shape.CODE, Shape.STATEMENT})
_UNITS = {Kind.TOXIN: ("U", "[U]"), Kind.FILLER: ("ml", "mL"), Kind.TOPICAL: ("g", "g")}


@dataclass(frozen=True, slots=True)
class Given:
    """The truth about one treatment."""

    procedure: str
    """Id."""

    patient: str
    lot: int
    """Its number."""

    written: str
    """The lot as it stands in the record."""

    shape: Shape
    area: str
    """Name of the region treated."""


def treatment(random: Random, visit: Visit, lots: Mapping[Kind, Sequence[Lot]]) -> tuple[list[dict[str, Any]], Given]:
    """The Procedure and its parts, and what was given."""
    course = visit.course
    lot = random.choice(lots[course.kind])
    shape = random.choice(SHAPES[course.kind])
    written = misspelt(random, lot.text) if shape in _TYPED and random.random() < _MISSPELT else lot.text
    procedure: dict[str, Any] = {
        "resourceType": "Procedure",
        "id": f"t{visit.key}",
        "extension": [{"url": "urn:photospine:session", "valuePositiveInt": visit.number}],
        "basedOn": [{"reference": f"CarePlan/{course.key}"}],
        "status": "completed",
        "code": elements.concept(course.treatment),
        "subject": visit.subject,
        "encounter": visit.encounter,
        "performedDateTime": visit.when,
        "performer": [{"actor": {"reference": course.clinician}}],
        "bodySite": [site(course.place)],
    }
    made = [procedure]
    if course.kind is Kind.TOPICAL:
        machine = {"reference": random.choice(MACHINES)}
        procedure["usedReference"] = [machine]
        made.append(_settings(random, visit, machine))
    if shape is Shape.DEVICE:
        procedure["focalDevice"] = [{"manipulated": {"reference": f"Device/i{visit.key}"}}]
        made.append(_device(random, visit, lot))
        if random.random() < _STATED:
            made.append(_stated(visit))
    else:
        made += _use(random, visit, lot, shape, written)
    return made, Given(procedure["id"], visit.patient, lot.number, written, shape, course.area)


def _use(random: Random, visit: Visit, lot: Lot, shape: Shape, written: str) -> list[dict[str, Any]]:
    kind = {Shape.DISPENSE: "MedicationDispense", Shape.STATEMENT: "MedicationStatement"}.get(
        shape, "MedicationAdministration"
    )
    made: dict[str, Any] = {
        "resourceType": kind,
        "id": f"u{visit.key}",
        "status": "completed",
        "partOf": [visit.procedure],
        "subject": visit.subject,
        "context": visit.encounter,
    }
    unit, code = _UNITS[lot.product.kind]
    dose = {"value": random.randint(1, 40), "unit": unit, "system": UCUM, "code": code}
    where = site(visit.course.place)
    if shape in (Shape.CONTAINED, Shape.STATEMENT):
        made["contained"] = [medication(lot, written) | {"id": "given"}]
        made["medicationReference"] = {"reference": "#given"}
    elif shape is Shape.CODE:
        made["medicationCodeableConcept"] = concept(lot.product)
    else:
        made["medicationReference"] = {"reference": f"Medication/{lot.medication}"}
    if shape is Shape.DISPENSE:
        made |= {"quantity": dose, "whenHandedOver": visit.when, "dosageInstruction": [{"site": where}]}
    elif shape is Shape.STATEMENT:
        made |= {"effectiveDateTime": visit.when, "dosage": [{"site": where, "doseAndRate": [{"doseQuantity": dose}]}]}
    else:
        performer = [{"actor": {"reference": visit.course.clinician}}]
        made |= {"effectiveDateTime": visit.when, "performer": performer, "dosage": {"site": where, "dose": dose}}
    return [made, _noted(random, visit, written)] if shape is Shape.CODE else [made]


def _noted(random: Random, visit: Visit, written: str) -> dict[str, Any]:
    """The lot of what was given by code, beside it or with its treatment."""
    use = {"reference": f"MedicationAdministration/u{visit.key}"}
    return {
        "resourceType": "Observation",
        "id": f"o{visit.key}",
        "partOf": [random.choice((use, visit.procedure))],
        "status": "final",
        "code": {"coding": [{"system": PRODUCTS, "code": "lot-number"}], "text": "Lot number"},
        "subject": visit.subject,
        "encounter": visit.encounter,
        "effectiveDateTime": visit.when,
        "valueString": written,
    }


def _device(random: Random, visit: Visit, lot: Lot) -> dict[str, Any]:
    """What is left in the body, known by its label alone."""
    return {
        "resourceType": "Device",
        "id": f"i{visit.key}",
        "udiCarrier": [
            {"deviceIdentifier": lot.product.device, "carrierHRF": udi(lot, random.randrange(10**6))},
        ],
        "status": "active",
        "deviceName": [{"name": lot.product.name, "type": "user-friendly-name"}],
        "type": concept(lot.product),
        "patient": visit.subject,
    }


def _stated(visit: Visit) -> dict[str, Any]:
    return {
        "resourceType": "DeviceUseStatement",
        "id": f"n{visit.key}",
        "status": "completed",
        "subject": visit.subject,
        "derivedFrom": [visit.procedure],
        "timingDateTime": visit.when,
        "device": {"reference": f"Device/i{visit.key}"},
        "bodySite": site(visit.course.place),
    }


def _settings(random: Random, visit: Visit, machine: Mapping[str, str]) -> dict[str, Any]:
    system, _, code = DEVICE_SETTINGS.rpartition("|")
    told = (
        ("wavelength", random.choice((532, 755, 1064)), "nm"),
        ("fluence", random.choice((1.8, 2.4, 3.0, 12, 20)), "J/cm2"),
        ("spot-size", random.choice((3, 5, 10)), "mm"),
    )
    return {
        "resourceType": "Observation",
        "id": f"m{visit.key}",
        "partOf": [visit.procedure],
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}], "text": "Device settings"},
        "subject": visit.subject,
        "encounter": visit.encounter,
        "effectiveDateTime": visit.when,
        "device": dict(machine),
        "component": [
            {
                "code": {"coding": [{"system": SETTINGS, "code": name}]},
                "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
            }
            for name, value, unit in told
        ],
    }
