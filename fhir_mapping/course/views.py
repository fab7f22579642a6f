"""What a photo shows, as its DocumentReference says it: two photos of one view can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consent.types import Laterality
from fhir_mapping.consent_codes import REGION_EXTENSION
from fhir_mapping.resources.document_reference import EXPRESSION_EXTENSION, VIEW_EXTENSION
from fhir_mapping.treatment.elements import Json, named, parts, place, region_name
from fhir_mapping.treatment.session import Place


@dataclass(frozen=True, slots=True)
class View:
    """Area, side, view and expression."""

    place: Place | None = None
    view: str = ""
    expression: str = ""
    key: tuple[str, str, str, str] = ("", "", "", "")
    """What two photos of one view share."""

    also: tuple[Place, ...] = ()
    """Further areas that it shows."""

    @property
    def name(self) -> str:
        """``Right cheek, right lateral``."""
        area = region_name(self.place) if self.place is not None else "Area not stated"
        return ", ".join(filter(None, (area, self.view.lower(), self.expression.lower())))


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo that the requester may see."""

    number: int
    document: str
    """Id of its DocumentReference."""

    version: int
    at: datetime | None
    view: View
    visit: str | None = None
    """``Encounter/…``."""

    procedure: str | None = None
    """Id of the first Procedure linked."""

    @property
    def reference(self) -> str:
        """``DocumentReference/…``."""
        return f"DocumentReference/{self.document}"


def view_of(document: Json) -> View:
    """The view of a photo."""
    shown = [
        found
        for extension in parts(document, "extension")
        if extension.get("url") == REGION_EXTENSION and (found := _region(extension)) is not None
    ]
    where = shown[0] if shown else None
    view, expression = (_stated(document, url) for url in (VIEW_EXTENSION, EXPRESSION_EXTENSION))
    side = where.side if where is not None else None
    key = (
        (where.region.code or where.region.text) if where is not None else "",
        side.value if side is not None else Laterality.BOTH.value,
        view[0],
        expression[0],
    )
    return View(where, view[1], expression[1], key, tuple(shown[1:]))


def _region(extension: Json) -> Place | None:
    found: Place | None = None
    side: Laterality | None = None
    for part in parts(extension, "extension"):
        if part.get("url") == "code":
            found = place(part.get("valueCodeableConcept"))
        elif part.get("url") == "laterality" and part.get("valueCode") in list(Laterality):
            side = Laterality(part["valueCode"])
    return None if found is None else Place(found.region, side or found.side)


def _stated(document: Json, url: str) -> tuple[str, str]:
    """Code and words of an extension."""
    for extension in parts(document, "extension"):
        if extension.get("url") == url:
            said = named(extension.get("valueCodeableConcept"))
            return said.code or said.text, said.text
    return "", ""
