"""Treatments as the record has them, whoever wrote them and in whatever shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from fhir_mapping import dates, references
from fhir_mapping.resources.session import session_of
from fhir_mapping.search.index import lots_of
from fhir_mapping.treatment import points
from fhir_mapping.treatment.build import KEYS
from fhir_mapping.treatment.elements import (
    Json,
    amount,
    codes,
    listed,
    named,
    parts,
    place,
    places,
    structure,
    text,
)
from fhir_mapping.treatment.session import (
    UNNAMED,
    Amount,
    Given,
    Implant,
    Lot,
    Machine,
    Named,
    Person,
    Place,
    PointMap,
    Session,
    Setting,
    Use,
)
from fhir_mapping.treatment.settings import AMOUNT_USED, SETTINGS, known_settings
from fhir_mapping.treatment.surroundings import CENTRES, USES, Surroundings

VOID = frozenset({"entered-in-error", "not-done", "cancelled", "declined", "not-taken"})
"""What says that it did not take place (R4 event-status and the statuses of dispenses and statements)."""

_USE = {
    "MedicationAdministration": Use.GIVEN,
    "MedicationDispense": Use.HANDED,
    "MedicationStatement": Use.HOME,
}
_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/procedure-targetBodyStructure"
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Treated:
    """One session on record."""

    reference: str
    """``Procedure/…``; of a use without one, the use: ``MedicationAdministration/…``."""

    status: str
    session: Session
    uses: tuple[str, ...] = ()
    """The administrations, dispenses, statements and device uses that belong to it."""

    observed: tuple[str, ...] = ()
    """Observations that are part of it."""

    photos: tuple[str, ...] = ()
    """``DocumentReference/…`` that name it or are named by it: undecided."""

    @property
    def void(self) -> bool:
        """Whether the record says that it did not take place."""
        return self.status in VOID


def treatments(found: Surroundings, *, others: Callable[[Json], bool] = lambda _: False) -> tuple[Treated, ...]:
    """The treatments that what was asked about belongs to, in order of time.

    Parameters
    ----------
    others
        Tells Observations that are no settings, such as outcomes.
    """
    reader = _Reader(found, others)
    made = [reader.treated(centre) for centre in sorted(reader.centres())]
    return tuple(sorted(made, key=lambda each: (_moment(each.session), each.reference)))


class _Reader:
    def __init__(self, found: Surroundings, others: Callable[[Json], bool]) -> None:
        self._found, self._others = found, others
        self._of: dict[str, list[str]] = {}
        """Procedure -> what is part of it."""

        self._home: dict[str, list[str]] = {}
        self._wholes: dict[str, list[str]] = {}
        """An administration -> the Procedures that say they are part of it."""

        for reference, resource in sorted(found.resources.items()):
            if reference.startswith("Procedure/"):
                for part in found.targets(resource, "partOf"):
                    self._wholes.setdefault(part, []).append(reference)
        for reference, resource in sorted(found.resources.items()):
            for procedure in self._procedures_of(reference, resource):
                self._of.setdefault(procedure, []).append(reference)
                self._home.setdefault(reference, []).append(procedure)
        self._place_orphans()

    # --- what belongs where -----------------------------------------------------------------------------------------

    def _procedures_of(self, reference: str, resource: Json) -> list[str]:
        """The Procedures that a use or an Observation is part of, stated at either end."""
        kind = reference.partition("/")[0]
        if kind not in USES and kind != "Observation":
            return []
        named_so = self._found.targets(resource, "partOf") + self._found.targets(resource, "derivedFrom")
        if kind == "DeviceUseStatement":
            named_so += self._found.targets(resource, "reasonReference")
        if kind == "MedicationAdministration":
            named_so += self._found.targets(resource, "supportingInformation")
        direct = {each for each in named_so if each.startswith("Procedure/")}
        direct.update(self._wholes.get(reference, ()))
        if not direct and kind == "Observation":  # a point map is part of the administration
            for use in self._uses_of(resource):
                direct.update(self._procedures_of(use, self._found.resources.get(use, {})))
        if not direct and kind == "MedicationAdministration":
            for whole in self._found.targets(resource, "partOf"):
                if whole in self._found.resources and whole != reference:
                    direct.update(
                        each
                        for each in self._found.targets(self._found.resources[whole], "partOf")
                        if each.startswith("Procedure/")
                    )
        return sorted(each for each in direct if each in self._found.resources)

    def _uses_of(self, observed: Json) -> list[str]:
        return [each for each in self._found.targets(observed, "partOf") if each.partition("/")[0] in USES]

    def _place_orphans(self) -> None:
        """What names the visit alone belongs to the visit's one Procedure, or to the one that treated its area."""
        by_visit: dict[str, list[str]] = {}
        for reference, resource in sorted(self._found.resources.items()):
            if reference.startswith("Procedure/") and text(resource, "status") not in VOID:
                for visit in self._found.targets(resource, "encounter"):
                    by_visit.setdefault(visit, []).append(reference)
        for reference, resource in sorted(self._found.resources.items()):
            kind = reference.partition("/")[0]
            if reference in self._home or not (kind in USES or (kind == "Observation" and self._is_setting(resource))):
                continue
            if kind == "Observation" and self._uses_of(resource):
                continue
            visits = self._found.targets(resource, "context") + self._found.targets(resource, "encounter")
            candidates = [each for visit in visits for each in by_visit.get(visit, ())]
            if len(candidates) > 1:
                own = self._regions(resource)
                candidates = [each for each in candidates if own & self._regions(self._found.resources[each])]
            if len(candidates) == 1:
                self._of.setdefault(candidates[0], []).append(reference)
                self._home[reference] = candidates

    def _regions(self, resource: Json) -> set[tuple[str, Any]]:
        where = [*places(resource.get("bodySite")), *filter(None, (place(_dosage(resource).get("site")),))]
        return {(each.region.code or each.region.text.lower(), each.side) for each in where}

    def _is_setting(self, observed: Json) -> bool:
        """Whether an Observation that is part of nothing is told by its codes to hold settings of a machine."""
        mine = [*codes(observed.get("code"))]
        for component in parts(observed, "component"):
            mine += codes(component.get("code"))
        return any(each.startswith(f"{SETTINGS}|") for each in mine)

    # --- which treatments are asked for -----------------------------------------------------------------------------

    def centres(self) -> set[str]:
        """The Procedures, and uses without one, that the anchors belong to."""
        found: set[str] = set()
        for anchor in self._found.anchors:
            found |= self._centres_of(anchor)
        return found

    def _centres_of(self, anchor: str) -> set[str]:
        kind = anchor.partition("/")[0]
        if kind == "Procedure":
            children = {
                each
                for each, resource in self._found.resources.items()
                if each.startswith("Procedure/") and anchor in self._found.targets(resource, "partOf")
            }
            return {anchor, *children} if anchor in self._found.resources else set()
        if kind in USES or kind == "Observation":
            return self._homes([anchor])
        if kind == "DocumentReference":
            linked = [each for each, documents in self._found.documents.items() if anchor in documents]
            near = [each for each in linked if each.partition("/")[0] in CENTRES or self._is_map(each)]
            if near or not self._found.by_visit:
                return self._homes(near)
            visits = self._found.targets(self._found.resources.get(anchor, {}), "context", "encounter")
            return {centre for visit in visits for centre in self._at_visit(visit)}
        if kind == "Encounter":
            return self._at_visit(anchor)
        return self._homes(self._naming(anchor))

    def _homes(self, references_: Iterable[str]) -> set[str]:
        found: set[str] = set()
        for each in references_:
            if each.startswith("Procedure/") and each in self._found.resources:
                found.add(each)
            elif each in self._home:
                found.update(self._home[each])
            elif each.startswith("Observation/"):
                found |= self._homes(self._uses_of(self._found.resources.get(each, {})))
            elif each in self._found.resources and each.partition("/")[0] in USES:
                found.add(each)
        return found

    def _is_map(self, reference: str) -> bool:
        return points.is_map(self._found.resources.get(reference, {}))

    def _at_visit(self, visit: str) -> set[str]:
        here = [
            each
            for each, resource in self._found.resources.items()
            if each.partition("/")[0] in CENTRES
            and visit in (*self._found.targets(resource, "encounter"), *self._found.targets(resource, "context"))
        ]
        return self._homes(here)

    def _naming(self, anchor: str) -> list[str]:
        """What names a product, machine, plan or person; through what is mixed of it, too."""
        wanted, pending = {anchor}, [anchor]
        while pending:
            here = pending.pop()
            for reference, resource in self._found.resources.items():
                if reference.startswith("Medication/") and reference not in wanted:
                    mixed = {target for each in parts(resource, "ingredient")
                             for target in self._found.targets(each, "itemReference")}  # fmt: skip
                    if here in mixed:
                        wanted.add(reference)
                        pending.append(reference)
        stated = {
            target
            for each in parts(self._found.resources.get(anchor, {}), "activity")
            for path in ("reference", "outcomeReference")
            for target in self._found.targets(each, path)
        }
        naming = [
            reference
            for reference, resource in self._found.resources.items()
            if reference.partition("/")[0] in CENTRES | {"Observation"}
            and wanted & {references.local(each.text, self._found.base) for each in references.found(resource)}
        ]
        return [*naming, *sorted(stated)]

    # --- one treatment ----------------------------------------------------------------------------------------------

    def treated(self, centre: str) -> Treated:
        """One treatment with what belongs to it."""
        resource = self._found.resources[centre]
        belonging = self._of.get(centre, []) if centre.startswith("Procedure/") else [centre, *self._maps_of(centre)]
        uses = [each for each in belonging if each.partition("/")[0] in USES]
        real = [each for each in uses if text(self._found.resources[each], "status") not in VOID or each == centre]
        observed = [each for each in belonging if each.startswith("Observation/")]
        told = [self._found.resources[each] for each in observed]
        told = [each for each in told if text(each, "status") not in VOID | {"cancelled"}]
        maps = [(each, read) for each in told if (read := points.read(each, self._found.base)) is not None]
        settings = [each for each in told if not points.is_map(each) and not self._others(each)]
        start, end = _time(resource)
        shown = [each for each in (centre, *belonging) if not self._is_other(each)]
        photos = {photo for each in shown for photo in self._found.documents.get(each, ())}
        stated_plans = [each for each in self._found.targets(resource, "basedOn") if each.startswith("CarePlan/")]
        planning = [
            each
            for each, plan in sorted(self._found.resources.items())
            if each.startswith("CarePlan/") and centre in self._named_by_plan(plan)
        ]
        return Treated(
            reference=centre,
            status=text(resource, "status"),
            session=Session(
                patient=self._patient(resource),
                title=named(resource.get("code")) if centre.startswith("Procedure/") else UNNAMED,
                start=start,
                end=end,
                encounter=self._visit(resource),
                number=session_of(resource) if centre.startswith("Procedure/") else None,
                plans=tuple(dict.fromkeys([*stated_plans, *planning])),
                places=self._places(resource),
                performers=self._performers(resource),
                given=tuple(self._given(each, maps) for each in real if each.partition("/")[0] in _USE),
                implants=self._implants(resource, real, told, maps),
                machines=self._machines(resource, settings),
                note="\n".join(filter(None, (text(each, "text") for each in parts(resource, "note")))),
                key=_key(resource),
            ),
            uses=tuple(uses),
            observed=tuple(observed),
            photos=tuple(sorted(photos)),
        )

    def _is_other(self, reference: str) -> bool:
        """Whether it is no part of the session itself: an outcome is judged on photos of several."""
        return reference.startswith("Observation/") and self._others(self._found.resources[reference])

    def _maps_of(self, use: str) -> list[str]:
        return [
            each
            for each, resource in sorted(self._found.resources.items())
            if each.startswith("Observation/") and use in self._found.targets(resource, "partOf")
        ]

    def _named_by_plan(self, plan: Json) -> set[str]:
        activities = list(parts(plan, "activity"))
        return {
            target
            for each in activities
            for path in ("reference", "outcomeReference")
            for target in self._found.targets(each, path)
        }

    def _patient(self, resource: Json) -> str:
        for member in ("subject", "patient"):
            for each in self._found.targets(resource, member):
                if each.startswith("Patient/"):
                    return references.id_of(each)
        return ""

    def _visit(self, resource: Json) -> str | None:
        stated = self._found.targets(resource, "encounter") + self._found.targets(resource, "context")
        return next((each for each in stated if each.startswith("Encounter/")), None)

    def _places(self, resource: Json) -> tuple[Place, ...]:
        found = list(places(resource.get("bodySite")))
        for extension in parts(resource, "extension"):
            if extension.get("url") == _STRUCTURE:
                for target in self._found.targets(extension, "valueReference"):
                    read = structure(self._found.resources.get(target, {}))
                    found += [read] if read is not None else []
        if not found and resource.get("resourceType") in _USE:
            found += filter(None, (place(_dosage(resource).get("site")),))
        return tuple(dict.fromkeys(found))

    def _performers(self, resource: Json) -> tuple[Person, ...]:
        found = []
        for each in parts(resource, "performer"):
            actor = each.get("actor")
            actor = actor if isinstance(actor, Mapping) else {}
            reference = next(iter(self._found.targets({"actor": actor}, "actor")), None)
            known = self._get(actor, resource)
            if reference is not None or text(actor, "display") or known:
                found.append(Person(reference, (known and person_name(known)) or text(actor, "display")))
        return tuple(dict.fromkeys(found))

    def _get(self, reference: Any, container: Json) -> Json | None:
        """What a reference names: on record, or contained."""
        said = text(reference, "reference")
        if said.startswith("#"):
            return next((each for each in parts(container, "contained") if each.get("id") == said[1:]), None)
        target = references.local(said, self._found.base)
        return self._found.resources.get(target) if target is not None else None

    # --- products ---------------------------------------------------------------------------------------------------

    def _given(self, use: str, maps: list[tuple[Json, PointMap]]) -> Given:
        resource = self._found.resources[use]
        dosage = _dosage(resource)
        dose = amount(dosage.get("dose")) or amount(resource.get("quantity"))
        for rate in parts(dosage, "doseAndRate"):
            dose = dose or amount(rate.get("doseQuantity"))
        mine = [each for observed, each in maps if use in self._uses_of(observed)]
        return Given(self._lot(resource), _USE[use.partition("/")[0]], dose, place(dosage.get("site")), tuple(mine))

    def _lot(self, use: Json) -> Lot:
        """What was given: a Medication on record or contained, or a code alone with no lot."""
        stated = use.get("medicationReference")
        medication = self._get(stated, use)
        reference = next(iter(self._found.targets(use, "medicationReference")), None)
        concept = named(use.get("medicationCodeableConcept"))
        if medication is None:
            return Lot(concept if concept != UNNAMED else Named(text(stated, "display")), reference=reference)
        lot, expires = lots_of(medication)[0]
        said = named(medication.get("code"))
        return Lot(said if said != UNNAMED else concept, lot or "", expires or "", reference)

    # --- devices ----------------------------------------------------------------------------------------------------

    def _implants(
        self,
        resource: Json,
        uses: list[str],
        observed: list[Json],
        maps: list[tuple[Json, PointMap]],
    ) -> tuple[Implant, ...]:
        stated: dict[str, tuple[str | None, Json, Place | None]] = {}
        for focal in parts(resource, "focalDevice"):
            self._device(stated, focal.get("manipulated"), resource, None)
        for use in uses:
            if use.startswith("DeviceUseStatement/"):
                body = self._found.resources[use]
                self._device(stated, body.get("device"), body, place(body.get("bodySite")))
        for used in listed(resource.get("usedReference")):
            device = self._get(used, resource)
            if device is not None and device.get("resourceType") == "Device" and _is_left_in(device):
                self._device(stated, used, resource, None)
        made = []
        for reference, device, where in stated.values():
            told = [each for each in observed if reference in self._found.targets(each, "device")]
            used_up = next((each for each in told if AMOUNT_USED in codes(each.get("code"))), None)
            mine = [read for each, read in maps if reference in self._found.targets(each, "device")]
            where = where or next((spot for each in told if (spot := place(each.get("bodySite"))) is not None), None)
            made.append(_implant(reference, device, where, amount((used_up or {}).get("valueQuantity")), tuple(mine)))
        return tuple(made)

    def _device(
        self, stated: dict[str, tuple[str | None, Json, Place | None]], named_: Any, holder: Json, where: Place | None
    ) -> None:
        device = self._get(named_, holder)
        reference = next(iter(self._found.targets({"x": named_}, "x")), None)
        if device is None and reference is None and not text(named_, "display"):
            return
        if device is not None and device.get("resourceType") != "Device":
            return
        key = reference or text(named_, "reference") or text(named_, "display")
        known = stated.get(key)
        shown: Json = device if device is not None else {"deviceName": [{"name": text(named_, "display")}]}
        stated[key] = (reference, shown, where or (known[2] if known else None))

    def _machines(self, resource: Json, observed: list[Json]) -> tuple[Machine, ...]:
        names: dict[str | None, str] = {}
        left_in = {
            target for each in parts(resource, "focalDevice") for target in self._found.targets(each, "manipulated")
        }
        for used in [*listed(resource.get("usedReference")), *listed(resource.get("device"))]:
            device = self._get(used, resource)
            reference = next(iter(self._found.targets({"x": used}, "x")), None)
            kind = (device or {}).get("resourceType") or (reference or "Device/").partition("/")[0]
            if kind == "Device" and reference not in left_in and not (device is not None and _is_left_in(device)):
                name = device_name(device) if device is not None else ""
                names.setdefault(reference, name or text(used, "display"))
        kinds = [named(each).text for each in listed(resource.get("usedCode"))]
        settings: dict[str | None, list[Setting]] = {}
        for each in observed:
            if AMOUNT_USED in codes(each.get("code")):
                continue
            reference = next(iter(self._found.targets(each, "device")), None)
            if reference is not None and reference not in left_in:
                device = self._get(each.get("device"), each)
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


def person_name(resource: Json) -> str:
    """A person's name as it is spoken: the official or usual one, else the first."""
    names = list(parts(resource, "name"))
    if not names:
        return ""
    name = min(names, key=lambda each: {"official": 0, "usual": 1}.get(text(each, "use"), 2))
    if text(name, "text"):
        return text(name, "text")
    words = [*listed(name.get("prefix")), *listed(name.get("given")), name.get("family")]
    return " ".join(word for word in words if isinstance(word, str))


def _implant(
    reference: str | None, device: Json, where: Place | None, used: Amount | None, maps: tuple[PointMap, ...]
) -> Implant:
    lot, expires = lots_of({"resourceType": "Device", **device})[0]
    carrier: Mapping[str, Any] = next(parts(device, "udiCarrier"), {})
    kind = named(device.get("type"))
    return Implant(
        name=kind if kind.code is not None else Named(device_name(device)),
        di=text(carrier, "deviceIdentifier"),
        udi=text(carrier, "carrierHRF"),
        lot=lot or "",
        expires=expires or "",
        serial=text(device, "serialNumber"),
        amount=used,
        place=where,
        maps=maps,
        reference=reference,
    )


def _is_left_in(device: Json) -> bool:
    """A device of a patient, or of a lot: what a machine is not."""
    return "patient" in device or "lotNumber" in device or "expirationDate" in device


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
        system, _, bare = code.rpartition("|")
        if system == SETTINGS and bare in known_settings():
            return Named(said.text if text(concept, "text") else known_settings()[bare].name, code)
    return said


def _value(part: Json) -> Amount | str | None:
    """A value[x] as a setting holds it."""
    read = amount(part.get("valueQuantity"))
    if read is not None:
        return read
    if isinstance(part.get("valueBoolean"), bool):
        return "yes" if part["valueBoolean"] else "no"
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


def _key(resource: Json) -> str:
    found = (text(each, "value") for each in parts(resource, "identifier") if text(each, "system") == KEYS)
    return next(found, "")


def _dosage(resource: Json) -> Json:
    """The first dosage, whatever the resource calls it."""
    for member in ("dosage", "dosageInstruction"):
        for each in parts(resource, member):
            return each
    return {}


def _moment(session: Session) -> float:
    """When it began, to put sessions in order; one without a time comes first."""
    try:
        begun = dates.span(session.start or session.end, _UTC).start
    except ValueError:
        return float("-inf")
    return float("-inf") if begun is None else begun.timestamp()


def _time(resource: Json) -> tuple[str, str]:
    """Start and end as written."""
    for member in ("performedDateTime", "effectiveDateTime", "whenHandedOver", "recordedOn", "timingDateTime"):
        if text(resource, member):
            return text(resource, member), ""
    for member in ("performedPeriod", "effectivePeriod", "timingPeriod"):
        if isinstance(resource.get(member), Mapping):
            return text(resource[member], "start"), text(resource[member], "end")
    return text(resource, "performedString"), ""
