"""FHIR's elements as facts, and facts as elements. Whatever a valid resource holds is read; nothing here raises."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from consent.regions import regions
from consent.types import Laterality
from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.session import Amount, Named, Place

Json = Mapping[str, Any]

UCUM = "http://unitsofmeasure.org"
VOID = frozenset({"entered-in-error", "not-done", "cancelled", "declined", "not-taken"})
"""What says that it did not take place (R4 event-status and the statuses of dispenses and statements)."""

LATERALITY_EXTENSION = "urn:photospine:laterality"
"""Extension on a body site (valueCode): R, L or B, where its code says no side."""

_SNOMED = "http://snomed.info/sct"
#: SNOMED CT qualifiers of side (DICOM CID 244): Right, Left, Right and left.
_SIDES = {"24028007": Laterality.RIGHT, "7771000": Laterality.LEFT, "51440002": Laterality.BOTH}
_SPOKEN = {"right": Laterality.RIGHT, "left": Laterality.LEFT, "both": Laterality.BOTH, "bilateral": Laterality.BOTH}


def parts(resource: Any, *path: str) -> Iterator[Json]:
    """The objects at a path, in order."""
    nodes = listed(resource)
    for name in path:
        nodes = [item for node in nodes if isinstance(node, Mapping) for item in listed(node.get(name))]
    return (node for node in nodes if isinstance(node, Mapping))


def text(resource: Any, name: str) -> str:
    """A text member, or nothing."""
    value = resource.get(name) if isinstance(resource, Mapping) else None
    return value if isinstance(value, str) else ""


def codes(concept: Any) -> list[str]:
    """``system|code`` of each coding of a CodeableConcept."""
    return [f"{text(each, 'system')}|{text(each, 'code')}" for each in parts(concept, "coding") if text(each, "code")]


def system_and_code(said: str) -> tuple[str, str]:
    """The two of ``system|code``, or of a code alone. A code may have bars of its own, a system's address has none."""
    system, bar, code = said.partition("|")
    return (system, code) if bar else ("", said)


def named(concept: Any) -> Named:
    """A CodeableConcept: its text, else what its first coding says; and the first code."""
    if not isinstance(concept, Mapping):
        return Named()
    said = text(concept, "text")
    for coding in parts(concept, "coding"):
        said = said or text(coding, "display") or text(coding, "code")
    found = codes(concept)
    return Named(said, found[0] if found else None)


def concept(name: Named) -> dict[str, Any]:
    """The CodeableConcept of a name."""
    made: dict[str, Any] = {}
    if name.code is not None:
        system, code = system_and_code(name.code)
        made["coding"] = [({"system": system} if system else {}) | {"code": code}]
    if name.text:
        made["text"] = name.text
    return made


def amount(quantity: Any) -> Amount | None:
    """A Quantity that has a number."""
    value = quantity.get("value") if isinstance(quantity, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    code = text(quantity, "code")
    return Amount(
        Decimal(str(value)),
        text(quantity, "unit") or ("" if text(quantity, "system") == UCUM else code),
        code if text(quantity, "system") == UCUM else "",
        text(quantity, "comparator"),
    )


def quantity(value: Amount) -> dict[str, Any]:
    """The Quantity of an amount."""
    made: dict[str, Any] = {"value": value.value}
    if value.comparator:
        made["comparator"] = value.comparator
    if value.unit:
        made["unit"] = value.unit
    if value.code:
        made |= {"system": UCUM, "code": value.code}
    return made


def place(site: Any) -> Place | None:
    """A body site: its region where the tree knows it, else as it was written; and its side, however that was said."""
    if not isinstance(site, Mapping):
        return None
    found = codes(site)
    known = next((region for region in map(regions().by_code, found) if region is not None), None)
    stated = named(site)
    side = _stated_side(site, found)
    if known is None:
        words = stated.text.lower().split()
        spoken = next((_SPOKEN[word] for word in words if word in _SPOKEN), None)
        bare = "-".join(word for word in words if word not in _SPOKEN)
        known = regions().by_name("-".join(words)) or regions().by_name(bare)
        side = side or spoken
    if known is not None:
        return Place(Named(stated.text, known.code), side)
    code = next((each for each in found if system_and_code(each)[1] not in _SIDES), None)
    return Place(Named(stated.text, code), side) if stated.text or code else None


def places(sites: Any) -> tuple[Place, ...]:
    """Body sites, each once."""
    return tuple(dict.fromkeys(filter(None, map(place, listed(sites)))))


def site(where: Place) -> dict[str, Any]:
    """The CodeableConcept of an area."""
    made = concept(where.region)
    if where.side is not None:
        made["extension"] = [{"url": LATERALITY_EXTENSION, "valueCode": where.side.value}]
    return made


def structure(resource: Json) -> Place | None:
    """The area that a BodyStructure is (R4 BodyStructure.location, locationQualifier)."""
    where = place(resource.get("location"))
    if where is None:
        return None
    qualifiers = [code for each in listed(resource.get("locationQualifier")) for code in codes(each)]
    return Place(where.region, where.side or _side(qualifiers))


def region_name(where: Place) -> str:
    """An area as people call it: ``Right cheek``; what the tree does not know, as it stands."""
    known = regions().by_code(where.region.code or "")
    said = known.name.replace("-", " ") if known is not None else where.region.text
    said = said or system_and_code(where.region.code or "")[1]
    side = {Laterality.RIGHT: "right ", Laterality.LEFT: "left "}.get(where.side) if where.side else None
    if side and not said.lower().startswith(side):
        said = side + said
    return said[:1].upper() + said[1:]


def dosage(use: Json) -> Json:
    """The first dosage of a use, whatever the resource calls it."""
    for member in ("dosage", "dosageInstruction"):
        for each in parts(use, member):
            return each
    return {}


def _stated_side(element: Json, found: Iterable[str]) -> Laterality | None:
    for extension in parts(element, "extension"):
        if extension.get("url") == LATERALITY_EXTENSION and extension.get("valueCode") in ("R", "L", "B"):
            return Laterality(extension["valueCode"])
    return _side(found)


def _side(found: Iterable[str]) -> Laterality | None:
    for each in found:
        system, code = system_and_code(each)
        if system == _SNOMED and code in _SIDES:
            return _SIDES[code]
    return None
