"""The lots that a resource states, wherever it states them (R4).

Products: Medication and Device, by themselves or contained. Uses that name a product by its code alone: no lot is
stated then, unless an Observation tells it (``partOf`` or ``focus``; value or component, with a code or text that says
"lot" or "batch").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fhir_mapping.advisory import spelling
from fhir_mapping.search.index import ILLEGIBLE, lots_of
from fhir_mapping.search.values import folded
from fhir_mapping.udi.identifier import UdiError
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

_WORDS = re.compile(r"[^\W\d_]+")
_LOT_WORDS = frozenset({"lot", "batch", "lotnumber", "batchnumber", "charge", "chargennummer", "lote", "lotto"})
_EXPIRY_WORDS = frozenset({"expiry", "expiration", "expires", "exp", "expirydate", "verfall", "verwendbar"})


class State(StrEnum):
    """Whether a lot can be read."""

    TOLD = "told"
    WILD = "wild"
    """With illegible places, ``LOT-00?1``."""

    NONE = "none"
    """A batch is on record, and its lot is missing or a word for "not legible"."""

    BARE = "bare"
    """No batch is on record."""


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
    return found


def name_of(product: Mapping[str, Any]) -> str:
    """What a product is called: by its code's text or display, or the device's name."""
    return _called(*_concepts(product))[0]


def _of_product(part: str, product: Mapping[str, Any]) -> Iterator[Stated]:
    concepts, more = _concepts(product)
    name, names = _called(concepts, more)
    carriers = [each for each in product.get("udiCarrier") or () if isinstance(each, Mapping)]
    devices = [each["deviceIdentifier"] for each in carriers if isinstance(each.get("deviceIdentifier"), str)]
    told = [udi for carrier in carriers for udi in carried(carrier)]
    devices += [udi.device for udi in told if udi.device and udi.device not in devices]
    serials = [product["serialNumber"]] if isinstance(product.get("serialNumber"), str) else []
    serials += [udi.serial for udi in told if udi.serial]
    names = tuple(dict.fromkeys((*names, *map(folded, devices))))
    for lot, expiry in lots_of(product):
        device = next((udi.device for udi in told if udi.lot == lot and udi.device), devices[0] if devices else "")
        yield Stated(
            part,
            (lot or "").strip(),
            expiry or "",
            _state(lot, bare=not isinstance(product.get("batch"), Mapping)),
            name,
            names,
            device,
            serials[0] if serials else "",
        )


def _state(lot: str | None, *, bare: bool) -> State:
    if lot is None or not lot.strip():
        return State.BARE if bare else State.NONE
    if folded(lot) in ILLEGIBLE:
        return State.NONE
    return State.WILD if spelling.wild(lot) else State.TOLD


def _observed(observation: Mapping[str, Any]) -> Iterator[Stated]:
    """Each lot with the expiry that follows it, or the one before it where there is but one."""
    lots: list[list[str]] = []
    expiries: list[str] = []
    for item in (observation, *(observation.get("component") or ())):
        words = _words(item.get("code"))
        for text in _values(item):
            if words & _LOT_WORDS:
                lots.append([text.strip(), "", ""])
            elif words & _EXPIRY_WORDS:
                expiries.append(text.strip())
                if lots and not lots[-1][1]:
                    lots[-1][1] = text.strip()
            elif "udi" in words:
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


def _values(item: Mapping[str, Any]) -> Iterator[str]:
    for member in ("valueString", "valueDateTime"):
        if isinstance(item.get(member), str):
            yield item[member]
    concept = item.get("valueCodeableConcept")
    if isinstance(concept, Mapping):
        codings = [each for each in concept.get("coding") or () if isinstance(each, Mapping)]
        texts = [
            concept.get("text"),
            *(each.get("code") for each in codings),
            *(each.get("display") for each in codings),
        ]
        yield from dict.fromkeys(each for each in texts if isinstance(each, str))


def _words(concept: Any) -> frozenset[str]:
    if not isinstance(concept, Mapping):
        return frozenset()
    texts = [concept.get("text")]
    for coding in concept.get("coding") or ():
        texts += [coding.get("display"), coding.get("code")]
    return frozenset(word for text in texts if isinstance(text, str) for word in _WORDS.findall(folded(text)))


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
