"""Treatments as the record has them, whoever wrote them and in whatever shape.

The one reader: pages, questions about one photo, and the next session all read by it. What belongs to a Procedure is
told by ``belonging``, which Procedures are asked about by ``centres``, and its parts are read by ``products``,
``devices``, ``people``, ``points`` and ``moments``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fhir_mapping import references
from fhir_mapping.resources.session import session_of
from fhir_mapping.treatment import devices, moments, points
from fhir_mapping.treatment.belonging import Belonging
from fhir_mapping.treatment.build import KEYS
from fhir_mapping.treatment.centres import centres, named_by_plan
from fhir_mapping.treatment.elements import VOID, Json, dosage, named, parts, place, places, structure, text
from fhir_mapping.treatment.people import performers
from fhir_mapping.treatment.products import USE_OF, given
from fhir_mapping.treatment.session import UNNAMED, Place, Session
from fhir_mapping.treatment.surroundings import USES, Surroundings

_STRUCTURE = "http://hl7.org/fhir/StructureDefinition/procedure-targetBodyStructure"


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

    @property
    def took_place(self) -> bool:
        """Whether it is under way or done: neither void, nor prepared, nor of unknown state."""
        return not self.void and self.status not in ("preparation", "unknown")


def treatments(found: Surroundings, *, others: Callable[[Json], bool] = lambda _: False) -> tuple[Treated, ...]:
    """The treatments that what was asked about belongs to, in order of time.

    Parameters
    ----------
    others
        Tells Observations that are no settings, such as outcomes.
    """
    belonging = Belonging(found)
    made = [_treated(each, found, belonging, others) for each in sorted(centres(found, belonging))]
    return tuple(sorted(made, key=lambda each: (moments.order(each.session), each.reference)))


def _treated(centre: str, found: Surroundings, belonging: Belonging, others: Callable[[Json], bool]) -> Treated:
    """One treatment with what belongs to it."""
    resource = found.resources[centre]
    belonging_to_it = belonging.of(centre)
    uses = [each for each in belonging_to_it if each.partition("/")[0] in USES]
    real = [each for each in uses if text(found.resources[each], "status") not in VOID or each == centre]
    observed = [each for each in belonging_to_it if each.startswith("Observation/")]
    told = [found.resources[each] for each in observed]
    told = [each for each in told if text(each, "status") not in VOID]
    maps = [(each, read) for each in told if (read := points.read(each, found.base)) is not None]
    settings = [each for each in told if not points.is_map(each) and not others(each)]
    # An outcome is no part of the session itself: it is judged on photos of several.
    own = [each for each in (centre, *belonging_to_it)
           if not (each.startswith("Observation/") and others(found.resources[each]))]  # fmt: skip
    start, end = moments.stated(resource)
    is_procedure = centre.startswith("Procedure/")
    return Treated(
        reference=centre,
        status=text(resource, "status"),
        session=Session(
            patient=_patient(found, resource),
            title=named(resource.get("code")) if is_procedure else UNNAMED,
            start=start,
            end=end,
            encounter=_visit(found, resource),
            number=session_of(resource) if is_procedure else None,
            plans=_plans(found, centre, resource),
            places=_places(found, resource),
            performers=performers(found, resource),
            given=tuple(
                given(found, each, [read for observation, read in maps if each in belonging.uses_of(observation)])
                for each in real
                if each.partition("/")[0] in USE_OF
            ),
            implants=devices.implants(found, resource, real, told, maps),
            machines=devices.machines(found, resource, settings),
            note="\n".join(filter(None, (text(each, "text") for each in parts(resource, "note")))),
            key=_key(resource),
        ),
        uses=tuple(uses),
        observed=tuple(observed),
        photos=tuple(sorted({photo for each in own for photo in found.documents.get(each, ())})),
    )


def _plans(found: Surroundings, centre: str, resource: Json) -> tuple[str, ...]:
    """The plans that a session names, and those that name it."""
    stated = [each for each in found.targets(resource, "basedOn") if each.startswith("CarePlan/")]
    naming = [
        each
        for each, plan in sorted(found.resources.items())
        if each.startswith("CarePlan/") and centre in named_by_plan(found, plan)
    ]
    return tuple(dict.fromkeys([*stated, *naming]))


def _patient(found: Surroundings, resource: Json) -> str:
    for member in ("subject", "patient"):
        for each in found.targets(resource, member):
            if each.startswith("Patient/"):
                return references.id_of(each)
    return ""


def _visit(found: Surroundings, resource: Json) -> str | None:
    stated = found.targets(resource, "encounter") + found.targets(resource, "context")
    return next((each for each in stated if each.startswith("Encounter/")), None)


def _places(found: Surroundings, resource: Json) -> tuple[Place, ...]:
    made = list(places(resource.get("bodySite")))
    for extension in parts(resource, "extension"):
        if extension.get("url") == _STRUCTURE:
            for target in found.targets(extension, "valueReference"):
                read = structure(found.resources.get(target, {}))
                made += [read] if read is not None else []
    if not made and resource.get("resourceType") in USE_OF:
        made += filter(None, (place(dosage(resource).get("site")),))
    return tuple(dict.fromkeys(made))


def _key(resource: Json) -> str:
    found = (text(each, "value") for each in parts(resource, "identifier") if text(each, "system") == KEYS)
    return next(found, "")
