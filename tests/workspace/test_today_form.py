"""The form of today's session: products, machines, points, outcomes and scans, saved whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consent.store.engine import reading
from fhir_mapping.outcome.outcome import Outcome, is_outcome, read
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.treatment.read import Treated, treatments
from fhir_mapping.treatment.session import Use
from fhir_mapping.treatment.surroundings import Surroundings
from tests.fhir.clinic import BASE, Clinic
from tests.workspace.client import Client
from tests.workspace.planned import PAGE, fields_of, people, planned, send, signed_in, today_visit

CHEEK = "http://snomed.info/sct|36141000"
GS1 = "(01)09504000059118(17)270131(10)L7(21)S9"
HIBC = "+A123BJC5D6E71G"
SCANNED = "\x1d0109504000059118172701311 0L7".replace(" ", "") + "\x1d21S9"
KEPT = {"Procedure", "MedicationAdministration", "MedicationDispense", "MedicationStatement", "Observation", "Device",
        "Medication", "Provenance"}  # fmt: skip


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Anna with a plan and a session; she is here today, and her face was photographed."""
    made = planned(tmp_path)
    today_visit(made, "n1")
    yield made
    made.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    """A browser that is signed in as the clinician."""
    return signed_in(clinic, people(), "clinician")


def _filled(client: Client, **more: str) -> dict[str, str]:
    """The form, its one product looked at."""
    return fields_of(client.get(PAGE).text) | {"checked-0": "on"} | more


def _saved(client: Client, clinic: Clinic, fields: dict[str, str]) -> Treated:
    answer = send(client, fields)
    assert answer.status_code == 303, answer.text
    procedure = "Procedure/" + answer.headers["location"].partition("saved=")[2]
    with reading(clinic.engine) as connection:
        (found,) = treatments(Surroundings(connection, BASE, [procedure]), others=is_outcome)
    return found


def _count(clinic: Clinic) -> dict[str, int]:
    with reading(clinic.engine) as connection:
        return {kind: len(clinic.record.search(connection, kind, {})) for kind in sorted(KEPT)}


def test_a_product_can_reach_her_in_four_ways(client: Client, clinic: Clinic) -> None:
    fields = _filled(client)
    for _ in range(3):
        fields = fields_of(send(client, fields | {"step": "product"}).text) | {"checked-0": "on"}
    assert fields["products"] == "4"
    rows: list[tuple[str, dict[str, str]]] = [
        ("given", {"name": "Numbing cream", "lot": "NC-1", "dose": "2", "unit": "g", "checked": "on", "area": CHEEK,
                   "side": "L"}),
        ("handed-over", {"name": "Sunscreen", "lot": "SC-2", "dose": "1", "unit": "tube", "checked": "on"}),
        ("at-home", {"name": "Retinol", "dose": "1", "unit": "application", "area": CHEEK}),
        ("implant", {"name": "Filler one", "lot": "F-3", "expires": "2028-02", "dose": "0,8", "unit": "mL",
                     "serial": "S1", "checked": "on", "area": CHEEK, "side": "R"}),
    ]  # fmt: skip
    for number, (how, row) in enumerate(rows):
        fields |= {f"{name}-n{number}": value for name, value in row.items()}
        fields |= {f"how-n{number}": how, f"given-n{number}": "on"}
    found = _saved(client, clinic, fields).session
    told = {(e.product.name.text, e.use, e.product.lot, e.dose.shown if e.dose else "") for e in found.given}
    assert told == {
        ("Toxin A", Use.GIVEN, "LOT-0071", "20 U"),
        ("Numbing cream", Use.GIVEN, "NC-1", "2 g"),
        ("Sunscreen", Use.HANDED, "SC-2", "1 tube"),
        ("Retinol", Use.HOME, "", "1 application"),
    }
    (filler,) = found.implants
    assert (filler.name.text, filler.lot, filler.expires, filler.serial) == ("Filler one", "F-3", "2028-02", "S1")
    assert filler.amount is not None
    assert (filler.amount.shown, filler.amount.code) == ("0.8 mL", "mL")
    assert filler.place is not None
    assert (filler.place.region.code, filler.place.side) == (CHEEK, "R")
    with reading(clinic.engine) as connection:
        (device,) = clinic.record.search(connection, "Device", {"patient": "Patient/anna"})
    assert device.json()["lotNumber"] == "F-3"
    page = client.get("/chart/patient/anna").text
    for words in ("Handed to the patient", "Used at home", "Filler or implant", "0.8 mL", "Left cheek"):
        assert words in page, words


@pytest.mark.parametrize(
    ("scan", "di", "lot", "expires", "serial"),
    [
        (GS1, "http://hl7.org/fhir/NamingSystem/gs1-di|09504000059118", "L7", "2027-01-31", "S9"),
        (SCANNED, "http://hl7.org/fhir/NamingSystem/gs1-di|09504000059118", "L7", "2027-01-31", "S9"),
        ("=/A9999XYZ100T0944=,000025=A99971312345600=>027032=}013032&,1000000000000XYZ123",
         "http://hl7.org/fhir/NamingSystem/iccbba-blood|", "XYZ123", "2027-02-01", "000025"),
    ],
    ids=["printed", "scanned", "ICCBBA"],
)  # fmt: skip
def test_a_scan_says_device_lot_and_expiry(
    client: Client, clinic: Clinic, scan: str, di: str, lot: str, expires: str, serial: str
) -> None:
    fields = _filled(client, **{"given-n0": "on", "name-n0": "Filler", "how-n0": "implant", "scan-n0": scan,
                                "dose-n0": "1", "unit-n0": "mL"})  # fmt: skip
    (filler,) = _saved(client, clinic, fields).session.implants
    assert filler.udi == scan.strip()
    assert di.rpartition("|")[2] in filler.di
    assert (filler.lot, filler.expires, filler.serial) == (lot, expires, serial)
    with reading(clinic.engine) as connection:
        (device,) = clinic.record.search(connection, "Device", {"patient": "Patient/anna"})
    carrier = device.json()["udiCarrier"][0]
    assert carrier["issuer"] == di.partition("|")[0]
    assert ("carrierHRF" in carrier) == scan.isprintable()


def test_a_scan_is_read_into_the_form_without_a_script(client: Client, clinic: Clinic) -> None:
    before = _count(clinic)
    fields = _filled(client, **{"scan-0": "(01)09504000059118(17)270831(10)LOT-0099", "lot-0": "", "expires-0": "",
                                "scan-n0": "(01)0950400005911", "note": "so far"})  # fmt: skip
    answer = send(client, fields | {"step": "read"})
    assert answer.status_code == 200
    again = fields_of(answer.text)
    assert (again["lot-0"], again["expires-0"], again["note"]) == ("LOT-0099", "2027-08-31", "so far")
    assert 'id="fault-scan-n0"' in answer.text
    assert "Nothing is saved yet" not in answer.text
    assert _count(clinic) == before
    found = _saved(client, clinic, again | {"scan-n0": "", "given-0": "on"})
    (given,) = found.session.given
    assert (given.product.lot, given.product.expires) == ("LOT-0099", "2027-08-31")
    assert given.product.di == "http://hl7.org/fhir/NamingSystem/gs1-di|09504000059118"
    # What was scanned once is known by its pack from then on.
    fields = fields_of(client.get(PAGE).text) | {"scan-n0": GS1, "step": "read"}
    assert fields_of(send(client, fields).text)["name-n0"] == "Toxin A"


def test_the_script_of_the_form_asks_what_a_scan_says(client: Client, clinic: Clinic) -> None:
    csrf = fields_of(client.get(PAGE).text)["csrf"]
    told = client.post("/chart/scan", data={"csrf": csrf, "scan": GS1})
    assert told.json() == {"device": "09504000059118", "lot": "L7", "expires": "2027-01-31", "serial": "S9"}
    wrong = client.post("/chart/scan", data={"csrf": csrf, "scan": "LOT-9"})
    assert (wrong.status_code, list(wrong.json())) == (200, ["wrong"])
    assert client.post("/chart/scan", data={"csrf": "x", "scan": GS1}).status_code == 404
    elsewhere = {"Origin": "https://elsewhere.example"}
    assert client.post("/chart/scan", data={"csrf": csrf, "scan": GS1}, headers=elsewhere).status_code == 404
    assert signed_in(clinic, people(), "marketing").post("/chart/scan", data={"scan": GS1}).status_code == 404


def test_a_machine_and_its_settings_are_entered_in_ucum(client: Client, clinic: Clinic) -> None:
    fields = fields_of(send(client, _filled(client) | {"step": "machine"}).text)
    fields |= {"checked-0": "on", "setting-0-0": "2,6", "set-0-0": "pulse-duration|ms", "set-value-0-0": "6"}
    fields |= {"machine-name-n0": "A new laser", "set-n0-0": "fluence|J/cm2", "set-value-n0-0": "12.5"}
    found = _saved(client, clinic, fields)
    told = {each.name: {s.name.text: (s.shown, getattr(s.value, "code", None)) for s in each.settings}
            for each in found.session.machines}  # fmt: skip
    assert told["Laser one"] == {"Fluence": ("2.6 J/cm²", "J/cm2"), "Pulse duration": ("6 ms", "ms")}
    assert told["A new laser"] == {} or told["A new laser"]["Fluence"] == ("12.5 J/cm²", "J/cm2")
    settings = [s for each in found.session.machines for s in each.settings]
    assert ("Fluence", "12.5 J/cm²") in [(s.name.text, s.shown) for s in settings]


def test_a_machine_of_last_time_that_was_not_used_is_left_out(client: Client, clinic: Clinic) -> None:
    fields = _filled(client)
    del fields["used-0"]
    assert _saved(client, clinic, fields).session.machines == ()


def test_a_machine_of_the_house_is_chosen(client: Client, clinic: Clinic) -> None:
    clinic.put({"resourceType": "Device", "id": "ipl", "deviceName": [{"name": "Lamp", "type": "other"}]})
    fields = fields_of(send(client, _filled(client) | {"step": "machine"}).text) | {"checked-0": "on"}
    page = client.get(PAGE).text
    fields |= {"machine-n0": "Device/ipl", "set-n0-0": "passes|1", "set-value-n0-0": "2"}
    del fields["used-0"]
    (machine,) = _saved(client, clinic, fields).session.machines
    assert (machine.name, machine.reference, [s.shown for s in machine.settings]) == ("Lamp", "Device/ipl", ["2"])
    assert "Device/laser" not in page  # of a lot: no machine


def test_injection_points_lie_on_a_photo(client: Client, clinic: Clinic) -> None:
    fields = _filled(client, **{"map-product-0": "0", "map-photo-0": "n1", "x-0-0": "30", "y-0-0": "42,5",
                                "pd-0-0": "12", "x-0-2": "70.25", "y-0-2": "0", "pd-0-2": "8"})  # fmt: skip
    (given,) = _saved(client, clinic, fields).session.given
    (points,) = given.maps
    assert points.photo == "DocumentReference/n1"
    assert [(str(p.x), str(p.y), p.dose.shown if p.dose else "") for p in points.points] == [
        ("0.3", "0.425", "12 U"),
        ("0.7025", "0", "8 U"),
    ]
    page = client.get(PAGE).text
    assert 'cx="70.25%"' in page
    assert "2 points, 20 U" in page


def test_more_points_and_maps_are_given_without_a_script(client: Client) -> None:
    fields = _filled(client, **{"x-0-0": "30", "y-0-0": "40", "map-product-0": "0"})
    again = fields_of(send(client, fields | {"step": "points-0"}).text)
    assert (again["points-0"], again["x-0-0"], again["x-0-9"]) == ("10", "30", "")
    more = fields_of(send(client, again | {"step": "map"}).text)
    assert (more["maps"], more["points-0"], more["points-1"], more["map-product-0"]) == ("2", "10", "5", "0")


def test_an_outcome_is_noted_on_two_photos(client: Client, clinic: Clinic) -> None:
    fields = _filled(client, **{"what-0": "dynamic-wrinkle", "change-0": "much-improved", "rater-0": "patient",
                                "pair-0": "f1|n1", "scale-0": "glogau", "before-0": "II", "after-0": "I"})  # fmt: skip
    fields = fields_of(send(client, fields | {"step": "outcome"}).text) | {"checked-0": "on"}
    fields |= {"what-1": "hair-density", "rater-1": "measured", "pair-1": "none", "value-1": "12,5",
               "value-unit-1": "1/cm²"}  # fmt: skip
    procedure = _saved(client, clinic, fields)
    with reading(clinic.engine) as connection:
        found = [read(each.json(), BASE) for each in clinic.record.search(connection, "Observation", {})]
    noted = {each.characteristic: each for each in found if each is not None}
    wrinkles = noted["dynamic-wrinkle"]
    assert (wrinkles.change, wrinkles.rater, wrinkles.performer) == (2, Rater.PATIENT, "Patient/anna")
    assert (wrinkles.before, wrinkles.after) == ("DocumentReference/f1", "DocumentReference/n1")
    assert (wrinkles.start, wrinkles.end) == ("2026-05-03T07:00:00+00:00", "2026-06-15T08:40:00+00:00")
    assert wrinkles.sessions == ("Procedure/p1",)  # it judges the last session, not today's
    assert wrinkles.encounter == "Encounter/v5"
    assert wrinkles.graded is not None
    assert (wrinkles.graded.before, wrinkles.graded.after) == ("II", "I")
    hair = noted["hair-density"]
    assert hair.measured is not None
    assert (hair.rater, hair.measured.shown, hair.before, hair.change) == (Rater.MEASURED, "12.5 1/cm²", None, None)
    page = client.get(PAGE).text
    for words in ("Dynamic wrinkles", "Much improved", "By patient", "Glogau", "II → I", "measured 12.5 1/cm²",
                  "left=f1&amp;right=n1"):  # fmt: skip
        assert words in page, words
    session = client.get("/chart/session/p1")
    assert "Much improved" in session.text
    assert procedure.reference


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"x-0-0": "30"}, "map-product-0", "Choose a product"),
        ({"x-0-0": "130", "y-0-0": "1", "map-product-0": "0"}, "x-0-0", "from 0 to 100"),
        ({"x-0-0": "30", "y-0-0": "", "map-product-0": "0"}, "y-0-0", "from 0 to 100"),
        ({"x-0-0": "30", "y-0-0": "1", "map-product-0": "0", "map-photo-0": "b1"}, "map-photo-0", "Choose the photo"),
        ({"x-0-0": "30", "y-0-0": "1", "map-product-0": "n0"}, "map-product-0", "Choose a product"),
        ({"x-0-0": "3", "y-0-0": "1", "pd-0-0": "-1", "map-product-0": "0"}, "pd-0-0", "is a number"),
        ({"x-0-0": "3", "y-0-0": "1", "pd-0-0": "21", "map-product-0": "0"}, "dose-0", "make 21 U"),
        ({"change-0": "improved"}, "what-0", "Choose what has changed"),
        ({"what-0": "nothing", "change-0": "improved"}, "what-0", "Choose what has changed"),
        ({"what-0": "pigment"}, "change-0", "Say how much"),
        ({"what-0": "pigment", "change-0": "huge"}, "change-0", "grade of the list"),
        ({"what-0": "pigment", "change-0": "improved"}, "rater-0", "whose judgement"),
        ({"what-0": "pigment", "change-0": "improved", "rater-0": "patient"}, "pair-0", "two photos"),
        ({"what-0": "pigment", "change-0": "improved", "rater-0": "patient", "pair-0": "b1|n1"}, "pair-0", "photos"),
        ({"what-0": "pigment", "before-0": "I"}, "scale-0", "Choose the scale"),
        ({"what-0": "pigment", "scale-0": "glogau", "after-0": "9"}, "after-0", "I, II, III, IV"),
        ({"what-0": "pigment", "scale-0": "glogau"}, "after-0", "Give the step now"),
        ({"what-0": "pigment", "change-0": "improved", "scale-0": "glogau", "before-0": "I", "after-0": "II"},
         "change-0", "say the opposite"),
        ({"scan-0": "(01)09504000059118(10)OTHER"}, "lot-0", "The scan says lot OTHER"),
        ({"scan-0": "(10"}, "scan-0", "cannot be read"),
        ({"set-0-0": "fluence|J/cm2"}, "set-value-0-0", "is a number"),
        ({"set-value-0-0": "2"}, "set-0-0", "Choose what was set"),
        ({"set-0-0": "fluence|furlong", "set-value-0-0": "2"}, "set-0-0", "setting of the list"),
        ({"machines": "1", "machine-n0": "Device/none"}, "machine-n0", "Choose a machine"),
        ({"machines": "1", "set-n0-0": "passes|1", "set-value-n0-0": "2"}, "machine-n0", "Choose the machine"),
        ({"set-0-0": "fluence|J/cm2", "set-value-0-0": "-2"}, "set-value-0-0", "not below zero"),
        ({"set-0-0": "wavelength|nm", "set-value-0-0": "1,064"}, "set-value-0-0", "in two ways: write 1064"),
        ({"dose-0": "1,000"}, "dose-0", "in two ways: write 1000"),
        ({"dose-0": "+01,000"}, "dose-0", "in two ways"),
        ({"dose-0": "1e3"}, "dose-0", "is a number"),
        ({"dose-0": "1 000"}, "dose-0", "is a number"),
        ({"dose-0": "\u0661\u0662"}, "dose-0", "is a number"),
        ({"number": "000007999999"}, "number", "from 1 to 999"),
        ({"lot-n0": "X"}, "name-n0", "Name the product"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved_is_said_beside_its_field_and_nothing_is_written(
    client: Client, clinic: Clinic, change: dict[str, str], field: str, words: str
) -> None:
    before = _count(clinic)
    fields = _filled(client, note="typed before", **{"serial-n0": "kept"}) | change
    answer = send(client, fields)
    assert answer.status_code == 422, answer.text
    assert f'id="fault-{field}"' in answer.text
    told = answer.text.partition(f'id="fault-{field}">')[2].partition("<")[0]
    assert words in told
    assert f'name="{field}"' in answer.text
    again = fields_of(answer.text)
    lost = {name for name, value in fields.items() if again.get(name) != value} - {"state", "step"}
    assert lost <= {field}  # a choice that no list offers is not shown as chosen
    assert _count(clinic) == before


def test_what_was_typed_stays_with_its_product_when_the_record_changed_meanwhile(
    client: Client, clinic: Clinic
) -> None:
    fields = _filled(client, **{"lot-0": "LOT-TYPED", "dose-0": "wrong"})
    clinic.put(
        {
            "resourceType": "MedicationAdministration",
            "id": "aa0",
            "status": "completed",
            "subject": {"reference": "Patient/anna"},
            "medicationCodeableConcept": {"text": "Another drug"},
            "effectiveDateTime": "2026-05-03T11:00:00+03:00",
            "partOf": [{"reference": "Procedure/p1"}],
        }
    )
    assert ">Another drug" in client.get(PAGE).text
    answer = send(client, fields)
    assert answer.status_code == 422
    form = answer.text[answer.text.index('id="today"') :]
    assert ">Another drug" not in form
    (given,) = _saved(client, clinic, fields_of(answer.text) | {"dose-0": "18"}).session.given
    assert (given.product.name.text, given.product.lot) == ("Toxin A", "LOT-TYPED")


def test_a_photo_that_was_taken_to_another_patient_meanwhile_refuses_the_whole(client: Client, clinic: Clinic) -> None:
    fields = _filled(client, **{"map-product-0": "0", "map-photo-0": "n1", "x-0-0": "30", "y-0-0": "42"})
    with reading(clinic.engine) as connection:
        document: dict[str, Any] = clinic.record.read(connection, "DocumentReference", "n1").json()
    clinic.put(document | {"subject": {"reference": "Patient/ben"}})
    before = _count(clinic)
    answer = send(client, fields)
    assert answer.status_code == 422
    assert "another patient" in answer.text
    assert _count(clinic) == before


def test_what_was_judged_is_an_outcome_and_no_setting() -> None:
    assert is_outcome({"resourceType": "Observation", "code": {"text": "Pigment"}, "valueString": "improved"})
    assert Outcome("anna", "pigment").change is None
