"""Devices of a session: what was left in the body, and what it was done with and how that was set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from consent.wording import worded
from fhir_mapping.search.index import lots_of
from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.elements import Json, amount, codes, named, parts, place, system_and_code, text
from fhir_mapping.treatment.session import Amount, Implant, Machine, Named, Place, PointMap, Setting
from fhir_mapping.treatment.settings import AMOUNT_USED, SETTINGS, known_settings
from fhir_mapping.treatment.surroundings import Surroundings
from fhir_mapping.udi.parse import texts_of

_Stated = dict[str, tuple[str | None, Json, Place | None]]
"""What names a device -> its reference, the Device as far as it is known, the area."""


def implants(
    found: Surroundings,
    resource: Json,
    uses: Sequence[str],
    observed: Sequence[Json],
    maps: Sequence[tuple[Json, PointMap]],
) -> tuple[Implant, ...]:
    """What was left in the body: implanted by the Procedure, told by a DeviceUseStatement, or used and of a lot.

    Parameters
    ----------
    uses
        The uses that are part of the session.
    observed
        Its Observations.
    maps
        Those of them that hold points, with these.
    """
    stated: _Stated = {}
    for focal in parts(resource, "focalDevice"):
        _state(stated, found, focal.get("manipulated"), resource, None)
    for use in uses:
        if use.startswith("DeviceUseStatement/"):
            body = found.resources[use]
            _state(stated, found, body.get("device"), body, place(body.get("bodySite")))
    for used in listed(resource.get("usedReference")):
        device = found.get(used, resource)
        if device is not None and device.get("resourceType") == "Device" and is_left_in(device):
            _state(stated, found, used, resource, None)
    made = []
    for reference, device, where in stated.values():
        told = [each for each in observed if reference in found.targets(each, "device")]
        used_up = next((each for each in told if AMOUNT_USED in codes(each.get("code"))), None)
        mine = [read for each, read in maps if reference in found.targets(each, "device")]
        where = where or next((spot for each in told if (spot := place(each.get("bodySite"))) is not None), None)
        made.append(_implant(reference, device, where, amount((used_up or {}).get("valueQuantity")), tuple(mine)))
    return tuple(made)


def machines(found: Surroundings, resource: Json, observed: Sequence[Json]) -> tuple[Machine, ...]:
    """The machines, each with its settings; settings of no machine come last, without one."""
    names: dict[str | None, str] = {}
    left_in = {target for each in parts(resource, "focalDevice") for target in found.targets(each, "manipulated")}
    for used in [*listed(resource.get("usedReference")), *listed(resource.get("device"))]:
        device = found.get(used, resource)
        reference = found.target(used)
        kind = (device or {}).get("resourceType") or (reference or "Device/").partition("/")[0]
        if kind == "Device" and reference not in left_in and not (device is not None and is_left_in(device)):
            name = device_name(device) if device is not None else ""
            names.setdefault(reference, name or text(used, "display"))
    kinds = [named(each).text for each in listed(resource.get("usedCode"))]
    settings: dict[str | None, list[Setting]] = {}
    for each in observed:
        if AMOUNT_USED in codes(each.get("code")):
            continue
        reference = found.target(each.get("device"))
        if reference is not None and reference not in left_in:
            device = found.get(each.get("device"), each)
            names.setdefault(reference, device_name(device) if device else text(each.get("device"), "display"))
        settings.setdefault(reference, []).extend(_settings(each))
    unplaced = settings.pop(None, [])
    real = [each for each in names if each is not None]
    made: list[Machine] = []
    for reference, name in names.items():
        mine = settings.pop(reference, [])
        if len(names) == 1 and not kinds:
            mine, unplaced = [*mine, *unplaced], []
        made.append(Machine(name, reference, tuple(mine)))
    for kind in filter(None, kinds):
        mine, unplaced = (unplaced, []) if not real else ([], unplaced)
        made.append(Machine(kind, None, tuple(mine)))
    rest = [*unplaced, *(each for some in settings.values() for each in some)]
    if rest:
        made.append(Machine(settings=tuple(rest)))
    return tuple(made)


def device_name(device: Json) -> str:
    """What people call a device: its name, else its type, else its model or maker."""
    for each in parts(device, "deviceName"):
        if text(each, "name"):
            return text(each, "name")
    return named(device.get("type")).text or text(device, "modelNumber") or text(device, "manufacturer")


def is_left_in(device: Json) -> bool:
    """A device of a patient, or of a lot: what a machine is not."""
    return "patient" in device or "lotNumber" in device or "expirationDate" in device


def _state(stated: _Stated, found: Surroundings, said: Any, holder: Json, where: Place | None) -> None:
    device, reference = found.get(said, holder), found.target(said)
    if device is None and reference is None and not text(said, "display"):
        return
    if device is not None and device.get("resourceType") != "Device":
        return
    key = reference or text(said, "reference") or text(said, "display")
    known = stated.get(key)
    shown: Json = device if device is not None else {"deviceName": [{"name": text(said, "display")}]}
    stated[key] = (reference, shown, where or (known[2] if known else None))


def _implant(
    reference: str | None, device: Json, where: Place | None, used: Amount | None, maps: tuple[PointMap, ...]
) -> Implant:
    lot, expires = lots_of({"resourceType": "Device", **device})[0]
    carrier: Mapping[str, Any] = next(parts(device, "udiCarrier"), {})
    kind = named(device.get("type"))
    return Implant(
        name=kind if kind.code is not None else Named(device_name(device)),
        di=text(carrier, "deviceIdentifier"),
        udi=next(iter(texts_of(carrier)), ""),
        lot=lot or "",
        expires=expires or "",
        serial=text(device, "serialNumber"),
        amount=used,
        place=where,
        maps=maps,
        reference=reference,
    )


def _settings(observed: Json) -> list[Setting]:
    made = []
    for part in (observed, *parts(observed, "component")):
        value = _value(part)
        if value is not None:
            made.append(Setting(_setting_name(part.get("code")), value))
    return made


def _setting_name(concept: Any) -> Named:
    said = named(concept)
    for code in codes(concept):
        system, bare = system_and_code(code)
        if system == SETTINGS and bare in known_settings():
            return Named(said.text if text(concept, "text") else known_settings()[bare].name, code)
    return said


def _value(part: Json) -> Amount | str | None:
    """A value[x] as a setting holds it."""
    read = amount(part.get("valueQuantity"))
    if read is not None:
        return read
    if isinstance(part.get("valueBoolean"), bool):
        return worded("yes") if part["valueBoolean"] else worded("no")
    if isinstance(part.get("valueInteger"), int):
        return str(part["valueInteger"])
    for member in ("valueString", "valueDateTime", "valueTime"):
        if text(part, member):
            return text(part, member)
    if "valueCodeableConcept" in part:
        return named(part["valueCodeableConcept"]).text or None
    bounds = part.get("valueRange")
    if isinstance(bounds, Mapping):
        low, high = amount(bounds.get("low")), amount(bounds.get("high"))
        return " – ".join(each.shown for each in (low, high) if each is not None) or None
    ratio = part.get("valueRatio")
    if isinstance(ratio, Mapping):
        upper, lower = amount(ratio.get("numerator")), amount(ratio.get("denominator"))
        return " : ".join(each.shown for each in (upper, lower) if each is not None) or None
    return None
