"""What decisions read of the record follows every write, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from consent.codec import directive_from_json, photo_from_json
from consent.store.engine import transaction
from consent.store.tables import (
    care_member,
    directive,
    held,
    membership,
    organization_parent,
    patient,
    photo,
    representation,
)
from consent.store.tables import photo_facts as facts_table
from fhir_mapping.errors import ConsentRefused, Invalid
from fhir_mapping.projections.photo import photo_facts
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from fhir_mapping.store import RecordStore
from tests.fhir.clinic import (
    BASE,
    FACE,
    HAND,
    RESOURCES,
    ROLE,
    SITE,
    Clinic,
    consent_of,
    context,
    document_of,
    region,
    study_of,
    uid_of,
)

SETTING = Setting(SITE, BASE)


@pytest.fixture
def record(engine: Engine) -> RecordStore:
    """The clinic's people and treatments, on either database."""
    store = RecordStore(SITE, base=BASE)
    with transaction(engine) as connection:
        for resource in RESOURCES:
            store.update(connection, resource["resourceType"], resource["id"], resource, source="test")
    return store


def _put(connection: Connection, record: RecordStore, resource: dict[str, Any], **more: Any) -> None:
    record.update(connection, resource["resourceType"], resource["id"], resource, source="test", **more)


def test_births_are_spans_in_the_zone_of_the_site(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        rows = {row.patient: row for row in connection.execute(select(patient))}
    anna, ben = rows["anna"], rows["ben"]
    assert anna.birth_start == int(datetime(1990, 5, 4, 21, tzinfo=UTC).timestamp()) * 1_000_000
    assert anna.birth_end - anna.birth_start == 86_400_000_000
    assert ben.birth_end - ben.birth_start == 31 * 86_400_000_000


def test_two_who_create_at_once_what_is_not_there_make_one(engine: Engine, record: RecordStore) -> None:
    condition = "identifier=urn:x|7"
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "7"}]}

    def other() -> bool:
        with transaction(engine) as connection:
            return record.unless_there(connection, "Patient", condition) is not None

    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as connection:
            assert record.unless_there(connection, "Patient", condition) is None
            waiting = pool.submit(other)
            time.sleep(0.3)
            record.create(connection, "Patient", body, source="test")
        assert waiting.result()


@pytest.mark.parametrize("side", ["replaced-by", "replaces"])
def test_records_are_merged_and_unmerged_from_either_side(engine: Engine, record: RecordStore, side: str) -> None:
    old, new = ("anna", "ben") if side == "replaced-by" else ("ben", "anna")
    stating = {"resourceType": "Patient", "id": "anna", "birthDate": "1990-05-05"}
    linked = stating | {"link": [{"other": {"reference": "Patient/ben"}, "type": side}]}
    with transaction(engine) as connection:
        _put(connection, record, linked)
        assert _survivors(connection)[old] == new
        _put(connection, record, stating)
        assert _survivors(connection) == {"anna": "anna", "ben": "ben"}


def test_a_merge_in_a_circle_is_refused(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        link = [{"other": {"reference": "Patient/ben"}, "type": "replaced-by"}]
        _put(connection, record, {"resourceType": "Patient", "id": "anna", "link": link})
        back = [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]
        with pytest.raises(Invalid, match=r"Patient\.link"):
            _put(connection, record, {"resourceType": "Patient", "id": "ben", "link": back})


def _survivors(connection: Connection) -> dict[str, str]:
    return {row.patient: row.survivor for row in connection.execute(select(patient))}


@pytest.mark.parametrize(
    ("relation", "birth", "entitled"),
    [
        ("GUARD", "1990-05-05", True),
        ("HPOWATT", None, True),
        ("MTH", "2020-05-05", True),
        ("MTH", "1990-05-05", True),
        ("MTH", None, False),
        ("SIB", "2020-05-05", False),
        ("ECON", "2020-05-05", False),
    ],
)
def test_who_represents_a_patient(
    engine: Engine, record: RecordStore, relation: str, birth: str | None, entitled: bool
) -> None:
    child: dict[str, Any] = {"resourceType": "Patient", "id": "child"}
    person = {
        "resourceType": "RelatedPerson",
        "id": "r",
        "patient": {"reference": "Patient/child"},
        "relationship": [{"coding": [{"system": ROLE, "code": relation}]}],
        "period": {"start": "2020-06-01"},
    }
    with transaction(engine) as connection:
        _put(connection, record, child | ({} if birth is None else {"birthDate": birth}))
        _put(connection, record, person)
        row = connection.execute(select(representation)).one_or_none()
        if relation == "MTH" and birth == "1990-05-05":
            assert row is None  # of age before the period began
            return
        assert (row is not None) == entitled
        if row is not None:
            assert (row.end is not None) == (relation == "MTH")
            _put(connection, record, person | {"active": False})
            assert connection.execute(select(representation)).one_or_none() is None


def test_members_and_parents(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        assert connection.execute(select(organization_parent)).one()[:2] == (
            "Organization/clinic",
            "Organization/group",
        )
        _put(
            connection,
            record,
            {
                "resourceType": "PractitionerRole",
                "id": "r",
                "practitioner": {"reference": "Practitioner/d"},
                "organization": {"reference": "Organization/clinic"},
            },
        )
        team = {
            "resourceType": "CareTeam",
            "id": "t",
            "status": "active",
            "subject": {"reference": "Patient/anna"},
            "participant": [{"member": {"reference": "Practitioner/e"}}],
        }
        _put(connection, record, team)
        rows = {(row.member, row.of) for row in connection.execute(select(membership))}
        assert rows == {
            ("Practitioner/d", "PractitionerRole/r"),
            ("PractitionerRole/r", "Organization/clinic"),
            ("Practitioner/e", "CareTeam/t"),
        }
        cared = {(row.source, row.reference) for row in connection.execute(select(care_member))}
        assert cared == {
            ("CareTeam/t", "Practitioner/e"),
            ("Procedure/p1", "Practitioner/d"),
            ("Procedure/p2", "Practitioner/d"),
        }
        _put(connection, record, team | {"status": "inactive"})
        assert ("CareTeam/t", "Practitioner/e") not in {
            (row.source, row.reference) for row in connection.execute(select(care_member))
        }


def test_an_organisation_is_no_part_of_itself(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection, pytest.raises(Invalid, match=r"Organization\.partOf"):
        _put(
            connection,
            record,
            {"resourceType": "Organization", "id": "group", "partOf": {"reference": "Organization/clinic"}},
        )


def test_a_consent_remembers_that_it_was_active(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        _put(connection, record, consent_of("a", "permit", "WEB", status="proposed"))
        _put(connection, record, consent_of("a", "permit", "WEB", status="inactive"))
        _put(connection, record, consent_of("b", "permit", "WEB"))
        _put(connection, record, consent_of("b", "permit", "WEB", status="inactive"))
        found = {row.consent: directive_from_json(row.body) for row in connection.execute(select(directive))}
    assert (found["a"].was_active, found["b"].was_active) == (False, True)
    assert (found["b"].version, found["b"].status) == (2, "inactive")


def test_a_consent_that_arrives_and_cannot_be_honoured_holds_its_patient(engine: Engine, record: RecordStore) -> None:
    strange = consent_of("s", "deny", "TREAT", modifierExtension=[{"url": "urn:x", "valueBoolean": True}])
    with transaction(engine) as connection:
        _put(connection, record, strange, arrived=True)
        row = connection.execute(select(held)).one()
        assert (row.consent, row.patient, row.treatment) == ("s", "anna", True)
        _put(connection, record, consent_of("s", "deny", "TREAT"), arrived=True)
        assert connection.execute(select(held)).one_or_none() is None
        with pytest.raises(ConsentRefused) as refusal:
            _put(connection, record, strange)
        assert refusal.value.has_denial


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "nonsense"},
        {"performer": [{"reference": "Patient/none"}]},
        {
            "provision": {
                "type": "deny",
                "data": [{"meaning": "instance", "reference": {"reference": "Procedure/none"}}],
            }
        },
        {"provision": {"type": "deny", "actor": [{"role": {"text": "x"}, "reference": {"display": "x"}}]}},
    ],
)
def test_no_denial_is_lost_however_its_consent_is_broken(
    engine: Engine, record: RecordStore, broken: dict[str, Any]
) -> None:
    with transaction(engine) as connection, pytest.raises(ConsentRefused) as refusal:
        _put(connection, record, consent_of("c", "deny", "WEB") | broken)
    assert refusal.value.has_denial
    assert refusal.value.patient == "anna"


def test_what_a_photo_shows_and_is_linked_to(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        _put(
            connection,
            record,
            {
                "resourceType": "CarePlan",
                "id": "cp",
                "status": "active",
                "intent": "plan",
                "subject": {"reference": "Patient/anna"},
            },
        )
        document = document_of("f", "anna", "v1") | {
            "context": context("v1", "2026-05-03T10:00", "Procedure/p1")
            | {"period": {"start": "2026-05-03T10:00:00+03:00"}},
            "extension": [
                region(FACE, "L"),
                region(HAND),
                {"url": "urn:photospine:also-shows", "valueReference": {"reference": "Patient/ben"}},
            ],
            "securityLabel": [
                {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
            ],
        }
        record.create(connection, "DocumentReference", document, source="pipeline", id="f")
        record.update(connection, "ImagingStudy", "v1", study_of("v1", "anna", [uid_of("f")]), source="pipeline")
        record.create(
            connection,
            "Provenance",
            {
                "resourceType": "Provenance",
                "id": "pr",
                "target": [{"reference": "DocumentReference/f"}],
                "recorded": "2026-05-03T10:00:00Z",
                "agent": [
                    {
                        "type": {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                                    "code": "performer",
                                }
                            ]
                        },
                        "who": {"reference": "Practitioner/m"},
                    }
                ],
            },
            source="pipeline",
            id="pr",
        )
        facts = photo_facts(connection, SETTING, "f")
    assert facts.photo == uid_of("f")
    assert facts.patients == ("anna", "ben")
    assert facts.links == {"Procedure/p1", "Encounter/v1"}
    assert facts.treatment
    assert (facts.encounter, facts.imaging_study, facts.custodian) == (
        "Encounter/v1",
        "ImagingStudy/v1",
        "Organization/clinic",
    )
    assert (facts.author, facts.photographer) == ("Practitioner/d", "Practitioner/m")
    assert [(each.code.rpartition("|")[2], each.laterality) for each in facts.regions] == [
        ("89545001", "L"),
        ("85562004", "B"),
    ]
    assert [each.code for each in facts.labels] == ["R"]
    assert facts.taken is not None
    assert facts.taken.start == datetime(2026, 5, 3, 7, tzinfo=UTC)


@pytest.mark.fast
def test_a_link_from_the_other_side_reaches_the_photo(clinic: Clinic) -> None:
    assert "Procedure/p9" not in _stored(clinic, "f2").links
    procedure = {
        "resourceType": "Procedure",
        "id": "p9",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "report": [{"reference": "DocumentReference/f2"}],
    }
    clinic.put(procedure)
    assert "Procedure/p9" in _stored(clinic, "f2").links
    procedure.pop("report")
    clinic.put(procedure)
    assert "Procedure/p9" not in _stored(clinic, "f2").links


@pytest.mark.fast
def test_the_study_lends_no_treatment_to_a_photo_of_another(clinic: Clinic) -> None:
    """ImagingStudy.procedureReference is one for all photos of the visit."""
    study = study_of("v1", "anna", [uid_of("f1"), uid_of("f2")])
    clinic.put(
        {"resourceType": "Procedure", "id": "p9", "status": "completed", "subject": {"reference": "Patient/anna"}}
    )
    clinic.put(study | {"procedureReference": {"reference": "Procedure/p9"}})
    assert "Procedure/p9" not in _stored(clinic, "f1").links  # its own document names p1
    assert "Procedure/p9" in _stored(clinic, "f2").links


@pytest.mark.fast
def test_known_since_begins_anew_when_a_photo_is_linked_to_another_patient(clinic: Clinic) -> None:
    before = _stored(clinic, "f1").known_since["anna"]
    clinic.put(document_of("f1", "ben", "v2"))
    moved = _stored(clinic, "f1")
    assert set(moved.known_since) == {"ben"}
    assert moved.known_since["ben"] > before
    clinic.put(document_of("f1", "anna", "v1"))
    assert _stored(clinic, "f1").known_since["anna"] > moved.known_since["ben"]


@pytest.mark.fast
def test_a_manifest_states_since_when_its_patient_could_know(clinic: Clinic) -> None:
    stated = {"url": "urn:photospine:known-since", "valueDate": "2026-05-03"}
    clinic.photo("f5", "anna", "v1", extension=[region(FACE), stated])
    assert _stored(clinic, "f5").known_since["anna"] == datetime(2026, 5, 3, 21, tzinfo=UTC)
    clinic.put(document_of("f5", "ben", "v2") | {"extension": [stated]})
    assert _stored(clinic, "f5").known_since["ben"] > datetime(2026, 5, 4, tzinfo=UTC)


def _stored(clinic: Clinic, name: str) -> Any:
    with transaction(clinic.engine) as connection:
        query = select(facts_table.c.body).join(photo, photo.c.photo == facts_table.c.photo)
        return photo_from_json(connection.execute(query.where(photo.c.document == name)).scalar_one())


@pytest.mark.fast
def test_everything_can_be_made_anew_from_the_versions(clinic: Clinic) -> None:
    clinic.put(consent_of("c", "permit", "PATRQT"))
    tables = (directive, membership, organization_parent, care_member, representation, held)
    with transaction(clinic.engine) as connection:
        before = {table.name: sorted(map(tuple, connection.execute(select(table)))) for table in tables}
        facts = sorted(connection.execute(select(facts_table.c.photo, facts_table.c.body)).all())
        for table in tables:
            connection.execute(table.delete())
        assert rebuild(connection, SETTING) > 15
        after = {table.name: sorted(map(tuple, connection.execute(select(table)))) for table in tables}
        assert after == before
        assert sorted(connection.execute(select(facts_table.c.photo, facts_table.c.body)).all()) == facts
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    assert clinic.get("clinician", "/Patient?name=ander").json()["total"] == 1
