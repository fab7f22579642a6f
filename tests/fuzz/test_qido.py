"""Searches that nobody would write: keys, values, ranges, wildcards, paging and fields by lot, over every level."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from urllib.parse import quote

import pytest

from tests.archive import Archive
from tests.census.disguises import Request
from tests.census.scene import HIDDEN, SHOWN, Scene
from tests.fuzz.running import Shot, fuzz

pytestmark = pytest.mark.orthanc

SEED = 20_261_128
_KEYS = (
    *("PatientID", "PatientName", "PatientBirthDate", "StudyDate", "StudyTime", "StudyInstanceUID", "AccessionNumber"),
    *("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality", "ModalitiesInStudy", "InstanceNumber", "Rows"),
    *("NumberOfStudyRelatedInstances", "ReferringPhysicianName", "StudyDescription", "SeriesNumber", "PixelData"),
    *("00100020", "0020000D", "00080020", "7FE00010", "0040A730", "00400275.00400007", "RequestAttributesSequence"),
    *("RequestAttributesSequence.ScheduledProcedureStepID", "00091001", "FFFEE000", "0010", "patientid", "Nonsense"),
    *("limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "accept", "charset", "orderby"),
)
_VALUES = (
    *(
        "",
        "*",
        "?",
        "**",
        "*" * 500,
        "?" * 300,
        "%",
        "_",
        "\\",
        "[a-z]*",
        "^",
        "=",
        "zx*",
        "ZX*",
        "*q",
        "^^^^^",
        "a=b=c=d",
    ),
    *("20260101-", "-20260101", "18000101-18991231", "-", "--", "20261301", "00000000-99999999", "1000-", "-240000"),
    *(
        "2.25.*",
        "2.25.1\\2.25.2",
        "\\" * 400,
        "1.2.3." * 200,
        "0",
        "-1",
        "1e3",
        "9" * 30,
        "true",
        "false",
        "TRUE",
        "all",
    ),
    *(
        "PatientName,StudyDate",
        "all,all",
        ",",
        "00100010",
        "\x00",
        "\x00*",
        "\ud7ff",
        "é",
        "ＺＸ*",
        "山",
        "' OR '1'='1",
    ),
    *("%%", "%_", "a" * 5000, "\n", "\t", "application/dicom+json", "application/json", "text/html", "NaN", "Infinity"),
)


def _shots(scene: Scene, random: Random) -> Iterator[Shot]:
    shown, hidden = scene.photos[SHOWN], scene.photos[HIDDEN]
    theirs = [
        value
        for one in (shown, hidden)
        for value in (
            one.sop,
            one.series,
            one.study,
            one.patient_id,
            one.text,
            f"{one.text}*",
            one.day,
            f"*{one.text[-6:]}*",
        )
    ]
    while True:
        study, series = random.choice((shown, hidden)), random.choice((shown, hidden))
        path = random.choice(
            (
                *("studies", "series", "instances"),
                *(f"studies/{study.study}/series", f"studies/{study.study}/instances"),
                f"studies/{study.study}/series/{series.series}/instances",
            )
        )
        parts = []
        for _ in range(random.choice((0, 1, 1, 2, 3, 10))):
            value = random.choice((random.choice(_VALUES), random.choice(theirs)))
            if random.random() < 0.1:
                value = "".join(
                    chr(random.choice((random.randrange(1, 128), random.randrange(0x80, 0xD800)))) for _ in range(9)
                )
            parts.append(f"{quote(random.choice(_KEYS))}={quote(value)}")
        caller = random.choice([one for one in scene.callers if one.account])
        request = Request("GET", f"/dicom-web/{path}", "&".join(parts), headers=caller.headers)
        yield request.wire(scene.archive.port), caller, f"{path}?{request.query} by {caller.name}"


def test_whatever_is_searched_for_nothing_leaks_and_nothing_breaks(archive: Archive, scene: Scene) -> None:
    statuses = fuzz(archive, scene, "QIDO parameters", SEED, lambda random: _shots(scene, random))
    assert statuses[200]
    assert statuses[400]
    assert not statuses[503]
