"""Consent signed at hand: what is written means exactly what the text said, and nothing besides changes."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, select

from consent.codec import photo_from_json
from consent.decided import stored_purposes
from consent.directive import Region
from consent.regions import regions
from consent.site import CareTeamScope
from consent.store.clock import now
from consent.store.engine import reading, transaction
from consent.store.sites import save_site
from consent.store.tables import photo, photo_facts
from consent.types import Laterality
from fhir_mapping.signing import build, words
from fhir_mapping.signing.build import Signed, attachment
from fhir_mapping.signing.paper import Paper, pdf, strokes_of
from fhir_mapping.signing.preview import rehearsed, seen
from fhir_mapping.signing.signing import sign
from fhir_mapping.signing.spoken import Spoken
from fhir_mapping.signing.wishes import Answer, Photos, Use, Wishes, uses
from fhir_mapping.signing.words import Called
from orthanc_plugin.workspace.language import languages
from tests import counts
from tests.fhir.clinic import FACE, HAND, SECOND_VISIT, SITE, Clinic, consent_of, region
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions, needs_profiles

pytestmark = pytest.mark.fast

_FACE = Region(f"{FACE['system']}|{FACE['code']}")
_HAND = Region(f"{HAND['system']}|{HAND['code']}")
_USES = uses(SITE)


@pytest.fixture
def hers(clinic: Clinic) -> Clinic:
    """Anna with photos of the face, of either hand, of both at once, of nothing known, in two visits."""
    shown = {
        "g1": ("v1", [region(FACE)]),
        "g2": ("v1", [region(HAND, "R")]),
        "g3": ("v1", [region(HAND, "L")]),
        "g4": ("v3", [region(FACE), region(HAND, "R")]),
    }
    clinic.put(SECOND_VISIT)
    for name, (visit, extensions) in shown.items():
        clinic.photo(name, "anna", visit, extension=extensions)
    clinic.photo("g5", "anna", "v3", extension=[{"url": "urn:elsewhere", "valueString": "no region"}])
    return clinic


def _numbers(clinic: Clinic) -> dict[int, str]:
    with reading(clinic.engine) as connection:
        rows = connection.execute(
            select(photo.c.photo, photo.c.document).where(photo.c.patient == "anna", photo.c.state == "linked")
        )
        return {row.photo: row.document for row in rows}


def _sign(clinic: Clinic, wishes: Wishes, by: str = "Patient/anna") -> list[str]:
    with transaction(clinic.engine) as connection:
        moment = now(connection)
        signed = Signed(moment, by, attachment(b"%PDF-1.4", "Consent", moment))
        return [each.id for each in sign(connection, clinic.record, wishes, signed, source="test")]


def _seen(clinic: Clinic) -> dict[Use, frozenset[int]]:
    with reading(clinic.engine) as connection:
        return dict(seen(connection, "anna", _numbers(clinic), _USES))


# --- what the text says, read by somebody who knows the photos alone --------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """A photo as the reader of the text knows it."""

    document: str
    visit: str
    regions: frozenset[tuple[str, str]]


def _known(clinic: Clinic) -> dict[int, _Known]:
    found = {}
    with reading(clinic.engine) as connection:
        for number, document in _numbers(clinic).items():
            body = connection.execute(select(photo_facts.c.body).where(photo_facts.c.photo == number)).scalar_one()
            facts = photo_from_json(body)
            shown = set()
            for each in facts.regions:
                named = regions().by_code(each.code)
                assert named is not None
                name = named.name.replace("-", " ")
                sides = "RL" if each.laterality is Laterality.BOTH else each.laterality.value
                shown |= {(name, side) for side in sides}
            found[number] = _Known(document, (facts.encounter or "").partition("/")[2], frozenset(shown))
    return found


def _places(text: str) -> set[tuple[str, str]]:
    found = set()
    for each in text.split(" + "):
        side = {"right": "R", "left": "L"}.get(each.split(" ")[0], "RL")
        name = each.split(" ", 1)[1] if side != "RL" else each
        found |= {(name, one) for one in side}
    return found


def _is_meant(which: str, known: _Known, *, yes: bool) -> bool:
    """Whether a sentence speaks of a photo. A Yes wants all of what is shown to be named, a No any of it."""
    if which.startswith("all photos of me"):
        return True
    if found := re.match(r"photos of me that show (nothing but|any part of): (.*)", which):
        named = _places(found[2])
        return (
            bool(known.regions) and known.regions <= named if yes else not known.regions or bool(known.regions & named)
        )
    if found := re.match(r"photos of me from the visits: (.*)", which):
        return known.visit in found[1].split(" + ")
    found = re.match(r"these photos of me: (.*)", which)
    assert found, which
    return f"[{known.document}]" in found[1]


def _read(
    text: tuple[str, ...], before: Mapping[Use, frozenset[int]], known: Mapping[int, _Known]
) -> dict[Use, set[int]]:
    """The decision table that the text promises for today."""
    named = {words.title(use): use for use in _USES}
    after = {use: set(numbers) for use, numbers in before.items()}
    if any("see only photos that I have said Yes to for my treatment" in line for line in text):
        after[Use("TREAT")] = set()
    for yes in (True, False):
        for line in text:
            found = re.match(rf"{'YES' if yes else 'NO'}: (.*?)\. For (.*?)(?:, (?:also|as far).*)?(?:; .*)?\.$", line)
            if not found:
                continue
            for number, each in known.items():
                if _is_meant(found[2], each, yes=yes):
                    (after[named[found[1]]].add if yes else after[named[found[1]]].discard)(number)
    return after


_GERMAN = (
    ("JA: ", "YES: "), ("NEIN: ", "NO: "), (". Für ", ". For "),
    (", soweit sie heute hier sind; keine späteren", ", as far as they are here today; no later ones"),
    (", auch spätere", ", also later ones"), ("bis ich widerrufe", "until I take it back"),
    ("bis einschließlich ", "up to and including "),
    ("Fotos von mir, auf denen nichts anderes zu sehen ist als: ", "photos of me that show nothing but: "),
    ("Fotos von mir, auf denen ein Teil hiervon zu sehen ist: ", "photos of me that show any part of: "),
    ("Fotos von mir aus den Besuchen: ", "photos of me from the visits: "),
    ("diese Fotos von mir: ", "these photos of me: "), ("alle Fotos von mir", "all photos of me"),
    ("Foto [", "photo ["),
    ("Behandlung in dieser Klinik", "Treatment in this clinic"), ("Eigene Einsicht", "Own view"),
    ("Album in der Klinik", "Album in the clinic"), ("Soziale Medien", "Social media"),
    ("Kongresse und Fachzeitschriften", "Conferences and journals"), ("Forschung", "Research"),
    ("Ausbildung in der Klinik", "Teaching in the clinic"),
    ("Von jetzt an sieht mein Behandlungsteam nur Fotos, zu denen ich für meine Behandlung Ja gesagt habe.",
     "From now on the people who treat me see only photos that I have said Yes to for my treatment."),
    ("Für diese Fotos und Verwendungen ersetzt dies, was ich früher unterschrieben habe.",
     "For these photos and uses, this takes the place of what I signed before."),
    ("Jedes Ja kann ich jederzeit widerrufen, hier oder indem ich es der Klinik sage. Es endet dann sofort.",
     "I can take back every Yes at any time, here or by telling the clinic. It then ends at once."),
    ("Ein Nein bleibt, bis ich es widerrufe, und zählt mehr als jedes Ja, das ich gebe, ohne es zu widerrufen.",
     "A No stays until I take it back, and counts more than any Yes that I give without doing so."),
    ("Was hier nicht genannt ist, bleibt, wie es ist.", "Whatever is not named here stays as it is."),
)  # fmt: skip
"""What German says, and what it means: written down once more, so that a translation cannot change what is signed."""


@pytest.mark.fast
@pytest.mark.parametrize("seed", range(40))
def test_german_says_the_same(seed: int) -> None:
    german = languages()["de"].texts
    spoken = Spoken(phrase=lambda text: str(german.ugettext(text)), code="de")
    chance = random.Random(seed)
    for _ in range(5):
        wishes, read = _any(chance), []
        for line in words.lines(wishes, SITE, Called(), spoken=spoken):
            for said, meant in _GERMAN:
                line = line.replace(said, meant)
            read.append(line)
        assert tuple(read) == words.lines(wishes, SITE, Called())


def _any(chance: random.Random) -> Wishes:
    chosen = chance.sample(_USES, chance.randint(1, len(_USES)))
    scope = chance.choice(
        (
            Photos(),
            Photos(areas=(_FACE,)),
            Photos(areas=(Region(_HAND.code, Laterality.RIGHT),)),
            Photos(areas=(_FACE, Region(_HAND.code, chance.choice(list(Laterality))))),
            Photos(visits=tuple(chance.sample(("v1", "v3"), chance.randint(1, 2)))),
            Photos(documents=tuple(chance.sample(("g1", "g2", "g3", "g4", "g5"), chance.randint(1, 4)))),
        )
    )
    until = chance.choice((None, None, date(2031, 12, 31)))
    return Wishes("anna", {use: chance.choice(list(Answer)) for use in chosen}, scope, until)


@pytest.mark.parametrize("seed", range(counts.count("signings: random ones in a row", small=12, full=400)))
def test_what_is_written_is_what_the_text_said(hers: Clinic, seed: int) -> None:
    """One signing after the other on the same patient, so that each begins from what the former ones left."""
    chance, known = random.Random(seed), _known(hers)
    for _ in range(4):
        wishes, before = _any(chance), _seen(hers)
        text = words.lines(wishes, SITE, Called())
        promised = _read(text, before, known)
        change = rehearsed(
            hers.engine, "anna", _numbers(hers), _USES,
            partial(_signing, hers, wishes),
        )  # fmt: skip
        assert _seen(hers) == before, "a rehearsal leaves nothing"
        _sign(hers, wishes)
        after = _seen(hers)
        assert after == change.after, "what was shown before signing is what holds after"
        for use in _USES:
            if use == Use("TREAT") and promised[use] != after[use]:
                # What other Consents that stand open of treatment, the text leaves to them.
                promised[use] |= {number for number in after[use] if number in before[use]}
            assert after[use] == promised[use], (use, text)


def _signing(hers: Clinic, wishes: Wishes, connection: Connection) -> object:
    return sign(connection, hers.record, wishes, _signed(now(connection)), source="test")


def _signed(moment: datetime) -> Signed:
    return Signed(moment, "Patient/anna", attachment(b"%PDF-1.4", "Consent", moment))


# --- single sentences -------------------------------------------------------------------------------------------------


def test_a_yes_takes_back_an_earlier_no_and_names_it(hers: Clinic) -> None:
    hers.put(consent_of("no", "deny", "WEB"))
    web = Use("WEB")
    assert not _seen(hers)[web]
    made = _sign(hers, Wishes("anna", {web: Answer.YES}, Photos(areas=(_FACE,))))
    with reading(hers.engine) as connection:
        written = hers.record.read(connection, "Consent", made[0]).json()
    assert [each["valueReference"]["reference"] for each in written["extension"]] == ["Consent/no"]
    names = _numbers(hers)
    assert {names[number] for number in _seen(hers)[web]} >= {"g1"}
    assert not {names[number] for number in _seen(hers)[web]} & {"g2", "g3", "g4", "g5"}


def test_after_its_last_day_a_yes_is_over_and_the_earlier_one_does_not_come_back(hers: Clinic) -> None:
    web = Use("WEB")
    _sign(hers, Wishes("anna", {web: Answer.YES}))
    assert _seen(hers)[web]
    yesterday = datetime.now(UTC).date() - timedelta(days=2)
    _sign(hers, Wishes("anna", {web: Answer.YES}, until=yesterday))
    assert not _seen(hers)[web]


def test_a_no_has_no_end(hers: Clinic) -> None:
    made = build.consents(
        SITE, Wishes("anna", {Use("WEB"): Answer.NO}, until=date(2020, 1, 1)), _signed(datetime.now(UTC)), []
    )
    assert "period" not in made[0]["provision"]


def test_a_representative_leaves_what_the_patient_signed(hers: Clinic) -> None:
    """It would be refused whole, and says so in the text."""
    hers.put(consent_of("no", "deny", "WEB"))
    web = Use("WEB")
    _sign(hers, Wishes("anna", {web: Answer.YES}), by="RelatedPerson/mother")
    assert not _seen(hers)[web]
    text = words.lines(Wishes("anna", {web: Answer.YES}), SITE, Called(), herself=False)
    assert any("what the patient signed stays" in line for line in text)


def test_a_later_photo_is_published_by_no_earlier_yes_and_treated_by_it(hers: Clinic) -> None:
    _sign(hers, Wishes("anna", {Use("WEB"): Answer.YES, Use("TEACH"): Answer.YES}))
    later = hers.photo("g9", "anna", "v3")
    assert later not in _seen(hers)[Use("WEB")]
    assert later in _seen(hers)[Use("TEACH")]


@needs_definitions
@needs_profiles
@pytest.mark.parametrize("seed", range(6))
def test_the_consents_pass_two_validators_and_ihe_s_profile(
    hers: Clinic, medplum: Medplum, pyrofile: Pyrofile, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        for identity in _sign(hers, _any(chance)):
            with reading(hers.engine) as connection:
                body = hers.record.read(connection, "Consent", identity).json()
            assert body["meta"]["profile"]
            assert medplum.faults(body) == []
            assert pyrofile.faults(body) == []


# --- the paper --------------------------------------------------------------------------------------------------------

_PAPER = Paper(
    "Consent", ("Anna Παπαδάκη, born 1981",), ("YES: Website. For all photos of me.", "<b>not bold</b> & so on"),
    "Signed by Anna", "26 Nov 2026, 13:45", (((10, 10), (500, 200), (900, 40)),),
)  # fmt: skip


def test_the_paper_holds_the_text_and_is_the_same_each_time() -> None:
    made = pdf(_PAPER)
    assert made.startswith(b"%PDF-")
    assert made == pdf(_PAPER)
    assert made != pdf(Paper(_PAPER.title, _PAPER.about, _PAPER.lines, _PAPER.signed, _PAPER.when, ()))


def test_the_attachment_s_hash_is_that_of_its_bytes() -> None:
    made = attachment(b"%PDF-1.4 x", "Consent", datetime.now(UTC))
    assert base64.b64decode(made["data"]) == b"%PDF-1.4 x"
    assert base64.b64decode(made["hash"]) == hashlib.sha1(b"%PDF-1.4 x", usedforsecurity=False).digest()
    assert made["size"] == 10


@pytest.mark.parametrize(
    "drawn",
    [
        "", "[]", "{}", "null", "[[1,2]]", "[[1,2,3]]", '[["1","2"]]', "[[0,0,2000,0]]", "[[0,0,-5,300]]",
        "[[0,0,0,401]]",
        "[[0,0,1e3,0]]", "[[true,false,true,false]]", json.dumps([[0, 0, 1, 1] * 9000]), "[" * 5000,
    ],
)  # fmt: skip
def test_what_is_no_signature(drawn: str) -> None:
    assert strokes_of(drawn) == ()


def test_a_signature_is_kept_as_drawn() -> None:
    assert strokes_of("[[10,10,400,200],[5,5]]") == (((10, 10), (400, 200)), ((5, 5),))


def test_nobody_is_asked_about_duties() -> None:
    asked = {use.key for use in _USES}
    assert asked == {
        "TREAT", "PATRQT", "PORTFOLIO", "WEB", "SOCIAL:instagram", "SOCIAL:tiktok", "CONF", "TEACH", "HRESCH:scars",
    }  # fmt: skip


def test_treatment_is_counted_as_the_care_team_is_answered(hers: Clinic) -> None:
    """Where the record names the care team, too: nobody in particular stands for it."""
    with transaction(hers.engine) as connection:
        site = replace(SITE, care_team=CareTeamScope.RECORD)
        save_site(connection, site, stored_purposes(site))
    assert _seen(hers)[Use("TREAT")] == frozenset(_numbers(hers))
