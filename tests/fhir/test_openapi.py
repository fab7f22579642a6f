"""The OpenAPI document: what the routes do, held against them by schemathesis."""

from __future__ import annotations

import json
import time
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fhir_mapping.api.interactions import TABLE
from tests.counts import count, report
from tests.fhir.clinic import Clinic, consent_of

_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
_NAME = "requests drawn from the OpenAPI document"
_SEED = 20261126

#: What a request may say instead of what was drawn, so that more than refusals is reached.
_IDS = ("anna", "v1", "p1", "lot7", "laser", "d", "f1", "f2", "ma1", "c1", "d1", "clinic", "none")
_BODIES: tuple[dict[str, Any], ...] = (
    {"resourceType": "Device", "id": "d1"},
    {"resourceType": "Patient", "id": "new", "identifier": [{"system": "urn:x", "value": "7"}]},
    {"resourceType": "Organization", "id": "o1", "name": "x"},
    {"resourceType": "Goal", "id": "g1", "lifecycleStatus": "active", "description": {"text": "x"},
     "subject": {"reference": "Patient/anna"}},
    consent_of("c1", "deny", "WEB"),
    {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": "Patient/anna"}}]},
    {"resourceType": "Bundle", "type": "transaction",
     "entry": [{"request": {"method": "DELETE", "url": "Device/d1"}}]},
)  # fmt: skip
_ACCOUNTS = ("integrator", "integrator", "integrator", "clinician", "compliance", "anna", "marketing", "nobody")


def test_the_document_tells_every_route(clinic: Clinic) -> None:
    told = clinic.raw("GET", "/openapi.json").json()
    assert told["openapi"] == "3.1.0"
    for row in TABLE:
        for path, methods in told["paths"].items():
            if path.split("/")[1] != row.type:
                continue
            address = path.replace("{id}", "none").replace("{version}", "1")
            answer = clinic.ask("integrator", "PATCH", address)
            offered = {each.strip().lower() for each in answer.headers["allow"].split(",")}
            assert offered == set(methods), path


def test_every_route_is_told_by_the_document(clinic: Clinic) -> None:
    told = clinic.raw("GET", "/openapi.json").json()["paths"]
    for route in clinic.app.routes:
        path = getattr(route, "path", "").removeprefix("/fhir") or "/"
        methods = {each.lower() for each in getattr(route, "offered", ())}
        if methods:
            assert methods == set(told.get(path, ())), path


def test_no_request_is_answered_otherwise_than_the_document_says(clinic: Clinic) -> None:
    schema = schemathesis.openapi.from_asgi("/fhir/openapi.json", clinic.app)
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    assert len(operations) > 100
    wanted, started = count(_NAME, small=300, full=10_000), time.monotonic()
    ran: dict[int, int] = {}

    @seed(_SEED)
    @settings(
        max_examples=wanted,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(operations).flatmap(lambda each: each.as_strategy()), st.data())
    def asked(case: Any, data: st.DataObject) -> None:
        if case.path_parameters and "id" in case.path_parameters and data.draw(st.booleans()):
            case.path_parameters["id"] = data.draw(st.sampled_from(_IDS))
        if case.method in ("POST", "PUT") and case.media_type == "application/fhir+json" and data.draw(st.booleans()):
            case.body = data.draw(st.sampled_from(_BODIES))
        account = data.draw(st.sampled_from(_ACCOUNTS))
        answer = case.call(auth=(account, f"{account}-pw"))
        ran[answer.status_code] = ran.get(answer.status_code, 0) + 1
        case.validate_response(answer, checks=_CHECKS)

    asked()
    run = sum(ran.values())
    report(
        _NAME, asked=wanted, run=run, failures=0, seed=_SEED, started=started, measured=json.dumps(ran, sort_keys=True)
    )
    assert run >= wanted
    assert {200, 201, 404} <= set(ran)
