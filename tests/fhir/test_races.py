"""Several who write at once: one is first, the others are told; nothing is lost and nothing is there twice."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.fhir.clinic import Clinic

_AT_ONCE = 8


def _all_at_once(work: Callable[[int], Any]) -> list[Any]:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(work, range(_AT_ONCE)))


def _patient(number: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "anna", "multipleBirthInteger": number + 1} | more


def test_of_several_who_read_the_same_version_one_writes(clinic: Clinic) -> None:
    read = clinic.get("integrator", "/Patient/anna").headers["etag"]

    def write(number: int) -> Any:
        return clinic.ask(
            "integrator", "PUT", "/Patient/anna", json=_patient(number), headers={"If-Match": read}
        ).status_code

    assert sorted(_all_at_once(write)) == [200, *[412] * (_AT_ONCE - 1)]
    assert clinic.get("integrator", "/Patient/anna/_history").json()["total"] == 2


def test_whoever_reads_again_and_writes_loses_nothing(clinic: Clinic) -> None:
    def add(number: int) -> int:
        for tries in range(1, 200):
            now = clinic.get("integrator", "/Patient/anna")
            body = now.json()
            body["name"].append({"family": f"N{number}"})
            body.pop("meta")
            headers = {"If-Match": now.headers["etag"]}
            answer = clinic.ask("integrator", "PUT", "/Patient/anna", json=body, headers=headers)
            if answer.status_code == 200:
                return tries
            assert answer.status_code == 412
        raise AssertionError("never first")

    _all_at_once(add)
    kept = clinic.get("integrator", "/Patient/anna").json()
    assert {each["family"] for each in kept["name"]} == {"Ānderson", *(f"N{each}" for each in range(_AT_ONCE))}
    assert kept["meta"]["versionId"] == str(1 + _AT_ONCE)


def test_what_is_created_on_a_condition_by_several_is_there_once(clinic: Clinic) -> None:
    body = {"resourceType": "Device", "identifier": [{"system": "urn:x", "value": "once"}]}
    entry = {"resource": body, "request": {"method": "POST", "url": "Device", "ifNoneExist": "identifier=urn:x|once"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    ways: tuple[Callable[[], Any], ...] = (
        lambda: clinic.ask(
            "integrator", "POST", "/Device", json=body, headers={"If-None-Exist": "identifier=urn:x|once"}
        ),
        lambda: clinic.ask("integrator", "PUT", "/Device?identifier=urn:x|once", json=body),
        lambda: clinic.ask("integrator", "POST", "", json=bundle),
    )
    answers = _all_at_once(lambda number: ways[number % len(ways)]())
    assert {each.status_code for each in answers} <= {200, 201}
    assert clinic.get("integrator", "/Device?identifier=urn:x|once").json()["total"] == 1


def test_who_pages_while_others_write_and_delete_meets_each_that_stays_once(clinic: Clinic) -> None:
    for number in range(30):
        clinic.put({"resourceType": "Device", "id": f"k{number:02}", "deviceName": [{"name": "x", "type": "other"}]})
        clinic.put({"resourceType": "Device", "id": f"w{number:02}", "deviceName": [{"name": "x", "type": "other"}]})

    def change(number: int) -> None:
        for each in range(number, 30, _AT_ONCE):
            clinic.ask("integrator", "DELETE", f"/Device/w{each:02}")
            body = {"resourceType": "Device", "deviceName": [{"name": f"a{each}", "type": "other"}]}
            clinic.ask("integrator", "POST", "/Device", json=body)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        writing = [threads.submit(change, number) for number in range(_AT_ONCE)]
        for sort in ("device-name", "-_lastUpdated", "_id"):
            seen: list[str] = []
            path = f"/Device?_sort={sort}&_count=7"
            while path:
                bundle = clinic.get("integrator", path).json()
                seen += [each["resource"]["id"] for each in bundle.get("entry", ())]
                links = {each["relation"]: each["url"] for each in bundle["link"]}
                path = links.get("next", "").partition("/fhir")[2]
            kept = [each for each in seen if each.startswith("k")]
            assert sorted(kept) == [f"k{number:02}" for number in range(30)]
            assert len(seen) == len(set(seen))
        for each in writing:
            each.result()
