"""Small worlds for the tests of the store: patients, Consents and photos."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from sqlalchemy import Connection, delete

from consent.directive import Actors, Data, Directive, Reach, Region, Rule, Span
from consent.facts import PhotoFacts
from consent.store.metadata import METADATA
from consent.store.people import save_directive, save_patient
from consent.store.photos import save_photo
from consent.store.tables import account, audit_record, site_state
from consent.types import Effect, Requester

ADULT = Span(datetime(1980, 1, 1, tzinfo=UTC), datetime(1980, 1, 2, tzinfo=UTC))
TAKEN = datetime(2026, 5, 3, 7, tzinfo=UTC)
SIGNED = datetime(2026, 5, 4, 7, tzinfo=UTC)
FACE = "http://snomed.info/sct|89545001"
HAND = "http://snomed.info/sct|85562004"

CLINICIAN = Requester(account="d", purposes=("TREAT", "BTG"), reference="Practitioner/d")
MARKETING = Requester(account="m", purposes=("PORTFOLIO", "WEB", "SOCIAL"), reference="Practitioner/m")
ANNA = Requester(
    account="anna", purposes=("PATRQT",), reference="Patient/anna", confined_to=frozenset({"anna"}), own_patient="anna"
)


def facts(name: str, patient: str = "anna", *, area: str = FACE, taken: datetime = TAKEN) -> PhotoFacts:
    """An ordinary photo of one patient, linked to a visit."""
    return PhotoFacts(
        photo=f"2.25.{name}",
        patients=(patient,),
        known_since={patient: taken},
        document=f"DocumentReference/{name}",
        imaging_study=f"ImagingStudy/{patient}",
        encounter=f"Encounter/{patient}",
        links=frozenset({f"Encounter/{patient}"}),
        author="Practitioner/d",
        custodian="Organization/clinic",
        taken=Span(taken, taken + timedelta(seconds=1)),
        regions=(Region(area),),
    )


def store(connection: Connection, value: PhotoFacts, *, state: str = "linked") -> int:
    """Save a photo with UIDs made from its own."""
    return save_photo(
        connection,
        value,
        series_uid=f"{value.photo}.1",
        study_uid=f"2.25.9{(value.patients or ('0',))[0].encode().hex()[:20]}",
        orthanc_id=f"o-{value.photo}"[:44],
        state=state,
        area=value.regions[0].code if value.regions else None,
        view="frontal",
        procedure=None,
    )


def consent(
    name: str,
    effect: str,
    purpose: str | None,
    patient: str = "anna",
    *,
    version: int = 1,
    status: str = "active",
    data: tuple[Data, ...] | None = None,
    actors: Actors | None = None,
    periods: tuple[Span, ...] = (),
    replaces: tuple[str, ...] = (),
) -> Directive:
    """An ordinary Consent, signed by the patient."""
    return Directive(
        consent=name,
        version=version,
        patient=patient,
        scope="patient-privacy",
        status=status,
        signed=Span(SIGNED, SIGNED + timedelta(seconds=1)),
        performers=(f"Patient/{patient}",),
        organizations=("Organization/clinic",),
        root=Rule(
            "provision",
            Effect(effect),
            None if purpose is None else frozenset({purpose}),
            actors=actors,
            data=data,
            periods=periods,
        ),
        replaces=replaces,
    )


def one_patient(connection: Connection) -> None:
    """Anna, adult, with the photos 1 (face) and 2 (hand), nothing signed."""
    save_patient(connection, "anna", ADULT)
    store(connection, facts("1"))
    store(connection, facts("2", area=HAND))


def clear(connection: Connection) -> None:
    """Forget all photos and everybody in them; the site and its settings stay."""
    kept = {site_state, account, audit_record}
    for table in reversed(METADATA.sorted_tables):
        if table not in kept and not table.name.startswith("alembic"):
            connection.execute(delete(table))


def random_world(connection: Connection, random: Random, *, patients: int = 6, photos: int = 4) -> list[str]:
    """Patients, merges, shared photos and Consents of many kinds; gives the SOP Instance UIDs."""
    names = [f"p{number}" for number in range(patients)]
    for name in names:
        birth = random.choice(
            [ADULT, ADULT, ADULT, None, Span(datetime(2010, 6, 1, tzinfo=UTC), datetime(2010, 6, 2, tzinfo=UTC))]
        )
        save_patient(connection, name, birth)
    found = []
    for name in names:
        for number in range(random.randrange(photos + 1)):
            value = facts(f"{random.getrandbits(60)}{number}", name, area=random.choice([FACE, HAND]))
            if random.random() < 0.2:
                other = random.choice(names)
                if other != name:
                    value = replace(value, patients=(name, other), known_since={name: TAKEN, other: TAKEN})
            store(connection, value, state=random.choice(["linked", "linked", "linked", "examined"]))
            found.append(value.photo)
    for _ in range(random.randrange(3)):
        store(connection, PhotoFacts(photo=f"2.25.8{random.getrandbits(60)}", other=True), state="other")
    for number in range(patients * 2):
        save_directive(connection, random_consent(random, f"c{number}", random.choice(names), found))
    return found


def random_consent(random: Random, name: str, patient: str, photos: list[str]) -> Directive:
    """One Consent of any kind that sets must get right."""
    purpose = random.choice(["TREAT", "PORTFOLIO", "SOCIAL", "TEACH", "HRESCH", "HLEGAL", "PATRQT", "BTG", None])
    channels = frozenset({random.choice(["instagram", "tiktok"])}) if purpose == "SOCIAL" else frozenset()
    projects = frozenset({"scars"}) if purpose == "HRESCH" and random.random() < 0.5 else frozenset()
    persons = frozenset({random.choice(["Practitioner/d", "Organization/clinic", "Practitioner/x"])})
    actors = Actors(persons if random.random() < 0.2 else frozenset(), channels, projects)
    data = None
    if photos and random.random() < 0.4:
        document = "DocumentReference/" + random.choice(photos).removeprefix("2.25.")
        data = (Data(Reach.PHOTO, document),)
    periods: tuple[Span, ...] = ()
    if random.random() < 0.3:
        start = datetime(2026, random.randrange(1, 12), 1, tzinfo=UTC)
        periods = (Span(start, start + timedelta(days=random.randrange(1, 90))),)
    return consent(
        name,
        random.choice(["permit", "permit", "deny"]),
        purpose,
        patient,
        data=data,
        actors=actors if actors.persons or channels or projects else None,
        periods=periods,
        status=random.choice(["active", "active", "active", "inactive"]),
    )
