"""Questions drawn at random from what a clinic holds, so that most of them meet something."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

from tests.doors.world import Shot, World

AT_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID", "StudyDescription"),
)
BELOW = (
    *("SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "ProtocolName"),
    *("Laterality", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
    *("RequestAttributesSequence", "SOPInstanceUID", "SOPClassUID", "InstanceNumber", "ContentDate", "ImageType"),
    *("AcquisitionDateTime", "ImageLaterality", "ImageComments", "AnatomicRegionSequence"),
)


def keys(world: World, random: Random, of: Sequence[str], most: int) -> dict[str, Any]:
    """One to ``most`` keys of these attributes, drawn near a photo's own values."""
    shot = random.choice(world.shots)
    chosen = random.sample(of, random.randint(1, most))
    return {keyword: _key(keyword, shot, world, random) for keyword in chosen}


def _key(keyword: str, shot: Shot, world: World, random: Random) -> Any:
    value = shot.attributes[keyword]
    if keyword == "RequestAttributesSequence":
        item = random.choice(value) if value else {"ScheduledProcedureStepID": "s1", "RequestedProcedureID": "r1"}
        return {name: random.choice([text, text, "*", f"{text[0]}?", "x"]) for name, text in item.items()}
    if keyword == "AnatomicRegionSequence":
        return {"CodeValue": value[0]["CodeValue"], "CodeMeaning": random.choice(["*a*", "Hand", ""])}
    if keyword == "ImageType":
        return random.choice([*value, "ORIG*", "DERIVED\\SECONDARY"])
    if keyword.endswith("UID"):
        other = random.choice(world.shots).attributes[keyword]
        return random.choice([value, f"{value}\\{other}", "1.2.3"])
    if keyword == "AcquisitionDateTime":
        return _moment(value, random)
    if value == "":
        return random.choice(["", "*", "x"]) if not keyword.endswith(("Date", "Time", "Number")) else ""
    if keyword.endswith("Date"):
        near = random.choice(world.shots).attributes[keyword] or value
        low, high = sorted([value, near])
        return random.choice([value, f"{low}-{high}", f"-{value}", f"{value}-", "20260101-20261231"])
    if keyword.endswith("Time"):
        return random.choice([value, value[:2], value[:4], f"{value[:2]}-", f"-{value[:4]}", "09-1014", "101530-11"])
    if keyword.endswith("Number") and keyword != "AccessionNumber":
        return random.choice([value, f"0{value}", "2"])
    if keyword.endswith("Name"):
        return _name(value, random)
    return _text(value, random)


def _text(value: str, random: Random) -> str:
    place = random.randrange(len(value))
    return random.choice(
        [
            value,
            value,
            value.swapcase(),
            f"{value[:place]}*",
            f"*{value[place:]}",
            f"{value[:place]}?{value[place + 1 :]}",
            f"*{value[place]}*",
            f"{value}\\other",
            "*",
            "",
        ]
    )


def _name(value: str, random: Random) -> str:
    group = random.choice(value.split("="))
    family = group.partition("^")[0]
    return random.choice(
        [
            value,
            group,
            group.upper(),
            f"{family[:2]}*",
            f"{family}^*",
            f"*{group[-2:]}",
            f"{family}^",
            "?" + group[1:],
            "",
        ]
    )


def _moment(value: str, random: Random) -> str:
    clock, offset = value[:-5], value[-5:]
    bound = clock[: random.choice([8, 10])] + random.choice([offset, "+0000", "-0500"])
    return random.choice([value, bound, f"{bound}-", f"-{bound}", f"{bound}-{value}", f"{value}-{bound}"])


def flat(asked: dict[str, Any]) -> dict[str, str]:
    """Keys as parameters of QIDO: paths with points, UIDs as they are."""
    found: dict[str, str] = {}
    for keyword, value in asked.items():
        if isinstance(value, dict):
            found |= {f"{keyword}.{name}": text for name, text in value.items()}
        else:
            found[keyword] = value
    return found


def nested(asked: dict[str, Any]) -> dict[str, Any]:
    """Keys as an identifier holds them: one item in a sequence."""
    return {keyword: [value] if isinstance(value, dict) else value for keyword, value in asked.items()}


def days(world: World, random: Random) -> tuple[str, str]:
    """First and last day, ``2026-05-03``."""
    one, other = (random.choice(list(world.visits.values()))[1] for _ in range(2))
    first, last = sorted([one, other])
    return f"{first + timedelta(days=random.randrange(2)):%Y-%m-%d}", f"{last:%Y-%m-%d}"
