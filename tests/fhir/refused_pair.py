"""Two clinics held side by side: in one a photo is refused, in the other it never was.

The other was copied from it, and the photo, its study and all that was written of them taken out of the database.
Everything else was written once, for both.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select

from consent.store.engine import transaction
from consent.store.metadata import METADATA
from consent.store.tables import photo
from tests.fhir.clinic import BASE, Clinic, consent_of, context, open_clinic, uid_of

REFUSED = "DocumentReference/f3"
UID = f"urn:oid:{uid_of('f3')}"
_LOGICAL = {"type": "DocumentReference", "identifier": {"system": "urn:dicom:uid", "value": UID}}
HERS = {"subject": {"reference": "Patient/anna"}}


def observation(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "volume"}} | HERS | more


def naming(*photos: str) -> list[dict[str, Any]]:
    return [{"reference": each} for each in photos]


def _contained(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": "inner",
        "status": "current",
        "identifier": [{"system": "urn:dicom:uid", "value": UID}],
        "content": [{"attachment": {"contentType": "image/jpeg"}}],
    } | more


#: What others write that names the photo by reference, in every position.
STATED: tuple[dict[str, Any], ...] = (
    observation("o1", derivedFrom=naming("DocumentReference/f1", REFUSED, "DocumentReference/f2")),
    observation("o2", derivedFrom=naming(REFUSED)),
    observation("o3", derivedFrom=naming(f"{BASE}/{REFUSED}", "ImagingStudy/v3", f"{REFUSED}/_history/1")),
    observation("o4", derivedFrom=[_LOGICAL], note=[{"text": "kept"}]),
    observation("o5", derivedFrom=naming("ImagingStudy/v1", "ImagingStudy/v3")),
    observation("o6", derivedFrom=naming("DocumentReference/f1")),
    observation("o7", extension=[{"url": "urn:x", "valueReference": {"reference": REFUSED, "display": "Left ear"}}]),
    observation(
        "o8",
        extension=[{"url": "urn:x", "extension": [{"url": "a", "valueReference": _LOGICAL}]}, {"url": "urn:y"}],
        modifierExtension=[{"url": "urn:z", "valueReference": {"reference": REFUSED}}],
        code={"text": "c", "extension": [{"url": "urn:x", "valueReference": {"reference": REFUSED}}]},
    ),
    observation("o9", contained=[_contained()], derivedFrom=naming("#inner", "DocumentReference/f2")),
    observation(
        "o10",
        contained=[observation("inner", derivedFrom=naming(REFUSED, "DocumentReference/f1"))],
        hasMember=naming("#inner"),
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Left ear, photographed</div>'},
    ),
    {
        "resourceType": "CarePlan",
        "id": "c1",
        "status": "active",
        "intent": "plan",
        **HERS,
        "supportingInfo": naming(REFUSED, "DocumentReference/f1"),
        "activity": [{"reference": {"reference": "ServiceRequest/s1"}}, {"outcomeReference": naming(REFUSED)}],
    },
    {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "status": "active",
        "intent": "order",
        "code": {"text": "c"},
        **HERS,
        "supportingInfo": naming(REFUSED, "Condition/d1"),
    },
    {
        "resourceType": "Condition",
        "id": "d1",
        **HERS,
        "evidence": [{"detail": naming(REFUSED)}, {"code": [{"text": "seen"}], "detail": naming(REFUSED)}],
    },
    {
        "resourceType": "Communication",
        "id": "m1",
        "status": "completed",
        **HERS,
        "payload": [{"contentReference": {"reference": REFUSED}}, {"contentString": "hello"}],
        "about": naming(REFUSED),
    },
    {
        "resourceType": "Procedure",
        "id": "p3",
        "status": "completed",
        **HERS,
        "report": naming(REFUSED),
        "reasonReference": naming("Condition/d1", REFUSED),
    },
    {
        "resourceType": "Provenance",
        "id": "of-photo",
        "target": naming(REFUSED, "ImagingStudy/v3"),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Organization/clinic"}}],
    },
    {
        "resourceType": "Provenance",
        "id": "of-session",
        "target": naming("Procedure/p1", REFUSED),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/d"}}],
        "entity": [
            {"role": "source", "what": {"reference": f"{REFUSED}/_history/1"}},
            {"role": "source", "what": {"reference": "DocumentReference/f1/_history/1"}},
        ],
    },
    {
        "resourceType": "Provenance",
        "id": "of-other",
        "target": naming("DocumentReference/f1", "ImagingStudy/v1"),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Organization/clinic"}}],
    },
)
#: The same, as a sender may write it whose JSON escapes what it need not.
ESCAPED = (
    b'{"resourceType":"Observation","id":"o11","status":"final","code":{"text":"v"},'
    b'"subject":{"reference":"Patient/anna"}, "derivedFrom" : [ {"reference":"\\u0044ocumentReference\\/f3"} ,'
    b' {"reference":"DocumentReference/f1"} ], "note":[{"text":"1.0\\n2"}], "valueQuantity":{"value":1.50} }'
)


@dataclass(frozen=True, slots=True)
class Pair:
    """The clinic that refuses the photo, and the one that never had it."""

    refusing: Clinic
    without: Clinic


@pytest.fixture
def pair(made_clinic: Path, tmp_path: Path) -> Iterator[Pair]:
    shutil.copytree(made_clinic, tmp_path / "refusing")
    clinic = open_clinic(tmp_path / "refusing")
    encounter = {"resourceType": "Encounter", "id": "v3", "status": "finished", "class": {"code": "AMB"}, **HERS}
    clinic.put(encounter)
    clinic.photo("f3", "anna", "v3", context=context("v3", "2026-05-03T10:10:00+03:00", "Procedure/p1"))
    clinic.photo("f4", "anna", "v1", relatesTo=[{"code": "appends", "target": {"reference": REFUSED}}])
    data = [{"meaning": "instance", "reference": {"reference": REFUSED}}]
    clinic.put(consent_of("yes", "permit", "PATRQT", signed="2026-05-09"))
    deny = consent_of("no", "deny", "TREAT", provision={"data": data})
    deny["provision"]["purpose"].append(consent_of("x", "deny", "PATRQT")["provision"]["purpose"][0])
    clinic.put(deny)
    first = ("Condition", "ServiceRequest")  # others name them
    for resource in sorted(STATED, key=lambda each: [*first, each["resourceType"]].index(each["resourceType"])):
        clinic.put(resource)
    assert clinic.ask("integrator", "PUT", "/Observation/o11", content=ESCAPED).status_code == 201
    clinic.get("compliance", f"/{REFUSED}")
    clinic.get("compliance", "/DocumentReference/f1")
    clinic.close()
    shutil.copytree(tmp_path / "refusing", tmp_path / "without")
    refusing, without = open_clinic(tmp_path / "refusing"), open_clinic(tmp_path / "without")
    _erase(without)
    yield Pair(refusing, without)
    refusing.close()
    without.close()


def _erase(clinic: Clinic) -> None:
    """The photo never was there."""
    with transaction(clinic.engine) as connection:
        number = connection.execute(select(photo.c.photo).where(photo.c.document == "f3")).scalar_one()
        for table in reversed(METADATA.sorted_tables):
            if table.name.startswith("fhir_") and {"type", "id"} <= set(table.c.keys()):
                for kind, identity in (("DocumentReference", "f3"), ("ImagingStudy", "v3"), ("Provenance", "of-photo")):
                    connection.execute(delete(table).where(table.c.type == kind, table.c.id == identity))
            elif "photo" in table.c:
                connection.execute(delete(table).where(table.c.photo == number))


_KINDS = ("Observation", "CarePlan", "ServiceRequest", "Condition", "Communication", "Procedure", "Provenance")
_QUERIES = (
    *(f"{kind}?_total=accurate" for kind in _KINDS),
    *(f"{kind}?_summary={how}" for kind in _KINDS for how in ("true", "text", "data", "count")),
    "Observation?_elements=derivedFrom,code",
    *(
        f"Observation?{name}={value}"
        for name in ("derived-from", "derived-from:DocumentReference")
        for value in ("f3", REFUSED, f"{BASE}/{REFUSED}", f"f1,{REFUSED}", "f1", "v3")
    ),
    "Observation?derived-from=ImagingStudy/v3",
    "Observation?derived-from:missing=true",
    "Observation?derived-from:missing=false",
    f"Observation?derived-from:identifier=urn:dicom:uid|{UID}",
    f"Observation?derived-from:identifier={UID}",
    "Observation?derived-from:identifier=urn:dicom:uid|",
    "Observation?derived-from:DocumentReference._id=f3",
    "Observation?derived-from:DocumentReference.encounter=v3",
    "Observation?derived-from:ImagingStudy._id=v3",
    "Observation?derived-from.patient=anna",
    "Observation?_sort=derived-from",
    "Observation?_sort=-derived-from&_count=2",
    "Observation?_include=Observation:derived-from",
    "Observation?_include=Observation:derived-from&_revinclude:iterate=Provenance:target",
    "Observation?_id=o2&_revinclude=Provenance:entity",
    "DocumentReference",
    "DocumentReference?encounter=v3",
    "DocumentReference?_revinclude=Observation:derived-from&_revinclude=Provenance:target",
    "DocumentReference?relatesto=f3",
    "DocumentReference?relatesto:missing=false",
    "DocumentReference?_has:Observation:derived-from:code:text=volume",
    "ImagingStudy?_revinclude=Observation:derived-from",
    "Patient?_has:Observation:patient:derived-from=f3",
    "Patient?_has:Observation:patient:derived-from=f1",
    "Patient?_has:DocumentReference:patient:_id=f3",
    "Encounter?_has:DocumentReference:encounter:_id=f3",
    "Encounter?_revinclude=DocumentReference:encounter&_revinclude=ImagingStudy:encounter",
    "Provenance?target=f3",
    "Provenance?target=DocumentReference/f3",
    "Provenance?target=ImagingStudy/v3",
    "Provenance?target:missing=true",
    "Provenance?target=Procedure/p1",
    "Provenance?entity=DocumentReference/f3",
    "Provenance?entity=DocumentReference/f1",
    "Provenance?entity:missing=false",
    "Provenance?target.patient=anna",
    "Provenance?_sort=target",
    "Procedure?_has:Provenance:target:entity=DocumentReference/f3",
    "Procedure?reason-reference=DocumentReference/f3",
    "CarePlan?_sort=_lastUpdated",
    "$batch-advisory?lot=LOT-0071",
    "DocumentReference/$photos",
    "DocumentReference/$photos?area=face&_facets=area",
    *(
        f"{kind}/{name}/${each}"
        for kind, name in (("Procedure", "p1"), ("CarePlan", "c1"))
        for each in ("basis", "treatment")
    ),
    "Observation/o1/$basis",
    "Encounter/v3/$treatment",
    "DocumentReference/f3/$basis",
    "DocumentReference/f3/$treatment",
    "DocumentReference/f3/$explain?purpose=TREAT",
    "DocumentReference/f3",
    "DocumentReference/f3/_history",
    "DocumentReference/f3/_history/1",
    "DocumentReference/f4",
    "DocumentReference/f4/_history",
    "ImagingStudy/v3",
    "Media/f3",
    *(f"{kind}/_history" for kind in _KINDS if kind != "Provenance"),
)


def asked_paths() -> list[str]:
    each = [f"{one['resourceType']}/{one['id']}" for one in STATED] + ["Observation/o11"]
    versions = [more for one in each for more in (one, f"{one}/_history", f"{one}/_history/1", f"{one}/_history/2")]
    return [*versions, *_QUERIES]


def answer_of(clinic: Clinic, account: str, method: str, path: str, **more: Any) -> tuple[int, str, dict[str, str]]:
    answer = clinic.ask(account, method, path, **more)
    headers = {name: value for name, value in answer.headers.items() if name != "last-modified" or method == "GET"}
    body = answer.text
    if method != "GET":  # the two clinics write one after the other
        body = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "T", body)
        body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", body)
        headers = {name: re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", value) for name, value in headers.items()}
    return answer.status_code, body, headers
