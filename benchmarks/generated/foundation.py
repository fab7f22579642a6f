"""What is there before the first patient: the hospital, its people, machines, and a Medication for each lot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.generated.products import PRODUCTS, Kind, Lot, Product
from consent.site import Site

SITE = Site(
    organization="clinic",
    time_zone="Europe/Athens",
    channels=frozenset({"instagram", "tiktok"}),
    projects=frozenset({"scars"}),
)
BASE = "https://photospine.example/fhir"
CLINICIANS = tuple(f"Practitioner/d{number}" for number in range(24))
PHOTOGRAPHERS = tuple(f"Practitioner/g{number}" for number in range(6))
MACHINES = tuple(f"Device/laser{number}" for number in range(12))

ROOMS = tuple(f"Location/room{number}" for number in range(8))
FAMILY = ("Demou", "Dokimou", "Paradeigma", "Example", "Muster", "Specimen", "Probe", "Template", "Vorlage", "Modelo")


def foundation(lots: Mapping[Kind, Iterable[Lot]]) -> list[dict[str, Any]]:
    """The resources, each before what names it."""
    made: list[dict[str, Any]] = [
        {"resourceType": "Organization", "id": "group", "name": "Example group"},
        {
            "resourceType": "Organization",
            "id": SITE.organization,
            "name": "Example clinic",
            "partOf": {"reference": "Organization/group"},
        },
    ]
    made += [
        {"resourceType": "Location", "id": each.rpartition("/")[2], "status": "active", "name": f"Room {number}"}
        for number, each in enumerate(ROOMS, start=1)
    ]
    for number, each in enumerate((*CLINICIANS, *PHOTOGRAPHERS)):
        identity = each.rpartition("/")[2]
        made.append(
            {
                "resourceType": "Practitioner",
                "id": identity,
                "identifier": [{"system": "urn:example:staff", "value": identity}],
                "name": [{"family": FAMILY[number % len(FAMILY)], "given": [f"Member {number}"]}],
            }
        )
        made.append(
            {
                "resourceType": "PractitionerRole",
                "id": f"role-{identity}",
                "active": True,
                "practitioner": {"reference": each},
                "organization": {"reference": f"Organization/{SITE.organization}"},
            }
        )
    for number, each in enumerate(MACHINES):
        made.append(
            {
                "resourceType": "Device",
                "id": each.rpartition("/")[2],
                "status": "active",
                "serialNumber": f"M{number:04}",
                "type": {"coding": [{"system": PRODUCTS, "code": "laser"}], "text": "Laser"},
                "deviceName": [{"name": f"Laser {number}", "type": "user-friendly-name"}],
            }
        )
    made += [
        medication(lot) | {"id": lot.medication, "status": "active"}
        for kind in (Kind.TOXIN, Kind.TOPICAL)
        for lot in lots[kind]
    ]
    return made


def medication(lot: Lot, written: str | None = None) -> dict[str, Any]:
    """A Medication of a lot, by itself or contained.

    Parameters
    ----------
    written
        The lot as somebody wrote it down; None: as it is printed.
    """
    return {
        "resourceType": "Medication",
        "code": concept(lot.product),
        "batch": {"lotNumber": lot.text if written is None else written, "expirationDate": lot.expiry},
    }


def concept(product: Product) -> dict[str, Any]:
    """The CodeableConcept of a product."""
    return {"coding": [{"system": PRODUCTS, "code": product.code}], "text": product.name}
