"""The answer by reading every resource, photo by photo: written from the documentation and not from the index.

It knows nothing of tables. Where the product walks from a changed resource to photos, this walks from each photo to
everything that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from consent.regions import regions
from fhir_mapping import dates

Json = Mapping[str, Any]
Record = Mapping[tuple[str, str], Json]

_VOID = {"entered-in-error", "not-done", "cancelled", "declined", "not-taken"}
_USES = {"MedicationAdministration", "MedicationDispense", "MedicationStatement", "DeviceUseStatement"}
_BEST_FIRST = ["very-much-improved", "much-improved", "improved", "no-change", "worse"]
_ZONE = ZoneInfo("Europe/Athens")


def is_asked_for(record: Record, document: Json, question: Mapping[str, list[str]], shown: set[str]) -> bool:
    """Whether a photo meets every facet.

    Parameters
    ----------
    shown
        The patients in the photo, all records of each after merges.
    """
    sees = _Sees(record, document)
    return all(_meets(sees, facet, values, question, shown) for facet, values in question.items())


def tokens(record: Record, document: Json, facet: str) -> set[str]:
    """What a photo is counted under."""
    sees = _Sees(record, document)
    if facet == "area":
        return {whole.code for code, _ in sees.regions() for whole in _upwards(code)} | {
            code for code, _ in sees.regions() if regions().by_code(code) is None
        } or {"|none"}
    if facet == "session":
        return {str(each) for each in sees.sessions()}
    if facet == "lot":
        return set(sees.lots())
    if facet == "outcome":
        return {f"{what}${grade}${rater or '-'}" for what, grade, rater in sees.judgements()}
    if facet == "setting":
        return {f"{code}${amount.normalize():f}${unit}" for code, amount, unit in sees.settings()}
    if facet in ("clinician", "photographer"):
        return sees.clinicians() if facet == "clinician" else sees.photographers()
    if facet == "plan":
        return sees.plans()
    if facet == "side":
        return {side for code, _ in sees.regions() for side in sees.sides_of(code)}
    found = {"view": sees.views, "expression": sees.faces, "treatment": sees.kinds, "product": sees.things}[facet]
    return {f"{system}|{code}" for system, code, named in found() if not named}


def _meets(sees: _Sees, facet: str, values: list[str], question: Mapping[str, list[str]], shown: set[str]) -> bool:
    if facet == "patient":
        return bool(shown & set(values))
    if facet == "area" and values == ["none"]:
        return not sees.regions()
    if facet in ("area", "side"):
        areas, sides = question.get("area", []), question.get("side", [])
        return any(
            (not areas or _is_in(code, area)) and (not sides or side in sees.sides_of(area if areas else code))
            for code, _ in sees.regions()
            for area in (areas or [code])
            for side in (sides or [""])
        )
    if facet == "session":
        return bool({str(each) for each in sees.sessions()} & set(values))
    if facet == "lot":
        return bool(set(sees.lots()) & set(values))
    if facet in ("clinician", "photographer"):
        people = sees.clinicians() if facet == "clinician" else sees.photographers()
        return any((each if "/" in each else f"Practitioner/{each}") in people for each in values)
    if facet == "plan":
        return any((each if "/" in each else f"CarePlan/{each}") in sees.plans() for each in values)
    if facet == "taken":
        return any(_began_in(sees.document, each) for each in values)
    if facet == "setting":
        settings = list(sees.settings())
        named = {each.partition("$")[0] for each in values}
        return all(any(_is_set(settings, each) for each in values if each.startswith(f"{name}$")) for name in named)
    if facet == "outcome":
        return any(_is_judged(sees, each) for each in values)
    found = {"view": sees.views, "expression": sees.faces, "treatment": sees.kinds, "product": sees.things}[facet]
    return any(_is_token(each, entry) for each in values for entry in found())


class _Sees:
    """What can be seen from one photo."""

    def __init__(self, record: Record, document: Json) -> None:
        self.record, self.document = record, document
        self.me = f"DocumentReference/{document['id']}"

    def regions(self) -> list[tuple[str, str]]:
        found = []
        for extension in self.document.get("extension", []):
            if extension["url"] == "urn:photospine:photo-region":
                parts = {each["url"]: each for each in extension["extension"]}
                coding = parts["code"]["valueCodeableConcept"]["coding"][0]
                side = parts.get("laterality", {}).get("valueCode", "B")
                found.append((f"{coding['system']}|{coding['code']}", side))
        return found

    def sides_of(self, area: str) -> set[str]:
        """The sides of a region that show in its parts, too."""
        sides = {side for code, side in self.regions() if _is_in(code, area)}
        return {"R", "L", "B"} if "B" in sides or {"R", "L"} <= sides else sides

    def treatments(self) -> list[Json]:
        """The Procedures that the photo names, or that name it."""
        named = set(_targets(self.document))
        return [
            each
            for (kind, identity), each in self.record.items()
            if kind == "Procedure" and (f"Procedure/{identity}" in named or self.me in set(_targets(each)))
        ]

    def done(self) -> list[Json]:
        return [each for each in self.treatments() if each.get("status") not in _VOID]

    def parts(self) -> list[Json]:
        """Uses and Observations that belong to the photo's treatments, to its visit, or that it names itself."""
        visit = self.document["context"]["encounter"][0]["reference"]
        found: dict[tuple[str, str], Json] = {}
        for key, each in self._uses():
            name = f"{key[0]}/{key[1]}"
            treated = self._treatments_of(name, each)
            own = {f"Procedure/{one['id']}" for one in self.done()}
            at = each.get("context", {}).get("reference") == visit and not self._any_treatment(name, each)
            if treated & own or at or name in set(_targets(self.document)):
                found[key] = each
        for key, each in self.record.items():
            if key[0] == "Observation":
                part_of = {one["reference"] for one in each.get("partOf", [])}
                holders = {f"Procedure/{one['id']}" for one in self.done()} | {f"{a}/{b}" for a, b in found}
                if part_of & holders:
                    found[key] = each
        return [each for each in found.values() if each.get("status") not in _VOID]

    def _uses(self) -> Iterator[tuple[tuple[str, str], Json]]:
        return ((key, each) for key, each in self.record.items() if key[0] in _USES)

    def _treatments_of(self, name: str, use: Json) -> set[str]:
        found = {one["reference"] for one in use.get("partOf", []) if one["reference"].startswith("Procedure/")}
        for (kind, identity), each in self.record.items():
            if kind == "Procedure" and name in {one["reference"] for one in each.get("partOf", [])}:
                found.add(f"Procedure/{identity}")
        return found

    def _any_treatment(self, name: str, use: Json) -> bool:
        return bool(self._treatments_of(name, use))

    def sessions(self) -> set[int]:
        return {
            extension["valuePositiveInt"]
            for each in (self.document, *self.done())
            for extension in each.get("extension", [])
            if extension["url"] == "urn:photospine:session"
        }

    def clinicians(self) -> set[str]:
        found = {each["reference"] for each in self.document.get("author", [])[:1]}
        return found | {one["actor"]["reference"] for each in self.done() for one in each.get("performer", [])}

    def photographers(self) -> set[str]:
        """The first performer of the first Provenance that has one."""
        for (kind, _), each in sorted(self.record.items()):
            if kind == "Provenance" and self.me in {one["reference"] for one in each["target"]}:
                for agent in each["agent"]:
                    if agent["type"]["coding"][0]["code"] == "performer":
                        return {agent["who"]["reference"]}
        return set()

    def plans(self) -> set[str]:
        found = {each for each in _targets(self.document) if each.startswith("CarePlan/")}
        for each in self.treatments():
            found |= {one["reference"] for one in each.get("basedOn", [])}
            found |= {one["reference"] for one in each.get("partOf", []) if one["reference"].startswith("Procedure/")}
            mine = f"Procedure/{each['id']}"
            found |= {
                f"CarePlan/{identity}"
                for (kind, identity), plan in self.record.items()
                if kind == "CarePlan"
                and mine in {one["outcomeReference"][0]["reference"] for one in plan.get("activity", [])}
            }
        return found

    def views(self) -> list[tuple[str, str, bool]]:
        return self._extended("urn:photospine:view")

    def faces(self) -> list[tuple[str, str, bool]]:
        return self._extended("urn:photospine:expression")

    def _extended(self, url: str) -> list[tuple[str, str, bool]]:
        return [
            each
            for extension in self.document.get("extension", [])
            if extension["url"] == url
            for each in _codes(extension["valueCodeableConcept"])
        ]

    def kinds(self) -> list[tuple[str, str, bool]]:
        return [each for one in self.done() for each in _codes(one["code"])]

    def products(self) -> list[Json]:
        """Everything given or used, and what it is mixed of."""
        pending: list[tuple[Json, Json]] = []
        for each in (*self.done(), *self.parts()):
            if each["resourceType"] == "Observation":
                continue
            named = [each.get("medicationReference"), *each.get("usedReference", [])]
            named += [one["manipulated"] for one in each.get("focalDevice", [])]
            pending += [(one, each) for one in named if one]
        found: dict[str, Json] = {}
        while pending:
            node, holder = pending.pop()
            said = node["reference"]
            if said.startswith("#"):
                product: Json | None = next(one for one in holder["contained"] if f"#{one['id']}" == said)
            else:
                kind, _, identity = said.partition("/")
                product = self.record.get((kind, identity))
            if product is None:
                continue
            key = f"{holder['id']}{said}" if said.startswith("#") else said
            if key not in found:
                found[key] = product
                pending += [(one["itemReference"], product) for one in product.get("ingredient", [])]
        return list(found.values())

    def things(self) -> list[tuple[str, str, bool]]:
        found = [each for one in self.parts() for each in _codes(one.get("medicationCodeableConcept") or {})]
        for each in self.products():
            coded = _codes(each.get("code") or each.get("type") or {})
            found += coded
            found += [("", name["name"], bool(coded)) for name in each.get("deviceName", [])]
            found += [("", carrier["deviceIdentifier"], False) for carrier in each.get("udiCarrier", [])]
        return found

    def lots(self) -> Iterator[str]:
        for each in self.products():
            if "batch" in each:
                yield each["batch"]["lotNumber"]
            if "lotNumber" in each:
                yield each["lotNumber"]
            for carrier in each.get("udiCarrier", []):
                yield carrier["carrierHRF"].rpartition("(10)")[2]
        for each in self.parts():
            if each["resourceType"] == "Observation" and "valueString" in each:
                yield each["valueString"]

    def settings(self) -> Iterator[tuple[str, Decimal, str]]:
        for each in self.parts():
            for part in each.get("component", []) if each["resourceType"] == "Observation" else []:
                coding, quantity = part["code"]["coding"][0], part["valueQuantity"]
                yield f"{coding['system']}|{coding['code']}", Decimal(str(quantity["value"])), quantity["code"]

    def judgements(self) -> Iterator[tuple[str, str, str]]:
        for (kind, _), each in self.record.items():
            judged = {one["reference"] for one in each.get("derivedFrom", [])} if kind == "Observation" else set()
            if self.me in judged and each.get("status") not in _VOID:
                what, grade = each["code"]["coding"][0], each["valueCodeableConcept"]["coding"][0]["code"]
                who = each.get("performer", [{"reference": "?"}])[0]["reference"].partition("/")[0]
                rater = {"Patient": "patient", "Practitioner": "investigator"}.get(who, "")
                yield f"{what['system']}|{what['code']}", grade, rater
                # and in the clinic's own words, which these are the same as
                yield f"urn:photospine:outcome|{what['code']}", grade, rater


def _codes(concept: Json) -> list[tuple[str, str, bool]]:
    """System, code, and whether it is only what a coded thing is called."""
    coded = [(each.get("system", ""), each["code"], False) for each in concept.get("coding", [])]
    return coded + ([("", concept["text"], bool(coded))] if "text" in concept else [])


def _is_token(asked: str, entry: tuple[str, str, bool]) -> bool:
    system, bar, code = asked.rpartition("|")
    return entry[1] == code and (not bar or entry[0] == system)


def _is_in(code: str, area: str) -> bool:
    """Whether a region is an area or a part of it."""
    if "|" not in area:
        area = next(each.code for each in regions() if each.name == area)
    return regions().includes(area, code) or _same(area, code)


def _same(one: str, other: str) -> bool:
    known = regions().by_code(one)
    return known is not None and known == regions().by_code(other)


def _upwards(code: str) -> list[Any]:
    return [each for each in regions() if regions().includes(each.code, code)]


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for each in node.values():
            yield from _targets(each)
    elif isinstance(node, list):
        for each in node:
            yield from _targets(each)


def _began_in(document: Json, asked: str) -> bool:
    taken = document["context"].get("period", {}).get("start")
    if taken is None:
        return False
    moment = dates.span(taken, _ZONE).start
    first, dots, last = asked.partition("..")
    far = datetime(9999, 1, 1, tzinfo=UTC)
    start = dates.span(first, _ZONE).start if first else datetime(1, 1, 1, tzinfo=UTC)
    end = dates.span(last or first, _ZONE).end if (last or not dots) else far
    assert moment is not None
    assert start is not None
    assert end is not None
    return start <= moment < end


def _is_set(settings: list[tuple[str, Decimal, str]], asked: str) -> bool:
    name, ends, unit = asked.split("$")
    low, dots, high = ends.partition("..")
    least = Decimal(low) if low else Decimal("-Infinity")
    most = Decimal(high) if high else Decimal("Infinity") if dots else least
    return any(
        (code == name or ("|" not in name and code.rpartition("|")[2] == name)) and of == unit and least <= at <= most
        for code, at, of in settings
    )


def _is_judged(sees: _Sees, asked: str) -> bool:
    what, grade, rater = [*asked.split("$"), "", ""][:3]
    better = grade.endswith("..")
    grade = grade.removesuffix("..")
    good = set(_BEST_FIRST[: _BEST_FIRST.index(grade) + 1]) if better else {grade}
    return any(
        (not what or said == what or said.rpartition("|")[2] == what)
        and (not grade or given in good)
        and (rater in ("", who) or (rater == "-" and not who))
        for said, given, who in sees.judgements()
    )
