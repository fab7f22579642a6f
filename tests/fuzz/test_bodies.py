"""Bodies that nobody would write, for the routes that read one: searches, contents, archives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from tests.archive import Archive
from tests.census.disguises import Request
from tests.census.scene import HIDDEN, SHOWN, Scene
from tests.fuzz.running import Shot, fuzz

pytestmark = pytest.mark.orthanc

SEED = 20_261_131
_ROUTES = (
    *("/tools/find", "/tools/find", "/tools/count-resources", "/tools/lookup", "/tools/bulk-content"),
    *("/tools/create-archive", "/tools/create-media", "/tools/create-media-extended", "/studies/{}/archive"),
)
_KEYS = (
    *(
        "Level",
        "Query",
        "Expand",
        "Full",
        "Short",
        "Limit",
        "Since",
        "CaseSensitive",
        "RequestedTags",
        "ResponseContent",
    ),
    *("Labels", "LabelsConstraint", "OrderBy", "ParentPatient", "ParentStudy", "ParentSeries", "x"),
    *("Resources", "Metadata", "Synchronous", "Asynchronous", "Priority", "Transcode", "Extended", "Filename"),
    *("ResponseContent", "MetadataQuery"),
)
_QUERY = (
    "PatientID",
    "PatientName",
    "StudyDate",
    "0020,000d",
    "00080018",
    "SOPInstanceUID",
    "ModalitiesInStudy",
    "Odd",
)
_VALUES: tuple[Any, ...] = (
    *(
        "Patient",
        "STUDY",
        "Series",
        "Instance",
        "image",
        "",
        "*",
        "?",
        "zx*",
        "2.25.*",
        "18000101-",
        "\0",
        "[",
        "é" * 70,
    ),
    *(0, 1, -1, 2**31, 2**63, 1e300, True, False, None, [], {}, [[]], [{}], {"a": {"b": []}}, "a" * 3000),
)


def _shots(scene: Scene, random: Random) -> Iterator[Shot]:
    own = [
        value
        for one in (scene.photos[SHOWN], scene.photos[HIDDEN])
        for value in (
            one.ids.patient,
            one.ids.study,
            one.ids.series,
            one.ids.instance,
            one.sop,
            one.study,
            one.patient_id,
        )
    ]
    while True:
        caller = random.choice([one for one in scene.callers if one.account])
        path = random.choice(_ROUTES).replace("{}", scene.photos[random.choice((SHOWN, HIDDEN))].ids.study)
        body = _body(random, own)
        request = Request("POST", path, headers=caller.headers, body=body)
        yield request.wire(scene.archive.port), caller, f"{path} {body[:200]!r} by {caller.name}"


def _body(random: Random, own: list[str]) -> bytes:
    kind = random.random()
    if kind < 0.1:
        return random.randbytes(random.choice((0, 1, 50, 2000)))
    if kind < 0.2:
        deep = random.choice((5, 40, 900, 20_000))
        return random.choice((b"[", b'{"Query":')) * deep + b"1" + random.choice((b"]", b"}")) * deep
    if kind < 0.3:
        return random.choice(own).encode()
    made: dict[str, Any] = {}
    if random.random() < 0.8:
        made["Level"] = random.choice(("Patient", "Study", "Series", "Instance"))
        made["Query"] = {random.choice(_QUERY): random.choice((*own, *_VALUES)) for _ in range(random.randrange(3))}
    if random.random() < 0.5:
        made["Resources"] = [random.choice((*own, *_VALUES)) for _ in range(random.choice((1, 2, 50)))]
    for _ in range(random.choice((0, 0, 1, 2))):
        made[random.choice(_KEYS)] = random.choice((*own, *_VALUES))
    return json.dumps(made).encode()


def test_whatever_a_body_holds_nothing_leaks_and_nothing_breaks(archive: Archive, scene: Scene) -> None:
    statuses = fuzz(archive, scene, "bodies", SEED, lambda random: _shots(scene, random))
    assert not statuses[500]
    assert statuses[400] + statuses[403]
