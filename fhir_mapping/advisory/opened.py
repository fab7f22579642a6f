"""An advisory as it was opened: its answer of now, what has changed, and what was done about each patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_mapping.advisory.batch import Advisory, Patient
from fhir_mapping.resources import advisory as resources
from fhir_mapping.resources.advisory import Item, KeptAdvisory, Step, Taken
from fhir_mapping.store.reader import Stored


@dataclass(frozen=True, slots=True)
class Changes:
    """How the record differs from what was found when the advisory was opened last."""

    added: tuple[Item, ...] = ()
    gone: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """An advisory with its answer of now, and what was done about each patient."""

    kept: KeptAdvisory
    answer: Advisory
    changes: Changes
    steps: Mapping[str, tuple[Taken, ...]]
    """By patient, those too who are no longer found."""

    stored: tuple[Stored, ...]
    """The Tasks and Communications, by reference."""

    versions: Mapping[str, int]
    """By patient, the version of her Task."""

    @property
    def as_of(self) -> datetime:
        """When the last of them was written."""
        return max(each.updated for each in self.stored)

    def taken(self, patient: Patient) -> tuple[Taken, ...]:
        """What was done about a patient, under whichever of her records, in order of time."""
        mine = [one for each in (patient.id, *patient.records) for one in self.steps.get(each, ())]
        return tuple(in_order(mine))

    def state(self, patient: Patient) -> Step | None:
        """The furthest step about a patient since something was found about her last; None: nothing was done since."""
        return resources.state_of(self.taken(patient))

    def seen(self, patient: Patient) -> int:
        """What a form about a patient has seen: it changes whenever something is done about her."""
        return sum(self.versions.get(each, 0) for each in (patient.id, *patient.records))

    def left(self) -> list[str]:
        """Patients about whom nothing was attested yet."""
        return [each.id for each in self.answer.patients if self.state(each) is not Step.ATTESTED]


def items_of(answer: Advisory) -> tuple[Item, ...]:
    """What was found, as it is kept and compared."""
    found = {
        Item(patient.id, each.reference, each.product, each.fit.value)
        for patient in answer.patients
        for each in patient.treatments
    }
    return tuple(sorted(found))


def what(item: Item) -> tuple[str, str, str]:
    """What was found, under whichever record of the patient."""
    return (item.treatment, item.product, item.fit)


def in_order(taken: Iterable[Taken]) -> list[Taken]:
    """Steps in order of time."""
    return sorted(taken, key=lambda one: one.at)
