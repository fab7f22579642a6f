"""``/chart/compare/export``: a comparison leaves the house as a picture or a PDF, decided for what it is meant for.

For the record (TREAT) it says dates, areas and treatments. For a purpose that is published it says what the galleries
say: before, how long after, and the area by its code. No patient's name stands on either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.types import Request
from dicom_bridge.compare.conditions import Conditions
from dicom_bridge.compare.sheet import TYPES, Form, Panel, Sheet, written
from fhir_mapping.question.question import Question
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import said
from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.record import Photo, Treatment, place_name, view_name, within_sentence
from orthanc_plugin.workspace.visitor import Visitor

ROUTE = "/chart/compare/export"
_TREAT = "TREAT"
_WIDTH = 2400  # pixels that a photo has at most
_SOCIAL = "SOCIAL"
"""Its photos are agreed to for one channel; they are exported from its gallery."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a comparison may be exported for."""

    code: str
    name: str


def choices(pages: Pages, visitor: Visitor) -> list[Choice]:
    """What this visitor may ask for; whether the photos may be used so is decided when they leave."""
    held = visitor.requester.purposes
    found = [Choice(_TREAT, _("The record"))] if _TREAT in held else []
    return found + [
        Choice(page.code, page.name) for page in pages.parts.publishing if page.code in held and page.code != _SOCIAL
    ]


@dataclass(frozen=True, slots=True)
class _Leaving:
    """What leaves of one photo."""

    photo: Photo
    sop_uid: str
    lines: tuple[str, ...]


class ExportPage:
    """Writes the file."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """The one route."""
        return [Route(ROUTE, self._export, methods=["GET"])]

    def _export(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        query = http.query_params
        purpose = next((each for each in choices(self._pages, visitor) if each.code == query.get("purpose")), None)
        question = visitor.asks(purpose.code) if purpose is not None else None
        form = next((each for each in Form if each.value == query.get("as")), None)
        # Only from the chart: who exports knows whose photos these are.
        if purpose is None or question is None or form is None or visitor.asks(_TREAT) is None:
            return self._pages.refuse(http, visitor)
        keys = [query.get(side, "") for side in ("left", "right")]
        leaving = self._leaving(visitor, question, keys, camera="camera" in query)
        sheet = self._sheet(question, purpose, leaving) if leaving else None
        if sheet is None:
            return self._pages.show(http, "export_refused.html", visitor, status=404, section="", purpose=purpose.name)
        data = written(sheet, form)
        numbers = [each.photo.number for each in leaving]
        told = {"export": form.value, "sha256": hashlib.sha256(data).hexdigest()}
        self._pages.parts.record.exported(question, numbers, ROUTE, told)
        return Response(
            data,
            media_type=TYPES[form],
            headers={"Content-Disposition": f'attachment; filename="comparison.{form.value}"'},
        )

    def _leaving(self, visitor: Visitor, question: Request, keys: Sequence[str], *, camera: bool) -> list[_Leaving]:
        """Both photos; none where one of them may not be used so."""
        record = self._pages.parts.record
        uids = [record.sop_uid(key=key) for key in keys]
        if question.purpose == _TREAT:
            photos, treatments = self._of_the_chart(question, keys)
        else:
            photos = self._published(visitor, question, keys)
            treatments = [None] * len(photos)
        if len(photos) != len(keys) or None in uids:
            return []
        known = record.conditions(question, [each.number for each in photos]) if camera else {}
        found = []
        for photo, treatment, uid in zip(photos, treatments, uids, strict=True):
            lines = self._dated(photo, treatment) if question.purpose == _TREAT else _undated(photo, photos)
            more = _camera(known[photo.number]) if photo.number in known else ""
            found.append(_Leaving(photo, uid or "", (*lines, *([more] if more else []))))
        return found

    def _of_the_chart(self, question: Request, keys: Sequence[str]) -> tuple[list[Photo], list[Treatment | None]]:
        record = self._pages.parts.record
        owners = [record.patients_of(key) for key in keys]
        patient = next((each for each in owners[0] if all(each in other for other in owners)), None)
        if patient is None:
            return [], []
        course = record.course(question, patient, Question(), ROUTE, keys)
        known = {photo.key: photo for photo in (*course.photos, *course.kept)}
        photos = [known[key] for key in keys if key in known]
        return photos, [course.treatment(photo) for photo in photos]

    def _published(self, visitor: Visitor, question: Request, keys: Sequence[str]) -> list[Photo]:
        """As the galleries show them: what is not of a known list has no name."""
        seen = visitor.asks(_TREAT)
        charted = self._of_the_chart(seen, keys)[0] if seen is not None else []
        if len(charted) != len(keys):
            return []
        found = self._pages.parts.record.companions(question, ROUTE, charted[0].number)
        known = {photo.number: photo for photo in found}
        return [known[each.number] for each in charted if each.number in known]

    def _dated(self, photo: Photo, treatment: Treatment | None) -> tuple[str, ...]:
        day = words.day(photo.at, self._pages.parts.site.zone) if photo.at else _("Date unknown")
        session = photo.session or (treatment.session if treatment is not None else None)
        numbered = _("Session %(number)s") % {"number": session} if session else ""
        heading = " · ".join(filter(None, (day, numbered)))
        return tuple(each for each in (heading, view_name(photo), said(treatment.title) if treatment else "") if each)

    def _sheet(self, question: Request, purpose: Choice, leaving: Sequence[_Leaving]) -> Sheet | None:
        """Each photo is decided, and recorded, as its pixels are taken."""
        published = question.purpose != _TREAT
        panels = []
        for each in leaving:
            found = self._pages.parts.pictures.picture(
                question, each.sop_uid, route=ROUTE, width=_WIDTH, publishing=published
            )
            if found is None:
                return None
            panels.append(Panel(found.jpeg, each.lines))
        return Sheet(place_name(leaving[0].photo), tuple(panels), _("For: %s") % within_sentence(purpose.name))


def _undated(photo: Photo, both: Sequence[Photo]) -> tuple[str, ...]:
    """``Before``, ``After 12 weeks``."""
    first = min(both, key=lambda each: (each.at is None, each.at.timestamp() if each.at else 0.0, each.number))
    if photo.number == first.number:
        return (_("Before"),)
    if photo.at is None or first.at is None:
        return (_("After"),)
    return (words.after(first.at, photo.at),)


def _camera(known: Conditions) -> str:
    """What the photo's object says of how it was taken."""
    told = [known.device or ""]
    if known.focal is not None:
        length = known.focal.film or known.focal.lens
        told.append(f"{length:.0f} mm" if length else "")
    if known.flash is not None:
        told.append(_("flash") if known.flash else _("no flash"))
    return ", ".join(each for each in told if each)
