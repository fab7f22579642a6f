"""A photo that may not be seen is named nowhere: what is answered is the same, byte for byte, as if it never was there.

Two clinics are held side by side. In one a photo is refused; the other was copied from it and the photo, its study and
all that was written of them taken out of the database. Everything else was written once, for both.
"""

from __future__ import annotations

import json
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
from fhir_mapping import text
from fhir_mapping.pruning import SUBSETTED
from fhir_mapping.tables import fhir_reference
from tests.fhir.clinic import BASE, Clinic, consent_of, context, open_clinic, uid_of

_REFUSED = "DocumentReference/f3"
_UID = f"urn:oid:{uid_of('f3')}"
_LOGICAL = {"type": "DocumentReference", "identifier": {"system": "urn:dicom:uid", "value": _UID}}
_HERS = {"subject": {"reference": "Patient/anna"}}


def _observation(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "status": "final", "code": {"text": "volume"}} | _HERS | more


def _names(*photos: str) -> list[dict[str, Any]]:
    return [{"reference": each} for each in photos]


def _contained(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "id": "inner",
        "status": "current",
        "identifier": [{"system": "urn:dicom:uid", "value": _UID}],
        "content": [{"attachment": {"contentType": "image/jpeg"}}],
    } | more


#: What others write that names the photo by reference, in every position.
_STATED: tuple[dict[str, Any], ...] = (
    _observation("o1", derivedFrom=_names("DocumentReference/f1", _REFUSED, "DocumentReference/f2")),
    _observation("o2", derivedFrom=_names(_REFUSED)),
    _observation("o3", derivedFrom=_names(f"{BASE}/{_REFUSED}", "ImagingStudy/v3", f"{_REFUSED}/_history/1")),
    _observation("o4", derivedFrom=[_LOGICAL], note=[{"text": "kept"}]),
    _observation("o5", derivedFrom=_names("ImagingStudy/v1", "ImagingStudy/v3")),
    _observation("o6", derivedFrom=_names("DocumentReference/f1")),
    _observation("o7", extension=[{"url": "urn:x", "valueReference": {"reference": _REFUSED, "display": "Left ear"}}]),
    _observation(
        "o8",
        extension=[{"url": "urn:x", "extension": [{"url": "a", "valueReference": _LOGICAL}]}, {"url": "urn:y"}],
        modifierExtension=[{"url": "urn:z", "valueReference": {"reference": _REFUSED}}],
        code={"text": "c", "extension": [{"url": "urn:x", "valueReference": {"reference": _REFUSED}}]},
    ),
    _observation("o9", contained=[_contained()], derivedFrom=_names("#inner", "DocumentReference/f2")),
    _observation(
        "o10",
        contained=[_observation("inner", derivedFrom=_names(_REFUSED, "DocumentReference/f1"))],
        hasMember=_names("#inner"),
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Left ear, photographed</div>'},
    ),
    {
        "resourceType": "CarePlan",
        "id": "c1",
        "status": "active",
        "intent": "plan",
        **_HERS,
        "supportingInfo": _names(_REFUSED, "DocumentReference/f1"),
        "activity": [{"reference": {"reference": "ServiceRequest/s1"}}, {"outcomeReference": _names(_REFUSED)}],
    },
    {
        "resourceType": "ServiceRequest",
        "id": "s1",
        "status": "active",
        "intent": "order",
        "code": {"text": "c"},
        **_HERS,
        "supportingInfo": _names(_REFUSED, "Condition/d1"),
    },
    {
        "resourceType": "Condition",
        "id": "d1",
        **_HERS,
        "evidence": [{"detail": _names(_REFUSED)}, {"code": [{"text": "seen"}], "detail": _names(_REFUSED)}],
    },
    {
        "resourceType": "Communication",
        "id": "m1",
        "status": "completed",
        **_HERS,
        "payload": [{"contentReference": {"reference": _REFUSED}}, {"contentString": "hello"}],
        "about": _names(_REFUSED),
    },
    {
        "resourceType": "Procedure",
        "id": "p3",
        "status": "completed",
        **_HERS,
        "report": _names(_REFUSED),
        "reasonReference": _names("Condition/d1", _REFUSED),
    },
    {
        "resourceType": "Provenance",
        "id": "of-photo",
        "target": _names(_REFUSED, "ImagingStudy/v3"),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Organization/clinic"}}],
    },
    {
        "resourceType": "Provenance",
        "id": "of-session",
        "target": _names("Procedure/p1", _REFUSED),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/d"}}],
        "entity": [
            {"role": "source", "what": {"reference": f"{_REFUSED}/_history/1"}},
            {"role": "source", "what": {"reference": "DocumentReference/f1/_history/1"}},
        ],
    },
    {
        "resourceType": "Provenance",
        "id": "of-other",
        "target": _names("DocumentReference/f1", "ImagingStudy/v1"),
        "recorded": "2026-05-03T10:00:00Z",
        "agent": [{"who": {"reference": "Organization/clinic"}}],
    },
)
#: The same, as a sender may write it whose JSON escapes what it need not.
_ESCAPED = (
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
    encounter = {"resourceType": "Encounter", "id": "v3", "status": "finished", "class": {"code": "AMB"}, **_HERS}
    clinic.put(encounter)
    clinic.photo("f3", "anna", "v3", context=context("v3", "2026-05-03T10:10:00+03:00", "Procedure/p1"))
    clinic.photo("f4", "anna", "v1", relatesTo=[{"code": "appends", "target": {"reference": _REFUSED}}])
    data = [{"meaning": "instance", "reference": {"reference": _REFUSED}}]
    clinic.put(consent_of("yes", "permit", "PATRQT", signed="2026-05-09"))
    deny = consent_of("no", "deny", "TREAT", provision={"data": data})
    deny["provision"]["purpose"].append(consent_of("x", "deny", "PATRQT")["provision"]["purpose"][0])
    clinic.put(deny)
    first = ("Condition", "ServiceRequest")  # others name them
    for resource in sorted(_STATED, key=lambda each: [*first, each["resourceType"]].index(each["resourceType"])):
        clinic.put(resource)
    assert clinic.ask("integrator", "PUT", "/Observation/o11", content=_ESCAPED).status_code == 201
    clinic.get("compliance", f"/{_REFUSED}")
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
        for value in ("f3", _REFUSED, f"{BASE}/{_REFUSED}", f"f1,{_REFUSED}", "f1", "v3")
    ),
    "Observation?derived-from=ImagingStudy/v3",
    "Observation?derived-from:missing=true",
    "Observation?derived-from:missing=false",
    f"Observation?derived-from:identifier=urn:dicom:uid|{_UID}",
    f"Observation?derived-from:identifier={_UID}",
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


def _asked() -> list[str]:
    each = [f"{one['resourceType']}/{one['id']}" for one in _STATED] + ["Observation/o11"]
    versions = [more for one in each for more in (one, f"{one}/_history", f"{one}/_history/1", f"{one}/_history/2")]
    return [*versions, *_QUERIES]


def _answer(clinic: Clinic, account: str, method: str, path: str, **more: Any) -> tuple[int, str, dict[str, str]]:
    answer = clinic.ask(account, method, path, **more)
    headers = {name: value for name, value in answer.headers.items() if name != "last-modified" or method == "GET"}
    body = answer.text
    if method != "GET":  # the two clinics write one after the other
        body = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "T", body)
        body = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", body)
        headers = {name: re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", value) for name, value in headers.items()}
    return answer.status_code, body, headers


@pytest.mark.parametrize("account", ["clinician", "doctor", "integrator", "anna"])
def test_refused_and_absent_are_answered_alike_at_every_door(pair: Pair, account: str) -> None:
    for path in ("/AuditEvent", "/AuditEvent?entity=DocumentReference/f3", "/AuditEvent?entity=DocumentReference/f1"):
        both = [_answer(clinic, account, "GET", path) for clinic in (pair.refusing, pair.without)]
        assert [each[0] for each in both] == [403 if account != "anna" else 200] * 2
        assert _REFUSED not in both[0][1]
        assert account != "anna" or (_UID not in both[0][1])
    found = 0
    for path in _asked():
        if account == "anna" and "$explain" in path:  # why others may not see it she is told of each photo of hers
            continue
        refused, absent = (_answer(clinic, account, "GET", f"/{path}") for clinic in (pair.refusing, pair.without))
        assert refused == absent, path
        assert refused[0] in (200, 403, 404), (path, refused)
        found += refused[0] == 200
        for hidden in (_REFUSED, "ImagingStudy/v3", uid_of("f3"), "Left ear"):
            asked_for = path.count(hidden) + path.count(hidden.replace("/", "%2F"))
            assert asked_for or hidden not in refused[1].replace("\\/", "/"), (path, hidden)
    assert found > 60


@pytest.mark.parametrize("account", ["clinician", "integrator", "anna"])
def test_each_page_of_an_order_by_references_is_alike(pair: Pair, account: str) -> None:
    for query in ("Observation?_sort=derived-from&_count=2", "Provenance?_sort=target&_count=1"):
        path = f"/{query}"
        for _ in range(12):
            refused, absent = (_answer(clinic, account, "GET", path) for clinic in (pair.refusing, pair.without))
            assert refused == absent
            links = {each["relation"]: each["url"] for each in json.loads(refused[1])["link"]}
            if "next" not in links:
                break
            path = links["next"].removeprefix(BASE)
        else:
            pytest.fail("the pages have no end")


def _bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def _entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"request": {"method": method, "url": url}} | ({} if resource is None else {"resource": resource}) | more


def _writes() -> Iterator[tuple[str, str, Any, dict[str, str]]]:
    """Method, path, body and headers of writes that name the photo."""
    named = _observation("w1", derivedFrom=_names(_REFUSED, "DocumentReference/f1"), identifier=[{"value": "w1"}])
    without_id = {key: value for key, value in named.items() if key != "id"}
    for prefer in ("representation", "minimal", "OperationOutcome", "something", "REPRESENTATION"):
        headers = {"Prefer": f"return={prefer}"}
        yield "PUT", "/Observation/w1", named, headers
        yield "POST", "/Observation", without_id, headers
        yield "POST", "/Observation", without_id, headers | {"If-None-Exist": "identifier=nobody"}
        yield "PUT", "/Observation?identifier=w2", without_id | {"identifier": [{"value": "w2"}]}, headers
        yield (
            "POST",
            "",
            _bundle("batch", _entry("GET", "Observation/o1"), _entry("PUT", "Observation/w1", named)),
            headers,
        )
        entries = [
            _entry("PUT", "Observation/w1", named),
            _entry("POST", "Observation", without_id | {"partOf": _names("urn:uuid:5")}),
            _entry(
                "POST",
                "Procedure",
                {"resourceType": "Procedure", "status": "completed", **_HERS, "report": _names(_REFUSED)},
                fullUrl="urn:uuid:5",
            ),
        ]
        yield "POST", "", _bundle("transaction", *entries), headers
    for condition in (f"DocumentReference?identifier={_UID}", f"DocumentReference?identifier=urn:dicom:uid|{_UID}"):
        resource = _observation("w3", derivedFrom=_names(condition))
        yield "POST", "", _bundle("transaction", _entry("PUT", "Observation/w3", resource)), {}
    for target in ("Media/f3", "ImagingStudy/v3", f"{BASE}/{_REFUSED}/_history/1"):
        yield "PUT", "/Observation/w4", _observation("w4", derivedFrom=_names(target)), {}
    yield "PUT", "/Consent/w5", consent_of("w5", "deny", "TREAT"), {}
    for path in ("/CarePlan/c1", "/DocumentReference/f3", "/ImagingStudy/v3", "/ServiceRequest/s1"):
        yield "DELETE", path, None, {}


def test_what_is_written_of_a_refused_photo_is_answered_as_of_an_absent_one(pair: Pair) -> None:
    for method, path, body, headers in _writes():
        more = {"headers": headers} | ({} if body is None else {"json": body})
        refused, absent = (_answer(each, "integrator", method, path, **more) for each in (pair.refusing, pair.without))
        assert refused == absent, (method, path, headers, body)
        assert _REFUSED not in refused[1]


def test_what_was_written_is_kept_whole_and_shown_whole_to_who_may_see(pair: Pair) -> None:
    clinic = pair.refusing
    for resource in _STATED:
        path = f"/{resource['resourceType']}/{resource['id']}"
        answer = clinic.get("compliance", path, "HCOMPL")
        assert answer.status_code == 200
        shown = {name: value for name, value in answer.json().items() if name != "meta"}
        assert shown == resource
        assert "tag" not in answer.json()["meta"]
    body = clinic.get("compliance", "/Observation/o11", "HCOMPL").content
    assert body.partition(b'"id":')[2].partition(b'"status"')[2] == _ESCAPED.partition(b'"status"')[2]


def _shown(clinic: Clinic, name: str) -> dict[str, Any]:
    answer = clinic.get("clinician", f"/{name}")
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


def test_the_elements_that_name_it_go_and_all_else_stays(pair: Pair) -> None:
    clinic = pair.refusing
    assert _shown(clinic, "Observation/o1")["derivedFrom"] == _names("DocumentReference/f1", "DocumentReference/f2")
    assert "derivedFrom" not in _shown(clinic, "Observation/o2")
    assert "derivedFrom" not in _shown(clinic, "Observation/o3")
    assert _shown(clinic, "Observation/o4")["note"] == [{"text": "kept"}]
    assert _shown(clinic, "Observation/o5")["derivedFrom"] == _names("ImagingStudy/v1")
    assert "extension" not in _shown(clinic, "Observation/o7")
    assert _shown(clinic, "Observation/o8")["extension"] == [{"url": "urn:y"}]
    assert _shown(clinic, "Observation/o8")["code"] == {"text": "c"}
    inner = _shown(clinic, "Observation/o9")
    assert ("contained" in inner, inner["derivedFrom"]) == (False, _names("DocumentReference/f2"))
    told = _shown(clinic, "Observation/o10")
    assert ("text" in told, told["contained"][0]["derivedFrom"]) == (False, _names("DocumentReference/f1"))
    plan = _shown(clinic, "CarePlan/c1")
    assert plan["supportingInfo"] == _names("DocumentReference/f1")
    assert plan["activity"] == [{"reference": {"reference": "ServiceRequest/s1"}}]
    assert _shown(clinic, "Condition/d1")["evidence"] == [{"code": [{"text": "seen"}]}]
    sent = _shown(clinic, "Communication/m1")
    assert ("about" in sent, sent["payload"]) == (False, [{"contentString": "hello"}])
    looked = _shown(clinic, "Provenance/of-session")
    assert looked["target"] == _names("Procedure/p1")
    assert [each["what"] for each in looked["entity"]] == _names("DocumentReference/f1/_history/1")
    for resource in _STATED:
        name = f"{resource['resourceType']}/{resource['id']}"
        if name not in ("Provenance/of-photo", "Provenance/of-other", "Observation/o6"):
            assert _shown(clinic, name)["meta"]["tag"] == [SUBSETTED], name
    assert "tag" not in _shown(clinic, "Observation/o6")["meta"]
    assert clinic.get("clinician", "/Provenance/of-photo").status_code == 404
    assert clinic.get("clinician", "/Provenance/of-other").status_code == 200


def test_what_is_left_keeps_its_bytes(pair: Pair) -> None:
    whole = pair.refusing.get("compliance", "/Observation/o11", "HCOMPL").content
    shown = pair.refusing.get("clinician", "/Observation/o11").content
    tag = b',"tag":[%s]' % text.dump(SUBSETTED)
    assert tag in shown
    taken = whole.replace(b'{"reference":"\\u0044ocumentReference\\/f3"} , ', b"")
    assert taken != whole
    assert shown.replace(tag, b"") == taken


def test_the_version_of_what_is_cut_is_that_of_the_whole(pair: Pair) -> None:
    shown = pair.refusing.get("clinician", "/Observation/o1")
    assert shown.headers["etag"] == pair.refusing.get("compliance", "/Observation/o1", "HCOMPL").headers["etag"]
    changed = _observation("o1", derivedFrom=_names(_REFUSED))
    headers = {"If-Match": shown.headers["etag"]}
    assert pair.refusing.ask("integrator", "PUT", "/Observation/o1", json=changed, headers=headers).status_code == 200


@pytest.mark.parametrize("account", ["integrator"])
def test_what_was_cut_is_not_written_back(pair: Pair, account: str) -> None:
    clinic = pair.refusing
    cut = clinic.get(account, "/Observation/o1").json()
    batch = _bundle("batch", _entry("PUT", "Observation/o1", cut))
    answers = [
        clinic.ask(account, "PUT", "/Observation/o1", json=cut),
        clinic.ask(account, "PUT", "/Observation?identifier=none", json=cut),
        clinic.ask(account, "POST", "/Observation", json=cut),
        clinic.ask(account, "POST", "", json=_bundle("transaction", _entry("PUT", "Observation/o1", cut))),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert "SUBSETTED" in answer.json()["issue"][0]["diagnostics"]
    assert clinic.ask(account, "POST", "", json=batch).json()["entry"][0]["response"]["status"].startswith("422")
    assert clinic.get("compliance", "/Observation/o1", "HCOMPL").json()["derivedFrom"] == _STATED[0]["derivedFrom"]
    part = clinic.get(account, "/Observation?_id=o6&_elements=code").json()["entry"][0]["resource"]
    assert clinic.ask(account, "PUT", "/Observation/o6", json=part).status_code == 422


#: What is no reference, and names the photo all the same: it goes where the photo is here and refused.
_MENTIONED = {
    "extension": [{"url": "urn:x", "valueUri": _UID}, {"url": "urn:y", "valueOid": "urn:oid:2.16.840.1.113883.6.1"}],
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": _UID}, {"value": "kept"}],
    "note": [{"text": f"see {_REFUSED}."}, {"text": "kept"}],
    "valueString": f"{BASE}/{_REFUSED}",
    "method": {"text": f"http://127.0.0.1/dicom-web/studies/2.25.73/series/2.25.9/instances/{uid_of('f3')}"},
}


def test_a_text_that_mentions_it_goes_where_it_is_refused(pair: Pair) -> None:
    clinic = pair.refusing
    clinic.put(_observation("t1", **_MENTIONED))
    shown = _shown(clinic, "Observation/t1")
    assert shown["extension"] == _MENTIONED["extension"][1:]  # type: ignore[index]
    assert shown["identifier"] == [{"value": "kept"}]
    assert shown["note"] == [{"text": "kept"}]
    assert "valueString" not in shown
    assert "method" not in shown
    whole = clinic.get("compliance", "/Observation/t1", "HCOMPL").json()
    assert {name: whole[name] for name in _MENTIONED} == _MENTIONED
    for account, purpose, total in (("clinician", "TREAT", 0), ("compliance", "HCOMPL", 1)):
        query = f"/Observation?identifier={_UID}"
        assert clinic.get(account, query, purpose).json()["total"] == total


def test_a_consent_says_what_it_says(pair: Pair) -> None:
    shown = _shown(pair.refusing, "Consent/no")
    assert shown["provision"]["data"][0]["reference"] == {"reference": _REFUSED}
    assert "tag" not in shown["meta"]
    assert pair.refusing.get("clinician", f"/Consent?data={_REFUSED}").json()["total"] == 1


def test_photos_are_looked_up_once_for_an_answer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    decisions = pair.refusing.node.decisions
    whole = type(decisions).permitted

    def counted(*given: Any, **more: Any) -> Any:
        asked.append(given)
        return whole(*given, **more)

    monkeypatch.setattr(type(decisions), "permitted", counted)
    answer = pair.refusing.get("clinician", "/Observation?_revinclude=Provenance:target&_count=50").json()
    assert len(answer["entry"]) > 10
    assert len(asked) == 1
    asked.clear()
    assert pair.refusing.get("clinician", "/Patient").json()["total"] == 2
    assert asked == []


def test_the_index_of_references_is_not_changed(pair: Pair) -> None:
    with transaction(pair.refusing.engine) as connection:
        rows = connection.execute(select(fhir_reference.c.id).where(fhir_reference.c.target == _REFUSED)).scalars()
        assert {"o1", "o2", "o3", "c1", "m1", "o11"} <= set(rows)
