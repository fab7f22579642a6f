"""The lots that a resource states, wherever it states them (R4).

Products: Medication and Device, by themselves or contained. Uses that name a product by its code alone: no lot is
stated then, unless an Observation tells it (``partOf`` or ``focus``; value or component, with a code or text that says
"lot" or "batch"). What notes, names and extensions say of lots is stated too, and never for certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any

from fhir_mapping.advisory import labelled, printed, spelling, words
from fhir_mapping.search.index import lots_of
from fhir_mapping.search.values import folded
from fhir_mapping.udi.identifier import Issuer, UdiError
from fhir_mapping.udi.parse import carried, parse

PRODUCTS = ("Medication", "Device")

#: What can say that a product was used on somebody.
USES = (
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationStatement",
    "DeviceUseStatement",
    "Procedure",
    "Observation",
)

#: What says of a product, or of an Observation, that it should not be there.
_VOID = frozenset({"entered-in-error", "cancelled"})

#: Members that hold no words of people.
_NO_TEXT = frozenset(
    {"reference", "url", "system", "id", "data", "resourceType", "status", "versionId", "lastUpdated", "contentType",
     "lotNumber", "expirationDate", "carrierAIDC"}
)  # fmt: skip
_MOST_NOTED = 500  # of one resource; a note is no catalogue
_TAG = re.compile(r"<[^>]*>")
_TAIL = re.compile(r"[^/#:]*$")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


class State(StrEnum):
    """Whether a lot can be read."""

    TOLD = "told"
    WILD = "wild"
    """With illegible places, ``LOT-00?1``."""

    NONE = "none"
    """A batch is on record, and its lot is missing or a word for "not legible"."""

    BARE = "bare"
    """No batch is on record."""

    OBSERVED = "observed"
    """No batch is on record, and an Observation tells the lot (:mod:`fhir_mapping.projections.observed`)."""

    NOTED = "noted"
    """A note, a name or an extension says so."""

    DOUBTED = "doubted"
    """A UDI says so whose check character does not fit."""

    VOID = "void"
    """What says so was entered in error."""


@dataclass(frozen=True, slots=True)
class Stated:
    """One lot as one resource states it, or its absence."""

    part: str
    """Id of the contained product; empty: the resource itself."""

    lot: str
    expiry: str
    state: State
    name: str = ""
    names: tuple[str, ...] = ()
    """By which a product is asked for: folded names, codes, ``system|code``, device identifiers."""

    device: str = ""
    serial: str = ""
    """Serial number; of human tissue the donation's number, and the serial number behind it."""


def stated(resource: Mapping[str, Any]) -> list[Stated]:
    """All that a resource of the record states of lots."""
    kind = resource.get("resourceType")
    found: list[Stated] = []
    if kind in PRODUCTS:
        found += _of_product("", resource)
    for contained in resource.get("contained") or ():
        if contained.get("resourceType") in PRODUCTS:
            found += _of_product(str(contained.get("id", "")), contained)
    if kind in USES:
        concepts = [resource.get("medicationCodeableConcept"), *(resource.get("usedCode") or ())]
        for concept in concepts:
            if isinstance(concept, Mapping):
                found.append(Stated("", "", "", State.BARE, *_called([concept])))
    if kind == "Observation":
        found += _observed(resource)
    if kind in USES or kind in PRODUCTS:
        known = {each.lot for each in found}
        noted = dict.fromkeys(islice(_noted(resource), _MOST_NOTED))
        found += [Stated("", lot, "", State.NOTED) for lot in noted if lot not in known]
    if resource.get("status") in _VOID and (kind in PRODUCTS or kind == "Observation"):
        found = [replace(each, state=State.VOID) if each.lot else each for each in found]
    return found


def name_of(product: Mapping[str, Any]) -> str:
    """What a product is called: by its code's text or display, or the device's name."""
    return _called(*_concepts(product))[0]


def device_names(identifier: str) -> set[str]:
    """A device identifier as it may be written: as it stands, and as its agency's label tells it."""
    try:
        told = parse(identifier).device
    except UdiError:
        told = None
    return {folded(each) for each in (identifier, told) if each}


def _of_product(part: str, product: Mapping[str, Any]) -> Iterator[Stated]:
    concepts, more = _concepts(product)
    name, names = _called(concepts, more)
    carriers = [each for each in product.get("udiCarrier") or () if isinstance(each, Mapping)]
    devices = [each["deviceIdentifier"] for each in carriers if isinstance(each.get("deviceIdentifier"), str)]
    told = [udi for carrier in carriers for udi in carried(carrier)]
    devices += [udi.device for udi in told if udi.device and udi.device not in devices]
    names = tuple(dict.fromkeys((*names, *(name for each in devices for name in sorted(device_names(each))))))
    lots = [
        (lot, expiry, _state(lot, bare=not isinstance(product.get("batch"), Mapping)))
        for lot, expiry in lots_of(product)
    ]
    lots += [(udi.lot, udi.expiry, State.DOUBTED) for udi in told if udi.lot and udi.doubted]
    serial = _serial(product, [(udi.issuer, udi.donation, udi.serial) for udi in told])
    for lot, expiry, state in lots:
        device = next((udi.device for udi in told if udi.lot == lot and udi.device), devices[0] if devices else "")
        yield Stated(part, (lot or "").strip(), expiry or "", state, name, names, device, serial)


def _serial(product: Mapping[str, Any], told: list[tuple[Issuer, str | None, str | None]]) -> str:
    """A serial number alone is one of many where it counts the pieces of a donation."""
    for issuer, donation, serial in told:
        if issuer is Issuer.ICCBBA and donation:
            return " ".join(filter(None, (donation, serial)))
    stated = (product.get("serialNumber"), *(serial for _, _, serial in told), product.get("distinctIdentifier"))
    return next((each.strip() for each in stated if isinstance(each, str) and each.strip()), "")


def _state(lot: str | None, *, bare: bool) -> State:
    if lot is None or not lot.strip():
        return State.BARE if bare else State.NONE
    if spelling.wild(lot):
        return State.WILD
    return State.NONE if words.tells_nothing(lot) else State.TOLD


def _observed(observation: Mapping[str, Any]) -> Iterator[Stated]:
    """Each lot with the expiry that follows it, or the one before it where there is but one."""
    lots: list[list[str]] = []
    expiries: list[str] = []
    for item in (observation, *(observation.get("component") or ())):
        about = _about(item.get("code"))
        for text in _values(item):
            if any(map(words.says_lot, about)):
                lots.append([text.strip(), "", ""])
            elif any(map(words.says_expiry, about)):
                expiries.append(printed.expiry(text) or text.strip())
                if lots and not lots[-1][1]:
                    lots[-1][1] = expiries[-1]
            elif any(re.search(r"\budi\b", folded(each)) for each in about):
                try:
                    udi = parse(text)
                except UdiError:
                    continue
                if udi.lot:
                    lots.append([udi.lot, udi.expiry or "", udi.device or ""])
    for lot, expiry, device in lots:
        state = _state(lot, bare=True)
        if state in (State.TOLD, State.WILD):  # one that tells nothing leaves the use as it is
            until = expiry or (expiries[0] if len(expiries) == 1 and len(lots) == 1 else "")
            yield Stated("", lot, until[:40], state, device=device)


def _noted(value: Any, name: str = "") -> Iterator[str]:
    """Lots that words of people call so, and extensions whose address speaks of a lot."""
    if isinstance(value, str):
        if name in _NO_TEXT:
            return
        plain = words.level(_TAG.sub(" ", value) if name == "div" else value)
        for each in labelled.named(plain):
            if each.range is None:
                yield words.tidy(plain[each.start : each.end])
    elif isinstance(value, Mapping):
        address = value.get("url")
        if isinstance(address, str) and words.says_lot(_CAMEL.sub(" ", _last(address)).replace("-", " ")):
            yield from (text.strip() for text in _values(value) if text.strip())
        for member, item in value.items():
            if member != "contained":
                yield from _noted(item, member)
    elif isinstance(value, list):
        for item in value:
            yield from _noted(item, name)


def _last(address: str) -> str:
    match = _TAIL.search(address)
    return match.group() if match else ""


def _values(item: Mapping[str, Any]) -> Iterator[str]:
    """A value as text, whichever type it has."""
    for member in ("valueString", "valueDateTime", "valueDate", "valueCode", "valueInteger"):
        if isinstance(item.get(member), str | int):
            yield str(item[member])
    quantity = item.get("valueQuantity")
    if isinstance(quantity, Mapping) and "value" in quantity:
        yield str(quantity["value"])
    identifier = item.get("valueIdentifier")
    if isinstance(identifier, Mapping) and isinstance(identifier.get("value"), str):
        yield identifier["value"]
    concept = item.get("valueCodeableConcept")
    if isinstance(concept, Mapping):
        codings = [each for each in concept.get("coding") or () if isinstance(each, Mapping)]
        texts = [
            concept.get("text"),
            *(each.get("code") for each in codings),
            *(each.get("display") for each in codings),
        ]
        yield from dict.fromkeys(each for each in texts if isinstance(each, str))


def _about(concept: Any) -> list[str]:
    """What an Observation's code says, in words."""
    if not isinstance(concept, Mapping):
        return []
    texts = [concept.get("text")]
    for coding in concept.get("coding") or ():
        texts += [coding.get("display"), coding.get("code")]
    return [_CAMEL.sub(" ", each).replace("_", " ") for each in texts if isinstance(each, str)]


def _concepts(product: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], list[str]]:
    concepts = [each for each in (product.get("code"), product.get("type")) if isinstance(each, Mapping)]
    given = [str(each["name"]) for each in product.get("deviceName") or () if each.get("name")]
    return concepts, [*given, *([str(product["modelNumber"])] if product.get("modelNumber") else [])]


def _called(concepts: list[Mapping[str, Any]], more: list[str] | None = None) -> tuple[str, tuple[str, ...]]:
    """The name to show, and all by which it is asked for."""
    shown: list[str] = []
    names: list[str] = []
    for concept in concepts:
        codings = [each for each in concept.get("coding") or () if isinstance(each, Mapping)]
        texts = [str(concept["text"])] if concept.get("text") else []
        texts += [str(each["display"]) for each in codings if each.get("display")]
        codes = [str(each["code"]) for each in codings if each.get("code")]
        shown += texts or codes
        names += [*texts, *codes, *(f"{each.get('system', '')}|{each['code']}" for each in codings if each.get("code"))]
    shown += more or []
    names += more or []
    return (shown[0] if shown else ""), tuple(dict.fromkeys(filter(None, map(folded, names))))
