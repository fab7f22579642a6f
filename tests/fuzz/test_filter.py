"""Requests that nobody would write: paths, methods, queries and headers by lot, and bytes that are no HTTP at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest

from tests.archive import Archive
from tests.census.disguises import DISGUISES, VERBS, Request
from tests.census.routes import known
from tests.census.scene import EMERGENCY, WAITING, Caller, Scene
from tests.fuzz.running import Shot, fuzz

pytestmark = pytest.mark.orthanc

SEED = 20_261_127
_ODD = (
    *("", "/", "//", ".", "..", "%", "%2", "%zz", "%00", "%ff", "%c0%af", "%u0041", "\t", "\x0b", "\x7f", "\xa0", "*"),
    *("{}", "[", "]", "<script>", "'", '"', "' OR 1=1 --", "${jndi:x}", ";", ":", "@", "?", "#", "&", "=", "+", "~"),
    *("0", "-1", "1e9", "9" * 400, "a" * 70, "..;", "..%5c", "%2e%2e%2f", "CON", "\\", "|", "null", "%0d%0a"),
)
_HEADERS = (
    *("Authorization", "X-Purpose-Of-Use", "X-Emergency-Reason", "Accept", "Host", "Cookie", "Content-Type", "Range"),
    *("Forwarded", "X-Forwarded-For", "Expect", "Connection", "Transfer-Encoding", "Content-Length", "Upgrade"),
    *("X-HTTP-Method-Override", "Content-Encoding", "If-Modified-Since", "Accept-Charset", "Origin"),
)
_VALUES = (
    *(
        "",
        " ",
        "*/*",
        "Basic",
        "Basic ",
        "Basic !!",
        "Basic Og==",
        "Basic " + "QQ" * 4000,
        "Bearer",
        "Ticket",
        "Ticket .",
    ),
    *("TREAT", "treat", "TREAT,WEB", "BTG", "ETREAT", "SOCIAL; channel=", "SOCIAL; channel=a; channel=b", "HMARKT"),
    *(
        "no%20pulse",
        "%ff%fe",
        "%00",
        "x" * 600,
        "multipart/related",
        'multipart/related; type="',
        "application/dicom+xml",
    ),
    *(
        "host=;proto=",
        'host="',
        "a" * 9000,
        "0",
        "-1",
        "99999999999",
        "chunked",
        "gzip",
        "100-continue",
        "close",
        "\xff",
    ),
)


def _shots(scene: Scene, random: Random) -> Iterator[Shot]:
    routes = list(known())
    port = scene.archive.port
    while True:
        caller = random.choice([one for one in scene.callers if one.name != "a wrong password"])
        if random.random() < 0.1:
            yield _noise(random, port), caller, "bytes by lot"
            continue
        request = Request(random.choice((*["GET"] * 30, *VERBS)), _path(scene, random, routes), _query(random))
        headers = list(caller.headers)
        for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2, 5))):
            headers.insert(random.randrange(len(headers) + 1), (random.choice(_HEADERS), random.choice(_VALUES)))
        request = replace(request, headers=tuple(headers))
        if random.random() < 0.4:
            request = random.choice(list(DISGUISES.values()))(request)
        written = _written(request, port)
        yield written, _expected(caller, written), repr(written[:300])


def _expected(caller: Caller, written: bytes) -> Caller:
    """The caller, with what must stay hidden: with another account in the same request, either may be answered, and
    who holds the emergency purpose and happens to give a reason for it sees what the patient denies."""
    lowered = written.lower()
    emergency = b"x-emergency-reason:" in lowered and re.search(rb"x-purpose-of-use: (btg|etreat)", lowered)
    if lowered.count(b"authorization:") <= 1 and caller.headers and not (emergency and caller.name == EMERGENCY):
        return caller
    return replace(caller, hidden=frozenset({WAITING}))


def _written(request: Request, port: int) -> bytes:
    written = request.wire(port)
    # A length that promises more than is sent would have Orthanc wait for a minute.
    head, _, body = written.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not _waits(line)]
    return b"\r\n".join((*lines, b"Content-Length: %d" % len(body), b"", b"")) + body


def _waits(line: bytes) -> bool:
    return line.lower().startswith((b"content-length:", b"transfer-encoding:", b"expect:", b"upgrade:"))


def _path(scene: Scene, random: Random, routes: list[str]) -> str:
    one = random.choice(list(scene.photos.values()))
    own = (one.ids.instance, one.ids.study, one.ids.series, one.ids.patient, one.sop, one.series, one.study)
    fitting = {"instances": own[0], "studies": own[1], "series": own[2], "patients": own[3], "frames": "0"}
    values = (*own, *_ODD)
    segments = random.choice(routes).replace("{}...", "{}").split("/")
    for place, segment in enumerate(segments):
        if segment == "{}":
            above = fitting.get(segments[place - 1], "dicom")
            segments[place] = random.choice(values) if random.random() < 0.2 else above
    for _ in range(random.choice((0, 0, 0, 0, 0, 1, 2, 6))):
        place = random.randrange(1, len(segments) + 1)
        segments[place : place + random.choice((0, 0, 1))] = [random.choice(values)]
    path = "/".join(segments) or "/"
    if random.random() < 0.15:
        at = random.randrange(len(path))
        path = path[:at] + chr(random.randrange(1, 256)) + path[at + 1 :]
    return path.replace(" ", "%20").replace("\r", "").replace("\n", "") or "/"


def _query(random: Random) -> str:
    keys = (
        "expand",
        "since",
        "limit",
        "last",
        "accept",
        "_method",
        "nonce",
        "spelling",
        "width",
        "quality",
        "objectUID",
    )
    parts = []
    for _ in range(random.choice((0, 0, 0, 0, 0, 1, 2, 8))):
        value = random.choice((*_ODD, "1", "true", "%41", "2.25.1"))
        parts.append(f"{random.choice((*keys, *_ODD))}={value}")
    return "&".join(parts).replace(" ", "+").replace("\r", "").replace("\n", "")


def _noise(random: Random, port: int) -> bytes:
    """Bytes that end a request somehow, so that nobody waits."""
    kind = random.randrange(5)
    raw = random.randbytes(random.choice((1, 20, 300, 9000)))
    if kind == 0:
        return raw.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    if kind == 1:
        return b"GET " + raw.replace(b"\n", b"").replace(b"\r", b"") + b" HTTP/1.1\r\n\r\n"
    if kind == 2:
        return b"GET / HTTP/1.1\r\n" + raw.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    if kind == 3:
        version = random.choice((b"HTTP/9.9", b"HTTP/1", b"HTTP/2.0", b"http/1.1", b""))
        return b"GET /instances " + version + b"\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port
    name = random.choice((b"X" * 20_000, b"", b":", b" X", b"X\x00Y"))
    return b"GET /instances HTTP/1.1\r\n" + name + b": 1\r\n\r\n"


def test_whatever_is_sent_nothing_leaks_and_nothing_breaks(archive: Archive, scene: Scene) -> None:
    statuses = fuzz(archive, scene, "the filter", SEED, lambda random: _shots(scene, random))
    assert statuses[200]
    assert statuses[403]
