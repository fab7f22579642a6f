"""Shapes of records that say a lot without saying it plainly: nobody is missed, and nobody is taken for certain."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from consent.store.engine import transaction
from consent.store.tables import photo
from fhir_mapping.advisory.asked import Question, question
from fhir_mapping.advisory.batch import Advisory, Astray, Fit
from fhir_mapping.udi.hibc import check_character
from tests.fhir.clinic import Clinic, context
from tests.fhir.test_lots import _BEN, _CODE, _WHEN, _ask, _device, _given, _lot, _put

pytestmark = pytest.mark.fast

_LOT = "SHAPE-1071"
_XHTML = "http://www.w3.org/1999/xhtml"
_ANNA = {"reference": "Patient/anna"}


def _found(clinic: Clinic, asked: Question | str, who: str = "ben") -> tuple[Fit, str] | None:
    """The set that a patient is in, and why it is not the first one."""
    answer: Advisory = _ask(clinic, asked)
    products = {each.reference: each for each in answer.products}
    for each in answer.patients:
        if each.id == who:
            best = next(one for one in each.treatments if one.fit is each.fit)
            return each.fit, best.why or products[best.product].why
    return None


def _used(clinic: Clinic, name: str, device: dict[str, str]) -> None:
    _put(clinic, "Procedure", name, status="completed", subject=_BEN, performedDateTime=_WHEN, usedReference=[device])


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("SHAPE-\u0661\u0660\u0667\u0661", "reads alike"),
        ("\uff33\uff28\uff21\uff30\uff25\uff0d\uff11\uff10\uff17\uff11", "reads alike"),
        ("SHAPE\u00ad-1071", "reads alike"),
        ("SHAPE\u22121071", "reads alike"),
        ("shape 1O7l", "reads alike"),
        ("S H A P E 1 0 7 1", "reads alike"),
        ("one two three four five six seven eight nine ten eleven twelve 13 SHAPE-1071", "reads alike"),
        ("SHAPE-1?71, exp 12/27", "illegible in places"),
        ("shape 1\ufffd71", "illegible in places"),
        ("SHAPE-1\u2026", "illegible in places"),
        ("SHAPE-?71", "illegible in places"),
        ("SHAPE-1017", "two characters exchanged"),
    ],
)
def test_a_lot_is_found_however_it_is_written(clinic: Clinic, written: str, why: str) -> None:
    _put(clinic, "Medication", "s", batch={"lotNumber": written})
    _given(clinic, "u", medicationReference={"reference": "Medication/s"})
    assert _found(clinic, _LOT) == (Fit.UNREADABLE, why)


@pytest.mark.parametrize(("written", "asked"), [("AB-71", "AB-0071"), ("AB-0071", "AB-71"), ("LOT0071", "0071")])
def test_zeros_before_a_number_are_no_other_lot(clinic: Clinic, written: str, asked: str) -> None:
    _put(clinic, "Medication", "s", batch={"lotNumber": written})
    _given(clinic, "u", medicationReference={"reference": "Medication/s"})
    assert _found(clinic, asked) == (Fit.UNREADABLE, "reads alike")


@pytest.mark.parametrize("word", ["?", "??", "unleserlich", "illisible", "n.a.", "--", "see chart", "\u4e0d\u660e"])
def test_words_for_not_legible_are_no_lot_in_any_language(clinic: Clinic, word: str) -> None:
    _put(clinic, "Medication", "s", code={"text": "Toxin A"}, batch={"lotNumber": word})
    _given(clinic, "u", medicationReference={"reference": "Medication/s"})
    assert _found(clinic, "LOT-0071") == (Fit.UNREADABLE, "no lot on record")
    assert _found(clinic, word) == (Fit.EXACT, "") if any(each.isalnum() for each in word) else True


@pytest.mark.parametrize(
    "code",
    [
        "Chargen-Nr.", "num\u00e9ro de lot", "Ch.-B.", "partijnummer", "Losnummer",
        "\u03c0\u03b1\u03c1\u03c4\u03af\u03b4\u03b1",
        "\u6279\u53f7", "LOT#", "Batchnummer", "lotNumber", "batch_number", "Lotes",
    ],
)  # fmt: skip
def test_an_observation_tells_a_lot_in_any_language(clinic: Clinic, code: str) -> None:
    use = _given(clinic, "u", **_CODE)
    _put(clinic, "Observation", "o", **_lot(_LOT, code={"text": code}, partOf=[{"reference": use}]))
    assert _found(clinic, _LOT) == (Fit.EXACT, "")


@pytest.mark.parametrize("code", ["Pilot study", "Lotion", "Allotment"])
def test_what_only_sounds_like_a_lot_is_none(clinic: Clinic, code: str) -> None:
    use = _given(clinic, "u", **_CODE)
    _put(clinic, "Observation", "o", **_lot(_LOT, code={"text": code}, partOf=[{"reference": use}]))
    assert _found(clinic, _LOT) is None


@pytest.mark.parametrize(
    "more",
    [
        {"note": [{"text": "Given from lot SHAPE-1071, no complaint"}]},
        {"medicationCodeableConcept": {"text": "Toxin A, lot SHAPE-1071"}},
        {"dosage": {"text": "20 U, Ch.-B. SHAPE-1071"}},
        {"extension": [{"url": "http://ehr.example/administration-lotNumber", "valueString": _LOT}]},
        {"text": {"status": "generated", "div": f"<div xmlns='{_XHTML}'>Lot <b>SHAPE-1071</b></div>"}},
    ],
)  # fmt: skip
def test_what_a_note_says_is_looked_at(clinic: Clinic, more: dict[str, Any]) -> None:
    _given(clinic, "u", **(_CODE | more))
    assert _found(clinic, _LOT) == (Fit.UNREADABLE, "a note, a name or an extension says so")


def test_an_observation_of_a_remark_a_number_or_a_panel_is_read(clinic: Clinic) -> None:
    _put(clinic, "Observation", "a", **_lot("used lot SHAPE-1071 today", code={"text": "Remark"}))
    assert _found(clinic, _LOT) == (Fit.UNREADABLE, "a note, a name or an extension says so")
    number = {"status": "final", "code": {"text": "Lot"}, "subject": _BEN, "valueInteger": 47110071}
    _put(clinic, "Observation", "b", **number)
    assert _found(clinic, "47110071") == (Fit.EXACT, "")
    use = _given(clinic, "u", **_CODE)
    _put(clinic, "Observation", "c", status="final", code={"text": "Lot"}, valueString="PANEL-77")
    _put(
        clinic, "Observation", "panel", status="final", code={"text": "Product"}, subject=_BEN,
        partOf=[{"reference": use}], hasMember=[{"reference": "Observation/c"}],
    )  # fmt: skip
    answer = _ask(clinic, "PANEL-77")
    assert [(each.id, [one.reference for one in each.treatments]) for each in answer.patients] == [("ben", [use])]
    assert answer.unplaced == ()


@pytest.mark.parametrize(
    "text",
    [
        "(10)SHAPE-1071(17)279999", "\uff0801\uff0909504000059118\uff0810\uff09SHAPE-1071",
        "01 09504000059118 17 270131 10 SHAPE-1071", "0109504000059118|10SHAPE-1071", "0109504000059118^10SHAPE-1071",
        "https://id.gs1.org/01/09504000059118/10/SHAPE-1071?17=270131",
    ],
)  # fmt: skip
def test_a_udi_is_read_however_it_was_typed(clinic: Clinic, text: str) -> None:
    _used(clinic, "u", _device(clinic, "s", {"carrierHRF": text}))
    assert _found(clinic, _LOT) == (Fit.EXACT, "")


@pytest.mark.parametrize(
    "text", ["+$$3270131SHAPE-1071", "+A123BJC5D6E71/$$3270131SHAPE-1071", "+A123BJC5D6E71/$$3270131SHAPE-1071!"]
)
def test_a_label_whose_check_character_is_wrong_or_missing_is_looked_at(clinic: Clinic, text: str) -> None:
    _used(clinic, "u", _device(clinic, "s", {"carrierHRF": text.replace("!", _wrong(text[:-1]))}))
    assert _found(clinic, _LOT) in (
        (Fit.UNREADABLE, "a UDI says so whose check character does not fit"),
        (Fit.UNREADABLE, "one character differs"),  # by chance, its last character is the one that fits
    )


def _wrong(label: str) -> str:
    return "0" if check_character(label) != "0" else "1"


@pytest.mark.parametrize("prefix", [b"", b"\xe8", b"\x1d", b"]d2"])
def test_a_scanned_udi_is_read_in_lines_and_behind_fnc1(clinic: Clinic, prefix: bytes) -> None:
    scanned = b64encode(prefix + b"010950400005911810SHAPE-1071").decode()
    _used(clinic, "u", _device(clinic, "s", {"carrierAIDC": f"{scanned[:20]}\n{scanned[20:]}"}))
    assert _found(clinic, _LOT) == (Fit.EXACT, "")


def test_of_two_texts_of_a_carrier_both_count(clinic: Clinic) -> None:
    scanned = b64encode(b"010950400005911810SHAPE-1072").decode()
    carrier = {"carrierHRF": "(01)09504000059118(10)SHAPE-1071", "carrierAIDC": scanned}
    _used(clinic, "u", _device(clinic, "s", carrier))
    for lot in (_LOT, "SHAPE-1072"):
        assert _found(clinic, lot) == (Fit.EXACT, "")


def test_a_device_identifier_is_one_in_all_its_lengths(clinic: Clinic) -> None:
    _used(clinic, "u", {"reference": _put(clinic, "Device", "s", udiCarrier=[{"deviceIdentifier": "4006381333931"}])})
    assert _found(clinic, question(udi="(01)04006381333931")) == (Fit.EXACT, "")
    assert _found(clinic, question(product="04006381333931")) == (Fit.EXACT, "")


_TISSUE = "=/A9999XYZ100T0944=,000025=A99971312345600"


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ({"carrierHRF": _TISSUE}, (Fit.EXACT, "")),
        ({"carrierHRF": "=/A9999XYZ100T0944=,000025=B77771312345600"}, None),
        ({"carrierHRF": "=/A9999XYZ100T0944=,000025"}, (Fit.UNREADABLE, "a part of the serial number")),
    ],
)
def test_a_piece_of_one_donation_is_no_piece_of_another(
    clinic: Clinic, held: dict[str, str], found: tuple[Fit, str] | None
) -> None:
    _used(clinic, "u", _device(clinic, "s", held))
    assert _found(clinic, question(udi=_TISSUE)) == found


def test_a_donation_alone_leads_to_all_its_pieces(clinic: Clinic) -> None:
    _used(clinic, "u", _device(clinic, "s", {"carrierHRF": _TISSUE}))
    _used(clinic, "v", {"reference": _put(clinic, "Device", "t", distinctIdentifier="A999713123456")})
    (ben,) = _ask(clinic, question(udi="=A99971312345600")).patients
    assert [(each.reference, each.fit) for each in ben.treatments] == [
        ("Procedure/u", Fit.EXACT),
        ("Procedure/v", Fit.EXACT),
    ]


def test_a_serial_number_may_be_misread(clinic: Clinic) -> None:
    _used(clinic, "u", {"reference": _put(clinic, "Device", "s", serialNumber="sn 0O71-7")})
    assert _found(clinic, question(udi="(01)09504000059118(21)SN0071-7")) == (Fit.UNREADABLE, "reads alike")


@pytest.mark.parametrize("named", ["part", "kit"])
def test_a_kit_and_its_parts_lead_to_each_other(clinic: Clinic, named: str) -> None:
    _put(clinic, "Device", "kit", lotNumber=_LOT if named == "part" else "KIT-4444")
    _put(
        clinic, "Device", "part", parent={"reference": "Device/kit"}, lotNumber="PART-5555" if named == "part" else _LOT
    )
    _put(clinic, "Device", "beside", parent={"reference": "Device/kit"}, lotNumber="SIDE-6666")
    _used(clinic, "v", {"reference": "Device/beside"})
    assert _found(clinic, _LOT if named == "kit" else "PART-5555") is None
    _used(clinic, "u", {"reference": f"Device/{named}"})
    assert _found(clinic, _LOT) == (Fit.UNREADABLE, "a part of it, or what it is a part of, is named")


@pytest.mark.parametrize("through", ["administration", "observation", "implant"])
def test_where_a_use_and_its_treatment_name_two_patients_both_are_found(clinic: Clinic, through: str) -> None:
    if through == "administration":
        _put(clinic, "Medication", "s", batch={"lotNumber": _LOT})
        _given(clinic, "u", medicationReference={"reference": "Medication/s"}, partOf=[{"reference": "Procedure/p1"}])
    elif through == "implant":
        device = {"reference": _put(clinic, "Device", "s", lotNumber=_LOT, patient=_BEN)}
        _put(clinic, "Procedure", "u", status="completed", subject=_ANNA, usedReference=[device])
    else:
        anna = {"status": "completed", "subject": _ANNA, "effectiveDateTime": _WHEN}
        use = _put(clinic, "MedicationAdministration", "u", **anna, **_CODE)
        _put(clinic, "Observation", "o", **_lot(_LOT, partOf=[{"reference": use}]))
    assert sorted(each.id for each in _ask(clinic, _LOT).patients) == ["anna", "ben"]


@pytest.mark.parametrize("kind", ["Medication", "Observation"])
def test_what_was_entered_in_error_is_looked_at_and_not_certain(clinic: Clinic, kind: str) -> None:
    if kind == "Medication":
        _put(clinic, "Medication", "s", status="entered-in-error", batch={"lotNumber": _LOT})
        _given(clinic, "u", medicationReference={"reference": "Medication/s"})
    else:
        use = _given(clinic, "u", **_CODE)
        _put(clinic, "Observation", "o", **(_lot(_LOT, partOf=[{"reference": use}]) | {"status": "entered-in-error"}))
    assert _found(clinic, _LOT) == (Fit.UNREADABLE, "entered in error")


def test_a_lot_that_nobody_wrote_down_is_asked_for_with_its_product(clinic: Clinic) -> None:
    _given(clinic, "u", medicationCodeableConcept={"text": "Filler X 1 ml"})
    assert _found(clinic, "NEW-9") is None
    assert _found(clinic, question([("NEW-9", None)], product="filler x")) == (Fit.UNREADABLE, "no lot on record")


def test_a_product_is_found_by_a_word_of_its_name(clinic: Clinic) -> None:
    _given(clinic, "u", medicationCodeableConcept={"text": "Botulinum toxin (Brandname) 100 U"})
    assert _found(clinic, question(product="brandname")) == (Fit.UNREADABLE, "a product of a similar name")
    assert _found(clinic, question(product="brand")) is None


_CREAM = {"medicationCodeableConcept": {"text": "Cream Z"}}


@pytest.mark.parametrize(
    ("make", "since", "there"),
    [
        (lambda c: _put(c, "MedicationStatement", "u", status="active", subject=_BEN,
                        effectivePeriod={"start": "2025-05"}, **_CREAM), "2026-01-01", True),
        (lambda c: _put(c, "MedicationDispense", "u", status="completed", subject=_BEN,
                        whenHandedOver="2025-12-20", **_CREAM), "2026-01-01", True),
        (lambda c: _put(c, "Procedure", "u", status="completed", subject=_BEN, usedCode=[{"text": "Cream Z"}],
                        performedPeriod={"start": "2025-05", "end": "2026-02"}), "2026-01-01", True),
        (lambda c: _put(c, "Procedure", "u", status="completed", subject=_BEN, usedCode=[{"text": "Cream Z"}],
                        performedPeriod={"start": "2025-05", "end": "2025-11"}), "2026-01-01", False),
        (lambda c: _given(c, "u", **_CREAM), "2026-05-05", False),
    ],
)  # fmt: skip
def test_what_goes_on_is_in_the_time_asked_for(
    clinic: Clinic, make: Callable[[Clinic], str], since: str, there: bool
) -> None:
    make(clinic)
    assert (_found(clinic, question(product="Cream Z", since=since)) is not None) is there


@pytest.mark.parametrize("said", ["01/2027", "31.01.2027", "31 Jan 2027", "270131", "2027-01"])
def test_an_expiry_in_words_is_compared_as_a_date(clinic: Clinic, said: str) -> None:
    use = _given(clinic, "u", **_CODE)
    until = {"code": {"text": "Verfallsdatum"}, "valueString": said}
    _put(
        clinic, "Observation", "o", status="final", code={"text": "Product"}, subject=_BEN,
        partOf=[{"reference": use}], component=[{"code": {"text": "Lot"}, "valueString": _LOT}, until],
    )  # fmt: skip
    assert _found(clinic, question([(_LOT, "01/2027")])) == (Fit.EXACT, "")
    assert _found(clinic, question([(_LOT, "2027-02")])) == (Fit.OTHER_EXPIRY, "")


def test_a_lot_is_asked_for_as_it_is_pasted(clinic: Clinic) -> None:
    _put(clinic, "Medication", "s", batch={"lotNumber": _LOT})
    _given(clinic, "u", medicationReference={"reference": "Medication/s"})
    for pasted in ("SHAPE\u20111071", "\uff33HAPE-1071", " SHAPE-\u200b1071 "):
        assert _found(clinic, pasted) == (Fit.EXACT, "")
    assert _found(clinic, "shape-1071") == (Fit.UNREADABLE, "reads alike")


def test_whoever_is_dead_or_known_under_another_record_is_reached(clinic: Clinic) -> None:
    _given(clinic, "u", medicationReference={"reference": "Medication/lot7"})
    phone = [{"system": "phone", "value": "+30 210 000 0009"}]
    _put(clinic, "Patient", "ben", active=False, telecom=phone,
         link=[{"other": {"reference": "Patient/anna"}, "type": "replaced-by"}])  # fmt: skip
    (anna,) = _ask(clinic, "LOT-0071").patients
    assert [each.telecom for each in anna.contacts] == [("phone +30 210 000 0009",)]
    _put(clinic, "Patient", "anna", deceasedDateTime="2026-06-01", telecom=phone,
         contact=[{"name": {"text": "Karl"}, "telecom": [{"system": "phone", "value": "+30 1"}]}])  # fmt: skip
    (anna,) = _ask(clinic, "LOT-0071").patients
    assert (anna.died, anna.contacts[0].who) == ("died 2026-06-01", "Karl")


def test_a_photo_that_names_somebody_elses_treatment_is_told_where_it_may_be_seen(clinic: Clinic) -> None:
    clinic.photo("x1", "ben", "v2", context=context("v2", "2026-05-04T10:00:00+03:00", "Procedure/p1"))
    answer = _ask(clinic, "LOT-0071")
    assert answer.astray == (Astray("Procedure/p1", "DocumentReference/x1", "ben"),)
    assert [each.document for each in answer.patients[0].photos] == ["DocumentReference/f1", "DocumentReference/f2"]
    with transaction(clinic.engine) as connection:
        held = update(photo).where(photo.c.document == "x1")
        connection.execute(held.values(state="examined", version=photo.c.version + 1))
    assert _ask(clinic, "LOT-0071").astray == ()
    assert [each["released"] for each in clinic.records() if each["kind"] == "set"] == [3, 2]
