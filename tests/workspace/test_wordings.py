"""Texts of the packages below: English in records and for machines, and in the language of a page on it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.provisions import sentence
from consent.purposes import named
from consent.reasons import Reason
from consent.regions import regions
from consent.rules.site import site_rules
from consent.types import Effect, Laterality
from consent.wording import PartialDate, joined, worded
from dicom_bridge.brought import RecordRefused
from dicom_bridge.errors import UnknownCode
from dicom_bridge.objects.vocabulary import find_region
from dicom_bridge.placing import NO_VALUE, not_linked, why_again
from fhir_mapping.errors import Invalid, Issue, NotFound
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace.language import said
from orthanc_plugin.workspace.purpose_names import purpose_name
from orthanc_plugin.workspace.words import fault
from tests.consent.world import World

pytestmark = pytest.mark.fast


@pytest.fixture
def german() -> Iterator[None]:
    token = language._spoken.set(language.languages()["de"])
    yield
    language._spoken.reset(token)


_MOMENT = datetime(2026, 5, 4, 7, tzinfo=UTC)


def _provision(rule: Rule | None) -> str:
    nested = () if rule is None else (rule,)
    directive = Directive(
        consent="c1",
        version=1,
        patient="P",
        scope="patient-privacy",
        status="active",
        signed=Span(_MOMENT, _MOMENT),
        performers=("Patient/P",),
        organizations=("Organization/o",),
        nested=nested,
        opt_out=rule is None,
        replaces=("c0",),
    )
    return sentence(directive, "policyRule" if rule is None else rule.path, World().site)


def _rule() -> Rule:
    face = regions().by_name("face")
    assert face is not None
    return Rule(
        path="provision.provision[0]",
        effect=Effect.PERMIT,
        purposes=frozenset({"WEB", "TEACH"}),
        actors=Actors(frozenset({"Practitioner/d"}), frozenset({"instagram"}), frozenset()),
        data=(Data(Reach.VISIT, "Encounter/v"),),
        data_period=Span(_MOMENT, None),
        regions=(Region(face.code, Laterality.LEFT),),
        labels=(Label("urn:x", "R"),),
        periods=(Span(None, _MOMENT),),
    )


def test_a_provision_is_english_by_itself() -> None:
    said = _provision(_rule())
    assert said == (
        "It permits TEACH or WEB by Practitioner/d in the channel instagram of the photos of the visit Encounter/v "
        "taken from 2026-05-04 10:00 showing nothing but Skin of face (left) labelled R in force to 2026-05-04 09:59. "
        "Signed by Patient/P, on 2026-05-04 10:00, for Organization/o; it replaces Consent/c0."
    )
    assert _provision(None).startswith(
        "It denies every purpose but duties, emergency access and the patient's own view."
    )


@pytest.mark.usefixtures("german")
def test_a_provision_is_said_in_german() -> None:
    assert said(_provision(_rule())) == (
        "Sie erlaubt Ausbildung in der Klinik oder Website durch Practitioner/d im Kanal instagram für die Fotos des "
        "Besuchs Encounter/v (aufgenommen ab 4. Mai 2026, 10:00) (nichts anderes zu sehen als: Gesicht (links)) "
        "(gekennzeichnet: R) (in Kraft bis 4. Mai 2026, 09:59). Unterschrieben von: Patient/P, am 4. Mai 2026, 10:00; "
        "für: Organization/o; sie ersetzt Consent/c0."
    )


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_an_answer_is_said_in_german(reason: Reason) -> None:
    assert said(reason.sentence) != reason.sentence


@pytest.mark.usefixtures("german")
def test_the_rules_of_a_site_are_said_in_german() -> None:
    for rule in site_rules().values():
        assert said(rule.sentence) != rule.sentence
        assert said(rule.source) != rule.source


@pytest.mark.parametrize(
    ("code", "english", "german"),
    [
        ("TREAT", "Treatment in this clinic", "Behandlung in dieser Klinik"),
        ("SOCIAL:instagram", "Social media: Instagram", "Soziale Medien: Instagram"),
        ("PATSFTY", "Patient safety", "Patientensicherheit"),
        ("REELS", "REELS", "REELS"),
    ],
)
def test_purposes_have_names(code: str, english: str, german: str) -> None:
    assert purpose_name(code) == english
    token = language._spoken.set(language.languages()["de"])
    try:
        assert purpose_name(code) == german
    finally:
        language._spoken.reset(token)


def test_a_code_is_itself_but_on_a_page_and_survives_a_copy() -> None:
    code = named("TREAT")
    copy = pickle.loads(pickle.dumps(code))  # of its own
    assert (str(code), str(copy), said(copy)) == ("TREAT", "TREAT", "Treatment in this clinic")


@pytest.mark.parametrize(
    ("kept", "english", "german"),
    [
        (str(NO_VALUE.why), "It cannot be linked: a value of it is none.",
         "Es kann nicht verknüpft werden: Ein Wert darin ist ungültig."),
        (not_linked(RecordRefused("the object's study is another visit's; one visit's photos are one study")).why,
         "It cannot be linked: the object's study is another visit's; one visit's photos are one study",
         "Es kann nicht verknüpft werden: Die Untersuchung des Objekts gehört zu einem anderen Besuch"),
        ("The visit that it names has no patient.", "The visit that it names has no patient.",
         "Der Besuch, den es nennt, hat keine Patientin."),
        ("A file is known as another patient's photo", "A file is known as another patient's photo",
         "Eine Datei ist als Foto einer anderen Patientin bekannt"),
        ("Nobody foresaw 100 % of this.", "Nobody foresaw 100 % of this.", "Nobody foresaw 100 % of this."),
        ("", "", ""),
    ],
)  # fmt: skip
def test_why_a_photo_waits_is_kept_in_english_and_said_anew(kept: str, english: str, german: str) -> None:
    assert kept == english
    assert said(why_again(kept)) == english
    token = language._spoken.set(language.languages()["de"])
    try:
        assert said(why_again(kept)).startswith(german)
    finally:
        language._spoken.reset(token)


def test_an_error_is_said_in_the_language_of_the_page() -> None:
    refused = Invalid([Issue("value", worded("The time ends before it begins.")), Issue("value", "As it is.", "a.b")])
    with pytest.raises(UnknownCode) as unknown:
        find_region("moon")
    assert fault(refused) == "The time ends before it begins.; a.b: As it is." == str(refused)
    assert fault(unknown.value) == str(unknown.value)
    token = language._spoken.set(language.languages()["de"])
    try:
        assert fault(refused) == "Der Zeitraum endet, bevor er beginnt.; a.b: As it is."
        assert fault(NotFound()) == "Das gibt es in der Akte nicht."
        assert fault(unknown.value).startswith("Region 'moon' ist nicht bekannt; bekannt sind abdomen, ")
        assert fault(ValueError()) == ""
    finally:
        language._spoken.reset(token)


def test_dates_of_fhir_and_texts_in_a_row() -> None:
    text = joined([worded("lot %(lot)s", lot="A"), worded("expiry %(expiry)s", expiry=PartialDate("2027-01"))], " ")
    assert (text, said(text)) == ("lot A expiry 2027-01", "lot A expiry Jan 2027")
    assert (joined([], " "), joined(["x"], " ")) == ("", "x")
