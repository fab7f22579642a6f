"""The visits that photos from before belong to: one that the record has, else a historical one made for them.

A historical visit is an Encounter of one patient and one day, or of a day that nobody knows. Its id follows from these,
so that an import that goes on finds it again. Where the record has several visits of that day, which of them it was is
not guessed: the photos are of the historical one, and a person may link them otherwise.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Engine

from consent.store.engine import transaction
from consent.store.versions import group, lock
from consent.wording import worded
from fhir_mapping.resources.people import visit_facts
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.reader import existing
from fhir_mapping.store.record import Made, RecordStore

HISTORICAL = "urn:photospine:historical-visit"
"""System of the identifier that a historical visit has."""

KNOWN_BY_PHOTOS = worded("Visit known by its photographs alone")
"""What a historical visit is called."""

_NEVER_WAS = frozenset({"cancelled", "entered-in-error", "planned"})


@dataclass(frozen=True, slots=True)
class Stay:
    """The visit that photos of one day are of."""

    visit: str
    """Id of the Encounter."""

    patient: str
    """Id of its Patient, who may be the same person under another record."""

    made: bool
    """Whether it is a historical one, which is there or will be made."""


@dataclass(slots=True)
class Visits:
    """Finds visits, and makes the historical ones. For one import."""

    store: RecordStore
    site_key: bytes
    _known: dict[str, list[tuple[str, str, date | None]]] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)

    def of_day(self, connection: Connection, patient: str, day: date | None) -> Stay:
        """The visit of a patient on a day; None: of a day that nobody knows."""
        if patient not in self._known:
            self._known[patient] = self._all(connection, group(connection, [patient]))
        found = [] if day is None else [each for each in self._known[patient] if each[2] == day]
        historical = self.historical(patient, day)
        real = [each for each in found if each[0] != historical]
        if len(real) == 1:
            return Stay(real[0][0], real[0][1], made=False)
        return Stay(historical, patient, made=True)

    def _all(self, connection: Connection, patients: Iterable[str]) -> list[tuple[str, str, date | None]]:
        found = []
        for patient in sorted(patients):
            for each in self.store.search(connection, "Encounter", {"patient": f"Patient/{patient}"}):
                resource = each.json()
                if resource.get("status") not in _NEVER_WAS and not _is_historical(resource):
                    started = visit_facts(resource, self.store.site.zone).started
                    found.append((each.id, patient, started.date() if isinstance(started, datetime) else started))
        return found

    def historical(self, patient: str, day: date | None) -> str:
        """The id of a patient's historical visit."""
        about = f"historical-visit {patient} {day or ''}".encode()
        return str(uuid.UUID(bytes=hmac.new(self.site_key, about, hashlib.sha256).digest()[:16], version=4))

    def make(self, engine: Engine, wanted: Iterable[tuple[str, date | None]]) -> None:
        """Have the record hold historical visits, each of a patient and a day."""
        named = {self.historical(patient, day): (patient, day) for patient, day in wanted}
        missing = {name: named[name] for name in named.keys() - self._made}
        if not missing:
            return
        with transaction(engine) as connection:
            lock(connection)
            there = existing(connection, [f"Encounter/{name}" for name in missing])
            fresh = [
                Made(self.store.prepare("Encounter", self._encounter(name, *missing[name])), name)
                for name in sorted(missing)
                if f"Encounter/{name}" not in there
            ]
            if fresh:
                self.store.write_all(connection, fresh, source=SOURCE)
        self._made.update(missing)

    def _encounter(self, name: str, patient: str, day: date | None) -> dict[str, Any]:
        encounter: dict[str, Any] = {
            "resourceType": "Encounter",
            "id": name,
            "identifier": [{"system": HISTORICAL, "value": name}],
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "type": [{"text": KNOWN_BY_PHOTOS}],
            "subject": {"reference": f"Patient/{patient}"},
            "serviceProvider": {"reference": f"Organization/{self.store.site.organization}"},
        }
        if day is not None:
            encounter["period"] = {"start": day.isoformat(), "end": day.isoformat()}
        return encounter


def _is_historical(encounter: dict[str, Any]) -> bool:
    return any(each.get("system") == HISTORICAL for each in encounter.get("identifier") or ())
