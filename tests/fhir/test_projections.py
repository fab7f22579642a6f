"""What decisions read of the record follows every write, on both databases."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from consent.codec import directive_from_json
from consent.decided import stored_purposes
from consent.site import CareTeamScope
from consent.store.engine import transaction
from consent.store.sites import save_site
from consent.store.tables import (
    care_member,
    directive,
    held,
    membership,
    organization_parent,
    patient,
    representation,
)
from consent.store.tables import photo_facts as facts_table
from fhir_mapping.errors import ConsentRefused, Invalid
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import (
    BASE,
    ROLE,
    SITE,
    Clinic,
    consent_of,
)

SETTING = Setting(SITE, BASE)


def _put(connection: Connection, record: RecordStore, resource: dict[str, Any], **more: Any) -> None:
    record.update(connection, resource["resourceType"], resource["id"], resource, source="test", **more)


def test_births_are_spans_in_the_zone_of_the_site(engine: Engine, record: RecordStore) -> None:
    with transaction(engine) as connection:
        rows = {row.patient: row for row in connection.execute(select(patient))}
    anna, ben = rows["anna"], rows["ben"]
    assert anna.birth_start == int(datetime(1990, 5, 4, 21, tzinfo=UTC).timestamp()) * 1_000_000
    assert anna.birth_end - anna.birth_start == 86_400_000_000
    assert ben.birth_end - ben.birth_start == 31 * 86_400_000_000


def test_dates_at_the_edge_of_the_calendar_are_open_and_unknown(clinic: Clinic) -> None:
    """Records write 9999-12-31 for "open" and 0001-01-01 for "unknown", in every place."""
    always = {"start": "0001-01-01", "end": "9999-12-31"}
    permit = consent_of("c", "permit", "PATRQT", provision={"period": always, "dataPeriod": always})
    for resource in (
        {"resourceType": "Patient", "id": "ever", "birthDate": "9999-12-31"},
        {"resourceType": "Patient", "id": "never", "birthDate": "0001-01-01"},
        {
            "resourceType": "RelatedPerson",
            "id": "parent",
            "patient": {"reference": "Patient/ever"},
            "relationship": [{"coding": [{"system": ROLE, "code": "MTH"}]}],
            "period": always,
        },
        {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"}}
        | {"organization": {"reference": "Organization/clinic"}, "period": always},
        {
            "resourceType": "Encounter",
            "id": "open",
            "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/anna"},
            "period": {"start": "2026-01-01", "end": "9999-12-31T23:59:59.999Z"},
        },
    ):
        path = f"/{resource['resourceType']}/{resource['id']}"
        assert clinic.ask("integrator", "PUT", path, json=resource).status_code == 201, resource
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=permit).status_code == 201
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200


def test_what_an_adult_signed_herself_is_known_by_the_address_of_this_server(clinic: Clinic) -> None:
    clinic.put(
        {
            "resourceType": "RelatedPerson",
            "id": "guardian",
            "patient": {"reference": "Patient/anna"},
            "relationship": [{"coding": [{"system": ROLE, "code": "POWATT"}]}],
        }
    )
    hers = consent_of("c1", "deny", "WEB", performer=[{"reference": f"{BASE}/Patient/anna"}])
    assert clinic.ask("clinician", "PUT", "/Consent/c1", json=hers).status_code == 201
    replacing = {"url": "urn:photospine:replaces", "valueReference": {"reference": "Consent/c1"}}
    later = consent_of("c2", "permit", "WEB", signed="2026-05-11", extension=[replacing])
    later["performer"] = [{"reference": "RelatedPerson/guardian"}]
    answer = clinic.ask("clinician", "PUT", "/Consent/c2", json=later)
    assert answer.status_code == 422
    assert "replaces" in answer.json()["issue"][0]["expression"][0]


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


def test_after_a_merge_she_takes_back_what_she_said_on_her_other_record(clinic: Clinic) -> None:
    def is_seen() -> bool:
        return bool(clinic.get("clinician", "/DocumentReference/f1").status_code == 200)

    clinic.put({"resourceType": "Patient", "id": "old", "birthDate": "1990-05-05"})
    clinic.put(consent_of("no", "deny", "TREAT", "old"))
    replacing = {"url": "urn:photospine:replaces", "valueReference": {"reference": "Consent/no"}}
    yes = consent_of("yes", "permit", "TREAT", signed="2026-05-11", extension=[replacing])
    assert clinic.ask("clinician", "PUT", "/Consent/yes", json=yes).status_code == 422
    merged = {"link": [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]}
    clinic.put({"resourceType": "Patient", "id": "old", "birthDate": "1990-05-05"} | merged)
    assert not is_seen()
    guardian = yes | {"performer": [{"reference": "RelatedPerson/guardian"}]}
    clinic.put({"resourceType": "RelatedPerson", "id": "guardian", "patient": {"reference": "Patient/anna"}})
    assert clinic.ask("clinician", "PUT", "/Consent/yes", json=guardian).status_code == 422
    assert clinic.ask("clinician", "PUT", "/Consent/yes", json=yes).status_code == 201
    assert is_seen()


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
            ("CareTeam/t", "CareTeam/t"),
            ("Procedure/p1", "Practitioner/d"),
            ("Procedure/p2", "Practitioner/d"),
        }
        _put(connection, record, team | {"status": "inactive"})
        assert ("CareTeam/t", "CareTeam/t") not in {
            (row.source, row.reference) for row in connection.execute(select(care_member))
        }


def test_where_the_record_names_no_organisation_a_denial_of_the_clinic_matches_and_a_permit_does_not(
    clinic: Clinic,
) -> None:
    """What a fact that is missing means: somebody with an account here may be a member of the site's organisation."""
    clinic.put(
        {"resourceType": "Organization", "id": "ward", "name": "Ward", "partOf": {"reference": "Organization/clinic"}}
    )
    clinic.put({"resourceType": "Organization", "id": "elsewhere", "name": "Elsewhere"})
    recipient = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}

    def to(organization: str) -> dict[str, Any]:
        return {"role": {"coding": [recipient]}, "reference": {"reference": f"Organization/{organization}"}}

    for organization, seen in (("elsewhere", 200), ("ward", 404), ("clinic", 404), ("group", 404)):
        clinic.put(consent_of("c", "deny", "TREAT", provision={"actor": [to(organization)]}))
        assert clinic.get("clinician", "/DocumentReference/f1").status_code == seen
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/d"}}
    clinic.put(role | {"organization": {"reference": "Organization/elsewhere"}})
    assert clinic.get("clinician", "/DocumentReference/f1").status_code == 200
    clinic.put(consent_of("c", "permit", "TREAT", provision={"actor": [to("group")]}))
    assert clinic.get("doctor", "/DocumentReference/f1").status_code == 404
    clinic.put(
        role | {"practitioner": {"reference": "Practitioner/e"}, "organization": {"reference": "Organization/clinic"}}
    )
    assert clinic.get("doctor", "/DocumentReference/f1").status_code == 200


def test_a_care_team_is_who_is_on_it_at_the_time(clinic: Clinic) -> None:
    site = replace(SITE, care_team=CareTeamScope.RECORD)
    with transaction(clinic.engine) as connection:
        save_site(connection, site, stored_purposes(site))
    team = {"resourceType": "CareTeam", "id": "t", "status": "active", "subject": {"reference": "Patient/anna"}}
    member = {"member": {"reference": "Practitioner/e"}}

    def seen() -> tuple[int, int]:
        one = clinic.get("doctor", "/DocumentReference/f1").status_code
        return one, clinic.get("doctor", "/DocumentReference").json()["total"]

    assert seen() == (404, 0)
    clinic.put(team | {"participant": [member]})
    assert seen() == (200, 2)
    clinic.put(team | {"participant": [member | {"period": {"end": "2025-12-31"}}]})
    assert seen() == (404, 0)
    clinic.put(team | {"participant": [member], "period": {"end": "2025-12-31"}})
    assert seen() == (404, 0)
    clinic.put(team | {"participant": [{"member": {"reference": "Organization/clinic"}}]})
    assert seen() == (404, 0)
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "Practitioner/e"}}
    clinic.put(role | {"organization": {"reference": "Organization/clinic"}})
    assert seen() == (200, 2)


def test_whoever_an_encounter_named_is_of_no_care_team_once_it_is_about_nobody(
    engine: Engine, record: RecordStore
) -> None:
    visit = {
        "resourceType": "Encounter",
        "id": "v1",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "participant": [{"individual": {"reference": "Practitioner/d"}}],
    }
    with transaction(engine) as connection:
        _put(connection, record, visit | {"subject": {"reference": "Patient/anna"}})
        named = select(care_member.c.reference).where(care_member.c.source == "Encounter/v1")
        assert connection.execute(named).scalars().all() == ["Practitioner/d"]
        _put(connection, record, visit)
        assert connection.execute(named).all() == []


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
        {"extension": [{"url": "urn:photospine:replaces", "valueReference": {"reference": "Consent/none"}}]},
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
