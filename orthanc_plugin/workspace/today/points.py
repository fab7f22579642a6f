"""The injection points of the form: of one product on one photo, in percent of its frame."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fhir_mapping.treatment.session import Amount, Point, PointMap
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.products import Chosen
from orthanc_plugin.workspace.today.state import Kind, State

MOST_MAPS = 6
MOST_POINTS = 60
FIRST_POINTS = 5
"""Rows that an empty map has."""

_WHOLE = Decimal(100)
_PLACE = noted("Give a place within the photo, from 0 to 100 percent.")


def read(state: State, fields: Fields, chosen: Sequence[Chosen]) -> dict[str, tuple[PointMap, ...]]:
    """The maps of each product, by its key in the form."""
    products = {each.key: each for each in chosen if each.kind in (Kind.GIVEN, Kind.IMPLANT)}
    found: dict[str, list[PointMap]] = {}
    for number in range(fields.count("maps", MOST_MAPS, 1)):
        rows = range(fields.count(f"points-{number}", MOST_POINTS, FIRST_POINTS))
        filled = [row for row in rows if any(fields.text(f"{each}-{number}-{row}", 20) for each in ("x", "y", "pd"))]
        if not filled:
            continue
        key = fields.sent.get(f"map-product-{number}", "")
        product = products.get(key)
        if product is None:
            fields.wrong(f"map-product-{number}", "Choose a product that is ticked, and was injected or implanted.")
        document = fields.sent.get(f"map-photo-{number}", "")
        if state.frame(document) is None:
            fields.wrong(f"map-photo-{number}", "Choose the photo that the points are on.")
        unit = product.unit if product is not None else ("", "")
        made = [point for row in filled if (point := _point(fields, f"{number}-{row}", unit)) is not None]
        found.setdefault(key, []).append(PointMap(f"DocumentReference/{document}", tuple(made)))
    for key, maps in found.items():
        if key in products:
            _check_sum(fields, products[key], maps)
    return {key: tuple(maps) for key, maps in found.items()}


def _point(fields: Fields, at: str, unit: tuple[str, str]) -> Point | None:
    x, y = (_fraction(fields, f"{axis}-{at}") for axis in ("x", "y"))
    dose = fields.dose(f"pd-{at}", unit)
    return None if x is None or y is None else Point(x, y, dose)


def _fraction(fields: Fields, name: str) -> Decimal | None:
    value = fields.number(name, _PLACE)
    if value is None or not 0 <= value <= _WHOLE:
        fields.wrong(name, _PLACE)
        return None
    return (value / _WHOLE).quantize(Decimal("0.00001")).normalize() + 0


def _check_sum(fields: Fields, product: Chosen, maps: Sequence[PointMap]) -> None:
    """The points of a product are no more than its dose: one of the two is a slip."""
    doses = [each.dose for some in maps for each in some.points if each.dose is not None]
    total = sum((each.value for each in doses), Decimal(0))
    if product.amount is not None and total > product.amount.value:
        said = Amount(total, *product.unit).shown
        fields.wrong(
            f"dose-{product.key}", "The injection points make %(dose)s: correct the dose, or a point.", dose=said
        )
