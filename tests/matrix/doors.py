"""What each route of Orthanc and of DICOMweb touches and what kind of thing it gives, stated once more.

Taken from Orthanc's own list of routes and from PS3.18, not from the wall's table. A route that the wall does not
answer (its canary does not name it) is expected to be refused to everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from itertools import product


class Level(IntEnum):
    """Of DICOM's information model, and the whole archive above it."""

    ALL = 0
    PATIENT = 1
    STUDY = 2
    SERIES = 3
    PHOTO = 4


class Kind(StrEnum):
    """What an answer holds."""

    IDENTIFIERS = "identifiers"
    """Objects, attributes, identifiers, lists, counts: nothing that a purpose without identifiers may have."""

    PIXELS = "pixels"
    """Rendered pixels alone."""

    ORIGINAL = "original"
    """The file as it came from the camera: for legal claims and compliance."""

    SYSTEM = "system"
    """Nothing about photos: for those who run the archive."""

    CLOSED = "closed"
    """Copies, moves, deletes, or tells what cannot be parted: opened to no account."""


@dataclass(frozen=True, slots=True)
class Door:
    """One way to ask for one thing."""

    path: str
    """With ``{patient}``, ``{study}``, ``{series}``, ``{photo}`` for Orthanc's ids, ``{study_uid}``, ``{series_uid}``,
    ``{sop_uid}`` and ``{patient_id}`` for DICOM's."""

    kind: Kind
    names: Level
    """What the path names."""

    touches: Level
    """Of which level it shows everything: an instance's study shows all of the study's photos."""

    shows: frozenset[Level] = frozenset()
    """Of which levels every identifier of what is released stands in the answer."""

    method: str = "GET"
    query: str = ""
    accept: str = ""
    body: str = ""
    whole: bool = False
    """The stored objects are in the answer byte for byte."""

    counts: bool = False
    """Attributes that count (Number of Study Related Instances and its like) are in the answer."""

    one_of: bool = False
    """It shows one photo of the released ones, whichever it is."""

    count_of: Level | None = None
    """The answer is the number of released entities of this level."""

    packed: bool = False
    """The stored objects are in a ZIP file."""

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.method} {self.path}{self.query and '?'}{self.query}{self.accept and ' as '}{self.accept}"

    @property
    def route(self) -> str:
        """Method and path with every placeholder alike: what a row of the wall is compared with."""
        return shape(f"{self.method} {self.path}")


def shape(route: str) -> str:
    """A route with every placeholder written ``{}``; numbers that stand for one count as one."""
    parts = route.replace("/frames/0/", "/frames/{}/").replace("/frames/1", "/frames/{}").split("/")
    parts = ["{}" if part.startswith("{") or part == "7fe00010" else part for part in parts]
    return "/".join(parts)


_WADO = "/dicom-web/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"
_STUDY = "/dicom-web/studies/{study_uid}"
_SERIES = "/dicom-web/studies/{study_uid}/series/{series_uid}"
_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PHOTO = frozenset({Level.PHOTO})


def _native() -> Iterator[Door]:
    """One photo, by Orthanc's own id."""

    def one(path: str, kind: Kind = Kind.IDENTIFIERS, *, shows: bool = True, **more: object) -> Door:
        shown = _PHOTO if shows else frozenset()
        return Door(f"/instances/{{photo}}{path}", kind, Level.PHOTO, Level.PHOTO, shown, **more)  # type: ignore[arg-type]

    yield one("")
    yield one("/file", whole=True)
    yield one("/tags")
    yield one("/tags", query="simplify")
    yield one("/tags", query="short")
    yield one("/simplified-tags")
    yield one("/header")
    yield one("/frames", shows=False)
    yield one("/frames/0/raw")
    yield one("/attachments/dicom/size", shows=False)
    yield one("/attachments/dicom/md5", shows=False)
    yield one("/attachments/dicom/data", whole=True)
    for path in ("/preview", "/rendered", "/frames/0/preview", "/frames/0/rendered"):
        yield one(path, Kind.PIXELS)
        yield one(path, Kind.PIXELS, accept="image/jpeg")
    yield one("/rendered", Kind.PIXELS, query="width=48")
    yield one("/attachments/original/data", Kind.ORIGINAL, shows=False)


def _wado() -> Iterator[Door]:
    """One photo, by its UIDs (PS3.18 10.4), and WADO-URI (PS3.18 9)."""

    def one(path: str, kind: Kind = Kind.IDENTIFIERS, **more: object) -> Door:
        return Door(f"{_WADO}{path}", kind, Level.PHOTO, Level.PHOTO, _PHOTO, **more)  # type: ignore[arg-type]

    yield one("", accept=_STORED, whole=True)
    yield one("")
    yield one("/metadata")
    yield one("/metadata", accept="application/dicom+json")
    yield one("/frames/1", accept='multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50')
    yield one("/rendered", Kind.PIXELS)
    yield one("/rendered", Kind.PIXELS, accept="image/jpeg")
    yield one("/rendered", Kind.PIXELS, accept="image/png")
    yield one("/frames/1/rendered", Kind.PIXELS, accept="image/jpeg")
    yield one("/thumbnail", Kind.PIXELS, accept="image/jpeg")
    for asked, kind in (
        ("application/dicom", Kind.IDENTIFIERS),
        ("image/jpeg", Kind.PIXELS),
        ("image/png", Kind.PIXELS),
        ("", Kind.PIXELS),
    ):
        words = "requestType=WADO&studyUID={study_uid}&seriesUID={series_uid}&objectUID={sop_uid}"
        words += f"&contentType={asked.replace('/', '%2F')}" if asked else ""
        yield Door("/wado", kind, Level.PHOTO, Level.PHOTO, _PHOTO, query=words)


def _sets() -> Iterator[Door]:
    """Studies and series by DICOMweb: retrieved, described, rendered (PS3.18 10.4), searched (PS3.18 10.6)."""
    for path, level in ((_STUDY, Level.STUDY), (_SERIES, Level.SERIES)):
        yield Door(path, Kind.IDENTIFIERS, level, level, _PHOTO, accept=_STORED, whole=True)
        yield Door(f"{path}/metadata", Kind.IDENTIFIERS, level, level, _PHOTO)
        yield Door(f"{path}/rendered", Kind.PIXELS, level, level, accept="image/jpeg", one_of=True)
        yield Door(f"{path}/thumbnail", Kind.PIXELS, level, level, accept="image/jpeg", one_of=True)
    shown = {"studies": Level.STUDY, "series": Level.SERIES, "instances": Level.PHOTO}
    for name, level in shown.items():
        path = f"/dicom-web/{name}"
        for query, named in (
            ("", Level.ALL),
            ("includefield=all", Level.ALL),
            ("PatientID={patient_id}", Level.PATIENT),
            ("PatientID={patient_id}&includefield=all", Level.PATIENT),
            ("00100020={patient_id}", Level.PATIENT),
            ("StudyInstanceUID={study_uid}&includefield=all", Level.STUDY),
        ):
            yield Door(path, Kind.IDENTIFIERS, named, named, frozenset({level}), query=query, counts=True)
    for query in ("SeriesInstanceUID={series_uid}", "SeriesInstanceUID={series_uid}&includefield=all&limit=500"):
        yield Door(
            "/dicom-web/instances", Kind.IDENTIFIERS, Level.SERIES, Level.SERIES, _PHOTO, query=query, counts=True
        )
    yield Door(
        "/dicom-web/instances", Kind.IDENTIFIERS, Level.PHOTO, Level.PHOTO, _PHOTO, query="SOPInstanceUID={sop_uid}"
    )
    yield Door(
        "/dicom-web/instances", Kind.IDENTIFIERS, Level.PHOTO, Level.PHOTO, _PHOTO, query="InstanceNumber={number}"
    )
    for query in ("", "includefield=all"):
        for path, level, shows in (
            (f"{_STUDY}/series", Level.STUDY, Level.SERIES),
            (f"{_STUDY}/instances", Level.STUDY, Level.PHOTO),
            (f"{_SERIES}/instances", Level.SERIES, Level.PHOTO),
        ):
            yield Door(path, Kind.IDENTIFIERS, level, level, frozenset({shows}), query=query, counts=True)


_PLURAL = {Level.PATIENT: "patients", Level.STUDY: "studies", Level.SERIES: "series", Level.PHOTO: "instances"}
_SINGULAR = {Level.PATIENT: "patient", Level.STUDY: "study", Level.SERIES: "series"}
_PLACE = {Level.PATIENT: "{patient}", Level.STUDY: "{study}", Level.SERIES: "{series}", Level.PHOTO: "{photo}"}


def _core() -> Iterator[Door]:
    """Orthanc's own lists, resources, children and parents; archives and media."""
    for level, plural in _PLURAL.items():
        yield Door(f"/{plural}", Kind.IDENTIFIERS, Level.ALL, Level.ALL, frozenset({level}))
        yield Door(f"/{plural}", Kind.IDENTIFIERS, Level.ALL, Level.ALL, frozenset({level}), query="expand")
        mine = f"/{plural}/{_PLACE[level]}"
        if level is not Level.PHOTO:
            below = frozenset({level, Level(level + 1)})
            yield Door(mine, Kind.IDENTIFIERS, level, level, below)
            for name, method in product(("archive", "media"), ("GET", "POST")):
                body = "{}" if method == "POST" else ""
                yield Door(f"{mine}/{name}", Kind.IDENTIFIERS, level, level, _PHOTO, method, body=body, packed=True)
        for other, name in _PLURAL.items():
            if other > level:
                yield Door(f"{mine}/{name}", Kind.IDENTIFIERS, level, level, frozenset({other}))
        for other, name in _SINGULAR.items():
            if other < level:
                shown = frozenset({other, Level(other + 1)})
                yield Door(f"{mine}/{name}", Kind.IDENTIFIERS, level, other, shown)


def _packed() -> Iterator[Door]:
    """Archives and media of what is listed."""
    for name in ("archive", "media", "media-extended"):
        path = f"/tools/create-{name}"
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES, Level.PHOTO):
            made = Door(path, Kind.IDENTIFIERS, level, level, _PHOTO, packed=True)
            if name != "media-extended":
                yield replace(made, query=f"resources={_PLACE[level]}")
            yield replace(made, method="POST", body=f'{{"Resources": ["{_PLACE[level]}"]}}')


def _tools() -> Iterator[Door]:
    """Searches with a body, which Orthanc answers by POST."""
    levels = {"Patient": Level.PATIENT, "Study": Level.STUDY, "Series": Level.SERIES, "Instance": Level.PHOTO}
    keys = {"PatientID": ("{patient_id}", Level.PATIENT), "StudyInstanceUID": ("{study_uid}", Level.STUDY)}
    for word, level in levels.items():
        for key, (value, named) in keys.items():
            if named <= level:
                asked = f'"Level": "{word}", "Query": {{"{key}": "{value}"}}'
                for more in ("", ', "Expand": true'):
                    yield Door(
                        "/tools/find",
                        Kind.IDENTIFIERS,
                        named,
                        named,
                        frozenset({level}),
                        "POST",
                        body=f"{{{asked}{more}}}",
                    )
                yield Door(
                    "/tools/count-resources",
                    Kind.IDENTIFIERS,
                    named,
                    named,
                    method="POST",
                    body=f"{{{asked}}}",
                    count_of=level,
                )
    for value, level in (
        ("{patient_id}", Level.PATIENT),
        ("{study_uid}", Level.STUDY),
        ("{series_uid}", Level.SERIES),
        ("{sop_uid}", Level.PHOTO),
    ):
        yield Door("/tools/lookup", Kind.IDENTIFIERS, level, level, frozenset({level}), "POST", body=value)
    for level in (Level.STUDY, Level.SERIES, Level.PHOTO):
        yield Door(
            "/tools/bulk-content",
            Kind.IDENTIFIERS,
            level,
            level,
            frozenset({level}),
            "POST",
            body=f'{{"Resources": ["{_PLACE[level]}"]}}',
        )


def _closed() -> Iterator[Door]:
    """What tells of photos and cannot be parted, and what sends, copies, changes or deletes."""
    photo = (
        *("/metadata", "/metadata/ReceptionDate", "/content", "/content/0010-0010", "/content/7fe0-0010/1"),
        *("/attachments", "/attachments/dicom", "/attachments/dicom/info", "/attachments/dicom/is-compressed"),
        *("/attachments/dicom/compressed-data", "/attachments/dicom-as-json/data", "/module", "/pdf", "/statistics"),
        *("/image-uint8", "/image-uint16", "/image-int16", "/matlab", "/numpy", "/raw", "/frames/0/image-uint8"),
        *("/frames/0/matlab", "/frames/0/numpy", "/frames/0/raw.gz", "/labels", "/attachments/original/info"),
    )
    for path in photo:
        yield Door(f"/instances/{{photo}}{path}", Kind.CLOSED, Level.PHOTO, Level.PHOTO)
    above = (
        *("/metadata", "/metadata/LastUpdate", "/attachments", "/instances-tags", "/shared-tags", "/module"),
        *("/statistics", "/labels", "/attachments/4301/data"),
    )
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        for path in above:
            yield Door(f"/{_PLURAL[level]}/{_PLACE[level]}{path}", Kind.CLOSED, level, level)
    for path in ("/ordered-slices", "/numpy"):
        yield Door(f"/series/{{series}}{path}", Kind.CLOSED, Level.SERIES, Level.SERIES)
    yield Door("/studies/{study}/module-patient", Kind.CLOSED, Level.STUDY, Level.STUDY)
    yield Door("/patients/{patient}/protected", Kind.CLOSED, Level.PATIENT, Level.PATIENT)
    yield Door("/instances/{photo}/file", Kind.CLOSED, Level.PHOTO, Level.PHOTO, query="filename=x.dcm")
    for path in (
        "/changes",
        "/exports",
        "/statistics",
        "/jobs?expand",
        "/queries",
        "/modalities?expand",
        "/peers?expand",
    ):
        place, _, query = path.partition("?")
        yield Door(place, Kind.CLOSED, Level.ALL, Level.ALL, query=query)
    for verb, path, level, body in (
        ("POST", "/tools/bulk-anonymize", Level.STUDY, '{"Resources": ["{study}"]}'),
        ("POST", "/tools/bulk-modify", Level.STUDY, '{"Resources": ["{study}"]}'),
        ("POST", "/tools/bulk-delete", Level.STUDY, '{"Resources": ["{study}"]}'),
        ("POST", "/tools/create-dicom", Level.PHOTO, '{"Parent": "{series}", "Tags": {}}'),
        ("POST", "/studies/{study}/anonymize", Level.STUDY, "{}"),
        ("POST", "/studies/{study}/modify", Level.STUDY, "{}"),
        ("POST", "/studies/{study}/split", Level.STUDY, "{}"),
        ("POST", "/studies/{study}/merge", Level.STUDY, "{}"),
        ("POST", "/studies/{study}/reconstruct", Level.STUDY, "{}"),
        ("POST", "/instances/{photo}/modify", Level.PHOTO, "{}"),
        ("POST", "/instances/{photo}/anonymize", Level.PHOTO, "{}"),
        ("POST", "/instances/{photo}/export", Level.PHOTO, "/tmp/x"),
        ("PUT", "/instances/{photo}/metadata/1024", Level.PHOTO, "x"),
        ("DELETE", "/instances/{photo}", Level.PHOTO, ""),
        ("DELETE", "/series/{series}", Level.SERIES, ""),
        ("DELETE", "/studies/{study}", Level.STUDY, ""),
        ("DELETE", "/patients/{patient}", Level.PATIENT, ""),
        ("POST", "/modalities/other/store", Level.PHOTO, "{photo}"),
        ("POST", "/peers/other/store", Level.PHOTO, "{photo}"),
        ("POST", "/dicom-web/servers/other/stow", Level.PHOTO, '{"Resources": ["{photo}"]}'),
        ("POST", "/studies/{study}/update-dicomweb-cache", Level.STUDY, ""),
    ):
        yield Door(path, Kind.CLOSED, level, level, method=verb, body=body)


def _system() -> Iterator[Door]:
    for path in ("/system", "/tools/now", "/tools/now-local"):
        yield Door(path, Kind.SYSTEM, Level.ALL, Level.ALL)


DOORS: tuple[Door, ...] = (*_native(), *_wado(), *_sets(), *_core(), *_packed(), *_tools(), *_closed(), *_system())
