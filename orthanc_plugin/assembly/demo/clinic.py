"""The made-up clinic as data: who, what was done, what was photographed, what was signed. Nothing here touches a file.

All people, lots and devices are invented. Dates lie in the past and are fixed, so that loading it twice is loading it
once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]

ZONE = ZoneInfo("Europe/Athens")
KNOWN_SINCE = datetime(2025, 11, 20, tzinfo=ZONE)
"""The day that the import's manifest states: from its end on the patients could have known of their photos."""

SIGNED = "2025-12-01T10:00:00+02:00"
IDENTIFIERS = "urn:photospine:demo:patient"
VISITS = "urn:photospine:demo:visit"
_UCUM = "http://unitsofmeasure.org"
_SETTINGS = "urn:photospine:setting"
_TREATMENTS = "urn:photospine:treatment"
_PRODUCTS = "urn:photospine:product"
_REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_OWN_PURPOSES = "urn:photospine:purpose"


@dataclass(frozen=True, slots=True)
class Person:
    """A patient who does not exist."""

    key: str
    given: str
    family: str
    gender: str
    born: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product in one lot."""

    key: str
    name: str
    lot: str
    expires: str


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph to be made and taken in."""

    patient: str
    visit: str
    session: int
    region: str
    laterality: str
    view: str
    expression: str | None
    taken: datetime
    marks: str
    """``face`` or a kind of :func:`orthanc_plugin.assembly.demo.pictures.skin`."""

    severity: float
    tone: tuple[int, int, int]
    seed: int
    procedure: str | None

    @property
    def name(self) -> str:
        """A file name that is new for each shot."""
        return f"{self.visit}-{self.region}-{self.laterality}-{self.view}-{self.expression or 'rest'}.jpg"


@dataclass(frozen=True, slots=True)
class View:
    """One photograph of a course's protocol."""

    region: str
    laterality: str
    view: str
    expression: str | None
    marks: str


@dataclass(frozen=True, slots=True)
class Course:
    """A treatment course: sessions at an interval, the same views each time."""

    patient: str
    treatment: str
    title: str
    body_site: str
    start: datetime
    interval: timedelta
    severities: tuple[float, ...]
    """Severity of the finding before each session; one more than there are sessions: the last is the follow-up."""

    views: tuple[View, ...]
    tone: tuple[int, int, int]
    product: Product | None = None
    dose: tuple[float, str] | None = None
    settings: tuple[tuple[str, str, float, str], ...] = ()
    """Name, code, value and UCUM unit of each setting of the machine."""

    device: str | None = None


TOXIN = Product("toxin", "Botulinum toxin type A, 100 U", "PS-2407A", "2026-06-30")
TOXIN_OTHER = Product("toxin-2", "Botulinum toxin type A, 100 U", "PS-2409C", "2026-08-31")
NUMBING = Product("lidocaine", "Lidocaine cream 4 %", "LC-1181", "2026-03-31")
PLATELETS = Product("activator", "Calcium chloride activator 10 %", "CA-0712", "2026-01-31")

PEOPLE = (
    Person("anna", "Anna", "Demou", "female", "1984-03-12"),
    Person("maria", "Maria", "Demou", "female", "1990-07-02"),
    Person("eleni", "Eleni", "Paradeigma", "female", "1979-11-23"),
    Person("dimitra", "Dimitra", "Paradeigma", "female", "2001-01-30"),
    Person("katerina", "Katerina", "Dokimou", "female", "1968-05-17"),
    Person("nikos", "Nikos", "Dokimos", "male", "1975-09-08"),
)

_FACE = View("face", "B", "frontal", "smile", "face")
_CHEEK_R = View("cheek", "R", "right-lateral", None, "spots")
_CHEEK_L = View("cheek", "L", "left-lateral", None, "spots")
_LASER = (
    ("Wavelength", "wavelength", 532.0, "nm"),
    ("Fluence", "fluence", 2.4, "J/cm2"),
    ("Spot size", "spot-size", 3.0, "mm"),
    ("Pulse duration", "pulse-duration", 6.0, "ns"),
)


def _day(year: int, month: int, day: int, hour: int = 10) -> datetime:
    return datetime(year, month, day, hour, tzinfo=ZONE)


COURSES = (
    Course(
        "anna",
        "laser-pigment",
        "Laser of facial pigment",
        "face",
        _day(2025, 2, 3),
        timedelta(days=35),
        (1.0, 0.86, 0.7, 0.52, 0.36, 0.22, 0.1),
        (_FACE, _CHEEK_R, _CHEEK_L),
        (214, 170, 144),
        product=NUMBING,
        dose=(2.0, "g"),
        settings=_LASER,
        device="laser",
    ),
    Course(
        "maria",
        "toxin",
        "Botulinum toxin, forehead",
        "forehead",
        _day(2025, 3, 10, 11),
        timedelta(days=120),
        (1.0, 0.55, 0.15),
        (
            View("forehead", "B", "frontal", "brow-raise", "lines"),
            View("forehead", "B", "frontal", None, "lines"),
        ),
        (210, 164, 138),
        product=TOXIN,
        dose=(20.0, "[U]"),
    ),
    Course(
        "eleni",
        "toxin",
        "Botulinum toxin, glabella",
        "glabella",
        _day(2025, 3, 12, 12),
        timedelta(days=130),
        (0.9, 0.2),
        (View("glabella", "B", "frontal", "frown", "lines"),),
        (222, 180, 158),
        product=TOXIN,
        dose=(20.0, "[U]"),
    ),
    Course(
        "dimitra",
        "microneedling",
        "Microneedling of acne scars",
        "cheek",
        _day(2025, 4, 7, 16),
        timedelta(days=42),
        (1.0, 0.7, 0.45, 0.25),
        (
            View("cheek", "R", "right-lateral", None, "scars"),
            View("cheek", "L", "left-lateral", None, "redness"),
        ),
        (198, 150, 122),
        settings=(("Needle length", "needle-length", 1.5, "mm"), ("Passes", "passes", 3.0, "1")),
        device="needling",
    ),
    Course(
        "katerina",
        "laser-pigment",
        "Laser of age spots, hands",
        "hand",
        _day(2025, 5, 19, 9),
        timedelta(days=49),
        (1.0, 0.5, 0.12),
        (View("hand", "L", "frontal", None, "spots"), View("hand", "R", "frontal", None, "spots")),
        (206, 162, 136),
        settings=_LASER,
        device="laser",
    ),
    Course(
        "nikos",
        "platelet-rich-plasma",
        "Platelet-rich plasma, scalp",
        "scalp",
        _day(2025, 2, 20, 17),
        timedelta(days=30),
        (1.0, 0.8, 0.55, 0.35, 0.2),
        (View("scalp", "B", "vertex", None, "hair"),),
        (214, 176, 150),
        product=PLATELETS,
        dose=(0.5, "mL"),
    ),
)


def shots() -> list[Shot]:
    """Every photograph of the clinic, in the order in which they were taken."""
    made = []
    for course in COURSES:
        for number, severity in enumerate(course.severities, start=1):
            treated = number < len(course.severities)
            visit = _visit(course, number)
            for index, view in enumerate(course.views):
                made.append(
                    Shot(
                        patient=f"demo-{course.patient}",
                        visit=visit,
                        session=number,
                        region=view.region,
                        laterality=view.laterality,
                        view=view.view,
                        expression=view.expression,
                        taken=course.start + course.interval * (number - 1) + timedelta(minutes=4 * index),
                        marks=view.marks,
                        severity=severity,
                        tone=course.tone,
                        seed=_seed(course.patient, view),
                        procedure=_procedure(course, number) if treated else None,
                    )
                )
    return sorted(made, key=lambda shot: (shot.taken, shot.name))


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
    for person in PEOPLE:
        entries.append(
            {
                "resourceType": "Patient",
                "id": f"demo-{person.key}",
                "identifier": [{"system": IDENTIFIERS, "value": f"demo-{person.key}"}],
                "active": True,
                "name": [{"family": person.family, "given": [person.given]}],
                "gender": person.gender,
                "birthDate": person.born,
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
    return _transaction(entries)


def visits() -> list[Json]:
    """One transaction for each visit: the visit, and what was done, given and set."""
    return [
        _transaction(_visit_entries(course, number))
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
                        "role": {"coding": [{"system": _ROLE, "code": "IRCP"}]},
                        "reference": {"identifier": {"system": "urn:photospine:channel", "value": "instagram"}},
                    }
                ],
            },
        ),
    ]
    # Katerina changed her mind: the Consent is kept, in a version that no longer counts.
    withdrawn = {**made[4], "status": "inactive"}
    return [*made, withdrawn]


_ROLE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def _visit(course: Course, number: int) -> str:
    return f"demo-{course.patient}-v{number}"


def _procedure(course: Course, number: int) -> str:
    return f"demo-{course.patient}-p{number}"


def _seed(patient: str, view: View) -> int:
    return sum(ord(letter) for letter in patient + view.region + view.laterality)


def _visit_entries(course: Course, number: int) -> list[Json]:
    visit, treated = _visit(course, number), number < len(course.severities)
    start = course.start + course.interval * (number - 1)
    subject = {"reference": f"Patient/demo-{course.patient}"}
    entries: list[Json] = [
        {
            "resourceType": "Encounter",
            "id": visit,
            "identifier": [{"system": VISITS, "value": visit}],
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": subject,
            "participant": [{"individual": {"reference": "Practitioner/demo-clinician"}}],
            "period": {"start": start.isoformat(), "end": (start + timedelta(minutes=45)).isoformat()},
            "serviceProvider": {"reference": "Organization/clinic"},
        }
    ]
    if not treated:
        return entries
    procedure = _procedure(course, number)
    done = (start + timedelta(minutes=20)).isoformat()
    entries.append(
        {
            "resourceType": "Procedure",
            "id": procedure,
            "extension": [{"url": "urn:photospine:session", "valuePositiveInt": number}],
            "status": "completed",
            "code": {"coding": [{"system": _TREATMENTS, "code": course.treatment}], "text": course.title},
            "subject": subject,
            "encounter": {"reference": f"Encounter/{visit}"},
            "performedDateTime": done,
            "performer": [{"actor": {"reference": "Practitioner/demo-clinician"}}],
            "bodySite": [{"text": course.body_site}],
            **({"usedReference": [{"reference": f"Device/demo-{course.device}"}]} if course.device else {}),
        }
    )
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
                    "dose": {"value": value, "unit": unit.strip("[]"), "system": _UCUM, "code": unit},
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
                            "unit": unit if unit != "1" else name.lower(),
                            "system": _UCUM,
                            "code": unit,
                        },
                    }
                    for name, code, value, unit in course.settings
                ],
            }
        )
    return entries


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
        "status": "active",
        "scope": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": SIGNED,
        "performer": [{"reference": f"Patient/{patient}"}],
        "organization": [{"reference": "Organization/clinic"}],
        "policy": [{"uri": "urn:photospine:demo:photo-consent-form"}],
        "provision": provision,
    }


def _reason(code: str) -> Json:
    return {"system": _REASONS, "code": code}


def _own(code: str) -> Json:
    return {"system": _OWN_PURPOSES, "code": code}


def _transaction(resources: list[Json]) -> Json:
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
