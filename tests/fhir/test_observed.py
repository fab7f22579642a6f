"""Uses whose lot an Observation tells are marked, and the marks follow whatever is written."""

from __future__ import annotations

import random
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from consent.store.engine import reading, transaction
from consent.types import Request
from fhir_mapping.advisory.asked import question
from fhir_mapping.advisory.batch import Advisory
from fhir_mapping.advisory.question import ask
from fhir_mapping.advisory.stated import State
from fhir_mapping.advisory.tables import advisory_lot
from fhir_mapping.advisory.uses import told_of
from fhir_mapping.projections.project import rebuild
from fhir_mapping.projections.written import Setting
from tests.counts import count
from tests.fhir.clinic import BASE, SITE, Clinic, requesters

pytestmark = pytest.mark.fast

_BEN = {"reference": "Patient/ben"}
_LOTS = ("SHAPE-1", "OTHER-9", "?", "unknown", None)


def _ask(clinic: Clinic, lot: str) -> Advisory:
    with reading(clinic.engine) as connection:
        request = Request(requesters()["compliance"], "PATSFTY")
        return ask(clinic.node.decisions, connection, clinic.chain, request, SITE, question([(lot, None)]))


def _states(connection: Connection) -> dict[str, str]:
    """Each use by a code alone with its mark."""
    columns = advisory_lot.c
    rows = connection.execute(
        select(columns.type, columns.id, columns.state).where(columns.state.in_((State.BARE, State.OBSERVED)))
    )
    return {f"{row.type}/{row.id}": row.state for row in rows if row.type not in ("Medication", "Device")}


def _true(connection: Connection) -> dict[str, str]:
    uses = _states(connection)
    told = told_of(connection, uses)
    return {each: State.OBSERVED if each in told else State.BARE for each in uses}


class _Drawn:
    """Writes uses, treatments and Observations that name each other at random."""

    def __init__(self, clinic: Clinic, seed: int) -> None:
        self.clinic, self.dice = clinic, random.Random(seed)
        self.written: set[str] = set()

    def _some(self, kind: str) -> list[dict[str, str]]:
        there = sorted(each for each in self.written if each.startswith(f"{kind}/"))
        return [{"reference": self.dice.choice(there)}] if there and self.dice.random() < 0.6 else []

    def write(self) -> None:
        kind = self.dice.choice(("MedicationAdministration", "MedicationStatement", "Procedure", "Observation"))
        name = f"n{self.dice.randrange(3)}"
        made: dict[str, Any] = {"resourceType": kind, "id": name, "status": "completed", "subject": _BEN}
        if kind == "Observation":
            lot = self.dice.choice(_LOTS)
            about = self._some(self.dice.choice(("MedicationAdministration", "Procedure", "MedicationStatement")))
            made |= {"status": "final", "code": {"text": "Lot number"}} | ({"valueString": lot} if lot else {})
            made |= {self.dice.choice(("partOf", "focus")): about} if about else {}
        elif kind == "Procedure":
            made |= {"usedCode": [{"text": "Toxin A"}]} if self.dice.random() < 0.5 else {}
            part = self._some("MedicationAdministration")
            made |= {"partOf": part} if part else {}
        else:
            if self.dice.random() < 0.8:
                made["medicationCodeableConcept"] = {"text": "Toxin A"}
            else:
                made["medicationReference"] = {"reference": "Medication/lot7"}
            part = self._some("Procedure") if kind == "MedicationAdministration" else []
            made |= {"partOf": part} if part else {}
            path = "supportingInformation" if kind == "MedicationAdministration" else "derivedFrom"
            told_by = self._some("Observation")
            made |= {path: told_by} if told_by else {}
            if kind == "MedicationAdministration":
                made["effectiveDateTime"] = "2026-05-04"
        self.clinic.put(made)
        self.written.add(f"{kind}/{name}")


def test_marks_follow_whatever_is_written(clinic: Clinic) -> None:
    drawn = _Drawn(clinic, 7)
    seen: set[str] = set()
    for _ in range(count("writes around observed lots", small=80, full=1500)):
        drawn.write()
        with reading(clinic.engine) as connection:
            states = _states(connection)
            assert states == _true(connection)
            seen.update(states.values())
    assert seen == {State.BARE, State.OBSERVED}
    with transaction(clinic.engine) as connection:
        connection.execute(update(advisory_lot).where(advisory_lot.c.state == State.OBSERVED).values(state=State.BARE))
        rebuild(connection, Setting(SITE, BASE))
        assert _states(connection) == states


def test_what_is_told_is_no_product_without_a_lot_marked_or_not(clinic: Clinic) -> None:
    use = {"resourceType": "MedicationAdministration", "id": "u", "status": "completed", "subject": _BEN,
           "effectiveDateTime": "2026-05-04", "medicationCodeableConcept": {"text": "Toxin A"}}  # fmt: skip
    clinic.put(use)
    assert "MedicationAdministration/u" in {each.reference for each in _ask(clinic, "LOT-0071").products}
    clinic.put({"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "Lot number"},
                "valueString": "OTHER-9", "partOf": [{"reference": "MedicationAdministration/u"}]})  # fmt: skip
    for _ in range(2):
        assert [each.reference for each in _ask(clinic, "LOT-0071").products] == ["Medication/lot7"]
        with transaction(clinic.engine) as connection:  # as it stands in a database that was written before
            connection.execute(update(advisory_lot).where(advisory_lot.c.id == "u").values(state=State.BARE))
