"""Client libraries that others wrote, over real sockets: fhirclient (SMART's) and fhirpy (asynchronous)."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette

from fhir_mapping.api.routes import routes
from fhir_mapping.store.record import RecordStore
from tests.fhir.clinic import SITE, Clinic
from tests.ports import free_port


@pytest.fixture
def served(clinic: Clinic) -> Iterator[str]:
    """The clinic's FHIR address behind a real server."""
    port = free_port()
    base = f"http://127.0.0.1:{port}/fhir"
    node = replace(clinic.node, base=base, record=RecordStore(SITE, base=base))
    app = Starlette(routes=routes(node))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield base
    server.should_exit = True
    thread.join(20)


def _basic(account: str) -> str:
    return "Basic " + base64.b64encode(f"{account}:{account}-pw".encode()).decode()


def test_fhirclient_creates_reads_changes_searches_and_deletes(served: str) -> None:
    from fhirclient import client
    from fhirclient.models.bundle import Bundle
    from fhirclient.models.patient import Patient

    smart = client.FHIRClient(settings={"app_id": "test", "api_base": served})
    smart.server.session.headers["Authorization"] = _basic("integrator")
    smart.prepare()
    made = Patient({"name": [{"family": "Client"}], "birthDate": "1990-01-02"}).create(smart.server)
    assert made is not None
    patient = Patient.read(made["id"], smart.server)
    assert (patient.name[0].family, patient.meta.versionId) == ("Client", "1")
    patient.gender = "female"
    assert patient.update(smart.server)["meta"]["versionId"] == "2"
    found = list(Patient.where({"name": "client"}).perform_resources_iter(smart.server))
    assert [each.id for each in found] == [made["id"]]
    for number in range(4):
        Patient({"name": [{"family": f"Paged{number}"}]}).create(smart.server)
    pages = list(Patient.where({"name": "paged", "_count": "1"}).perform_resources_iter(smart.server))
    assert len({each.id for each in pages}) == 4
    history = Bundle.read_from(f"Patient/{made['id']}/_history", smart.server)
    assert [each.resource.meta.versionId for each in history.entry] == ["2", "1"]
    patient.delete()
    with pytest.raises(Exception, match="410"):
        Patient.read(made["id"], smart.server)


def test_fhirpy_creates_reads_changes_searches_and_deletes(served: str) -> None:
    with ThreadPoolExecutor(1) as apart:  # another test's browser may have left a loop to this thread
        apart.submit(lambda: asyncio.run(_with_fhirpy(served))).result()


async def _with_fhirpy(base: str) -> None:
    from fhirpy import AsyncFHIRClient
    from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

    client = AsyncFHIRClient(base, authorization=_basic("integrator"))
    made = client.resource("Patient", name=[{"family": "Asynchronous"}])
    await made.save()
    assert made["meta"]["versionId"] == "1"
    read = await client.reference("Patient", made.id).to_resource()
    read["gender"] = "female"
    await read.save()
    assert read["meta"]["versionId"] == "2"
    for number in range(3):
        await client.resource("Device", note=[{"text": str(number)}]).save()
    paged: list[Any] = [each async for each in client.resources("Device").limit(1)]
    assert len({each.id for each in paged}) == 4
    found = await client.resources("Patient").search(name="asynchronous").fetch_all()
    assert [each.id for each in found] == [made.id]
    history = await client.execute(f"Patient/{made.id}/_history", method="get")
    assert [each["response"]["etag"] for each in history["entry"]] == ['W/"2"', 'W/"1"']
    bundle = {"resourceType": "Bundle", "type": "batch"}
    bundle["entry"] = [{"request": {"method": "GET", "url": f"Patient/{made.id}"}}]  # type: ignore[assignment]
    answer = await client.execute("", method="post", data=bundle)
    assert answer["entry"][0]["resource"]["id"] == made.id
    await read.delete()  # type: ignore[no-untyped-call]
    with pytest.raises((OperationOutcome, ResourceNotFound)):
        await client.reference("Patient", made.id).to_resource()
