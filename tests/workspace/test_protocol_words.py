"""Protocols, what is due by them, and closing what was taken, in the language of the reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from consent.regions import regions
from consent.wording import Wording, joined, worded
from dicom_bridge.objects.photo import series_words
from dicom_bridge.objects.vocabulary import find_expression, find_region, find_view, terms
from dicom_bridge.protocols.card import card
from dicom_bridge.protocols.protocol import Protocol, Shot, Since, TimePoint
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.protocols.words import due_words, name_words, scale_words, shot_words
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.language import said
from orthanc_plugin.workspace.record import sided
from orthanc_plugin.workspace.shown_names import area_name, shot_name
from orthanc_plugin.workspace.treatment_names import told_treatment
from orthanc_plugin.workspace.vocabularies import called, title, words
from orthanc_plugin.workspace.words import sentence
from tests.fhir.clinic import Clinic, build, open_clinic
from tests.protocols.closable import FROWN, opened, shot
from tests.protocols.test_cards import least_type, pages
from tests.workspace import due
from tests.workspace.client import Client
from tests.workspace.planned import PAGE, people, planned, signed_in, today_visit

pytestmark = pytest.mark.fast

GERMAN = {"accept-language": "de"}
OURS = all_protocols().by_name


@pytest.fixture
def german() -> Iterator[None]:
    token = language._spoken.set(language.languages()["de"])
    yield
    language._spoken.reset(token)


def _shot(protocol: str, name: str) -> Shot:
    return next(each for each in OURS[protocol].shots if each.name == name)


def _due(since: Since, days: int, before: int, after: int) -> Wording:
    return due_words(TimePoint("x", since, days, before, after, ()))


@pytest.mark.parametrize(
    ("text", "english", "german_text"),
    [
        (_due(Since.FIRST_SESSION, 0, 30, 0), "Before the first session, at most 30 days ahead",
         "Vor der ersten Sitzung, höchstens 30 Tage vorher"),
        (_due(Since.EACH_SESSION, 0, 7, 0), "Before each session, at most a week ahead",
         "Vor jeder Sitzung, höchstens eine Woche vorher"),
        (_due(Since.EACH_SESSION, -1, 0, 1), "Before each session, at most a day ahead",
         "Vor jeder Sitzung, höchstens einen Tag vorher"),
        (_due(Since.EACH_SESSION, 0, 0, 0), "Before each session", "Vor jeder Sitzung"),
        (_due(Since.LAST_SESSION, 42, 10, 21), "6 weeks after the last session (day 32 to day 63)",
         "6 Wochen nach der letzten Sitzung (Tag 32 bis Tag 63)"),
        (_due(Since.EACH_SESSION, 0, 0, 2), "On the day of each session (day 0 to day 2)",
         "Am Tag jeder Sitzung (Tag 0 bis Tag 2)"),
        (_due(Since.LAST_SESSION, 365, 0, 0), "12 months after the last session",
         "12 Monate nach der letzten Sitzung"),
        (scale_words(_shot("abdominoplasty", "front")), "1:18 (frame 64.8 x 43.2 cm)",
         "1:18 (Bildausschnitt 64,8 × 43,2 cm)"),
        (scale_words(_shot("filler-hands", "right-back")), "60 cm from the lens", "60 cm vom Objektiv"),
        (shot_words(_shot("filler-hands", "right-back")), "Hand dorsum, right, dorsal", "Handrücken rechts, dorsal"),
        (shot_words(_shot("filler-hands", "both-backs")), "Hand dorsum, both sides, dorsal",
         "Handrücken beidseits, dorsal"),
        (shot_words(_shot("scar", "near-even")), "Treated area, close-up", "Behandeltes Areal, Nahaufnahme"),
        (name_words("follow-up-2-weeks"), "Follow up 2 weeks", "Kontrolle nach 2 Wochen"),
        (name_words("frontal-rest"), "Frontal rest", "Frontal, in Ruhe"),
        (OURS["toxin-glabella"].title, "Botulinum toxin, glabella", "Botulinumtoxin, Glabella"),
        (_shot("toxin-glabella", "frontal-frown").note, "Frown as hard as possible.",
         "Stirn so stark wie möglich runzeln."),
    ],
)  # fmt: skip
def test_a_protocol_is_told_in_the_language_of_the_reader(
    text: str, english: str, german_text: str, german: None
) -> None:
    assert text[:1].upper() + text[1:] == english
    assert sentence(text) == german_text


def test_texts_that_are_joined_are_said_one_by_one(german: None) -> None:
    made = joined([worded("frontal"), worded("smiles"), "100 % typed"], "; ")
    assert (made, said(made)) == ("frontal; smiles; 100 % typed", "frontal; lächelnd; 100 % typed")
    assert (joined([]), said(joined([]))) == ("", "")


def test_dicom_and_the_record_are_told_in_english_whatever_is_spoken(german: None) -> None:
    told = series_words(find_region("decollete"), None, find_view("45-degree"), find_expression("arms-folded"))
    assert str(told) == "Decollete, 45 degree projection, hands on the opposite elbows"
    assert type(str(told)) is str


def test_names_are_read_as_people_say_them_and_typed_as_before() -> None:
    tree = {each.name: title(each.name) for each in regions()}
    assert [language.gettext(tree[each]) for each in ("decollete", "nose-ala", "scalp-frontal", "neck-anterior")] == [
        "Décolleté", "Nasal ala", "Frontal scalp", "Anterior neck",
    ]  # fmt: skip
    assert language.gettext(words("45-degree")) == "at 45 degrees"
    assert sided(language.gettext(tree["neck-lateral"]), "R") == "Right lateral neck"
    assert area_name(find_region("hand-dorsum")) == "back of the hand"
    assert find_region("decollete").display == "Skin structure of upper chest wall"
    assert language.gettext("Frontal scalp") == "Frontal scalp"
    assert set(called().values()).isdisjoint(called())
    typed = {*tree.values(), *(words(each.name) for kind in ("view", "expression") for each in terms(kind))}
    assert called().keys() - typed == {"Ipl", "Prp"}


def test_names_of_shots_and_treatments(german: None) -> None:
    assert shot_name(_shot("acne-face", "right-oblique")) == "Gesicht, halbrechts, in Ruhe"
    assert shot_name(_shot("filler-hands", "left-back")) == "Handrücken links, dorsal"
    assert language.said(told_treatment("botulinum-toxin")) == "Botulinumtoxin"
    assert language.said(told_treatment("Laser of facial pigment")) == "Laser of facial pigment"


def test_names_of_shots_and_treatments_in_english() -> None:
    assert shot_name(_shot("filler-hands", "left-back")) == "Left back of the hand, dorsal"
    assert tuple(language.said(told_treatment(each)) for each in ("prp", "dermal-filler")) == ("PRP", "Dermal filler")


@pytest.mark.parametrize("protocol", OURS.values(), ids=lambda each: each.name)
def test_a_german_card_is_one_page_that_can_be_read(protocol: Protocol, german: None) -> None:
    told: list[str] = []

    def saying(text: str) -> str:
        told.append(said(text))
        return told[-1]

    pdf = card(protocol, saying, area_name)
    assert pages(pdf) == 1
    assert least_type(pdf) >= 7
    assert {"Jedes davon aufnehmen", "Immer gleich", "Patientin", "Wann", "Ausgangsfotos"} <= set(told)
    assert any(each.startswith("Für: ") and each.endswith("von Photospine, Version 1") for each in told)
    left = [each for each in told if re.search(r"\b(the|and|with|light|weeks?|months?|session)\b", each)]
    assert [each for each in left if not each.startswith("Nach: ")] == []


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    made = opened(tmp_path)
    shot(made, "n1", "rest")
    yield signed_in(made, people(), "clinician")
    made.close()


def test_the_pages_of_protocols_speak_german(client: Client) -> None:
    listed = client.get("/protocols", headers=GERMAN).text
    assert "Botulinumtoxin, Glabella" in listed
    assert "3 Fotos · Kinn, Kinnfalte" in listed
    page = client.get("/protocols/filler-tear-trough", headers=GERMAN).text
    for text in ("Filler, Tränenrinne", "Tränenrinne, Unterlid", "Von Photospine, Version 1",
                 "Kopf ruhig, Blick zur Decke: Die Fettpolster treten hervor.", "Einfarbig mittelblau",
                 "Zwei diffuse Lichter", "Quellen"):  # fmt: skip
        assert text in page, text
    own = client.get("/protocols/filler-tear-trough").text
    for text in ("Filler, tear trough", "Tear trough, lower eyelid", "Photospine's version 1", "Plain medium blue",
                 "Before the first session, at most 30 days ahead"):  # fmt: skip
        assert text in unescape(own), text
    german, english = (client.get("/protocols/toxin-glabella/card.pdf", headers=each).content for each in (GERMAN, {}))
    assert german != english == card(OURS["toxin-glabella"])


def test_closing_speaks_german(client: Client) -> None:
    page = client.get("/chart/session/tox", headers=GERMAN).text
    for text in ("Glabella, frontal, Stirnrunzeln", "Stirn so stark wie möglich runzeln.",
                 "Die Patientin hat abgelehnt", "Warum Glabella, frontal, Stirnrunzeln fehlt"):  # fmt: skip
        assert text in page, text
    fields = dict(re.findall(r'<input type="hidden" name="(csrf|version)" value="([^"]*)"', page))
    for why, fault in ((("", "Das Foto fehlt; bitte den Grund angeben."),
                        ("other", "Bitte den Grund in einem Satz angeben."))):  # fmt: skip
        sent = {name: unescape(value) for name, value in fields.items()} | {f"why-{FROWN}": why}
        answer = client.post("/chart/session/tox/close", data=sent, headers=GERMAN | {"Origin": "http://testserver"})
        assert f"Glabella, frontal, Stirnrunzeln: {fault}" in answer.text


def test_what_is_due_is_told_in_german(tmp_path: Path) -> None:
    build(tmp_path)
    clinic: Clinic = open_clinic(tmp_path)
    try:
        due.fill(clinic)
        client = Client(due.application(clinic))
        token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/login").text)[0]
        client.post("/login", data={"csrf": token, "name": "clinician", "password": "clinician-demo", "next": "/"})
        text = client.get("/chart/due", headers=GERMAN).text
        assert "<b>Kontrolle nach 2 Wochen</b>" in text
        assert "<li>Glabella, frontal, in Ruhe" in text
        assert "face at rest" not in text
    finally:
        clinic.close()


def test_what_to_photograph_next_is_told_in_german(tmp_path: Path) -> None:
    clinic = planned(tmp_path)
    try:
        today_visit(clinic)
        client = signed_in(clinic, people(), "clinician")
        assert "Heute noch zu fotografieren: Gesicht; Gesicht links." in client.get(PAGE, headers=GERMAN).text
        assert "Still to photograph today: Face; Left face." in client.get(PAGE).text
        assert "<li>Gesicht, frontal, Brauen gehoben</li>" in client.get("/chart/patient/anna", headers=GERMAN).text
    finally:
        clinic.close()
