"""The made-up clinic as FHIR: its record in transactions, and the Consents that were signed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from consent.purposes import OWN_PURPOSES, V3_ACT_REASON
from fhir_mapping import consent_codes as codes
from fhir_mapping.resources.session import session_extension
from orthanc_plugin.assembly.demo.clinic import (
    COURSES,
    NUMBING,
    PEOPLE,
    PLATELETS,
    TOXIN,
    TOXIN_OTHER,
    Course,
    procedure_id,
    visit_id,
)

Json = dict[str, Any]

_SIGNED = "2025-12-01T10:00:00+02:00"
_IDENTIFIERS = "urn:photospine:demo:patient"
_VISITS = "urn:photospine:demo:visit"
_UCUM = "http://unitsofmeasure.org"
_SETTINGS = "urn:photospine:setting"
_SHOWN = {"[arb'U]": "U"}
_TREATMENTS = "urn:photospine:treatment"
_PRODUCTS = "urn:photospine:product"


def foundation() -> Json:
    """The clinic, its people and its machines, as a transaction."""
    entries: list[Json] = [
        {"resourceType": "Organization", "id": "clinic", "active": True, "name": "Demo clinic"},
        _practitioner("clinician", "Clinician"),
        _practitioner("doctor", "Doctor"),
        _practitioner("marketing", "Marketing"),
        *(_role(key) for key in ("clinician", "doctor", "marketing")),
        _device("laser", "Q-switched Nd:YAG laser", "QS-0001"),
        _device("needling", "Microneedling pen", "MN-0007"),
    ]
    for number, person in enumerate(PEOPLE, 1):
        entries.append(
            {
                "resourceType": "Patient",
                "id": f"demo-{person.key}",
                "identifier": [{"system": _IDENTIFIERS, "value": f"demo-{person.key}"}],
                "active": True,
                "name": [{"family": person.family, "given": [person.given]}],
                "gender": person.gender,
                "birthDate": person.born,
                "telecom": [{"system": "phone", "value": f"+30 210 000 {number:04d}", "use": "mobile"}],
                "managingOrganization": {"reference": "Organization/clinic"},
            }
        )
    for product in (TOXIN, TOXIN_OTHER, NUMBING, PLATELETS):
        entries.append(
            {
                "resourceType": "Medication",
                "id": f"demo-{product.key}",
                "code": {"coding": [{"system": _PRODUCTS, "code": product.key}], "text": product.name},
                "status": "active",
                "batch": {"lotNumber": product.lot, "expirationDate": product.expires},
            }
        )
    # Written down at the counter, its lot misread: an O for the nought.
    entries.append(
        {
            "resourceType": "MedicationDispense",
            "id": "demo-handed-over",
            "status": "completed",
            "subject": {"reference": "Patient/demo-nikos"},
            "contained": [
                {
                    "resourceType": "Medication",
                    "id": "vial",
                    "code": {"text": TOXIN.name},
                    "batch": {"lotNumber": TOXIN.lot.replace("0", "O"), "expirationDate": TOXIN.expires},
                }
            ],
            "medicationReference": {"reference": "#vial"},
            "whenHandedOver": "2026-02-02T10:00:00+02:00",
        }
    )
    return transaction(entries)


def visits() -> list[Json]:
    """One transaction for each visit: the visit, and what was done, given and set."""
    return [
        transaction(_visit_entries(course, number))
        for course in COURSES
        for number in range(1, len(course.severities) + 1)
    ]


def consents(denied_photo: str) -> list[Json]:
    """What was signed. ``denied_photo`` is the id of the DocumentReference that Dimitra keeps from her care team."""
    everything: Json = {"type": "permit"}
    made = [
        _consent("demo-anna-portal", "demo-anna", {**everything, "purpose": [_reason("PATRQT")]}),
        _consent("demo-anna-portfolio", "demo-anna", {**everything, "purpose": [_own("PORTFOLIO")]}),
        _consent("demo-maria-portfolio", "demo-maria", {**everything, "purpose": [_own("PORTFOLIO"), _own("WEB")]}),
        _consent(
            "demo-dimitra-one-photo",
            "demo-dimitra",
            {
                "type": "deny",
                "purpose": [_reason("TREAT")],
                "data": [{"meaning": "instance", "reference": {"reference": f"DocumentReference/{denied_photo}"}}],
            },
        ),
        _consent("demo-katerina-portfolio", "demo-katerina", {**everything, "purpose": [_own("PORTFOLIO")]}),
        _consent("demo-nikos-portal", "demo-nikos", {**everything, "purpose": [_reason("PATRQT")]}),
        _consent("demo-nikos-portfolio", "demo-nikos", {**everything, "purpose": [_own("PORTFOLIO")]}),
        _consent(
            "demo-nikos-instagram",
            "demo-nikos",
            {
                **everything,
                "purpose": [_own("SOCIAL")],
                "actor": [
                    {
                        "role": {"coding": [{"system": codes.PARTICIPATION, "code": "IRCP"}]},
                        "reference": {"identifier": {"system": codes.CHANNEL, "value": "instagram"}},
                    }
                ],
            },
        ),
    ]
    # Katerina changed her mind: the Consent is kept, in a version that no longer counts.
    withdrawn = {**made[4], "status": "inactive"}
    return [*made, withdrawn]


def _visit_entries(course: Course, number: int) -> list[Json]:
    visit, treated = visit_id(course, number), number < len(course.severities)
    start = course.start + course.interval * (number - 1)
    subject = _subject(course)
    entries: list[Json] = [finished_visit(course, visit, start)]
    if not treated:
        return entries
    procedure = procedure_id(course, number)
    done = (start + timedelta(minutes=20)).isoformat()
    entries.append(treatment(course, procedure, visit, start) | {"extension": [session_extension(number)]})
    if course.product and course.dose:
        value, unit = course.dose
        entries.append(
            {
                "resourceType": "MedicationAdministration",
                "id": f"{procedure}-given",
                "partOf": [{"reference": f"Procedure/{procedure}"}],
                "status": "completed",
                "medicationReference": {"reference": f"Medication/demo-{course.product.key}"},
                "subject": subject,
                "context": {"reference": f"Encounter/{visit}"},
                "effectiveDateTime": done,
                "performer": [{"actor": {"reference": "Practitioner/demo-clinician"}}],
                "dosage": {
                    "site": {"text": course.body_site},
                    "dose": {"value": value, "unit": _SHOWN.get(unit, unit), "system": _UCUM, "code": unit},
                },
            }
        )
    if course.settings:
        entries.append(
            {
                "resourceType": "Observation",
                "id": f"{procedure}-settings",
                "partOf": [{"reference": f"Procedure/{procedure}"}],
                "status": "final",
                "code": {"coding": [{"system": _SETTINGS, "code": "device-settings"}], "text": "Device settings"},
                "subject": subject,
                "encounter": {"reference": f"Encounter/{visit}"},
                "effectiveDateTime": done,
                "device": {"reference": f"Device/demo-{course.device}"},
                "component": [
                    {
                        "code": {"coding": [{"system": _SETTINGS, "code": code}], "text": name},
                        "valueQuantity": {
                            "value": value,
                            **({"unit": unit} if unit != "1" else {}),  # what is merely counted has none
                            "system": _UCUM,
                            "code": unit,
                        },
                    }
                    for name, code, value, unit in course.settings
                ],
            }
        )
    return entries


def _subject(course: Course) -> Json:
    return {"reference": f"Patient/demo-{course.patient}"}


def finished_visit(course: Course, visit: str, start: datetime) -> Json:
    """The Encounter of a visit that lies in the past."""
    return {
        "resourceType": "Encounter",
        "id": visit,
        "identifier": [{"system": _VISITS, "value": visit}],
        "status": "finished",
        "class": {"system": codes.ACT_CODE, "code": "AMB"},
        "subject": _subject(course),
        "participant": [{"individual": {"reference": "Practitioner/demo-clinician"}}],
        "period": {"start": start.isoformat(), "end": (start + timedelta(minutes=45)).isoformat()},
        "serviceProvider": {"reference": "Organization/clinic"},
    }


def treatment(course: Course, procedure: str, visit: str, start: datetime) -> Json:
    """The Procedure of a visit's session."""
    return {
        "resourceType": "Procedure",
        "id": procedure,
        "status": "completed",
        "code": {"coding": [{"system": _TREATMENTS, "code": course.treatment}], "text": course.title},
        "subject": _subject(course),
        "encounter": {"reference": f"Encounter/{visit}"},
        "performedDateTime": (start + timedelta(minutes=20)).isoformat(),
        "performer": [{"actor": {"reference": "Practitioner/demo-clinician"}}],
        "bodySite": [{"text": course.body_site}],
        **({"usedReference": [{"reference": f"Device/demo-{course.device}"}]} if course.device else {}),
    }


def _practitioner(key: str, family: str) -> Json:
    return {
        "resourceType": "Practitioner",
        "id": f"demo-{key}",
        "active": True,
        "name": [{"family": family, "prefix": ["Demo"]}],
    }


def _role(key: str) -> Json:
    """Makes a practitioner a member of the clinic, so that a Consent that names the clinic means her."""
    return {
        "resourceType": "PractitionerRole",
        "id": f"demo-{key}",
        "active": True,
        "practitioner": {"reference": f"Practitioner/demo-{key}"},
        "organization": {"reference": "Organization/clinic"},
    }


def _device(key: str, name: str, serial: str) -> Json:
    return {
        "resourceType": "Device",
        "id": f"demo-{key}",
        "status": "active",
        "serialNumber": serial,
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "owner": {"reference": "Organization/clinic"},
    }


def _consent(key: str, patient: str, provision: Json) -> Json:
    return {
        "resourceType": "Consent",
        "id": key,
        "meta": {"profile": [codes.PCF_INTERMEDIATE]},
        "status": "active",
        "scope": {"coding": [{"system": codes.CONSENT_SCOPE, "code": codes.PRIVACY_SCOPE}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": _SIGNED,
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": "Organization/clinic"}],
        "sourceAttachment": {"title": "Photo consent form, made up", "creation": _SIGNED},
        "policy": [{"uri": "urn:photospine:demo:photo-consent-form"}],
        "provision": provision,
    }


def _reason(code: str) -> Json:
    return {"system": V3_ACT_REASON, "code": code}


def _own(code: str) -> Json:
    return {"system": OWN_PURPOSES, "code": code}


def transaction(resources: list[Json]) -> Json:
    """A Bundle that writes resources under their ids."""
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": f"urn:photospine:demo:{resource['resourceType']}:{resource['id']}",
                "resource": resource,
                "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
            }
            for resource in resources
        ],
    }
