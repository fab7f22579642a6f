"""Injection points: where on a photo's frame how much of a product was given.

One Observation holds the points of one product on one photo: a component for each, its value the dose, its place in an
extension. One for each point would be thirty resources for a forehead, thirty versions when the map is corrected, and
the map could be read half. The Observation is ``partOf`` the administration (R4 Observation.partOf), so product, lot
and patient stand where they stand already, and ``derivedFrom`` the photo whose frame it is. Maps of others, a point an
Observation with components x and y, are read too.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from fhir_mapping import references
from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.elements import Json, amount, codes, parts, quantity
from fhir_mapping.treatment.session import Point, PointMap

POINTS = "urn:photospine:injection"
MAP = f"{POINTS}|injection-points"
POINT = f"{POINTS}|injection-point"
POINT_EXTENSION = "urn:photospine:injection-point"
"""Extension on a component: ``x`` and ``y`` (valueDecimal), fractions of the viewing copy's width and height."""

_AXES = {f"{POINTS}|{axis}": axis for axis in ("x", "y", "dose")}


def observation(points: PointMap) -> dict[str, Any]:
    """The Observation, but for whom, when, and of what it is part."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": POINTS, "code": "injection-points"}], "text": "Injection points"},
        "derivedFrom": [{"reference": points.photo}],
        "component": [_component(each) for each in points.points],
    }


def is_map(observed: Json) -> bool:
    """Whether an Observation holds injection points."""
    return bool({MAP, POINT} & set(codes(observed.get("code"))))


def read(observed: Json, base: str | None) -> PointMap | None:
    """The points of an Observation; None where it holds none, or names no photo.

    Points outside of the frame are left out: nobody could show them.
    """
    photos = [each for each in references.local_of(observed, base, "derivedFrom") if each.startswith("DocumentRef")]
    if not is_map(observed) or not photos:
        return None
    found = [_point(each) for each in parts(observed, "component")]
    if POINT in codes(observed.get("code")):
        found.append(_alone(observed))
    kept = tuple(each for each in found if each is not None and _within(each.x) and _within(each.y))
    return PointMap(photos[0], kept) if kept else None


def _component(point: Point) -> dict[str, Any]:
    made: dict[str, Any] = {
        "extension": [
            {
                "url": POINT_EXTENSION,
                "extension": [{"url": "x", "valueDecimal": point.x}, {"url": "y", "valueDecimal": point.y}],
            }
        ],
        "code": {"coding": [{"system": POINTS, "code": "injection-point"}], "text": "Injection point"},
    }
    if point.dose is not None:
        made["valueQuantity"] = quantity(point.dose)
    return made


def _point(component: Json) -> Point | None:
    for extension in parts(component, "extension"):
        if extension.get("url") == POINT_EXTENSION:
            stated = {each.get("url"): _decimal(each.get("valueDecimal")) for each in parts(extension, "extension")}
            x, y = stated.get("x"), stated.get("y")
            if x is not None and y is not None:
                return Point(x, y, amount(component.get("valueQuantity")))
    return None


def _alone(observed: Json) -> Point | None:
    """A point that is an Observation of its own."""
    stated: dict[str, Json] = {}
    for component in parts(observed, "component"):
        for code in codes(component.get("code")):
            if code in _AXES:
                stated.setdefault(_AXES[code], component)
    x, y = (_decimal(_value(stated.get(axis))) for axis in ("x", "y"))
    dose = amount(stated.get("dose", {}).get("valueQuantity")) or amount(observed.get("valueQuantity"))
    return None if x is None or y is None else Point(x, y, dose)


def _value(component: Json | None) -> Any:
    return next((each.get("value") for each in listed((component or {}).get("valueQuantity"))), None)


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    return Decimal(str(value))


def _within(value: Decimal) -> bool:
    return 0 <= value <= 1
