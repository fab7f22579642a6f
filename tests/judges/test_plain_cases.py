"""The plain judge itself is held to the first cases of the page on consent, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.judges import vocabulary as words
from tests.judges.plain import PlainJudge
from tests.judges.worlds import (
    account,
    actor,
    ask,
    channel,
    consent,
    data,
    label,
    patient,
    photo,
    project,
    provision,
    purpose,
    region,
    shown,
    site,
    world,
    written,
)

pytestmark = pytest.mark.fast

D = account("TREAT", "BTG", reference="Practitioner/d")
E = account("TREAT", reference="Practitioner/e")
M = account("PORTFOLIO", "WEB", "SOCIAL", reference="Practitioner/m")
C = account("HCOMPL", "PATSFTY", reference="Practitioner/c")
L = account("HLEGAL", reference="Practitioner/l")
P = account("PATRQT", reference="Patient/p", confined_to=["p"])
MOTHER = account("PATRQT", reference="RelatedPerson/mother", confined_to=["p"])
TEACHER = account("TEACH", reference="Practitioner/t")
RESEARCHER = account("HRESCH", "FooBar", reference="Practitioner/r")
SPEAKER = account("CONF", reference="Practitioner/s")

Row = tuple[str, dict[str, Any], dict[str, Any], str]
TOMORROW = "2026-06-16"
PAUSE = {"start": "2026-06-01", "end": "2026-06-30"}
JULY = "2026-07-01T12:00:00+03:00"
ALL_DENIED = consent("no", provision("deny"))
WEB = consent("web", provision("permit", "WEB"))
NO_WEB = consent("noweb", provision("deny", "WEB"))


def web(name: str = "f1") -> dict[str, Any]:
    return ask(M, name, "WEB")


def treat(name: str = "f1", by: dict[str, Any] = D) -> dict[str, Any]:
    return ask(by, name, "TREAT")


def glass(by: dict[str, Any] = D, reason: str | None = "no pulse", name: str = "f1") -> dict[str, Any]:
    return ask(by, name, "BTG", reason=reason)


def social(where: str | None, by: dict[str, Any] = M, name: str = "f1") -> dict[str, Any]:
    return ask(by, name, "SOCIAL", channel=where)


def teach(name: str) -> dict[str, Any]:
    return ask(TEACHER, name, "TEACH")


def with_photo(name: str, *consents: dict[str, Any], other: dict[str, Any] | None = None, **facts: Any) -> Any:
    made = world(*consents, **(other or {}))
    made["photos"][name] = photo(name, **facts)
    return made


def section_a() -> Iterator[Row]:
    denied, permitted = "deny default-deny", "permit patient-permitted"
    yield "A1", world(), treat(), "permit default-permit"
    yield "A2", world(site=site(treatment_default="opt-in")), treat(), denied
    yield "A3", world(), web(), denied
    yield "A4", world(), treat(by=M), "deny purpose-not-held"
    yield "A5", world(consent("c", provision("permit", "PORTFOLIO"))), social("instagram"), denied
    yield "A7", world(consent("c", provision("deny", "HMARKT")), WEB), web(), "deny patient-denied"
    yield "A8", world(consent("c", provision("permit"))), web(), denied
    yield "A9", world(consent("c", provision("permit"))), treat(), permitted
    on_instagram = world(consent("c", provision("permit", "SOCIAL", actor=[channel("instagram")])))
    yield "A10", on_instagram, social("instagram"), permitted
    yield "A11", on_instagram, social("tiktok"), denied
    foobar = {"code": "FooBar", "system": "urn:example:purpose", "parent": "HRESCH"}
    a13 = world(consent("c", provision("permit", "HRESCH")), site=site(purposes=[foobar]))
    yield "A13", a13, ask(RESEARCHER, "f1", "FooBar"), denied
    yield "A14", with_photo("x", patients=[], known_since={}), treat("x"), "deny not-linked"
    yield "A15", with_photo("x"), treat("x"), "permit default-permit"
    yield "A16", world(), {**treat(), "stale": True}, "deny facts-unavailable"
    yield "A17", with_photo("x", patients=["q"]), ask(P, "x", "PATRQT"), "deny other-patient"
    yield "A19", world(), treat(by=account(reference="Practitioner/admin")), "deny purpose-not-held"


def section_b() -> Iterator[Row]:
    denied, permitted = "deny default-deny", "permit patient-permitted"
    permit_web = provision("permit", "WEB")
    yield "B2", world(consent("c", permit_web, status="proposed")), web(), denied
    yield "B3", world(written(consent("c", permit_web, status="inactive"), "active")), web(), denied
    yield "B4", world(written(consent("c", permit_web, status="entered-in-error"), "active")), web(), denied
    by_phone = consent("no", provision("deny", "WEB"), performer=[{"reference": "Practitioner/d"}])
    yield "B6", world(by_phone, WEB), web(), "deny patient-denied"
    elsewhere = consent("no", provision("deny", "WEB"), organization=[{"reference": "Organization/other"}])
    yield "B8", world(elsewhere, WEB), web(), "deny patient-denied"
    yield "B9", world(consent("c", permit_web, dateTime=TOMORROW)), web(), denied
    yield "B10", world(consent("no", provision("deny", "WEB"), dateTime=TOMORROW), WEB), web(), "deny patient-denied"
    yield "B11", world(consent("c", permit_web, verification=[{"verified": False}])), web(), denied

    def child(birth: str, *consents: dict[str, Any]) -> dict[str, Any]:
        mother = {"person": "RelatedPerson/mother", "period": {"start": "2010-01-01"}}
        return world(*consents, patients={"p": patient(birth=birth, representatives=[mother])})

    guarded = consent("c", provision("permit", "TREAT"), performer=[{"reference": "RelatedPerson/mother"}])
    yield "B12", child("2016-01-01", guarded), treat(), permitted
    yield "B14", child("2008-06-01", guarded), treat(), "permit default-permit"
    by_mother = consent(
        "old", provision("deny", "CONF"), dateTime="2023-05-01", performer=[{"reference": "RelatedPerson/mother"}]
    )
    herself = consent("new", provision("permit", "CONF"), replaces=["old"])
    yield "B16", child("2007-01-01", by_mother, herself), ask(SPEAKER, "f1", "CONF"), permitted
    young = with_photo(
        "x", consent("c", permit_web), other={"patients": {"p": patient(birth="2007-01-01")}}, taken="2023-05-01"
    )
    yield "B17", young, web("x"), "deny site-rule"
    yield "B18", world(WEB, patients={"p": patient(birth=None)}), web(), "deny site-rule"
    yield "B19", world(consent("c", rule="OPTOUT")), treat(), "deny patient-denied"
    exception = world(consent("c", provision("permit", "ETREAT"), rule="OPTOUT"))
    yield "B21 treatment", exception, treat(), "deny patient-denied"
    yield "B21 glass", exception, glass(), permitted


def section_c() -> Iterator[Row]:
    def until(kind: str, code: str, end: str, now: str = "2026-06-15T12:00:00+03:00") -> dict[str, Any]:
        return world(consent("c", provision(kind, code, period={"end": end})), now=now)

    last_minute, next_day = "2026-06-15T23:59:00+03:00", "2026-06-16T00:00:00.5+03:00"
    yield "C1", until("permit", "WEB", "2026-06-15", last_minute), web(), "permit patient-permitted"
    yield "C3", until("permit", "WEB", "2026-06-15T21:00:00Z", next_day), web(), "permit patient-permitted"
    yield "C4", until("permit", "TREAT", "2026-05-31"), treat(), "deny not-covered"
    yield "C5", until("deny", "TREAT", "2026-05-31"), treat(), "permit default-permit"
    pause = consent("pause", provision("deny", "WEB", period=PAUSE))
    yield "C6", world(WEB, pause), web(), "deny patient-denied"
    yield "C7", world(WEB, pause, now=JULY), web(), "permit patient-permitted"
    this_year = provision("deny", dataPeriod={"start": "2026", "end": "2026"})
    undated = with_photo("x", consent("c", provision("permit", "TREAT", provision=[this_year])), taken=None)
    undated["photos"]["x"]["known_since"] = {}
    yield "C9", undated, treat("x"), "deny patient-denied"
    june = provision("deny", data=[data("DocumentReference/f1")], period=PAUSE)
    root = provision("permit", "WEB", period={"end": "2026-12-31"}, provision=[june])
    yield "C10", world(consent("c", root), now=JULY), web(), "permit patient-permitted"


def section_d() -> Iterator[Row]:
    denied, permitted = "deny default-deny", "permit patient-permitted"
    one = world(consent("c", provision("permit", "WEB", data=[data("DocumentReference/f1")])))
    yield "D1 named", one, web("f1"), permitted
    yield "D1 other", one, web("h1"), denied
    visit = [data("ImagingStudy/v1")]
    later: dict[str, Any] = {"taken": "2026-05-10T10:00:00+03:00"}
    d2 = with_photo("x", consent("c", provision("permit", "PATRQT", data=visit)), **later)
    yield "D2", d2, ask(P, "x", "PATRQT"), permitted
    d4 = with_photo(
        "x",
        consent("no", provision("deny", "WEB", data=visit)),
        consent("yes", provision("permit", "WEB"), dateTime="2026-05-20"),
        **later,
    )
    yield "D4", d4, web("x"), "deny patient-denied"
    yield "D5", world(WEB), web("f2"), denied
    yield "D6", world(consent("c", provision("permit", "WEB", data=[data("Observation/x")]))), web(), denied
    d8 = world(consent("c", provision("permit", "PATRQT", data=[data("Encounter/v1")])))
    yield "D8", d8, ask(P, "f1", "PATRQT"), denied

    def taught(*regions: dict[str, Any]) -> dict[str, Any]:
        return consent("c", provision("permit", "TEACH", regions=list(regions)))

    yield "D10", world(taught(region("face"))), teach("f1"), denied
    yield "D11", world(taught(region("face"), region("neck"))), teach("f1"), permitted
    no_lips = consent("no", provision("deny", "TEACH", regions=[region("lips")]))
    yield "D12", world(taught(), no_lips), teach("f2"), "deny patient-denied"
    yield "D13", world(taught(region("hand", "L"))), teach("h1"), denied
    no_face = consent("no", provision("deny", "WEB", regions=[region("face")]))
    yield "D14", with_photo("x", no_face, WEB, regions=[]), web("x"), "deny patient-denied"
    crop = with_photo(
        "x",
        taught(),
        consent("no", provision("deny", "TEACH", regions=[region("face")])),
        sources=["f1"],
        own_description=True,
        regions=[shown("neck")],
    )
    yield "D16", crop, teach("x"), permitted
    yield "D17", with_photo("x", sources=["f1"]), ask(RESEARCHER, "x", "HRESCH"), denied
    q_denies = consent("no", provision("deny", "TREAT"), patient={"reference": "Patient/q"})
    yield "D20", with_photo("x", q_denies, patients=["p", "q"]), treat("x"), "deny patient-denied"
    other = consent("no", provision("deny", "WEB"), patient={"reference": "Patient/q"})
    yield "D23", world(WEB, other, merged=[["p", "q"]]), web(), "deny patient-denied"


def section_e() -> Iterator[Row]:
    denied, permitted, refused = "deny default-deny", "permit patient-permitted", "deny patient-denied"
    f1, h1 = data("DocumentReference/f1"), data("DocumentReference/h1")
    no_marketing = consent("old", provision("deny", "HMARKT"), dateTime="2025-01-01")
    beside = consent("new", provision("permit", "WEB", data=[f1]))
    instead = consent("new", provision("permit", "WEB", data=[f1]), replaces=["old"])
    yield "E1", world(no_marketing, beside), web(), refused
    yield "E2 f1", world(no_marketing, instead), web(), permitted
    yield "E2 h1", world(no_marketing, instead), web("h1"), refused
    instagram = [channel("instagram")]
    e4 = world(
        consent("a", provision("permit", "WEB", data=[f1, h1])),
        consent("b", provision("permit", "SOCIAL", data=[f1, h1], actor=instagram)),
        consent("c", provision("deny", "SOCIAL", data=[f1], actor=instagram), dateTime="2026-06-01"),
    )
    yield "E4 instagram f1", e4, social("instagram"), refused
    yield "E4 web f1", e4, web(), permitted
    yield "E4 instagram h1", e4, social("instagram", name="h1"), permitted
    of_q = consent("old", provision("deny", "WEB"), patient={"reference": "Patient/q"}, dateTime="2025-01-01")
    replacing = consent("new", provision("permit", "WEB"), replaces=["old"])
    same_instant = consent("old", provision("deny", "WEB"))
    later = consent("old", provision("deny", "WEB"), dateTime="2026-06-01")
    for case, old in (("of another", of_q), ("same instant", same_instant), ("later", later)):
        yield f"E7 {case}", world(old, replacing), {}, "refused replaces"
    e8 = world(consent("a", provision("permit", "WEB", data=[f1])), consent("b", provision("permit", "WEB", data=[h1])))
    yield "E8", e8, web("h1"), permitted
    visits = (
        consent("a", provision("permit", "TREAT", data=[data("ImagingStudy/v1")])),
        consent("b", provision("permit", "TREAT", data=[data("ImagingStudy/v2")])),
    )
    e9 = with_photo("x", *visits, imaging_study="ImagingStudy/v3", encounter="Encounter/v3", links=["Encounter/v3"])
    yield "E9 f2", e9, treat("f2"), permitted
    yield "E9 third visit", e9, treat("x"), "deny not-covered"
    yield "E10", world(WEB), treat(), "permit default-permit"
    nested = [provision("permit", data=[f1]), provision("deny", regions=[region("face")])]
    yield "E11", world(consent("c", provision("permit", "WEB", provision=nested))), web(), refused
    yield "nothing", world(), web(), denied


def section_f() -> Iterator[Row]:
    refused = "deny patient-denied"
    yield "F1", world(ALL_DENIED), treat(), refused
    yield "F2", world(ALL_DENIED), glass(), "permit break-glass"
    yield "F3 no reason", world(ALL_DENIED), glass(reason=None), "deny purpose-not-held"
    yield "F3 no role", world(ALL_DENIED), glass(by=E), "deny purpose-not-held"
    yield "F5", world(consent("no", provision("deny", "BTG"))), glass(), refused
    yield "F7", world(ALL_DENIED), ask(L, "f1", "HLEGAL"), "permit role-permit"
    lawyer = provision("permit", "HLEGAL", actor=[actor("Organization/clinic")])
    yield "F8", world(consent("c", lawyer)), ask(D, "f1", "HLEGAL"), "deny purpose-not-held"
    no_legal = consent("no", provision("deny", "HLEGAL"))
    yield "F9", world(no_legal), ask(L, "f1", "HLEGAL"), "permit role-permit"
    yield "F10", world(no_legal, site=site(deniable_duties=["HLEGAL"])), ask(L, "f1", "HLEGAL"), refused
    own = consent("c", provision("permit", "PATRQT"))
    yield "F11", world(own, ALL_DENIED), ask(P, "f1", "PATRQT"), "permit patient-permitted"
    named = consent("c", provision("permit", "PATRQT", actor=[actor("Patient/p")]))
    mother = {"person": "RelatedPerson/mother", "period": {}}
    proxied = {"p": patient(representatives=[mother])}
    yield "F12", world(named, patients=proxied), ask(MOTHER, "f1", "PATRQT"), "deny default-deny"
    strange = consent("strange", provision("permit", "WEB"), modifierExtension=[{"url": "urn:x", "valueBoolean": True}])
    held = world(WEB, written(strange, synchronised=True))
    yield "F13 web", held, web(), "deny held"
    yield "F13 treatment", held, treat(), "permit default-permit"
    yield "F15", held, ask(C, "f1", "PATSFTY"), "permit role-permit"


def section_r() -> Iterator[Row]:
    denied, permitted, refused = "deny default-deny", "permit patient-permitted", "deny patient-denied"
    other_marketing = account("SOCIAL", reference="Practitioner/n")
    r1 = world(consent("c", provision("permit", "SOCIAL", actor=[actor("Practitioner/m"), channel("instagram")])))
    yield "R1", r1, social("instagram"), permitted
    yield "R1 tiktok", r1, social("tiktok"), denied
    yield "R1 another", r1, social("instagram", other_marketing), denied
    r2 = world(
        consent("yes", provision("permit", "SOCIAL", actor=[channel("instagram"), channel("tiktok")])),
        consent("no", provision("deny", "SOCIAL", actor=[actor("Practitioner/n"), channel("instagram")])),
    )
    yield "R2", r2, social("instagram"), refused
    yield "R2 tiktok", r2, social("tiktok"), permitted
    r3 = world(consent("c", provision("permit", "TREAT", period={"end": "2026-05-31"}), rule="OPTOUT"))
    yield "R3", r3, treat(), refused
    yield "R4", world(consent("c", provision(None, "WEB"), rule="OPTOUT")), treat(), refused
    r5 = world(
        consent("1", provision("deny", "WEB"), dateTime="2026-05-04"),
        consent("2", provision("permit", "WEB"), dateTime="2026-05-05", replaces=["1"]),
        consent(
            "3", provision("permit", "WEB", data=[data("DocumentReference/f1")]), replaces=["2"], dateTime="2026-06"
        ),
    )
    yield "R5 f1", r5, web(), permitted
    yield "R5 h1", r5, web("h1"), permitted
    for case, now, answer in (
        ("today", "2026-06-15T12:00:00+03:00", permitted),
        ("in the pause", "2026-06-20T12:00:00+03:00", refused),
        ("after it", JULY, denied),
    ):
        pause = provision("deny", "WEB", period={"start": "2026-06-20", "end": "2026-06-30"})
        yield (
            f"R6 {case}",
            world(WEB, consent("p", pause, dateTime="2026-06-01", replaces=["web"]), now=now),
            web(),
            answer,
        )
    yield (
        "R7",
        world(consent("c", provision("permit", "TREAT", actor=[actor("Practitioner/e")]))),
        treat(),
        "deny not-covered",
    )
    normal = consent("c", provision("permit", "TEACH", securityLabel=[label("N")]))
    yield "R8 N", with_photo("x", normal, labels=[[words.CONFIDENTIALITY, "N"]]), teach("x"), permitted
    both = [[words.CONFIDENTIALITY, "N"], [words.ACT_CODE, "HIV"]]
    yield "R8 N and HIV", with_photo("x", normal, labels=both), teach("x"), denied
    mother = {"person": "RelatedPerson/mother", "period": {}}
    r9 = world(consent("c", provision("permit", "PATRQT")), patients={"p": patient(representatives=[mother])})
    yield "R9 mother", r9, ask(MOTHER, "f1", "PATRQT"), denied
    yield "R9 herself", r9, ask(P, "f1", "PATRQT"), permitted
    r10 = with_photo(
        "x",
        consent("c", provision("permit", "TREAT")),
        consent("q", provision("deny", "TEACH"), patient={"reference": "Patient/q"}),
        patients=["p", "q"],
    )
    yield "R10 treatment", r10, treat("x"), permitted
    yield "R10 teaching", r10, teach("x"), refused
    r11 = world(
        consent("a", provision("permit", provision=[provision("deny", data=[data("DocumentReference/f1")])])),
        consent("b", provision("permit", "PORTFOLIO")),
    )
    yield "R11 treatment", r11, treat(), refused
    yield "R11 portfolio f1", r11, ask(M, "f1", "PORTFOLIO"), refused
    yield "R11 portfolio h1", r11, ask(M, "h1", "PORTFOLIO"), permitted
    strangers = world(site=site(care_team="record"))
    yield "R12 treatment", strangers, treat(), "deny purpose-not-held"
    yield "R12 glass", strangers, glass(), "permit break-glass"


def refusals() -> Iterator[Row]:
    """What the page refuses at the door, element by element."""
    modifier = [{"url": "urn:x", "valueBoolean": True}]
    third = provision("deny", provision=[provision("permit")])
    bad_role = {**actor("Practitioner/d"), "role": {"coding": [{"system": words.PARTICIPATION, "code": "CST"}]}}
    tongue = {"url": words.REGION_EXTENSION, "extension": []}
    cases = [
        ("modifierExtension", consent("c", provision("permit", "WEB", modifierExtension=modifier))),
        ("implicitRules", consent("c", provision("permit", "WEB"), implicitRules="urn:x")),
        ("action", consent("c", provision("deny", action=[{"text": "disclose"}]))),
        ("class", consent("c", provision("deny", **{"class": [{"code": "x"}]}))),
        ("code", consent("c", provision("deny", code=[{"text": "x"}]))),
        ("provision", consent("c", provision("permit", "WEB", provision=[third]))),
        ("actor", consent("c", provision("permit", "TREAT", actor=[actor("Practitioner/unknown")]))),
        ("actor", consent("c", provision("permit", "TREAT", actor=[bad_role]))),
        ("actor", consent("c", provision("permit", "SOCIAL", actor=[channel("myspace")]))),
        ("actor", consent("c", provision("permit", "SOCIAL"))),
        ("actor", consent("c", provision("deny", actor=[channel("instagram")]))),
        ("actor", consent("c", provision("deny", actor=[project("scars")]))),
        ("data", consent("c", provision("permit", "WEB", data=[data("DocumentReference/unknown")]))),
        ("purpose", consent("c", provision("deny", purpose=[purpose("HQUALIMP")]))),
        ("purpose", consent("c", provision("deny", purpose=[purpose("WEB", words.ACT_REASON)]))),
        ("securityLabel", consent("c", provision("permit", "WEB", securityLabel=[label("XYZ")]))),
        ("photo-region", consent("c", provision("permit", "WEB", regions=[tongue]))),
        ("type", consent("c", provision("permit", "WEB", provision=[provision(None, "WEB")]))),
        ("type", consent("c", provision(None, "WEB"))),
        ("type", consent("c")),
        ("type", consent("c", rule="EMRGONLY")),
        ("policy", consent("c", provision("permit"), policy=[{"uri": "https://profiles.ihe.net/ITI/PCF/Policy-deny"}])),
    ]
    for number, (element, body) in enumerate(cases):
        yield f"refused {number} {element}", world(body), {}, f"refused {element}"


ROWS = [
    row
    for section in (section_a, section_b, section_c, section_d, section_e, section_f, section_r, refusals)
    for row in section()
]


@pytest.mark.parametrize(("made", "request_", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_plain_judge_answers_as_the_page_says(
    made: dict[str, Any], request_: dict[str, Any], expected: str
) -> None:
    judge = PlainJudge(made)
    if expected.startswith("refused"):
        assert set(judge.reads[-1].refused) == {expected.split()[1]}
        return
    assert [
        read.refused for read, one in zip(judge.reads, made["consents"], strict=True) if not one["synchronised"]
    ] == [[] for one in made["consents"] if not one["synchronised"]]
    answer = judge.answer(request_)
    assert f"{'permit' if answer.permit else 'deny'} {answer.reason}" == expected


def test_an_unknown_purpose_in_a_permit_is_accepted_and_said() -> None:
    judge = PlainJudge(world(consent("c", provision("permit", "HQUALIMP", "WEB"))))
    assert judge.reads[0].refused == []
    assert judge.reads[0].said == {"unknown purpose"}
