"""Bodies and headers that nobody means well with: refused with a status of the client's, in bounded time and memory."""

from __future__ import annotations

import base64
import http.client
import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest

from tests.fhir.clinic import Clinic
from tests.fhir.test_clients import served

__all__ = ["served"]

_MIB = 1 << 20
_PATIENT = b'{"resourceType":"Patient"'

#: Name of what is sent, and the body.
_BODIES: dict[str, bytes] = {
    "deep arrays": b"[" * 900_000,
    "deep objects": b'{"a":' * 150_000,
    "deep and closed": _PATIENT + b',"x":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    "a key twice": _PATIENT + b',"active":true,"active":false}',
    "a key twice, escaped": _PATIENT + b',"active":true,"\\u0061ctive":false}',
    "half of a surrogate pair": _PATIENT + b',"language":"\\ud800"}',
    "half of a surrogate pair as a key": _PATIENT + b',"\\udfff":"x"}',
    "surrogates in UTF-8": _PATIENT + b',"language":"\xed\xa0\x80"}',
    "bytes that are no UTF-8": _PATIENT + b',"language":"\xff\xfe"}',
    "UTF-16": '{"resourceType":"Patient"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + _PATIENT + b"}",
    "a huge number": _PATIENT + b',"multipleBirthInteger":' + b"9" * 900_000 + b"}",
    "a huge exponent": _PATIENT + b',"multipleBirthInteger":1e999999999}',
    "a huge fraction": _PATIENT + b',"multipleBirthInteger":0.' + b"1" * 900_000 + b"}",
    "NaN": _PATIENT + b',"multipleBirthInteger":NaN}',
    "infinity": _PATIENT + b',"multipleBirthInteger":-Infinity}',
    "nothing": b"",
    "blanks": b" " * 900_000,
    "a NUL": _PATIENT + b',"language":"\\u0000"}',
    "a raw control character": _PATIENT + b',"language":"\x01"}',
    "an open string": _PATIENT + b',"language":"' + b"\\" * 900_001,
    "two objects": _PATIENT + b"}{}",
    "a comma too many": _PATIENT + b",}",
    "many members": b"{" + b",".join(b'"a%d":1' % n for n in range(60_000)) + b"}",
    "many values": _PATIENT + b',"name":[' + b"{}," * 200_000 + b"{}]}",
    "no object": b'"Patient"',
    "XML": b"<Patient xmlns='http://hl7.org/fhir'/>",
    "more than a resource may be": _PATIENT + b',"language":"' + b"x" * (2 * _MIB) + b'"}',
}


@pytest.mark.parametrize("name", _BODIES)
@pytest.mark.parametrize("path", ["/Patient", "/Consent", ""])
def test_a_hostile_body_is_the_sender_s_fault(clinic: Clinic, path: str, name: str) -> None:
    started = time.monotonic()
    answer = clinic.ask("integrator", "POST", path, content=_BODIES[name])
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert time.monotonic() - started < 10
    assert clinic.get("integrator", "/Patient?_count=0").json()["total"] == 2


@pytest.mark.parametrize(
    "header",
    ["Bearer x", "Bearer " + "a" * 100_000, "Bearer a.b.c", "Basic %%%", "Basic " + "A" * 90_000, "Digest x", "Basic",
     "\xff"],
)  # fmt: skip
def test_a_bad_token_is_no_account(clinic: Clinic, header: str) -> None:
    answer = clinic.raw("GET", "/Patient/anna", headers=[(b"authorization", header.encode("latin-1"))])
    assert (answer.status_code, answer.json()["resourceType"]) == (401, "OperationOutcome")


def _endless(limit: int) -> Iterator[bytes]:
    for _ in range(limit):
        yield b" " * 65_536


def test_a_body_of_100_megabytes_and_one_without_end_are_cut_off(served: str) -> None:
    host = served.removeprefix("http://").partition("/")[0]
    login = {"Authorization": "Basic " + base64.b64encode(b"integrator:integrator-pw").decode()}
    headers = login | {"Content-Type": "application/fhir+json"}
    for encode in (True, False):
        connection = http.client.HTTPConnection(host, timeout=30)
        more = {} if encode else {"Content-Length": str(100 * _MIB)}
        tracemalloc.start()
        started = time.monotonic()
        status = 0
        try:
            connection.request("POST", "/fhir/Patient", _endless(1600), headers | more, encode_chunked=encode)
            answer = connection.getresponse()
            status = answer.status
            told = json.loads(answer.read())
            assert told["resourceType"] == "OperationOutcome"
        except (BrokenPipeError, ConnectionResetError):
            status = 413  # the server had said so and closed, before all was sent
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        connection.close()
        assert status == 413
        assert time.monotonic() - started < 20
        assert peak < 40 * _MIB
    alive = http.client.HTTPConnection(host, timeout=30)
    alive.request("GET", "/fhir/Patient/anna", headers=login)
    assert alive.getresponse().status == 200
    alive.close()


def test_a_search_of_very_many_values_by_very_many_ways_is_refused(clinic: Clinic) -> None:
    started = time.monotonic()
    many = ",".join("x" for _ in range(100))
    query = "&".join(f"focus.identifier={many}" for _ in range(58))
    answer = clinic.get("clinician", f"/Observation?{query}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "too-costly")
    assert time.monotonic() - started < 5


def test_a_resource_that_names_very_many_photos_is_shown_in_bounded_time(clinic: Clinic) -> None:
    named = [{"reference": f"DocumentReference/x{number}"} for number in range(4500)]
    inner = [
        {
            "resourceType": "DocumentReference",
            "id": f"i{number}",
            "status": "current",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:2.25.9000{number}"}],
            "content": [{"attachment": {"title": "x"}}],
        }
        for number in range(400)
    ]
    body = {
        "resourceType": "Observation",
        "id": "many",
        "status": "final",
        "code": {"text": "x"},
        "contained": inner,
        "derivedFrom": [*named, *({"reference": f"#i{number}"} for number in range(400))],
    }
    assert clinic.ask("integrator", "PUT", "/Observation/many", json=body).status_code == 201
    started = time.monotonic()
    shown = clinic.get("clinician", "/Observation/many").json()
    assert time.monotonic() - started < 5
    assert not {"contained", "derivedFrom"} & set(shown)
