"""What the pages read of a real database: people, and photos in the records of several."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from consent.audit.chain import open_chain
from consent.audit.shelf import AuditUnavailable
from consent.service import DecisionPoint
from consent.types import Request
from fhir_mapping.outcome.outcome import Outcome, observation
from fhir_mapping.outcome.vocabulary import Rater
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Grade, Question, Token
from fhir_mapping.store.reader import RecordReader
from orthanc_plugin.workspace import stored
from orthanc_plugin.workspace.stored import StoredRecord
from tests.fhir.clinic import BASE, SITE, Clinic, build, consent_of, open_clinic, requesters

_ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    build(tmp_path)
    made = open_clinic(tmp_path)
    yield made
    made.close()


@pytest.fixture
def record(clinic: Clinic) -> StoredRecord:
    return StoredRecord(clinic.engine, clinic.node.decisions, clinic.node.record)


def _name(clinic: Clinic, identity: str, **name: object) -> None:
    body = {"resourceType": "Patient", "id": identity, "name": [name]}
    answer = clinic.ask("integrator", "PUT", f"/Patient/{identity}", json=body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("van der berg", {"mia"}),
        ("Mia van der Berg", {"mia"}),
        ("Berg, Mia", {"mia"}),
        ("berg", {"mia", "ben"}),
        ("der", {"mia"}),
        ("er", set()),
        ("lindqvist", {"aiko"}),
        ("tanaka-l", {"aiko"}),
        ("brien", {"liam"}),
        ("ΣΊΣΥΦΟΣ", {"sisyphos"}),
        ("σισυφος", {"sisyphos"}),
        ("%", set()),
        ("_ia", set()),
        ("\u0301", {"anna", "ben", "mia", "aiko", "liam", "sisyphos"}),
    ],
)
def test_a_patient_is_found_by_any_word_of_her_name(
    clinic: Clinic, record: StoredRecord, text: str, ids: set[str]
) -> None:
    _name(clinic, "mia", family="van der Berg", given=["Mia"])
    _name(clinic, "aiko", family="Tanaka-Lindqvist", given=["Aiko"])
    _name(clinic, "liam", family="O'Brien")
    _name(clinic, "sisyphos", family="Σίσυφος")
    assert {person.id for person in record.search(text, 60).people} == ids


def test_a_name_with_a_part_that_is_not_known_is_said_without_it(clinic: Clinic, record: StoredRecord) -> None:
    _name(clinic, "mia", family="Berg", given=[None, "Mia"], _given=[{"extension": [_ABSENT]}, None])
    _name(clinic, "nobody", _family={"extension": [_ABSENT]})
    names = {person.id: person.name for person in record.search("", 60).people}
    assert (names["mia"], names["nobody"]) == ("Mia Berg", "Name not recorded")


def test_a_photo_is_in_the_records_of_all_whom_it_shows(clinic: Clinic, record: StoredRecord) -> None:
    also = {"url": "urn:photospine:also-shows", "valueReference": {"reference": "Patient/anna"}}
    clinic.photo("both", "ben", "v2", extension=[also])
    _name(clinic, "older", family="Old")
    link = {"other": {"reference": "Patient/anna"}, "type": "replaced-by"}
    clinic.put({"resourceType": "Patient", "id": "older", "link": [link]})
    assert list(record.patients_of("both")) == ["ben", "anna", "older"]
    assert list(record.patients_of("f1")) == ["anna", "older"]
    assert list(record.patients_of("none")) == []


def test_a_course_is_recorded_with_whose_it_is_also_where_no_photo_is_shown(
    clinic: Clinic, record: StoredRecord
) -> None:
    _name(clinic, "mia", family="Berg")
    assert record.course(Request(requesters()["clinician"], "TREAT"), "mia", Question(), "/chart/patient").photos == ()
    last = clinic.records()[-1]
    assert (last["kind"], last["account"], last["details"]["subject"]) == ("set", "clinician", "Patient/mia")


def test_a_course_is_narrowed_by_the_question_and_names_its_values(clinic: Clinic, record: StoredRecord) -> None:
    treatment = clinic.get("integrator", "/Procedure/p1").json()
    coding = {"system": "urn:ehr", "code": "BTX", "display": "Toxin, upper face"}
    clinic.put(treatment | {"code": {"coding": [coding]}})
    asked = Request(requesters()["clinician"], "TREAT")
    whole = record.course(asked, "anna", Question(), "/chart")
    names = {facet: {each.name: each.count for each in values} for facet, values in whole.answer.values.items()}
    assert names[Facet.TREATMENT] == {"Toxin, upper face": 1}
    assert names[Facet.PRODUCT] == {"Toxin A": 1}
    assert names[Facet.LOT] == {"LOT-0071": 1}
    assert sum(names[Facet.CLINICIAN].values()) == 2
    assert "Doe" in next(iter(names[Facet.CLINICIAN]))
    assert {photo.key for photo in whole.photos} == {"f1", "f2"}
    before = len(clinic.records())
    lot = record.course(asked, "anna", Question(lot=frozenset({"LOT-0071"})), "/chart", ["f2", "b1", "none"])
    assert [photo.key for photo in lot.photos] == ["f1"]
    assert [photo.key for photo in lot.kept] == ["f2"], "another patient's photo is not kept on her page"
    assert (lot.answer.total, lot.answer.whole) == (1, 2)
    told = [(each["released"], each["details"]["question"]) for each in clinic.records()[before:]]
    assert told == [(1, "patient=anna&lot=LOT-0071"), (1, "patient=anna")]


def test_nothing_is_shown_that_cannot_be_recorded(
    clinic: Clinic, record: StoredRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(clinic.chain, "append", broken)
    with pytest.raises(AuditUnavailable):
        record.course(Request(requesters()["clinician"], "TREAT"), "anna", Question(), "/chart/patient")
    with pytest.raises(AuditUnavailable):
        record.gallery(Request(requesters()["marketing"], "PORTFOLIO"), "/portfolio", Question(), None)


def test_a_gallery_repeats_nothing_that_somebody_typed(clinic: Clinic, record: StoredRecord) -> None:
    today = datetime.now(SITE.zone).date().isoformat()
    body = consent_of("c", "permit", "PORTFOLIO", signed=today)
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=body).status_code == 201
    question = Request(requesters()["marketing"], "PORTFOLIO")
    treatment = clinic.get("integrator", "/Procedure/p1").json()
    typed = {"system": "urn:ehr", "code": "7", "display": "Toxin, A. Anderson, 5 May"}
    for codings, title in (
        ([typed], ""),
        ([typed, {"system": "urn:photospine:treatment", "code": "botulinum-toxin"}], "Botulinum toxin"),
    ):
        treatment["code"] = {"text": "Toxin for Anna", "coding": codings}
        clinic.put(treatment)
        assert [each.title for each in record.gallery(question, "/portfolio", Question(), None).outcomes] == [title]


def test_a_gallery_has_no_value_that_somebody_typed(clinic: Clinic, record: StoredRecord) -> None:
    today = datetime.now(SITE.zone).date().isoformat()
    body = consent_of("c", "permit", "PORTFOLIO", signed=today)
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=body).status_code == 201
    question = Request(requesters()["marketing"], "PORTFOLIO")
    treatment = clinic.get("integrator", "/Procedure/p1").json()

    def found(token: Token) -> tuple[int, set[str]]:
        asked = record.gallery(question, "/portfolio", Question(treatment=frozenset({token})), None)
        return asked.answer.total, {each.text for each in asked.answer.values[Facet.TREATMENT]}

    for code in (
        {"text": "Toxin for Anna"},
        {"coding": [{"system": "urn:ehr", "code": "anna-7"}], "text": "Toxin for Anna"},
        {"coding": [{"system": "urn:photospine:treatment", "code": "Toxin, Anna"}]},
        {"coding": [{"system": "http://snomed.info/sct", "code": "anna"}]},
    ):
        treatment["code"] = code
        clinic.put(treatment)
        for word in ("Toxin for Anna", "anna-7", "Toxin, Anna", "anna", "nothing"):
            assert found(Token(word)) == (0, set()), (code, word)
    treatment["code"] = {"coding": [{"system": "urn:photospine:treatment", "code": "botulinum-toxin"}]}
    clinic.put(treatment)
    assert found(Token("botulinum-toxin")) == (1, {"urn:photospine:treatment|botulinum-toxin"})


def test_an_outcome_as_the_patient_sees_it_narrows_a_gallery(clinic: Clinic, record: StoredRecord) -> None:
    today = datetime.now(SITE.zone).date().isoformat()
    body = consent_of("c", "permit", "PORTFOLIO", signed=today)
    assert clinic.ask("clinician", "PUT", "/Consent/c", json=body).status_code == 201
    judged = Outcome(
        "anna", "hair-density", 2, Rater.PATIENT, before="DocumentReference/f1", after="DocumentReference/f2"
    )
    clinic.put(observation(judged) | {"id": "judged"})
    question = Request(requesters()["marketing"], "PORTFOLIO")
    for grade, rater, photos in (("improved", "patient", 2), ("improved", "investigator", 0)):
        wanted = Question(outcome=frozenset({Grade(Token("hair-density"), grade, or_better=True, rater=rater)}))
        asked = record.gallery(question, "/portfolio", wanted, None)
        assert asked.answer.total == sum(len(each.photos) for each in asked.outcomes) == photos
        (value,) = asked.answer.values[Facet.OUTCOME]
        assert (value.name, value.count) == ("Hair density: much improved, says the patient", 2)


def test_a_gallery_goes_on_where_the_last_page_ended(
    clinic: Clinic, record: StoredRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_OUTCOMES", 1)
    clinic.photo("n1", "anna", "v1", extension=[{"url": "urn:photospine:session", "valuePositiveInt": 3}])
    today = datetime.now(SITE.zone).date().isoformat()
    for patient in ("anna", "ben"):
        body = consent_of(f"c-{patient}", "permit", "PORTFOLIO", signed=today, patient=patient)
        assert clinic.ask("clinician", "PUT", f"/Consent/c-{patient}", json=body).status_code == 201
    question = Request(requesters()["marketing"], "PORTFOLIO")
    found: list[set[str]] = []
    after = None
    for _ in range(9):
        page = record.gallery(question, "/portfolio", Question(), after)
        found += [{photo.key for photo in outcome.photos} for outcome in page.outcomes]
        after = page.following
        if after is None:
            break
    assert sorted(map(sorted, found)) == [["b1"], ["f1", "f2"], ["n1"]]
    (record_of,) = clinic.records()[-1:]
    assert record_of["released"] == len(found[-1])


def test_photos_that_name_no_region_have_a_place_of_their_own(clinic: Clinic, record: StoredRecord) -> None:
    clinic.photo("n1", "anna", "v1", extension=[{"url": "urn:photospine:session", "valuePositiveInt": 3}])
    today = datetime.now(SITE.zone).date().isoformat()
    assert clinic.ask(
        "clinician", "PUT", "/Consent/c", json=consent_of("c", "permit", "PORTFOLIO", signed=today)
    ).status_code == 201  # fmt: skip
    question = Request(requesters()["marketing"], "PORTFOLIO")
    whole = record.gallery(question, "/portfolio", Question(), None)
    counts = {each.name: each.count for each in whole.answer.values[Facet.AREA]}
    assert (counts["Other"], counts["Face"]) == (1, 2)
    assert (whole.answer.total, whole.answer.whole) == (3, 3)
    other = record.gallery(question, "/portfolio", Question(area=frozenset({"|none"})), None)
    assert [[photo.key for photo in outcome.photos] for outcome in other.outcomes] == [["n1"]]


def test_what_can_name_nothing_is_absent_on_either_database(engine: Engine, url: str, tmp_path: Path) -> None:
    chain = open_chain(url, tmp_path / "audit", "node1", "serve")
    record = StoredRecord(engine, DecisionPoint(engine, chain, "serve"), RecordReader(SITE, base=BASE))
    try:
        assert record.search("a\x00b", 60).people == ()
        assert record.person("a\x00b") is None
        assert list(record.patients_of("a\x00b")) == []
        assert record.sop_uid(key="a\x00b") is None
        kept = record.course(Request(requesters()["clinician"], "TREAT"), "a", Question(), "/chart", ["a\x00b"])
        assert kept.kept == ()
    finally:
        chain.close()
