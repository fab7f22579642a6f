"""A photo that may not be seen is named nowhere: the answer is the same, byte for byte, as if it never was there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from consent.store.engine import transaction
from fhir_mapping import text
from fhir_mapping.pruning import SUBSETTED
from fhir_mapping.tables import fhir_reference
from tests.fhir.clinic import BASE, Clinic, consent_of, uid_of
from tests.fhir.refused_pair import (
    ESCAPED,
    HERS,
    REFUSED,
    STATED,
    UID,
    Pair,
    answer_of,
    asked_paths,
    naming,
    observation,
)


@pytest.mark.parametrize("account", ["clinician", "doctor", "integrator", "anna"])
def test_refused_and_absent_are_answered_alike_at_every_door(pair: Pair, account: str) -> None:
    for path in ("/AuditEvent", "/AuditEvent?entity=DocumentReference/f3", "/AuditEvent?entity=DocumentReference/f1"):
        both = [answer_of(clinic, account, "GET", path) for clinic in (pair.refusing, pair.without)]
        assert [each[0] for each in both] == [403 if account != "anna" else 200] * 2
        assert REFUSED not in both[0][1]
        assert account != "anna" or (UID not in both[0][1])
    found = 0
    for path in asked_paths():
        if account == "anna" and "$explain" in path:  # why others may not see it she is told of each photo of hers
            continue
        refused, absent = (answer_of(clinic, account, "GET", f"/{path}") for clinic in (pair.refusing, pair.without))
        assert refused == absent, path
        assert refused[0] in (200, 403, 404), (path, refused)
        found += refused[0] == 200
        for hidden in (REFUSED, "ImagingStudy/v3", uid_of("f3"), "Left ear"):
            asked_for = path.count(hidden) + path.count(hidden.replace("/", "%2F"))
            assert asked_for or hidden not in refused[1].replace("\\/", "/"), (path, hidden)
    assert found > 60


@pytest.mark.parametrize("account", ["clinician", "integrator", "anna"])
def test_each_page_of_an_order_by_references_is_alike(pair: Pair, account: str) -> None:
    for query in ("Observation?_sort=derived-from&_count=2", "Provenance?_sort=target&_count=1"):
        path = f"/{query}"
        for _ in range(12):
            refused, absent = (answer_of(clinic, account, "GET", path) for clinic in (pair.refusing, pair.without))
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
    named = observation("w1", derivedFrom=naming(REFUSED, "DocumentReference/f1"), identifier=[{"value": "w1"}])
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
            _entry("POST", "Observation", without_id | {"partOf": naming("urn:uuid:5")}),
            _entry(
                "POST",
                "Procedure",
                {"resourceType": "Procedure", "status": "completed", **HERS, "report": naming(REFUSED)},
                fullUrl="urn:uuid:5",
            ),
        ]
        yield "POST", "", _bundle("transaction", *entries), headers
    for condition in (f"DocumentReference?identifier={UID}", f"DocumentReference?identifier=urn:dicom:uid|{UID}"):
        resource = observation("w3", derivedFrom=naming(condition))
        yield "POST", "", _bundle("transaction", _entry("PUT", "Observation/w3", resource)), {}
    for target in ("Media/f3", "ImagingStudy/v3", f"{BASE}/{REFUSED}/_history/1"):
        yield "PUT", "/Observation/w4", observation("w4", derivedFrom=naming(target)), {}
    yield "PUT", "/Consent/w5", consent_of("w5", "deny", "TREAT"), {}
    for path in ("/CarePlan/c1", "/DocumentReference/f3", "/ImagingStudy/v3", "/ServiceRequest/s1"):
        yield "DELETE", path, None, {}


def test_what_is_written_of_a_refused_photo_is_answered_as_of_an_absent_one(pair: Pair) -> None:
    for method, path, body, headers in _writes():
        more = {"headers": headers} | ({} if body is None else {"json": body})
        refused, absent = (
            answer_of(each, "integrator", method, path, **more) for each in (pair.refusing, pair.without)
        )
        assert refused == absent, (method, path, headers, body)
        assert REFUSED not in refused[1]


def test_what_was_written_is_kept_whole_and_shown_whole_to_who_may_see(pair: Pair) -> None:
    clinic = pair.refusing
    for resource in STATED:
        path = f"/{resource['resourceType']}/{resource['id']}"
        answer = clinic.get("compliance", path, "HCOMPL")
        assert answer.status_code == 200
        shown = {name: value for name, value in answer.json().items() if name != "meta"}
        assert shown == resource
        assert "tag" not in answer.json()["meta"]
    body = clinic.get("compliance", "/Observation/o11", "HCOMPL").content
    assert body.partition(b'"id":')[2].partition(b'"status"')[2] == ESCAPED.partition(b'"status"')[2]


def _shown(clinic: Clinic, name: str) -> dict[str, Any]:
    answer = clinic.get("clinician", f"/{name}")
    assert answer.status_code == 200
    shown: dict[str, Any] = answer.json()
    return shown


def test_the_elements_that_name_it_go_and_all_else_stays(pair: Pair) -> None:
    clinic = pair.refusing
    assert _shown(clinic, "Observation/o1")["derivedFrom"] == naming("DocumentReference/f1", "DocumentReference/f2")
    assert "derivedFrom" not in _shown(clinic, "Observation/o2")
    assert "derivedFrom" not in _shown(clinic, "Observation/o3")
    assert _shown(clinic, "Observation/o4")["note"] == [{"text": "kept"}]
    assert _shown(clinic, "Observation/o5")["derivedFrom"] == naming("ImagingStudy/v1")
    assert "extension" not in _shown(clinic, "Observation/o7")
    assert _shown(clinic, "Observation/o8")["extension"] == [{"url": "urn:y"}]
    assert _shown(clinic, "Observation/o8")["code"] == {"text": "c"}
    inner = _shown(clinic, "Observation/o9")
    assert ("contained" in inner, inner["derivedFrom"]) == (False, naming("DocumentReference/f2"))
    told = _shown(clinic, "Observation/o10")
    assert ("text" in told, told["contained"][0]["derivedFrom"]) == (False, naming("DocumentReference/f1"))
    plan = _shown(clinic, "CarePlan/c1")
    assert plan["supportingInfo"] == naming("DocumentReference/f1")
    assert plan["activity"] == [{"reference": {"reference": "ServiceRequest/s1"}}]
    assert _shown(clinic, "Condition/d1")["evidence"] == [{"code": [{"text": "seen"}]}]
    sent = _shown(clinic, "Communication/m1")
    assert ("about" in sent, sent["payload"]) == (False, [{"contentString": "hello"}])
    looked = _shown(clinic, "Provenance/of-session")
    assert looked["target"] == naming("Procedure/p1")
    assert [each["what"] for each in looked["entity"]] == naming("DocumentReference/f1/_history/1")
    for resource in STATED:
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
    changed = observation("o1", derivedFrom=naming(REFUSED))
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
    assert clinic.get("compliance", "/Observation/o1", "HCOMPL").json()["derivedFrom"] == STATED[0]["derivedFrom"]
    part = clinic.get(account, "/Observation?_id=o6&_elements=code").json()["entry"][0]["resource"]
    assert clinic.ask(account, "PUT", "/Observation/o6", json=part).status_code == 422


#: What is no reference, and names the photo all the same: it goes where the photo is here and refused.
_MENTIONED = {
    "extension": [{"url": "urn:x", "valueUri": UID}, {"url": "urn:y", "valueOid": "urn:oid:2.16.840.1.113883.6.1"}],
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": UID}, {"value": "kept"}],
    "note": [{"text": f"see {REFUSED}."}, {"text": "kept"}],
    "valueString": f"{BASE}/{REFUSED}",
    "method": {"text": f"http://127.0.0.1/dicom-web/studies/2.25.73/series/2.25.9/instances/{uid_of('f3')}"},
}


def test_a_text_that_mentions_it_goes_where_it_is_refused(pair: Pair) -> None:
    clinic = pair.refusing
    clinic.put(observation("t1", **_MENTIONED))
    shown = _shown(clinic, "Observation/t1")
    assert shown["extension"] == _MENTIONED["extension"][1:]  # type: ignore[index]
    assert shown["identifier"] == [{"value": "kept"}]
    assert shown["note"] == [{"text": "kept"}]
    assert "valueString" not in shown
    assert "method" not in shown
    whole = clinic.get("compliance", "/Observation/t1", "HCOMPL").json()
    assert {name: whole[name] for name in _MENTIONED} == _MENTIONED
    for account, purpose, total in (("clinician", "TREAT", 0), ("compliance", "HCOMPL", 1)):
        query = f"/Observation?identifier={UID}"
        assert clinic.get(account, query, purpose).json()["total"] == total


def test_a_consent_says_what_it_says(pair: Pair) -> None:
    shown = _shown(pair.refusing, "Consent/no")
    assert shown["provision"]["data"][0]["reference"] == {"reference": REFUSED}
    assert "tag" not in shown["meta"]
    assert pair.refusing.get("clinician", f"/Consent?data={REFUSED}").json()["total"] == 1


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
        rows = connection.execute(select(fhir_reference.c.id).where(fhir_reference.c.target == REFUSED)).scalars()
        assert {"o1", "o2", "o3", "c1", "m1", "o11"} <= set(rows)
