"""From a lot to every patient, treatment and photo, in three sets."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from consent.store.engine import reading
from consent.types import Request, Requester
from fhir_mapping.advisory.asked import question
from fhir_mapping.advisory.batch import Advisory, Fit, When
from fhir_mapping.advisory.question import ask
from fhir_mapping.errors import Forbidden, Invalid
from tests.fhir.clinic import BASE, FACE, HAND, SITE, Clinic, consent_of, context, region, requesters

pytestmark = pytest.mark.fast


def _ask(clinic: Clinic, lot: str, expiry: str | None = None, account: str = "compliance") -> Advisory:
    request = Request(requesters()[account], "PATSFTY")
    with reading(clinic.engine) as connection:
        asked = question([(lot, expiry)])
        return ask(clinic.node.decisions, connection, clinic.chain, request, SITE, asked, door="serve")


def _give(clinic: Clinic, name: str, patient: str, **more: Any) -> None:
    clinic.put(
        {
            "resourceType": "MedicationAdministration",
            "id": name,
            "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
            "effectiveDateTime": "2026-05-04T11:00:00+03:00",
        }
        | more
    )


def test_a_lot_leads_to_patient_treatment_and_photos(clinic: Clinic) -> None:
    clinic.photo("f0", "anna", "v1", context=context("v1", "2026-04-01T10:00:00+03:00"))
    clinic.photo("f8", "anna", "v1", context=context("v1", "2026-06-01T10:00:00+03:00"))
    found = _ask(clinic, "LOT-0071")
    assert [(each.reference, each.fit) for each in found.products] == [("Medication/lot7", Fit.EXACT)]
    (anna,) = found.patients
    assert (anna.id, anna.name, anna.birth) == ("anna", "Anna Ānderson", "1990-05-05")
    (treatment,) = anna.treatments
    assert (treatment.reference, treatment.through, treatment.doses) == (
        "Procedure/p1",
        ("MedicationAdministration/ma1",),
        ("20 U",),
    )
    assert [(each.document.rpartition("/")[2], each.when) for each in anna.photos] == [
        ("f0", When.BEFORE),
        ("f1", When.BEFORE),
        ("f2", When.BEFORE),
        ("f8", When.AFTER),
    ]


def test_photos_say_what_they_may_be_shown_for(clinic: Clinic) -> None:
    clinic.put(consent_of("no", "deny", "TREAT"))
    clinic.put(consent_of("yes", "permit", "TEACH"))
    (anna,) = _ask(clinic, "LOT-0071").patients
    assert {each.allowed for each in anna.photos} == {("TEACH",)}


def test_photos_of_another_area_are_left_out(clinic: Clinic) -> None:
    clinic.put(
        {
            "resourceType": "Encounter",
            "id": "v3",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/anna"},
        }
    )
    clinic.photo("h1", "anna", "v3", extension=[region(HAND)], context=context("v3", "2026-05-20"))
    (anna,) = _ask(clinic, "LOT-0071").patients
    assert "DocumentReference/h1" not in [each.document for each in anna.photos]
    assert [each["released"] for each in clinic.records() if each["kind"] == "set"] == [len(anna.photos)]


def test_the_same_lot_with_another_expiry_is_a_set_of_its_own(clinic: Clinic) -> None:
    assert [each.fit for each in _ask(clinic, "LOT-0071", "2027-01").products] == [Fit.EXACT]
    assert [each.fit for each in _ask(clinic, "LOT-0071", "2027-01-31").products] == [Fit.EXACT]
    found = _ask(clinic, "LOT-0071", "2027-02-28")
    assert [each.fit for each in found.products] == [Fit.OTHER_EXPIRY]
    assert [each.fit for each in found.patients] == [Fit.OTHER_EXPIRY]


@pytest.mark.parametrize(
    "written",
    [
        "lot 0071", "L0T-0071", "LOT-00?1", "LOT*", "lot0071", "unknown", None, "LOT\u20110071", "LOT\u00a00071",
        "Lot: LOT-0071", "LOT-0070 / LOT-0071", "LOT-0071, exp 01/2027",
    ],
)  # fmt: skip
def test_lots_that_read_alike_or_cannot_be_read_are_never_passed_over(clinic: Clinic, written: str | None) -> None:
    batch = {"expirationDate": "2027-01-31"} | ({} if written is None else {"lotNumber": written})
    clinic.put({"resourceType": "Medication", "id": "near", "code": {"text": "Toxin A"}, "batch": batch})
    _give(clinic, "ma2", "ben", medicationReference={"reference": "Medication/near"})
    found = _ask(clinic, "LOT-0071")
    assert {each.reference: each.fit for each in found.products} == {
        "Medication/lot7": Fit.EXACT,
        "Medication/near": Fit.UNREADABLE,
    }
    assert [(each.id, each.fit) for each in found.patients] == [("anna", Fit.EXACT), ("ben", Fit.UNREADABLE)]


def test_a_product_without_lot_and_name_may_be_any(clinic: Clinic) -> None:
    batch = {"expirationDate": "2027-01-31"}
    clinic.put({"resourceType": "Medication", "id": "nameless", "batch": batch})
    clinic.put({"resourceType": "Medication", "id": "small", "code": {"text": "toxin a"}, "batch": batch})
    clinic.put({"resourceType": "Medication", "id": "other", "code": {"text": "Filler B"}, "batch": batch})
    found = [each.reference for each in _ask(clinic, "LOT-0071").products]
    assert found == ["Medication/lot7", "Medication/nameless", "Medication/small"]
    clinic.put({"resourceType": "Medication", "id": "bare", "batch": {"lotNumber": "B-55"}})
    found = [each.reference for each in _ask(clinic, "B-55").products]
    assert found == ["Medication/bare", "Medication/nameless", "Medication/other", "Medication/small"]


def test_a_lot_that_an_earlier_version_bears_is_not_passed_over(clinic: Clinic) -> None:
    for lot in ("NEW-1", "NEW-2"):
        batch = {"lotNumber": lot, "expirationDate": "2028-01"}
        clinic.put({"resourceType": "Medication", "id": "lot7", "code": {"text": "Toxin A"}, "batch": batch})
    for lot, former in (("LOT-0071", True), ("NEW-1", True), ("NEW-2", False)):
        fit = Fit.UNREADABLE if former else Fit.EXACT
        found = _ask(clinic, lot)
        assert [(each.lot, each.fit, each.former) for each in found.products] == [(lot, fit, former)]
        assert [(each.id, each.fit) for each in found.patients] == [("anna", fit)]


def test_another_lot_is_no_match(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Medication", "id": "other", "batch": {"lotNumber": "LOT-0082"}})
    clinic.put({"resourceType": "Medication", "id": "other2", "batch": {"lotNumber": "ZZ?1"}})
    clinic.put({"resourceType": "Medication", "id": "other3", "batch": {"lotNumber": "LOT-007155"}})
    assert [each.reference for each in _ask(clinic, "LOT-0071").products] == ["Medication/lot7"]
    nothing = _ask(clinic, "NONE-SUCH")
    assert (nothing.products, nothing.patients) == ((), ())


def test_contained_products_and_devices_are_found_and_procedures_followed_both_ways(clinic: Clinic) -> None:
    contained = {"resourceType": "Medication", "id": "m", "batch": {"lotNumber": "C-1"}}
    _give(clinic, "ma3", "ben", contained=[contained], medicationReference={"reference": "#m"})
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": "p3",
            "status": "completed",
            "subject": {"reference": "Patient/ben"},
            "partOf": [{"reference": "MedicationAdministration/ma3"}],
        }
    )
    (ben,) = _ask(clinic, "C-1").patients
    assert [(each.reference, each.through) for each in ben.treatments] == [
        ("Procedure/p3", ("MedicationAdministration/ma3",))
    ]
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": "p4",
            "status": "completed",
            "subject": {"reference": "Patient/anna"},
            "focalDevice": [{"manipulated": {"reference": "Device/laser"}}],
        }
    )
    (anna,) = _ask(clinic, "L1").patients
    assert [each.reference for each in anna.treatments] == ["Procedure/p4"]


@pytest.mark.parametrize(
    ("carrier", "expiry"),
    [
        ({"carrierHRF": "(01)09504000059118(17)270131(10)UDI77(21)1"}, "2027-01-31"),
        ({"carrierHRF": "*+(01) 09504000059118 (17) 270200 (10) UDI77 (21) 1"}, "2027-02-28"),
        ({"carrierHRF": "01095040000591181727013110UDI77"}, "2027-01-31"),
        ({"carrierAIDC": b64encode(b"]d201095040000591181727123110UDI77\x1d211").decode()}, "2027-12-31"),
        ({"carrierAIDC": b64encode(b"010950400005911810UDI77\x1d17999999").decode()}, None),
    ],
)
def test_the_lot_in_a_udi_counts(clinic: Clinic, carrier: dict[str, str], expiry: str | None) -> None:
    carriers = [{"carrierHRF": "(01)09504000059118(10)UDI76"}, carrier]
    clinic.put({"resourceType": "Device", "id": "implant", "lotNumber": "UDI75", "udiCarrier": carriers})
    (found,) = _ask(clinic, "UDI77").products
    assert (found.reference, found.fit, found.lot, found.expiry) == ("Device/implant", Fit.EXACT, "UDI77", expiry)
    for lot in ("UDI75", "UDI76"):
        assert [each.lot for each in _ask(clinic, lot).products] == [lot]


@pytest.mark.parametrize(
    "carrier", ["(01)09504000059118(21)1", "0109504", "01ABCDEFGHIJKLMN10UDI77", "+A123BJ/$$1", "10"]
)
def test_a_udi_that_tells_no_lot_is_no_match(clinic: Clinic, carrier: str) -> None:
    both = {"carrierHRF": carrier, "carrierAIDC": b64encode(b"\xff10UDI77").decode()}
    clinic.put({"resourceType": "Device", "id": "implant", "udiCarrier": [both]})
    assert _ask(clinic, "UDI77").products == ()


def test_the_same_product_without_a_lot_may_be_of_the_batch(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Medication", "id": "plain", "code": {"text": "Toxin A"}})
    clinic.put({"resourceType": "Medication", "id": "other", "code": {"text": "Filler B"}})
    clinic.put({"resourceType": "Medication", "id": "nameless"})
    _give(clinic, "ma2", "ben", medicationReference={"reference": "Medication/plain"})
    held = {"resourceType": "Medication", "id": "m", "code": {"text": "Toxin A"}}
    _give(clinic, "ma3", "ben", contained=[held], medicationReference={"reference": "#m"})
    found = _ask(clinic, "LOT-0071")
    assert {each.reference: each.fit for each in found.products} == {
        "Medication/lot7": Fit.EXACT,
        "Medication/plain": Fit.UNREADABLE,
        "MedicationAdministration/ma3#m": Fit.UNREADABLE,
    }
    assert [(each.id, each.fit) for each in found.patients] == [("anna", Fit.EXACT), ("ben", Fit.UNREADABLE)]
    assert _ask(clinic, "NONE-SUCH").products == ()


def _lot(clinic: Clinic, lot: str, **more: Any) -> dict[str, Any]:
    """A Medication of a lot, and the reference that an administration names it by."""
    name = lot.lower()
    clinic.put({"resourceType": "Medication", "id": name, "batch": {"lotNumber": lot}} | more)
    return {"medicationReference": {"reference": f"Medication/{name}"}}


def test_an_implant_is_its_own_use(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Device", "id": "i", "lotNumber": "IMP-1", "patient": {"reference": "Patient/ben"}})
    (ben,) = _ask(clinic, "IMP-1").patients
    assert [(each.reference, each.patient) for each in ben.treatments] == [("Device/i", "ben")]


@pytest.mark.parametrize(
    ("status", "patient", "references"),
    [
        ("completed", "ben", ["Procedure/p9"]),
        ("not-done", "ben", ["Device/i", "Procedure/p9"]),
        ("completed", "anna", ["Device/i", "Procedure/p9"]),
    ],
)
def test_an_implant_that_was_put_in_on_record_is_told_by_that_alone(
    clinic: Clinic, status: str, patient: str, references: list[str]
) -> None:
    clinic.put({"resourceType": "Device", "id": "i", "lotNumber": "IMP-1", "patient": {"reference": "Patient/ben"}})
    clinic.put(
        {"resourceType": "Procedure", "id": "p9", "status": status, "subject": {"reference": f"Patient/{patient}"},
         "performedDateTime": "2026-05-20", "bodySite": [{"coding": [FACE]}],
         "focalDevice": [{"manipulated": {"reference": "Device/i"}}]}
    )  # fmt: skip
    visit = {"resourceType": "Encounter", "id": "v3", "status": "finished", "class": {"code": "AMB"}}
    clinic.put(visit | {"subject": {"reference": "Patient/ben"}})
    clinic.photo("h1", "ben", "v3", extension=[region(HAND)], context=context("v3", "2026-05-20"))
    found = {each.id: each for each in _ask(clinic, "IMP-1").patients}
    assert sorted(each.reference for one in found.values() for each in one.treatments) == references
    # Where it did not take place, nobody knows which area has it.
    shown = [each.document for each in found["ben"].photos]
    assert ("DocumentReference/h1" in shown) is (status == "not-done")


def test_a_drug_mixed_from_the_lot_is_followed(clinic: Clinic) -> None:
    mixed = [{"itemReference": {"reference": "Medication/lot7"}}, {"itemReference": {"reference": "#salt"}}]
    salt = {"resourceType": "Medication", "id": "salt", "batch": {"lotNumber": "SALT-9"}}
    clinic.put({"resourceType": "Medication", "id": "mix", "ingredient": mixed, "contained": [salt]})
    _give(clinic, "ma4", "ben", medicationReference={"reference": "Medication/mix"})
    assert [each.id for each in _ask(clinic, "LOT-0071").patients] == ["anna", "ben"]
    found = _ask(clinic, "SALT-9")
    assert ([each.id for each in found.patients], found.unplaced) == (["ben"], ())


@pytest.mark.parametrize("named", ["Patient/ben/_history/1", f"{BASE}/Patient/ben"])
def test_a_patient_is_found_however_the_reference_is_written(clinic: Clinic, named: str) -> None:
    _give(clinic, "ma5", "ben", subject={"reference": named}, context={"reference": f"{BASE}/Encounter/v2"},
          **_lot(clinic, "RR-9"))  # fmt: skip
    (ben,) = _ask(clinic, "RR-9").patients
    assert (ben.id, [(each.document, each.linked) for each in ben.photos]) == ("ben", [("DocumentReference/b1", True)])


def test_a_patient_of_another_server_is_nobody_here(clinic: Clinic) -> None:
    elsewhere = {"reference": "https://elsewhere.example/fhir/Patient/anna"}
    _give(clinic, "ma6", "ben", subject=elsewhere, **_lot(clinic, "RR-9"))
    found = _ask(clinic, "RR-9")
    assert (found.patients, found.unplaced) == ((), ("MedicationAdministration/ma6",))


@pytest.mark.parametrize(
    ("given", "when"),
    [
        (["2026-05-04"], When.UNKNOWN),
        (["2026-05-03"], When.AFTER),
        (["2026-05-05"], When.BEFORE),
        (["2026-05"], When.UNKNOWN),
        (["2026-06-01", None], When.UNKNOWN),
        (["2026-05-01", None], When.AFTER),
        (["2026-06-01", "2026-05-03"], When.AFTER),
    ],
)
def test_before_and_after_are_said_only_where_the_times_tell(
    clinic: Clinic, given: list[str | None], when: When
) -> None:
    product = _lot(clinic, "TT-9")
    for number, at in enumerate(given):
        more: dict[str, Any] = {"effectivePeriod": {"start": at}}
        if at is None:
            more = {"effectivePeriod": {"extension": [{"url": "urn:x", "valueCode": "unknown"}]}}
        clinic.put(
            {"resourceType": "MedicationAdministration", "id": f"t{number}", "status": "completed",
             "subject": {"reference": "Patient/ben"}} | product | more
        )  # fmt: skip
    (ben,) = _ask(clinic, "TT-9").patients
    assert [each.when for each in ben.photos] == [when]


def test_what_did_not_take_place_is_named_and_parts_no_photos(clinic: Clinic) -> None:
    product = _lot(clinic, "VV-9")
    _give(clinic, "ma7", "ben", effectiveDateTime="2026-06-04", **product)
    _give(clinic, "ma8", "ben", effectiveDateTime="2020-01-01", status="entered-in-error", **product)
    (ben,) = _ask(clinic, "VV-9").patients
    assert [(each.reference, each.void) for each in ben.treatments] == [
        ("MedicationAdministration/ma8", "entered-in-error"),
        ("MedicationAdministration/ma7", None),
    ]
    assert [each.when for each in ben.photos] == [When.BEFORE]


def test_of_several_uses_in_one_treatment_the_first_counts(clinic: Clinic) -> None:
    clinic.put({"resourceType": "Procedure", "id": "p5", "status": "completed", "subject": {"reference": "Patient/ben"},
                "performedPeriod": {"start": "2026-01-01"}})  # fmt: skip
    product = _lot(clinic, "WW-9") | {"partOf": [{"reference": "Procedure/p5"}]}
    _give(clinic, "ma9", "ben", effectiveDateTime="2026-05-10", status="not-done", **product)
    _give(clinic, "mb1", "ben", effectiveDateTime="2026-05-20", **product)
    _give(clinic, "mb2", "ben", effectiveDateTime="2026-06-20", **product)
    (ben,) = _ask(clinic, "WW-9").patients
    (treatment,) = ben.treatments
    assert treatment.at is not None
    assert (treatment.at.isoformat(), treatment.void) == ("2026-05-19T21:00:00+00:00", None)
    assert [each.when for each in ben.photos] == [When.BEFORE]


@pytest.mark.parametrize(
    ("second", "shown"),
    [({}, True), ({"site": {"text": "palm"}}, True), ({"site": {"coding": [FACE]}}, False)],
)
def test_a_treatment_whose_area_is_not_known_may_be_on_any_photo(
    clinic: Clinic, second: dict[str, Any], shown: bool
) -> None:
    visit = {"resourceType": "Encounter", "id": "v3", "status": "finished", "class": {"code": "AMB"}}
    clinic.put(visit | {"subject": {"reference": "Patient/ben"}})
    clinic.photo("h1", "ben", "v3", extension=[region(HAND)], context=context("v3", "2026-05-20"))
    product = _lot(clinic, "AA-9")
    _give(clinic, "mc1", "ben", dosage={"site": {"coding": [FACE]}}, **product)
    _give(
        clinic, "mc2", "ben", context={"reference": "Encounter/v2"}, **product, **({"dosage": second} if second else {})
    )
    (ben,) = _ask(clinic, "AA-9").patients
    assert ("DocumentReference/h1" in [each.document for each in ben.photos]) is shown


def test_a_photo_that_names_the_administration_is_linked(clinic: Clinic) -> None:
    visit = {"resourceType": "Encounter", "id": "v3", "status": "finished", "class": {"code": "AMB"}}
    clinic.put(visit | {"subject": {"reference": "Patient/ben"}})
    _give(clinic, "me1", "ben", dosage={"site": {"coding": [FACE]}}, **_lot(clinic, "NN-9"))
    related = context("v3", "2026-05-20", "MedicationAdministration/me1")
    clinic.photo("h1", "ben", "v3", extension=[region(HAND)], context=related)
    (ben,) = _ask(clinic, "NN-9").patients
    assert {each.document: each.linked for each in ben.photos} == {
        "DocumentReference/b1": False,
        "DocumentReference/h1": True,
    }


def test_photos_of_a_merged_record_are_named(clinic: Clinic) -> None:
    _give(clinic, "md1", "ben", **_lot(clinic, "MM-9"))
    link = [{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}]
    clinic.put({"resourceType": "Patient", "id": "ben", "active": False, "link": link})
    (ben,) = _ask(clinic, "MM-9").patients
    assert [each.document.rpartition("/")[2] for each in ben.photos] == ["f1", "f2", "b1"]


@pytest.mark.parametrize(
    ("lot", "expiry"),
    [(" ", None), ("--", None), ("LOT-0071", "13/2027"), ("LOT-0071", "2027-02-30"), ("LOT-0071", "")],
)
def test_a_question_that_nothing_could_answer_is_refused(clinic: Clinic, lot: str, expiry: str | None) -> None:
    with pytest.raises(Invalid):
        _ask(clinic, lot, expiry)
    assert clinic.records() == []


def test_it_is_asked_for_patient_safety_alone_and_recorded(clinic: Clinic) -> None:
    for account in ("clinician", "marketing", "anna", "admin"):
        with pytest.raises(Forbidden):
            _ask(clinic, "LOT-0071", account=account)
    confined = Requester("one", ("PATSFTY",), confined_to=frozenset({"anna"}))
    with reading(clinic.engine) as connection, pytest.raises(Forbidden):
        ask(
            clinic.node.decisions,
            connection,
            clinic.chain,
            Request(confined, "PATSFTY"),
            SITE,
            question([("LOT-0071", None)]),
        )
    assert clinic.records() == []
    _ask(clinic, "LOT-0071", "2027-01")
    read, released = clinic.records()
    assert read["details"] == {
        "lots": [{"lot": "LOT-0071", "expiry": "2027-01"}],
        "patients": ["anna"],
        "treatments": 1,
    }
    assert (released["kind"], released["released"], released["purpose"]) == ("set", 2, "PATSFTY")
