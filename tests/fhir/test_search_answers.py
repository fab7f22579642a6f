"""Search: every kind of parameter, what is included, the order that is asked for, and what of a resource is shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection

from fhir_mapping.api import includes
from fhir_mapping.search import find
from fhir_mapping.search.condition import Condition
from fhir_mapping.search.lead import Lead, lead
from tests.fhir.clinic import BASE, Clinic, consent_of

_MORE: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "urn:t", "code": "fluence", "display": "Fluence"}], "text": "Energy density"},
        "subject": {"reference": "Patient/anna"},
        "effectiveDateTime": "2026-05-03T11:00:00+03:00",
        "partOf": [{"reference": "Procedure/p1"}],
        "device": {"reference": "Device/laser"},
        "valueQuantity": {"value": 12.5, "unit": "J/cm²", "system": "http://unitsofmeasure.org", "code": "J/cm2"},
        "component": [
            {
                "code": {"coding": [{"system": "urn:t", "code": "spot"}]},
                "valueQuantity": {"value": 10, "unit": "mm", "system": "http://unitsofmeasure.org", "code": "mm"},
            },
            {
                "code": {"coding": [{"system": "urn:t", "code": "passes"}]},
                "valueQuantity": {"value": 2, "comparator": ">"},
            },
        ],
    },
    {
        "resourceType": "Observation",
        "id": "o2",
        "status": "preliminary",
        "code": {"coding": [{"system": "urn:t", "code": "fluence"}]},
        "subject": {"reference": "Patient/ben"},
        "effectivePeriod": {"start": "2026-05-10", "end": "2026-05-12"},
        "valueQuantity": {"value": 9, "unit": "J/cm²", "system": "http://unitsofmeasure.org", "code": "J/cm2"},
    },
    {
        "resourceType": "Observation",
        "id": "o3",
        "status": "final",
        "code": {"text": "Remark"},
        "subject": {
            "reference": "http://elsewhere.example/fhir/Patient/9",
            "identifier": {"system": "urn:m", "value": "77"},
        },
        "valueString": "Éclat retrouvé",
    },
    {
        "resourceType": "Procedure",
        "id": "p9",
        "status": "completed",
        "subject": {"reference": "Patient/anna"},
        "instantiatesUri": ["http://protocols.example/face/toxin"],
        "bodySite": [{"coding": [{"system": "http://snomed.info/sct", "code": "89545001"}]}],
        "extension": [{"url": "urn:photospine:session", "valuePositiveInt": 3}],
        "focalDevice": [{"manipulated": {"reference": "Device/laser"}}],
        "partOf": [{"reference": "Procedure/p1"}],
    },
)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Observation?code:not=urn:t|fluence", ["o3"]),
        ("Observation?status:not=final", ["o2"]),
        ("Observation?status:not=final,preliminary", []),
        ("Observation?code:text=energy", ["o1"]),
        ("Observation?code:text=FLUE", ["o1"]),
        ("Observation?code:text=remark", ["o3"]),
        ("Observation?value-quantity:missing=true", ["o3"]),
        ("Observation?value-quantity:missing=false", ["o1", "o2"]),
        ("Observation?code:missing=true", []),
        ("Observation?device:missing=true", ["o2", "o3"]),
        ("Observation?subject:missing=false", ["o1", "o2", "o3"]),
        ("Observation?patient:missing=true", ["o3"]),
        ("Observation?subject:identifier=urn:m|77", ["o3"]),
        ("Observation?subject:identifier=77", ["o3"]),
        ("Observation?subject:identifier=urn:n|77", []),
        ("Observation?subject=http://elsewhere.example/fhir/Patient/9", ["o3"]),
        ("Observation?patient=http://elsewhere.example/fhir/Patient/9", ["o3"]),
        ("Observation?subject:Patient=anna", ["o1"]),
        ("Observation?subject:Group=anna", []),
        ("Observation?subject=Patient/anna/_history/1", ["o1"]),
        ("Observation?value-quantity=12.5", ["o1"]),
        ("Observation?value-quantity=12", []),
        ("Observation?value-quantity=13", ["o1"]),
        ("Observation?value-quantity=12.50", ["o1"]),
        ("Observation?value-quantity=12.6", []),
        ("Observation?value-quantity=12.5|http://unitsofmeasure.org|J/cm2", ["o1"]),
        ("Observation?value-quantity=12.5||J/cm2", ["o1"]),
        ("Observation?value-quantity=12.5||J/cm²", ["o1"]),
        ("Observation?value-quantity=12.5|urn:x|J/cm2", []),
        ("Observation?value-quantity=gt9", ["o1"]),
        ("Observation?value-quantity=ge9", ["o1", "o2"]),
        ("Observation?value-quantity=lt12.5||J/cm2", ["o2"]),
        ("Observation?value-quantity=ne9", ["o1"]),
        ("Observation?value-quantity=ap9.5", ["o2"]),
        ("Observation?value-quantity=1e1", []),
        ("Observation?value-quantity=0.9e1", ["o2"]),
        ("Observation?component-value-quantity=gt100", ["o1"]),
        ("Observation?code-value-quantity=urn:t|fluence$gt10", ["o1"]),
        ("Observation?code-value-quantity=fluence$9||J/cm2", ["o2"]),
        ("Observation?component-code-value-quantity=urn:t|spot$10||mm", ["o1"]),
        ("Observation?component-code-value-quantity=urn:t|passes$10", []),
        ("Observation?component-code-value-quantity=urn:t|spot$gt50", []),
        ("Observation?combo-code-value-quantity=spot$10,fluence$9", ["o1", "o2"]),
        ("Observation?value-string=eclat", ["o3"]),
        ("Observation?value-string:exact=Éclat retrouvé", ["o3"]),
        ("Observation?value-string:exact=eclat retrouve", []),
        ("Observation?value-string:contains=RETROU", ["o3"]),
        ("Observation?date=2026-05-11", []),
        ("Observation?date=ge2026-05-11", ["o2"]),
        ("Observation?date=lt2026-05-11", ["o1", "o2"]),
        ("Observation?date=sa2026-05-09", ["o2"]),
        ("Observation?date=2026-05", ["o1", "o2"]),
        ("Observation?_lastUpdated=gt2000-01-01", ["o1", "o2", "o3"]),
        ("Observation?_lastUpdated=lt2000-01-01", []),
        ("Observation?patient.name=berg", ["o2"]),
        ("Observation?subject:Patient.identifier=demo-anna", ["o1"]),
        ("Observation?part-of:Procedure.encounter.status=finished", ["o1"]),
        ("Observation?device.lot-number=L1", ["o1"]),
        ("Observation?device.udi-di=09504000059118", ["o1"]),
        ("Patient?_has:Observation:patient:code=urn:t|fluence", ["anna", "ben"]),
        ("Patient?_has:Observation:patient:value-quantity=gt10", ["anna"]),
        ("Patient?_has:Procedure:patient:_has:Observation:part-of:code=fluence", ["anna"]),
        ("Encounter?patient._has:Observation:patient:status=preliminary", ["v2"]),
        ("Device?_has:Observation:device:patient.name=anderson", ["laser"]),
        ("Procedure?session=3", ["p9"]),
        ("Procedure?session=gt3", []),
        ("Procedure?device=laser", ["p9"]),
        ("Procedure?focal-device.serial-number:missing=true", ["p9"]),
        ("Procedure?body-site=http://snomed.info/sct|89545001", ["p9"]),
        ("Procedure?instantiates-uri:below=http://protocols.example/face", ["p9"]),
        ("Procedure?instantiates-uri:below=http://protocols.example/fac", []),
        ("Procedure?instantiates-uri=http://protocols.example/face", []),
        ("Device?expiration-date=2028", ["laser"]),
        ("Device?lot-number=L1", ["laser"]),
        ("Patient?family:contains=nder", ["anna"]),
        ("Patient?phonetic=Andersen", ["anna"]),
        ("Patient?phonetic=Bergh", ["ben"]),
        ("DocumentReference?region=89545001", ["b1", "f1", "f2"]),
        ("DocumentReference?related.performer=Practitioner/d", ["f1"]),
        ("DocumentReference?related:Procedure.performer=Practitioner/d", ["f1"]),
        ("ImagingStudy?modality=XC", ["v1", "v2"]),
        ("ImagingStudy?instance=2.25.26161", ["v1"]),
        ("ImagingStudy?dicom-class=urn:oid:1.2.840.10008.5.1.4.1.1.77.1.4&patient=ben", ["v2"]),
    ],
)
def test_search_finds_by_every_kind_of_parameter(
    clinic: Clinic, query: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for resource in _MORE:
        clinic.put(resource)
    kind, _, rest = query.partition("?")
    name, _, value = rest.partition("=")
    more = dict(each.split("=") for each in value.split("&")[1:])
    found = clinic.ask("clinician", "GET", f"/{kind}", params={name: value.partition("&")[0], **more})
    assert found.status_code == 200, found.text
    assert [each["resource"]["id"] for each in found.json().get("entry", [])] == ids
    _as_of_many(monkeypatch)
    assert _paged(clinic, str(found.request.url.raw_path.decode()).removeprefix("/fhir")) == ids


def _as_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search as if each condition fitted more than are looked at one by one."""
    monkeypatch.setattr(find, "FEW", -1)
    monkeypatch.setattr(find, "few_ids", lambda *_: None)
    monkeypatch.setattr(find, "_FIRST", 1)


def _paged(clinic: Clinic, path: str) -> list[str]:
    """The ids of all pages, each of one resource."""
    found: list[str] = []
    following: str | None = f"{path}&_count=1"
    while following is not None:
        bundle = clinic.get("clinician", following).json()
        found += [each["resource"]["id"] for each in bundle.get("entry", [])]
        following = next(
            (each["url"].removeprefix(BASE) for each in bundle["link"] if each["relation"] == "next"), None
        )
    return found


def test_a_page_is_filled_from_further_ids_where_the_first_do_not_match(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty have the code, and every seventh the status."""
    for number in range(40):
        status = "final" if number % 7 == 0 else "preliminary"
        clinic.put(_MORE[1] | {"id": f"many{number:02}", "status": status})
    expected = [f"many{number:02}" for number in range(0, 40, 7)]
    _as_of_many(monkeypatch)
    query = "/Observation?code=urn:t|fluence&status=final"
    assert _paged(clinic, query) == expected
    assert [each["resource"]["id"] for each in clinic.get("clinician", query).json()["entry"]] == expected


@pytest.mark.parametrize(
    ("values", "query", "leads"),
    [
        (4, "value-string=hair", 4),  # the beginning of a few texts
        (4, "value-string=HAIR 1", 1),
        (4, "value-string:exact=Hair 2", 1),
        (4, "value-string=hair,skin", None),  # two beginnings
        (40, "value-string=hair", None),  # of too many texts
        (4, "code=urn:t|c0,urn:t|c2", 2),
        (4, "code=urn:t|c0,c2", None),  # of any system
        (4, "code=urn:t|c0&value-string=hair 0", 1),
        (4, "value-string=nothing", None),
    ],
)
def test_ids_of_few_values_are_merged_in_their_order(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch, values: int, query: str, leads: int | None
) -> None:
    for place, number in enumerate(Random(5).sample(range(80), 80)):
        which, what = place // 2 % values, ("Hair", "Skin")[place % 2]
        code = {"coding": [{"system": "urn:t", "code": f"c{which}"}]}
        clinic.put(_MORE[2] | {"id": f"o{number:02}", "code": code, "valueString": f"{what} {which}"})
    found = clinic.get("clinician", f"/Observation?{query}&_count=100").json()
    expected = [each["resource"]["id"] for each in found.get("entry", [])]
    assert bool(expected) == (query != "value-string=nothing")
    _as_of_many(monkeypatch)
    merged = []

    def noted(connection: Connection, conditions: Iterable[Condition]) -> Lead | None:
        leading = lead(connection, conditions)
        merged.append(None if leading is None else len(leading.alternatives))
        return leading

    monkeypatch.setattr(find, "lead", noted)
    assert _paged(clinic, f"/Observation?{query}") == expected
    assert set(merged) == {leads}


def _ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    return [
        f"{each['resource']['resourceType']}/{each['resource']['id']}"
        for each in bundle.get("entry", ())
        if each["search"]["mode"] == mode
    ]


@pytest.mark.parametrize(
    ("query", "matches", "included"),
    [
        ("Observation?_id=o1&_include=Observation:patient", ["o1"], ["Patient/anna"]),
        ("Observation?_id=o1&_include=Observation:subject:Patient", ["o1"], ["Patient/anna"]),
        ("Observation?_id=o3&_include=Observation:subject", ["o3"], []),
        (
            "Observation?_id=o1&_include=Observation:part-of&_include:iterate=Procedure:encounter",
            ["o1"],
            ["Encounter/v1", "Procedure/p1"],
        ),
        (
            "MedicationAdministration?_include=MedicationAdministration:medication",
            ["ma1"],
            ["Medication/lot7"],
        ),
        (
            "Procedure?_id=p1&_revinclude=Observation:part-of&_revinclude=Procedure:part-of",
            ["p1"],
            ["Observation/o1", "Procedure/p9"],
        ),
        ("Procedure?_id=p1&_revinclude=DocumentReference:related", ["p1"], ["DocumentReference/f1"]),
        (
            "Encounter?_id=v1&_revinclude=DocumentReference:encounter&_revinclude=ImagingStudy:encounter",
            ["v1"],
            ["DocumentReference/f1", "DocumentReference/f2", "ImagingStudy/v1"],
        ),
        ("DocumentReference?_id=f1&_include=DocumentReference:related", ["f1"], ["Procedure/p1"]),
        ("Procedure?patient=anna&_revinclude=Procedure:part-of", ["p1", "p9"], []),
    ],
)
def test_what_is_named_and_what_names_is_included(
    clinic: Clinic, query: str, matches: list[str], included: list[str]
) -> None:
    for resource in _MORE:
        clinic.put(resource)
    bundle = clinic.get("clinician", f"/{query}").json()
    kind = query.partition("?")[0]
    assert _ids(bundle) == [f"{kind}/{each}" for each in matches]
    assert sorted(_ids(bundle, "include")) == included
    assert bundle["total"] == len(matches)


def test_what_is_included_of_photos_is_recorded_with_the_search(clinic: Clinic) -> None:
    clinic.get("clinician", "/Encounter?_id=v1&_revinclude=DocumentReference:encounter")
    (record,) = clinic.records()
    assert (record["kind"], record["released"]) == ("set", 2)


@pytest.mark.parametrize(
    ("sort", "ids"),
    [
        ("date", ["o1", "o2", "o3"]),
        ("-date", ["o2", "o1", "o3"]),
        ("-_id", ["o3", "o2", "o1"]),
        ("status,-_id", ["o3", "o1", "o2"]),
        ("-value-quantity", ["o1", "o2", "o3"]),
        ("patient,_id", ["o1", "o2", "o3"]),
        ("-status,date", ["o2", "o1", "o3"]),
        ("value-string", ["o3", "o1", "o2"]),
    ],
)
def test_the_answer_is_in_the_order_that_is_asked_for(clinic: Clinic, sort: str, ids: list[str]) -> None:
    for resource in _MORE:
        clinic.put(resource)
    found = clinic.get("clinician", f"/Observation?_sort={sort}").json()
    assert [each["resource"]["id"] for each in found["entry"]] == ids
    seen: list[str] = []
    path = f"/Observation?_sort={sort}&_count=1"
    while path:
        page = clinic.get("clinician", path).json()
        assert page["total"] == 3
        seen += [each["resource"]["id"] for each in page["entry"]]
        links = {each["relation"]: each["url"] for each in page["link"]}
        path = links["next"].partition("/fhir")[2] if "next" in links else ""
    assert seen == ids


def test_a_place_in_one_search_is_none_in_another(clinic: Clinic) -> None:
    links = clinic.get("clinician", "/Patient?_count=1&_sort=name").json()["link"]
    following = next(each["url"] for each in links if each["relation"] == "next").partition("/fhir")[2]
    assert clinic.get("clinician", following).status_code == 200
    assert clinic.get("clinician", following.replace("_sort=name", "_sort=-name")).status_code == 400
    assert clinic.get("clinician", f"{following}&gender=female").status_code == 400


def test_parts_of_resources_are_marked_as_such(clinic: Clinic) -> None:
    def first(query: str) -> Any:
        return clinic.get("clinician", f"/Patient?_id=anna&{query}").json()["entry"][0]["resource"]

    clinic.put(
        {
            "resourceType": "Patient",
            "id": "anna",
            "name": [{"family": "Ānderson"}],
            "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A</div>'},
            "maritalStatus": {"text": "unknown"},
        }
    )
    assert set(first("_summary=true")) == {"resourceType", "id", "meta", "name"}
    assert set(first("_summary=text")) == {"resourceType", "id", "meta", "text"}
    assert set(first("_summary=data")) == {"resourceType", "id", "meta", "name", "maritalStatus"}
    assert set(first("_elements=maritalStatus")) == {"resourceType", "id", "meta", "maritalStatus"}
    assert first("_elements=name")["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert "tag" not in first("_summary=false")["meta"]
    counted = clinic.get("clinician", "/Patient?_summary=count").json()
    assert (counted["total"], counted.get("entry")) == (2, None)


def test_what_is_refused_takes_no_room_of_what_is_included(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(includes, "MOST", 3)
    for name in ("a1", "a2", "a3", "z1"):
        clinic.photo(name, "anna", "v1")
    names = [f"DocumentReference/{each}" for each in ("a1", "a2", "a3", "f1")]
    data = [{"meaning": "instance", "reference": {"reference": each}} for each in names]
    clinic.put(consent_of("no", "deny", "TREAT", provision={"data": data}))
    answer = clinic.get("clinician", "/Patient?_id=anna&_revinclude=DocumentReference:patient")
    assert [each["resource"]["id"] for each in answer.json()["entry"]] == ["anna", "f2", "z1"]
    assert clinic.get("compliance", "/Patient?_id=anna&_revinclude=DocumentReference:patient").status_code == 400


@pytest.mark.parametrize("mark", ["\ud800", "\x00", "a\udfffb"])
def test_a_place_that_no_database_can_hold_is_none(clinic: Clinic, mark: str) -> None:
    first = clinic.get("clinician", "/Patient?_sort=family&_count=1").json()
    link = next(each["url"] for each in first["link"] if each["relation"] == "next")
    place = link.rpartition("_page=")[2]
    told = json.loads(base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)))
    for number in (1, 2):
        changed = [*told[:number], mark, *told[number + 1 :]]
        made = base64.urlsafe_b64encode(json.dumps(changed).encode()).decode().rstrip("=")
        answer = clinic.get("clinician", f"/Patient?_sort=family&_count=1&_page={made}")
        assert answer.status_code == 400
