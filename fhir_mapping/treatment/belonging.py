"""Which uses and Observations belong to which Procedure, at whichever end that is said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_mapping.treatment.elements import VOID, Json, codes, dosage, parts, place, places, text
from fhir_mapping.treatment.settings import SETTINGS
from fhir_mapping.treatment.surroundings import USES, Surroundings


class Belonging:
    """What is part of what, among the resources that were found."""

    def __init__(self, found: Surroundings) -> None:
        self._found = found
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

    def of(self, centre: str) -> list[str]:
        """What is part of a Procedure; of a use without one, the use itself and its points."""
        if centre.startswith("Procedure/"):
            return self._of.get(centre, [])
        maps = [
            each
            for each, resource in sorted(self._found.resources.items())
            if each.startswith("Observation/") and centre in self._found.targets(resource, "partOf")
        ]
        return [centre, *maps]

    def homes(self, wanted: Iterable[str]) -> set[str]:
        """The Procedures that resources belong to; a use that belongs to none is one by itself."""
        made: set[str] = set()
        for each in wanted:
            if each.startswith("Procedure/") and each in self._found.resources:
                made.add(each)
            elif each in self._home:
                made.update(self._home[each])
            elif each.startswith("Observation/"):
                made |= self.homes(self.uses_of(self._found.resources.get(each, {})))
            elif each in self._found.resources and each.partition("/")[0] in USES:
                made.add(each)
        return made

    def uses_of(self, observed: Json) -> list[str]:
        """The uses that an Observation is part of."""
        return [each for each in self._found.targets(observed, "partOf") if each.partition("/")[0] in USES]

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
            for use in self.uses_of(resource):
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

    def _place_orphans(self) -> None:
        """What names the visit alone belongs to the visit's one Procedure, or to the one that treated its area."""
        by_visit: dict[str, list[str]] = {}
        for reference, resource in sorted(self._found.resources.items()):
            if reference.startswith("Procedure/") and text(resource, "status") not in VOID:
                for visit in self._found.targets(resource, "encounter"):
                    by_visit.setdefault(visit, []).append(reference)
        for reference, resource in sorted(self._found.resources.items()):
            kind = reference.partition("/")[0]
            if reference in self._home or not (kind in USES or (kind == "Observation" and _is_setting(resource))):
                continue
            if kind == "Observation" and self.uses_of(resource):
                continue
            visits = self._found.targets(resource, "context") + self._found.targets(resource, "encounter")
            candidates = [each for visit in visits for each in by_visit.get(visit, ())]
            if len(candidates) > 1:
                own = _regions(resource)
                candidates = [each for each in candidates if own & _regions(self._found.resources[each])]
            if len(candidates) == 1:
                self._of.setdefault(candidates[0], []).append(reference)
                self._home[reference] = candidates


def _regions(resource: Json) -> set[tuple[str, Any]]:
    where = [*places(resource.get("bodySite")), *filter(None, (place(dosage(resource).get("site")),))]
    return {(each.region.code or each.region.text.lower(), each.side) for each in where}


def _is_setting(observed: Json) -> bool:
    """Whether an Observation that is part of nothing is told by its codes to hold settings of a machine."""
    mine = [*codes(observed.get("code"))]
    for component in parts(observed, "component"):
        mine += codes(component.get("code"))
    return any(each.startswith(f"{SETTINGS}|") for each in mine)
