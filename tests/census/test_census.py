"""Every route of every Orthanc is classified; what is not opened is refused, by every verb, however it is written."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from orthanc_plugin.wall.wall import ROWS
from tests import counts
from tests.archive import Archive
from tests.census.bare import bare, holdings, program
from tests.census.disguises import DISGUISES, VERBS, Request
from tests.census.routes import Route, crawled, known, pattern, told
from tests.census.scene import HIDDEN, SHOWN, WAITING, Caller, Scene, pid_of
from tests.matrix.wire import Got, Wire
from tests.orthancs import each_orthanc, use
from tests.ports import free_port

pytestmark = pytest.mark.orthanc

SEED = 20_261_126
SMALL, FULL = 1_000, 60_000
OURS = frozenset({"/photospine/canary", "/photospine/state", "/dicom-web/studies/photospine-canary/metadata"})


@pytest.mark.parametrize("orthanc", each_orthanc())
def test_what_nobody_opened_is_refused_however_it_is_asked(
    orthanc: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(orthanc, monkeypatch)
    name = f"census of routes, verbs, disguises and callers: Orthanc {orthanc}"
    started, asked, random = time.monotonic(), counts.count(name, small=SMALL, full=FULL), Random(SEED)
    archive = Archive(tmp_path / "walled", free_port())
    with archive:
        scene = Scene(archive)
    storage = tmp_path / "walled" / "orthanc"
    storage = next(file.parent for file in sorted(storage.rglob("index")) if file.is_file())
    with bare(tmp_path / "bare", storage) as superuser:
        found = told(program(), tmp_path) | crawled(superuser)
        before = holdings(superuser)
    assert sorted(found - known().keys()) == [], "a route that nobody has classified: tests/census/routes.toml"
    assert sorted(row for row in scene.rows if row.partition(" ")[2] not in known().keys() | OURS) == []
    faults: list[str] = []
    answered: Counter[str] = Counter()
    run = 0
    with archive, closing(Wire(archive.port)) as wire:
        pid = pid_of(archive)
        for request, route, caller, how in _requests(scene, random, asked):
            run += 1
            faults += _faults(scene, wire, request, route, caller, how, answered)
        assert pid_of(archive) == pid
        assert archive.ask(f"/instances/{scene.photos[SHOWN].ids.instance}/file", "clinician").status == 200
    with bare(tmp_path / "bare", storage) as superuser:
        assert holdings(superuser) == before
    counts.report(name, asked=asked, run=run, failures=len(faults), seed=SEED, started=started)
    print(f"{orthanc}: {len(found)} routes found, {len(known())} known, {run} requests")
    assert answered.total() > run / 50, "hardly anything is answered, so little was asked"
    assert len(answered) > 10, f"the only disguises that Orthanc read: {sorted(answered)}"
    assert not faults, f"{len(faults)} of {run}:\n" + "\n".join(faults[:30])


def test_a_row_that_opens_what_is_classified_as_closed_would_be_seen() -> None:
    """Of the wall's own table: every route that accounts open is classified as one that may be opened, by that verb."""
    wrong = []
    for row in ROWS:
        path = pattern(row.path)
        route = known().get(path)
        if row.path in OURS or not row.accounts:
            continue
        if route is None or row.method.name not in route.open:
            wrong.append(row.name)
    assert wrong == []


def _requests(scene: Scene, random: Random, number: int) -> Iterator[tuple[Request, Route, Caller, str]]:
    """Every route by every verb and by somebody, as it is; then everything by lot, until there are so many."""
    routes = list(known().values())
    made = 0
    for route in routes:
        for verb in VERBS if counts.FULL else random.sample(VERBS, 2):
            for caller in scene.callers if counts.FULL else [random.choice(scene.callers)]:
                made += 1
                yield _request(scene, route, verb, random), route, caller, "plain"
    opened = [route for route in routes if route.open]
    while made < number:
        made += 1
        route = random.choice(random.choice((routes, opened)))
        # To check a wrong password takes as long as a hundred other requests.
        caller = random.choices(scene.callers, [1 if one.name == "a wrong password" else 6 for one in scene.callers])[0]
        verb = random.choice(("GET", *(list(route.open) * 3 or ["GET"]), random.choice(VERBS)))
        how = random.choice(list(DISGUISES))
        yield _request(scene, route, verb, random), route, caller, how


def _request(scene: Scene, route: Route, verb: str, random: Random) -> Request:
    """The route with the identifiers of one of the photos, or of nothing."""
    one = scene.photos[random.choice((SHOWN, SHOWN, HIDDEN, HIDDEN, WAITING))]
    ids = {
        "patients": one.ids.patient,
        "studies": one.ids.study,
        "series": one.ids.series,
        "instances": one.ids.instance,
    }
    uids = {"studies": one.study, "series": one.series, "instances": one.sop}
    names = {
        "attachments": random.choice(("dicom", "dicom", "original", "4301", "dicom-as-json")),
        "metadata": random.choice(("ReceptionDate", "1024", "LastUpdate", "Origin")),
        "frames": "1" if route.path.startswith("/dicom-web") else "0",
        "bulk": "7fe00010",
        "content": "0010-0010",
        "client": "index.html",
        "app": "explorer.html",
    }
    segments = route.path.replace("{}...", "{}").split("/")
    for place, segment in enumerate(segments):
        if segment == "{}":
            above = segments[place - 1]
            by_uid = uids.get(above) if route.path.startswith("/dicom-web") else ids.get(above)
            segments[place] = by_uid or names.get(above, "other")
    query = ""
    if route.path == "/wado":
        query = f"requestType=WADO&studyUID={one.study}&seriesUID={one.series}&objectUID={one.sop}"
    if route.path in ("/tools/create-archive", "/tools/create-media"):
        query = f"resources={one.ids.instance}"
    body = b""
    if verb in ("POST", "PUT", "PATCH"):
        body = random.choice(
            (
                f'{{"Resources":["{one.ids.instance}"],"Level":"Instance","Query":{{}},"Expand":true}}'.encode(),
                one.ids.instance.encode(),
                b'{"AET":"X","Host":"127.0.0.1","Port":1}',
                b"",
            )
        )
    return Request(verb, "/".join(segments), query, body=body)


def _faults(
    scene: Scene, wire: Wire, request: Request, route: Route, caller: Caller, how: str, answered: Counter[str]
) -> Iterator[str]:
    request = DISGUISES[how](replace(request, headers=caller.headers))
    try:
        got = wire.send(request.wire(scene.archive.port), without_body=request.method == "HEAD")
    except EOFError:
        got = Got(400, b"", b"")  # it hung up: what it cannot read, it does not answer
    said = f"{request.method} {route.path} ({how}) by {caller.name}: {got.status}"
    seen = scene.finder.seen(got.head, got.body)
    asked_for = request.wire(scene.archive.port)
    if seen.photos & caller.hidden and got.body not in asked_for:
        yield f"{said}: photos {sorted(seen.photos & caller.hidden)} in it"
    if got.status < 400 and got.status != 304 and not scene.allowed(route, request.method, request.path, caller):
        yield f"{said}: {got.body[:100]!r}"
    if got.status == 200:
        answered[how] += 1
    if got.status >= 500 and got.body:
        yield f"{said}: {got.body[:100]!r}"
