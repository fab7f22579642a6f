"""A session as a transaction Bundle: Procedure, and what was given, left in the body, set and mapped.

A lot is one Medication, found by its identifier or made (R4 If-None-Exist). A session's plan goes in
``Procedure.basedOn``: R4 lets ``partOf`` name no CarePlan.
"""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from fhir_mapping.resources.session import session_extension
from fhir_mapping.treatment import points
from fhir_mapping.treatment.elements import concept, quantity, site, system_and_code
from fhir_mapping.treatment.session import (
    UNNAMED,
    Amount,
    Given,
    Implant,
    Lot,
    Machine,
    Person,
    Place,
    PointMap,
    Session,
    Use,
)
from fhir_mapping.treatment.settings import AMOUNT_USED, DEVICE_SETTINGS
from fhir_mapping.udi import parse as udi
from fhir_mapping.udi.identifier import UdiError

LOTS = "urn:photospine:lot"
"""Identifier system: a product in one lot, by a digest of product, lot and expiry."""

KEYS = "urn:photospine:session-key"
"""Identifier system of a Procedure: :attr:`Session.key`."""

PROCEDURE_URL = "urn:photospine:session:procedure"
"""fullUrl of the session's Procedure in the Bundle."""

_ACTIONS = "http://hl7.org/fhir/device-action"
Fresh = Callable[[], str]


def transaction(session: Session, fresh: Fresh = lambda: str(uuid.uuid4())) -> dict[str, Any]:
    """The Bundle.

    Parameters
    ----------
    session
        References in it are to resources that are on record.
    fresh
        Makes the names by which entries of the Bundle call each other.
    """
    made = _Made(session, fresh)
    made.procedure()
    for given in session.given:
        made.given(given)
    for implant in session.implants:
        made.implant(implant)
    for machine in session.machines:
        made.machine(machine)
    return {"resourceType": "Bundle", "type": "transaction", "entry": made.entries}


def lot_identifier(lot: Lot) -> str:
    """The identifier by which the same product in the same lot is found again."""
    said = "\x1f".join((lot.name.code or lot.name.text.strip().casefold(), lot.lot.strip(), lot.expires))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


@dataclass
class _Made:
    session: Session
    fresh: Fresh
    _procedure: dict[str, Any] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, resource: dict[str, Any], url: str | None = None, condition: str | None = None) -> str:
        url = url or f"urn:uuid:{self.fresh()}"
        request = {"method": "POST", "url": resource["resourceType"]}
        if condition is not None:
            request["ifNoneExist"] = condition
        self.entries.append({"fullUrl": url, "resource": resource, "request": request})
        return url

    def procedure(self) -> None:
        session = self.session
        made: dict[str, Any] = {
            "resourceType": "Procedure",
            "status": "completed",
            "subject": {"reference": f"Patient/{session.patient}"},
        }
        if session.key:
            made["identifier"] = [{"system": KEYS, "value": session.key}]
        if session.number is not None:
            made["extension"] = [session_extension(session.number)]
        if session.plans:
            made["basedOn"] = [{"reference": each} for each in session.plans]
        if session.title != UNNAMED:
            made["code"] = concept(session.title)
        if session.encounter is not None:
            made["encounter"] = {"reference": session.encounter}
        if session.end:
            made["performedPeriod"] = ({"start": session.start} if session.start else {}) | {"end": session.end}
        elif session.start:
            made["performedDateTime"] = session.start
        if session.performers:
            made["performer"] = self._performers()
        if session.places:
            made["bodySite"] = [site(each) for each in session.places]
        if session.note:
            made["note"] = [{"text": session.note}]
        self.add(made, PROCEDURE_URL)
        self._procedure = made

    def given(self, given: Given) -> None:
        medication = self._medication(given.product)
        made: dict[str, Any] = {
            "resourceType": {
                Use.GIVEN: "MedicationAdministration",
                Use.HANDED: "MedicationDispense",
                Use.HOME: "MedicationStatement",
            }[given.use],
            "status": "active" if given.use is Use.HOME else "completed",
            "partOf": [{"reference": PROCEDURE_URL}],
            "medicationReference": {"reference": medication},
            "subject": {"reference": f"Patient/{self.session.patient}"},
        }
        if self.session.encounter is not None:
            made["context"] = {"reference": self.session.encounter}
        dosage: dict[str, Any] = {}
        if given.place is not None:
            dosage["site"] = site(given.place)
        if given.use is Use.GIVEN:
            made |= self._when("effective")
            if self.session.performers:
                made["performer"] = self._performers()
            if given.dose is not None:
                dosage["dose"] = quantity(given.dose)
            elif dosage:
                dosage["text"] = "Dose not recorded"  # R4 mad-1: a dosage has a dose or a rate
            if dosage:
                made["dosage"] = dosage
        else:
            if given.use is Use.HANDED and given.dose is not None:
                made["quantity"] = quantity(given.dose)
            if given.use is Use.HANDED and self.session.start:
                made["whenHandedOver"] = self.session.start
            if given.use is Use.HOME:
                made |= self._when("effective")
                if given.dose is not None:
                    dosage["doseAndRate"] = [{"doseQuantity": quantity(given.dose)}]
            if dosage:
                made["dosage" if given.use is Use.HOME else "dosageInstruction"] = [dosage]
        url = self.add(made)
        self._maps(given.maps, given.place, part_of=url)

    def implant(self, implant: Implant) -> None:
        device = implant.reference
        if device is None:
            made: dict[str, Any] = {
                "resourceType": "Device",
                "status": "active",
                "patient": {"reference": f"Patient/{self.session.patient}"},
            }
            if implant.udi or implant.di:
                made["udiCarrier"] = [_carrier(implant)]
            for member, value in (
                ("lotNumber", implant.lot),
                ("expirationDate", implant.expires),
                ("serialNumber", implant.serial),
            ):
                if value:
                    made[member] = value
            if implant.name.code is not None:
                made["type"] = concept(implant.name)
            elif implant.name.text:
                made["deviceName"] = [{"name": implant.name.text, "type": "user-friendly-name"}]
            device = self.add(made)
        self._procedure.setdefault("focalDevice", []).append(
            {
                "action": {"coding": [{"system": _ACTIONS, "code": "implanted"}]},
                "manipulated": {"reference": device},
            }
        )
        if implant.amount is not None:
            self._observe(AMOUNT_USED, "Amount used", implant.place, device, implant.amount)
        self._maps(implant.maps, implant.place, part_of=PROCEDURE_URL, device=device)

    def machine(self, machine: Machine) -> None:
        device = machine.reference
        if device is not None:
            self._procedure.setdefault("usedReference", []).append({"reference": device})
        elif machine.name:
            self._procedure.setdefault("usedCode", []).append({"text": machine.name})
        if machine.settings:
            components = []
            for each in machine.settings:
                value: dict[str, Any] = (
                    {"valueString": each.value}
                    if isinstance(each.value, str)
                    else {"valueQuantity": quantity(each.value)}
                )
                components.append({"code": concept(each.name), **value})
            self._observe(DEVICE_SETTINGS, "Device settings", None, device, components=components)

    def _medication(self, lot: Lot) -> str:
        if lot.reference is not None:
            return lot.reference
        identifier = lot_identifier(lot)
        named = [{"system": LOTS, "value": identifier}]
        if lot.di:
            system, value = system_and_code(lot.di)
            named.append({"system": system, "value": value})
        made: dict[str, Any] = {
            "resourceType": "Medication",
            "identifier": named,
            "status": "active",
            "code": concept(lot.name),
        }
        batch = ({"lotNumber": lot.lot} if lot.lot else {}) | ({"expirationDate": lot.expires} if lot.expires else {})
        if batch:
            made["batch"] = batch
        for entry in self.entries:
            if entry["resource"].get("identifier", [])[:1] == named[:1]:
                return str(entry["fullUrl"])
        return self.add(made, condition=f"identifier={quote(f'{LOTS}|{identifier}', safe='')}")

    def _observe(
        self,
        code: str,
        text: str,
        where: Place | None,
        device: str | None,
        value: Amount | None = None,
        components: Sequence[dict[str, Any]] = (),
    ) -> None:
        system, bare = system_and_code(code)
        made: dict[str, Any] = {
            "resourceType": "Observation",
            "status": "final",
            "partOf": [{"reference": PROCEDURE_URL}],
            "code": {"coding": [{"system": system, "code": bare}], "text": text},
            **self._about(),
        }
        if where is not None:
            made["bodySite"] = site(where)
        if device is not None:
            made["device"] = {"reference": device}
        if value is not None:
            made["valueQuantity"] = quantity(value)
        if components:
            made["component"] = list(components)
        self.add(made)

    def _maps(self, maps: Sequence[PointMap], where: Place | None, *, part_of: str, device: str | None = None) -> None:
        for each in maps:
            made = points.observation(each) | {"partOf": [{"reference": part_of}], **self._about()}
            if where is not None:
                made["bodySite"] = site(where)
            if device is not None:
                made["device"] = {"reference": device}
            self.add(made)

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"subject": {"reference": f"Patient/{self.session.patient}"}}
        if self.session.encounter is not None:
            about["encounter"] = {"reference": self.session.encounter}
        return about | self._when("effective")

    def _when(self, stem: str) -> dict[str, Any]:
        if self.session.end:
            return {
                f"{stem}Period": ({"start": self.session.start} if self.session.start else {})
                | {"end": self.session.end}
            }
        return {f"{stem}DateTime": self.session.start} if self.session.start else {}

    def _performers(self) -> list[dict[str, Any]]:
        return [{"actor": _actor(each)} for each in self.session.performers]


def _carrier(implant: Implant) -> dict[str, Any]:
    """The UDI: what can be printed as such; what a scanner gave, with its separators, in base64 (R4 carrierAIDC)."""
    made: dict[str, Any] = {"deviceIdentifier": implant.di} if implant.di else {}
    if not implant.udi:
        return made
    with suppress(UdiError):  # it is kept as it was typed
        made["issuer"] = udi.parse(implant.udi).issuer.value
    if implant.udi.isprintable():
        return made | {"carrierHRF": implant.udi}
    return made | {"carrierAIDC": base64.b64encode(implant.udi.encode()).decode()}


def _actor(person: Person) -> dict[str, Any]:
    named = {"reference": person.reference} if person.reference is not None else {}
    return named | ({"display": person.name} if person.name else {})
