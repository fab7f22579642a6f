"""The settings of a site, its patients, and who belongs to what."""

from __future__ import annotations

from typing import Any

from tests.judges import worlds as build
from tests.judges.drawing import names
from tests.judges.drawing.dice import Dice

MINORS = "no-publishing-of-minors"
OWN_RECORD = "own-record-as-patient"
SIGNATURE = "signature-after-result"


def site(dice: Dice, focus: str) -> dict[str, Any]:
    """The settings."""
    codes = dice.few(tuple(names.SITE_PURPOSES), 35)
    if "FLYER" not in codes and "POSTER" in codes:
        codes.remove("POSTER")
    duties = ("HLEGAL", "HCOMPL", "PATSFTY", *(["LAWSUIT"] if "LAWSUIT" in codes else []))
    rules = [MINORS, OWN_RECORD] if dice.chance(80) else dice.few((MINORS, OWN_RECORD), 50)
    return build.site(
        time_zone=dice.one("Europe/Athens", "Europe/Athens", "UTC", "Asia/Tokyo", "America/New_York"),
        treatment_default=dice.one("implied", "implied", "implied", "opt-in"),
        portal_default=dice.one("consent", "consent", "open"),
        care_team=dice.one("organization", "organization", "organization", "record"),
        deniable_duties=dice.some(duties, 3) if dice.chance(50) else [],
        majority_age=18 if focus == "signature" else dice.one(18, 18, 18, 16, 21),
        purposes=[
            {"code": code, "system": names.SITE_SYSTEM, "parent": parent}
            for code, parent in names.SITE_PURPOSES.items()
            if code in codes
        ],
        rules_on=[*rules, *([SIGNATURE] if dice.chance(15) else [])],
        forbid_break_glass=dice.chance(8),
        watermark=dice.few(("WEB", "TREAT", "CONF", "TEACH"), 20),
    )


def patient(dice: Dice, theme: names.Theme) -> dict[str, Any]:
    """One patient record: most are adults, the others come of age about the time of the requests, or nobody knows."""
    birth: str | None = "1990-03-03"
    if theme.focus == "signature" and dice.chance(70):
        birth = dice.one(*["2008"] * 4, "2008-06", "2008-06-15", "2008-06-16", "2008-05-20", "2010", None)
    elif dice.chance(theme.often("signature", 25)):
        birth = dice.one(
            *(None, "2016-01-01", "2012", "2008", "2008-06", "2008-06-14", "2008-06-15", "2008-06-16", "2008-05"),
            *("2008-02-29", "2007-05-04", "2010-06-15", "2005-06-15", "2010-05", "1971", "1984-02", "2008-05-20"),
        )
    during: tuple[dict[str, str], ...] = (
        *({}, {}, {"start": "2010-01-01"}, {"end": "2026-05-04"}, {"start": "2026-05-05"}, {"end": "2026-06-15"}),
        *({"start": "2026-05-04T10:00:00+03:00", "end": "2026-05-20"}, {"end": "2026-05-04T10:00:00.500+03:00"}),
    )
    wide = dice.chance(50 if theme.focus == "signature" else 8)
    persons = (*names.KIN, "Practitioner/d", "Organization/clinic") if wide else names.KIN
    results = {region: dice.one("2026-05-02T10:00:00Z", "2026-05-20T10:00:00Z") for region in dice.few(REGIONS, 60)}
    return build.patient(
        birth=birth,
        representatives=[{"person": person, "period": dice.one(*during)} for person in dice.few(persons, 75)],
        care_team=dice.few((*names.CLINICIANS, "Group/g", "Organization/clinic"), 40),
        results=results if dice.chance(60) else {},
    )


REGIONS = (names.FACE, build.REGION["lips"], build.REGION["neck"], build.REGION["hand"])


def memberships(dice: Dice) -> list[list[str]]:
    """Who is a member of what."""
    return dice.few(
        [
            ["Practitioner/d", "PractitionerRole/rd"],
            ["PractitionerRole/rd", "Organization/ward"],
            ["Practitioner/d", "Group/g"],
            ["Practitioner/e", "CareTeam/t"],
            ["Practitioner/e", "Organization/clinic"],
            ["Practitioner/m", "Organization/ward"],
            ["Device/app", "Organization/other"],
            ["Patient/p", "Group/g"],
            ["RelatedPerson/uncle", "Group/g"],
        ],
        60,
    )


def parts(dice: Dice) -> dict[str, str]:
    """What is part of what; sometimes somebody recorded a circle."""
    found = {"Organization/ward": "Organization/clinic"}
    if dice.chance(80):
        found["Organization/clinic"] = "Organization/holding"
    if dice.chance(5):
        found["Organization/holding"] = "Organization/ward"
    return found
