"""What patients have said, state by state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build
from tests.judges.drawing import names, provisions
from tests.judges.drawing.dice import Dice
from tests.matrix.case import CONSENTED, VISITS, Case

State = Callable[[Case], object]
p = build.provision


def _permit(*purposes: str, **more: Any) -> State:
    return lambda case: case.sign(p("permit", *purposes, **more))


def _deny(*purposes: str, **more: Any) -> State:
    return lambda case: case.sign(p("deny", *purposes, **more))


def _social(case: Case) -> None:
    case.sign(p("permit", "SOCIAL", actor=[build.channel("instagram")]))
    case.sign(p("deny", "SOCIAL", actor=[build.channel("tiktok")]))


def _nested(case: Case) -> None:
    inner = p("deny", "TREAT", data=[build.data(case.document("1"))])
    case.sign(p("permit", "TREAT", provision=[inner]))


def _one_hidden(case: Case) -> None:
    case.sign(p("deny", "TREAT", "HLEGAL", data=[build.data(case.document("2"))]))


def _one_shown(case: Case) -> None:
    case.sign(p("permit", "TREAT", data=[build.data(case.document("1"))]))
    case.sign(p("permit", *CONSENTED, data=[build.data(case.document("1"))]))


def _visit(case: Case) -> None:
    visit = f"ImagingStudy/{case.patient}-1"
    case.sign(p("permit", "TREAT", *CONSENTED, "HRESCH", "PATRQT", data=[build.data(visit)]))


def _encounter_hidden(case: Case) -> None:
    case.sign(p("permit", "PATRQT", *CONSENTED))
    case.sign(p("deny", data=[build.data(f"Encounter/{case.patient}-2", "related")]))


def _expired(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT", "PATRQT", period={"start": case.day(40), "end": case.day(3)}))


def _to_come(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT", "HRESCH", period={"start": case.day(-5)}))
    case.sign(p("deny", "PATRQT", "HPAYMT", period={"start": case.day(-5)}))


def _denial_expired(case: Case) -> None:
    case.sign(p("deny", "TREAT", period={"end": case.day(3)}))
    case.sign(p("permit", *CONSENTED, period={"start": case.day(30), "end": case.day(-30)}))


def _replaced(case: Case) -> None:
    first = case.sign(p("deny", *CONSENTED, "TREAT"))
    case.sign(
        p("permit", *CONSENTED, "TREAT"),
        ago=20,
        extension=[{"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{first}"}}],
    )


def _replaced_and_withdrawn(case: Case) -> None:
    first = case.sign(p("deny", "WEB", "TREAT"))
    second = case.sign(p("permit", "PORTFOLIO", "CONF"))
    references = [
        {"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{one}"}} for one in (first, second)
    ]
    case.sign(p("permit", *CONSENTED, "TREAT"), "active", ago=20, extension=references, status="inactive")


def _replaced_in_part(case: Case) -> None:
    first = case.sign(p("deny", *CONSENTED, "TREAT"))
    case.sign(
        p("permit", *CONSENTED, "TREAT", data=[build.data(case.document("1")), build.data(case.document("4"))]),
        ago=20,
        extension=[{"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{first}"}}],
    )


def _held(case: Case) -> None:
    case.sign(p("deny", "TREAT", code=[{"text": "laser"}]), synchronised=True)
    case.sign(p("permit", *CONSENTED, "PATRQT"))


def _held_no_treatment(case: Case) -> None:
    case.sign(p("permit", "TREAT", code=[{"text": "laser"}]), synchronised=True)
    case.sign(p("permit", *CONSENTED, "PATRQT"))


def _snapshot(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "HRESCH"))
    for photo in ("2", "4"):
        case.change(photo, known_since={case.patient: case.ago(10)})
    case.change("5", known_since={})


def _minor(case: Case) -> None:
    case.patients[case.patient] = case.somebody(
        representatives=[{"person": f"RelatedPerson/{case.patient}-mother", "period": {"start": "2000-01-01"}}]
    ) | {"birth": case.day(10 * 365)}
    mother = [{"reference": f"RelatedPerson/{case.patient}-mother"}]
    case.sign(p("permit", *CONSENTED, "TREAT", "HRESCH", "PATRQT"), performer=mother)
    named = [build.actor(f"RelatedPerson/{case.patient}-mother")]
    case.sign(p("permit", "PATRQT", actor=named, data=[build.data(case.document("1"))]), performer=mother)


def _of_age(case: Case) -> None:
    _minor(case)
    case.patients[case.patient]["birth"] = case.day(18 * 365.25 + 20)


def _no_birth(case: Case) -> None:
    case.patients[case.patient]["birth"] = None
    case.sign(p("permit", *CONSENTED, "TEACH", "TREAT"))


def _taken_under_age(case: Case) -> None:
    case.patients[case.patient]["birth"] = case.day(18 * 365.25 + 40)
    case.sign(p("permit", *CONSENTED), ago=30)
    case.change("2", taken=case.ago(35), known_since={case.patient: case.ago(35)})


def _actors(case: Case) -> None:
    case.sign(p("permit", "TREAT", *CONSENTED, actor=[build.actor("Practitioner/d"), build.actor("Practitioner/m")]))


def _group(case: Case) -> None:
    case.sign(p("deny", "TREAT", "BTG", actor=[build.actor("Group/g")]))
    case.sign(p("permit", "TEACH", "CONF", actor=[build.actor("Organization/holding")]))


def _labels(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT", securityLabel=[build.label("R")]))
    case.change("1", labels=[[words.CONFIDENTIALITY, "V"]])
    case.change("2", labels=[[words.ACT_CODE, "HIV"]])
    case.change("3", labels=[[words.CONFIDENTIALITY, "R"]])


def _label_denied(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "PATRQT"))
    case.sign(p("deny", "TREAT", *CONSENTED, securityLabel=[build.label("HIV"), build.label("V")]))
    case.change("1", labels=[[words.ACT_CODE, "HIV"]])
    case.change("4", labels=[[words.CONFIDENTIALITY, "V"]])


def _when(case: Case) -> None:
    case.sign(p("permit", "TREAT", *CONSENTED, dataPeriod={"start": case.day(70), "end": case.day(55)}))
    case.change("2", taken=case.ago(20), known_since={case.patient: case.ago(55)})
    case.change("4", taken=None)


def _regions(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT", regions=[build.region("lips"), build.region("hand", "R")]))


def _region_denied(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "PATRQT", "HRESCH"))
    case.sign(p("deny", regions=[build.region("face")]))
    case.change("5", regions=[])


def _emergency(case: Case) -> None:
    case.sign(p("deny", "TREAT"))
    case.sign(p("permit", "BTG", actor=[build.actor("Practitioner/d")]))


def _no_emergency(case: Case) -> None:
    case.sign(p("deny", "BTG", data=[build.data(case.document("1")), build.data(case.document("2"))]))


def _optout(case: Case) -> None:
    case.sign(p("permit", "TREAT", "WEB"), rule="OPTOUT")


def _optin(case: Case) -> None:
    case.sign({"purpose": [build.purpose("WEB"), build.purpose("TEACH")]}, rule="OPTIN")


def _two_people(case: Case) -> None:
    other = f"{case.patient}b"
    case.patients[other] = case.somebody()
    for photo in ("1", "4"):
        case.change(
            photo, patients=[case.patient, other], known_since={case.patient: case.ago(60), other: case.ago(60)}
        )
    case.sign(p("permit", *CONSENTED, "PATRQT", "TREAT"))
    case.sign(p("deny", "TREAT", "WEB"), patient=other)
    case.sign(p("permit", "CONF", "TEACH", "PATRQT"), patient=other)


def _two_agree(case: Case) -> None:
    other = f"{case.patient}b"
    case.patients[other] = case.somebody()
    both = {case.patient: case.ago(60), other: case.ago(60)}
    for photo in ("1", "3"):
        case.change(photo, patients=[case.patient, other], known_since=both)
    for one in (case.patient, other):
        case.sign(p("permit", *CONSENTED, "PATRQT", "HRESCH"), patient=one)


def _copies(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "PATRQT"))
    case.sign(p("deny", "TREAT", "WEB", data=[build.data(case.document("1"))]))
    case.change("3", sources=[case.name("1"), case.name("2")])
    case.change("5", sources=[case.name("4")], own_description=True)


def _copy_regions(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT", regions=[build.region("lips"), build.region("neck", "L")]))
    case.change("4", sources=[case.name("2")])
    case.change("5", sources=[case.name("1")], own_description=True)


def _merged(case: Case) -> None:
    other = f"{case.patient}b"
    case.patients[other] = case.somebody()
    case.merged.append([case.patient, other])
    case.sign(p("deny", "TREAT", "PORTFOLIO"), patient=other)
    case.sign(p("permit", *CONSENTED, "PATRQT"))


def _without_visit(case: Case) -> None:
    case.change("1", encounter=None, links=[])
    case.change("2", encounter=None, links=[f"Procedure/{case.patient}-pr"])
    case.sign(p("permit", *CONSENTED))


def _arriving(case: Case) -> None:
    case.unlinked |= {case.name("1"): "arrived", case.name("4"): "examined"}
    case.sign(p("permit", *CONSENTED, "PATRQT"))


def _clinician_signed(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT"), performer=[{"reference": "Practitioner/d"}])


def _unverified(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT"), verification=[{"verified": True}, {"verified": False}])


def _elsewhere(case: Case) -> None:
    case.sign(p("permit", *CONSENTED, "TREAT"), organization=[{"reference": "Organization/other"}])


def _undated(case: Case) -> None:
    case.sign(p("permit", *CONSENTED), dateTime=None)
    case.sign(p("deny", "PATRQT", "HPAYMT"), dateTime=None)


def _research(case: Case) -> None:
    research = {"coding": [{"system": words.SCOPES, "code": "research"}]}
    case.sign(p("permit", "HRESCH", "TREAT", actor=[build.project("scars")]), scope=research)


def _treatment_scope(case: Case) -> None:
    case.sign(p("deny"), scope={"coding": [{"system": words.SCOPES, "code": "treatment"}]})
    case.sign(p("permit", "PORTFOLIO", "PATRQT"))


def _status(status: str, *history: str) -> State:
    def sign(case: Case) -> None:
        case.sign(p("permit", *CONSENTED, "TREAT", "PATRQT", "HRESCH"), *history, status=status)

    return sign


def _denial_withdrawn(case: Case) -> None:
    case.sign(p("deny"), "active", status="inactive")
    case.sign(p("permit", *CONSENTED, "PATRQT"), ago=30)


def _author(case: Case) -> None:
    case.change("1", author="Practitioner/e", photographer=None)
    case.change("4", photographer="Practitioner/e")
    case.sign(p("permit", *CONSENTED, "PATRQT", data=[build.data("Practitioner/d", "authoredby")]))
    case.sign(p("deny", "TREAT", data=[build.data("Practitioner/e", "authoredby")]))


STATES: dict[str, State] = {
    "silent": lambda _: None,
    "permits treatment": _permit("TREAT"),
    "permits without a purpose": _permit(),
    "permits publishing": _permit(*CONSENTED),
    "permits a channel": _social,
    "permits a project": _permit("HRESCH", actor=[build.project("scars")]),
    "permits research": _permit("HRESCH"),
    "permits her portal": _permit("PATRQT"),
    "permits payment": _permit("HPAYMT", "HOPERAT"),
    "denies all": _deny(),
    "denies treatment": _deny("TREAT"),
    "denies marketing": lambda case: (case.sign(p("permit", *CONSENTED)), case.sign(p("deny", "HMARKT"))),
    "denies training": lambda case: (case.sign(p("permit", *CONSENTED)), case.sign(p("deny", "TRAIN"))),
    "permits but one photo": _nested,
    "hides one photo": _one_hidden,
    "shows one photo": _one_shown,
    "shows one visit": _visit,
    "hides one visit": _encounter_hidden,
    "permitted until lately": _expired,
    "permits from soon on": _to_come,
    "denied until lately": _denial_expired,
    "replaced her denial": _replaced,
    "withdrew what had replaced": _replaced_and_withdrawn,
    "replaced in part": _replaced_in_part,
    "is held": _held,
    "is held, not for treatment": _held_no_treatment,
    "signed before two photos": _snapshot,
    "is a minor": _minor,
    "came of age": _of_age,
    "has no birth date": _no_birth,
    "was a minor when taken": _taken_under_age,
    "permits two clinicians": _actors,
    "denies a group": _group,
    "permits up to a label": _labels,
    "denies labels": _label_denied,
    "permits a time": _when,
    "permits regions": _regions,
    "denies a region": _region_denied,
    "names emergencies": _emergency,
    "denies emergencies in part": _no_emergency,
    "opted out": _optout,
    "opted in": _optin,
    "shown with another who denies": _two_people,
    "shown with another who permits": _two_agree,
    "has copies": _copies,
    "has copies of regions": _copy_regions,
    "has two records": _merged,
    "has photos without a visit": _without_visit,
    "has photos on their way": _arriving,
    "a clinician signed": _clinician_signed,
    "unverified": _unverified,
    "signed elsewhere": _elsewhere,
    "signed without a date": _undated,
    "takes part in research": _research,
    "consented to treatment alone": _treatment_scope,
    "withdrew her permit": _status("inactive", "active"),
    "withdrew her denial": _denial_withdrawn,
    "signed in error": _status("entered-in-error", "active"),
    "has a draft": _status("draft"),
    "names authors": _author,
    "names a duty": _deny("HLEGAL", "HCOMPL", "PATSFTY"),
}


def drawn(case: Case, seed: int) -> None:
    """Consents by lot, as the judges draw their provisions, about this patient's photos."""
    dice = Dice(seed)
    theme = names.Theme(dice.one(*names.THEMES), dice.one("actor", "data", "dataPeriod", "region", "label", "all"))
    for _ in range(dice.one(1, 2, 2, 3)):
        root = _about(provisions.root(dice, theme, may_lack_type=False), case)
        case.sign(root, ago=dice.number(5, 50))


def _about(node: Any, case: Case) -> Any:
    """What is drawn about the judges' photos and people, about those of the case; times drawn are left out."""
    if isinstance(node, list):
        return [_about(one, case) for one in node]
    if not isinstance(node, dict):
        return node
    made = {name: _about(value, case) for name, value in node.items() if name not in ("period", "dataPeriod")}
    text = made.get("reference")
    if isinstance(text, str):
        kind, _, name = text.partition("/")
        if kind in ("DocumentReference", "Media"):
            made["reference"] = case.document(str(1 + sum(name.encode()) % len(VISITS)))
        elif kind in ("ImagingStudy", "Encounter"):
            made["reference"] = f"{kind}/{case.patient}-{name[-1]}"
        elif kind in ("Procedure", "EpisodeOfCare", "CarePlan"):
            made["reference"] = f"Encounter/{case.patient}-1"
        elif kind == "Patient":
            made["reference"] = f"Patient/{case.patient}"
        elif kind == "RelatedPerson":
            made["reference"] = f"RelatedPerson/{case.patient}-mother"
    return made
