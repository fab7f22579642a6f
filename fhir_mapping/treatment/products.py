"""What was given, handed over or used at home, from which lot."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_mapping.search.index import lots_of
from fhir_mapping.treatment.elements import Json, amount, dosage, named, parts, place, text
from fhir_mapping.treatment.session import UNNAMED, Given, Lot, Named, PointMap, Use
from fhir_mapping.treatment.surroundings import Surroundings
from fhir_mapping.udi.identifier import Issuer

USE_OF = {
    "MedicationAdministration": Use.GIVEN,
    "MedicationDispense": Use.HANDED,
    "MedicationStatement": Use.HOME,
}


def given(found: Surroundings, use: str, maps: Sequence[PointMap]) -> Given:
    """One product in one area.

    Parameters
    ----------
    use
        ``MedicationAdministration/…``, ``MedicationDispense/…`` or ``MedicationStatement/…``.
    maps
        Its injection points.
    """
    resource = found.resources[use]
    told = dosage(resource)
    dose = amount(told.get("dose")) or amount(resource.get("quantity"))
    for rate in parts(told, "doseAndRate"):
        dose = dose or amount(rate.get("doseQuantity"))
    return Given(_lot(found, resource), USE_OF[use.partition("/")[0]], dose, place(told.get("site")), tuple(maps))


def _lot(found: Surroundings, use: Json) -> Lot:
    """What was given: a Medication on record or contained, or a code alone with no lot."""
    stated = use.get("medicationReference")
    medication = found.get(stated, use)
    reference = found.target(stated)
    concept = named(use.get("medicationCodeableConcept"))
    if medication is None:
        return Lot(concept if concept != UNNAMED else Named(text(stated, "display")), reference=reference)
    lot, expires = lots_of(medication)[0]
    said = named(medication.get("code"))
    said = said if said != UNNAMED else concept
    name = said if said != UNNAMED else Named(text(stated, "display"))
    return Lot(name, lot or "", expires or "", _device_identifier(medication), reference)


def _device_identifier(medication: Json) -> str:
    """The UDI device identifier of a pack, ``system|value``."""
    systems = {each.value for each in Issuer}
    found = (
        f"{text(each, 'system')}|{text(each, 'value')}"
        for each in parts(medication, "identifier")
        if text(each, "system") in systems and text(each, "value")
    )
    return next(found, "")
