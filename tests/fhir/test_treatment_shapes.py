"""A session is read as others write it, whatever the shape."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from consent.store.engine import rehearsal, transaction
from fhir_mapping.store.record import RecordStore
from fhir_mapping.treatment.elements import concept, named, region_name, system_and_code
from fhir_mapping.treatment.session import Named, Session
from tests.fhir.sessions import around, put
from tests.fhir.treatment_shapes import SHAPES


def _plain(session: Session, member: str) -> Any:
    match member:
        case "given":
            return [(e.product.name.text, e.product.lot, e.dose.shown if e.dose else "") for e in session.given]
        case "machines":
            return [(e.name, e.reference, [(s.name.text, s.shown) for s in e.settings]) for e in session.machines]
        case "implants":
            return [(e.name.text, e.lot, e.expires, e.di) for e in session.implants]
        case "places":
            return [region_name(each) for each in session.places]
        case "performers":
            return [(each.reference, each.name) for each in session.performers]
        case "points":
            return [
                (each.photo, str(point.x), str(point.y), point.dose.shown if point.dose else "")
                for use in session.given
                for each in use.maps
                for point in each.points
            ]
    return getattr(session, member)


@pytest.mark.parametrize(
    ("said", "system", "code"),
    [
        ("urn:x|a", "urn:x", "a"),
        ("urn:x|a|b", "urn:x", "a|b"),
        ("|a", "", "a"),
        ("a", "", "a"),
        ("urn:x||", "urn:x", "|"),
    ],
)
def test_a_code_keeps_its_bars(said: str, system: str, code: str) -> None:
    assert system_and_code(said) == (system, code)
    coding = ({"system": system} if system else {}) | {"code": code}
    assert concept(Named("", said)) == {"coding": [coding]}
    assert named({"coding": [coding]}).code == (said if "|" in said else f"|{said}")


def test_what_others_write_is_read(engine: Engine, store: RecordStore) -> None:
    wrong: dict[str, Any] = {}
    visit = {
        "resourceType": "Encounter",
        "id": "v9",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": "Patient/anna"},
    }
    with transaction(engine) as connection:
        put(connection, store, visit)
    for shape, (resources, member, expected) in SHAPES.items():
        with rehearsal(engine) as connection:
            put(connection, store, *resources)
            (found,) = around(connection, "Procedure/px")
            if _plain(found.session, member) != expected:
                wrong[shape] = _plain(found.session, member)
            for each in resources:
                anchor = f"{each['resourceType']}/{each['id']}"
                linked = each["resourceType"] != "BodyStructure" and ("px" in str(each) or "v9" in str(each))
                if linked and "Procedure/px" not in [e.reference for e in around(connection, anchor)]:
                    wrong[f"{shape}, from {anchor}"] = around(connection, anchor)
    assert wrong == {}
