"""What closes a visit's photographs is valid FHIR, closed and open again, whole and cut."""

from __future__ import annotations

from pathlib import Path

from consent.store.engine import transaction
from dicom_bridge.protocols.closing import Person, Why, closing_id, reopen
from tests.fhir.clinic import consent_of
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions
from tests.protocols.closable import FROWN, VISIT, closings, opened, request, shot


@needs_definitions
def test_a_closed_visit_is_valid(tmp_path: Path, medplum: Medplum, pyrofile: Pyrofile) -> None:
    clinic = opened(tmp_path)
    try:
        shot(clinic, "n1", "rest")
        for person in (Person("The nurse", "Practitioner/d"), Person("The nurse")):
            closings(clinic).close(request(), VISIT, {FROWN: Why("other", "Swollen")}, person, "test")
            with transaction(clinic.engine) as connection:
                reopen(connection, clinic.record, [VISIT])
        versions = [f"/Observation/{closing_id(VISIT)}/_history/{each}" for each in (1, 2, 3, 4)]
        served = [clinic.ask("doctor", "GET", each).json() for each in versions]
        assert [each["status"] for each in served] == ["final", "preliminary"] * 2
        named = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/n1"}}]}
        clinic.put(consent_of("no", "deny", "TREAT", provision=named))
        cut = clinic.ask("doctor", "GET", f"/Observation/{closing_id(VISIT)}").json()
        assert "n1" not in str(cut)
        assert "SUBSETTED" in str(cut["meta"])
        for each in (*served, cut):
            found = [*medplum.faults(each), *pyrofile.faults(each)]
            assert [fault for fault in found if "The extension urn:photospine:" not in fault] == []
    finally:
        clinic.close()
