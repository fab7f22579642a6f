"""Treatments in the reader's words: amounts, settings, plans, outcomes and times; in English as the record has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fhir_mapping.course.plan import Plan
from fhir_mapping.outcome.outcome import Graded, Outcome
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.treatment.session import Amount, Named
from fhir_mapping.treatment.settings import SETTINGS
from orthanc_plugin.workspace import done, language
from orthanc_plugin.workspace.portfolios import _spoken
from orthanc_plugin.workspace.record import Course, Treatment
from orthanc_plugin.workspace.timeline import days
from orthanc_plugin.workspace.today import machines
from orthanc_plugin.workspace.today.fields import as_typed
from orthanc_plugin.workspace.treatment_names import part_name, setting_name, treatment_name
from orthanc_plugin.workspace.words import when
from tests.fhir.clinic import Clinic
from tests.workspace.client import Client
from tests.workspace.planned import PAGE, fields_of, people, planned, send, signed_in

ZONE = ZoneInfo("Europe/Athens")
GERMAN = {"accept-language": "de"}


@pytest.fixture
def german() -> Iterator[None]:
    """Pages speak German."""
    token = language._spoken.set(language.languages()["de"])
    yield
    language._spoken.reset(token)


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """Anna with a plan and a session."""
    made = planned(tmp_path)
    yield made
    made.close()


@pytest.fixture
def client(clinic: Clinic) -> Client:
    """A browser that is signed in as the clinician."""
    return signed_in(clinic, people(), "clinician")


def _amount(value: str, unit: str = "", code: str = "", comparator: str = "") -> str:
    return Amount(Decimal(value), unit, code, comparator).shown


SAID: list[tuple[Callable[[], str], str, str]] = [
    (lambda: _amount("2.4", "J/cm2", "J/cm2"), "2.4 J/cm²", "2,4 J/cm²"),
    (lambda: _amount("2.40", code="J/cm2"), "2.40 J/cm²", "2,40 J/cm²"),
    (lambda: _amount("0.5", "mL", "mL", "<"), "<0.5 mL", "<0,5 mL"),
    (lambda: _amount("-4", code="Cel"), "-4 °C", "-4 °C"),
    (lambda: _amount("20.0", "U", "[arb'U]"), "20 U", "20 U"),
    (lambda: _amount("3", code="1"), "3", "3"),
    (lambda: _amount("1", "tube"), "1 tube", "1 Tube"),
    (lambda: _amount("2", "tube", "{tube}"), "2 tube", "2 Tuben"),
    (lambda: _amount("0.5", code="{bottle}"), "0.5 bottle", "0,5 Flaschen"),
    (lambda: setting_name(Named("Spot size", f"{SETTINGS}|spot-size")), "Spot size", "Spotgröße"),
    (lambda: setting_name(Named("", f"{SETTINGS}|fluence")), "Fluence", "Fluenz"),
    (lambda: setting_name(Named("Mode of the house")), "Mode of the house", "Mode of the house"),
    (lambda: treatment_name(Named("Pulsed light", "urn:photospine:treatment|ipl")), "Pulsed light", "Pulsed light"),
    (lambda: part_name(Named("", "urn:photospine:outcome|pore")), "Pores", "Poren"),
    (lambda: Plan("anna", sessions=8, every=5).rhythm, "8 sessions, 5 weeks apart",
     "8 Sitzungen, im Abstand von 5 Wochen"),
    (lambda: Plan("anna", sessions=1).rhythm, "1 session", "1 Sitzung"),
    (lambda: Plan("anna", every=1, unit="a").rhythm, "a year apart", "im Abstand von einem Jahr"),
    (lambda: Plan("anna").rhythm, "", ""),
    (lambda: Plan("anna", status="completed").stands, "completed", "abgeschlossen"),
    (lambda: as_typed(Decimal("0.8")), "0.8", "0,8"),
    (lambda: _spoken("taken", "2026-01"), "Jan 2026", "Jan. 2026"),
    (lambda: _spoken("taken", "2025-02..2026-01"), "Feb 2025 to Jan 2026", "Feb. 2025 bis Jan. 2026"),
    (lambda: _spoken("taken", "2026-01.."), "from Jan 2026", "ab Jan. 2026"),
    (lambda: _spoken("taken", "..2026"), "to 2026", "bis 2026"),
    (lambda: _spoken("area", "lower-eyelid"), "Lower eyelid", "Unterlid"),
    (lambda: _spoken("view", "urn:photospine:view|basal"), "Basal", "Basal"),
    (lambda: _spoken("setting", f"{SETTINGS}|wavelength$532..1064$nm"),
     "Wavelength 532 to 1064 nm", "Wellenlänge 532 bis 1064 nm"),
    (lambda: _spoken("setting", f"{SETTINGS}|power$2.5..$W"),
     "Power from 2.5 W", "Leistung ab 2,5 W"),
    (lambda: _spoken("setting", "http://other|back$2$mm"), "Setting 2 mm", "Einstellung 2 mm"),
    (lambda: _spoken("treatment", "urn:photospine:treatment|prp"), "PRP", "PRP"),
    (lambda: _spoken("clinician", "Practitioner/x"), "clinician", "Behandelnde"),
    (lambda: _spoken("outcome", "urn:photospine:outcome|redness$improved..$patient"),
     "Redness: from improved, says the patient", "Rötung: ab gebessert, sagt die Patientin"),
    (lambda: as_typed(Decimal("1.064")), "1.064", "1,0640"),  # a comma might part thousands
    (lambda: when("2026", datetime(2026, 1, 1, tzinfo=ZONE), ZONE), "2026", "2026"),
    (lambda: when("2026-03", datetime(2026, 3, 1, tzinfo=ZONE), ZONE), "Mar 2026", "März 2026"),
    (lambda: when("", datetime(2026, 3, 1, tzinfo=ZONE), ZONE), "1 Mar 2026", "1. März 2026"),
    (lambda: when("", None, ZONE), "Date unknown", "Datum unbekannt"),
]  # fmt: skip


@pytest.mark.fast
@pytest.mark.parametrize(("text", "english", "_german"), SAID)
def test_in_english_it_is_said_as_the_record_has_it(text: Callable[[], str], english: str, _german: str) -> None:
    assert language.said(text()) == str(text()) == english


@pytest.mark.fast
@pytest.mark.usefixtures("german")
@pytest.mark.parametrize(("text", "_english", "expected"), SAID)
def test_in_german_it_is_said_in_german(text: Callable[[], str], _english: str, expected: str) -> None:
    assert language.said(text()) == expected


@pytest.mark.fast
@pytest.mark.usefixtures("german")
def test_an_outcome_is_told_in_german_with_whose_judgement_it_is() -> None:
    outcome = Outcome("anna", "scar", 2, Rater.INVESTIGATOR, graded=Graded("glogau", "II", "I"))
    told = done.line(outcome)
    assert [language.said(each) for each in (told.what, told.change, told.by, told.scale)] == [
        "Narben",
        "Stark gebessert",
        "Beurteilt durch Behandelnde",
        "Glogau-Klassifikation der Lichtalterung: II → I",
    ]
    choices = {name: [language.said(words) for _, words in some] for name, some in done.choices().items()}
    assert choices["characteristics"][0] == "Akne"
    assert "Glogau-Klassifikation der Lichtalterung (I bis IV)" in choices["scales"]
    assert choices["raters"] == ["Behandelnde", "Patientin", "Gemessen"]
    assert "Pulsdauer, µs" in [words for _, words in machines.choices()]
    assert "Temperatur, °C" in [words for _, words in machines.choices()]


@pytest.mark.fast
def test_a_year_alone_stands_beside_the_days_of_the_timeline() -> None:
    start = datetime(2026, 1, 1, tzinfo=ZONE)
    told = [Treatment("a", "Peel", start, stated="2026"), Treatment("b", "Laser", start),
            Treatment("c", "Filler", datetime(2026, 2, 1, tzinfo=ZONE), stated="2026-02"),
            Treatment("d", "Toxin", None)]  # fmt: skip
    course = Course(treatments=tuple(told))
    found = [(each.date, each.stated, [block.treatment.id for block in each.blocks if block.treatment])
             for each in days(course, course, ZONE)]  # fmt: skip
    assert found == [
        (date(2026, 2, 1), "2026-02", ["c"]),
        (date(2026, 1, 1), "", ["b"]),
        (date(2026, 1, 1), "2026", ["a"]),
        (None, "", ["d"]),
    ]


def _peel(clinic: Clinic, performed: str, **more: object) -> None:
    clinic.put({"resourceType": "Patient", "id": "other", "name": [{"text": "Other Patient"}]})
    clinic.put(
        {
            "resourceType": "Procedure",
            "id": "o1",
            "status": "completed",
            "subject": {"reference": "Patient/other"},
            "performedDateTime": performed,
            **more,
        }
    )


@pytest.mark.parametrize(("performed", "english", "german"), [("2026", "2026", "2026"),
                                                             ("2026-03", "Mar 2026", "März 2026")])  # fmt: skip
def test_pages_show_a_day_as_exactly_as_it_was_stated(
    clinic: Clinic, client: Client, performed: str, english: str, german: str
) -> None:
    _peel(clinic, performed, code={"text": "Peel"})
    for page in ("/chart/patient/other", "/chart/session/o1", "/chart/patient/other/next", "/chart/basis/Procedure/o1"):
        for headers, expected, wrong in (({}, english, "1 "), (GERMAN, german, "1. ")):
            text = client.get(page, headers=headers).text
            assert expected in text, page
            assert f"{wrong}{'Jan' if performed == '2026' else expected}" not in text, page


def test_sessions_without_a_name_are_not_called_the_first(clinic: Clinic, client: Client) -> None:
    _peel(clinic, "2026-05-03T11:00:00+03:00")
    page = client.get("/chart/patient/other/next").text
    assert "first session on record" not in page
    assert "The record does not name what was done last time" in page
    assert "Die Akte nennt nicht" in client.get("/chart/patient/other/next", headers=GERMAN).text


def test_the_next_session_is_read_in_german_and_saved_as_in_english(clinic: Clinic, client: Client) -> None:
    page = client.get(PAGE, headers=GERMAN).text
    for words in ("im Abstand von", "In der Klinik gegeben", "Stark gebessert", "Mimische Falten"):
        assert words in page, words
    for words in ("weeks apart", "Given in the clinic", "Much improved", "Dynamic wrinkles", "Wavelength"):
        assert words not in page, words
    fields = fields_of(page) | {"checked-0": "on", "dose-0": "0,8"}
    answer = send(client, fields | {"dose-0": "-1"}, **GERMAN)
    assert answer.status_code == 422
    assert "Eine Dosis ist eine Zahl." in answer.text
    assert send(client, fields, **GERMAN).status_code == 303
    assert "0.8 U" in client.get("/chart/patient/anna").text
    assert "0,8 U" in client.get("/chart/patient/anna", headers=GERMAN).text


def test_a_photo_of_the_basis_is_named_as_the_chart_names_it(client: Client) -> None:
    german = client.get("/chart/basis/CarePlan/plan", headers=GERMAN).text
    assert "<span>Gesicht, " in german
    assert "Face" not in german
    assert "<span>Face, " in client.get("/chart/basis/CarePlan/plan").text
