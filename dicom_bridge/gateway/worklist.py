"""Modality worklist: whom to photograph today, and which views are wanted (PS3.4 Annex K; PS3.7 9.1.2).

Answered for callers who treat and may photograph: for TREAT, with the right ``capture``, confined to nobody. The
entries rest on the photos that the caller may see; to whomever one is refused, its view is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.presentation import PresentationContext
from sqlalchemy import Connection, Engine

from consent.identity.peers import Known
from consent.purposes import TREAT
from consent.service import DecisionPoint
from consent.store.clock import now
from consent.store.engine import reading
from consent.types import Right
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.gaps.report import Report, of_clinic
from dicom_bridge.gaps.worklist import entries
from dicom_bridge.gateway import status
from dicom_bridge.gateway.answering import Answering
from dicom_bridge.gateway.association import Association
from dicom_bridge.protocols.protocol import Protocol
from dicom_bridge.query.identifier import KEYS, BadIdentifier, chosen, keys_of, keyword_of
from dicom_bridge.query.values import BadValue, Test, matched_vr, matcher, universal
from fhir_mapping.resources.people import PatientFacts, VisitFacts, patient_facts, visit_facts
from fhir_mapping.store.reader import RecordReader

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
"""SOP Class Modality Worklist Information Model - FIND."""

ROUTE = "C-FIND MWL"
_STEP, _STATION = "00400100", "00400001"
_NO_KEYS = frozenset({"00080005", "00080201"})  # Specific Character Set, Timezone Offset From UTC

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What an identifier asks for."""

    identifier: Attributes
    tests: tuple[tuple[tuple[str, ...], Test], ...]
    """Path of tags, and what the attribute there must fulfil."""

    ignored: bool
    """Whether there is a key with a value that is not matched."""


class Worklist:
    """The service of one gateway."""

    def __init__(
        self,
        engine: Engine,
        point: DecisionPoint,
        reader: RecordReader,
        protocols: Callable[[], Collection[Protocol]],
        study_uid: Callable[[Connection, str, str], str],
        *,
        most: int,
    ) -> None:
        """Begin.

        Parameters
        ----------
        protocols
            Those of the site, as they are now.
        study_uid
            The Study Instance UID of a visit's photos, by ``Encounter/…`` or ``Appointment/…`` and the patient's id.
        most
            Answers to one query. Where there are more, these come, and the status says so.
        """
        self._engine, self._point, self._reader = engine, point, reader
        self._protocols, self._study_uid, self._most = protocols, study_uid, most

    def find(self, association: Association, request: C_FIND, context: PresentationContext, caller: Known) -> None:
        """Answer a C-FIND."""
        answering = Answering(association, request, context)
        try:
            asked = read_keys(answering.identifier())
        except (ObjectRefused, BadIdentifier) as error:
            answering.refuse(status.IDENTIFIER_MISMATCH, str(error))
            return
        if not may_photograph(caller):
            answering.refuse(status.NOT_AUTHORIZED)
            return
        found, more = self._entries(asked, caller)
        answers = (answered(entry, asked.identifier) for entry in found)
        answering.answer(answers, ignored=bool(asked.ignored), more=more)

    def _entries(self, asked: Asked, caller: Known) -> tuple[list[dict[str, Any]], bool]:
        """Entries that match; whether there are more."""
        made: list[dict[str, Any]] = []
        with reading(self._engine) as connection:
            moment = now(connection)
            report = of_clinic(
                self._point, connection, self._reader, caller.request, self._protocols(), moment, route=ROUTE,
                today_alone=True,
            )  # fmt: skip
            patients, visits = self._facts(connection, report)
            for entry in entries(
                report,
                patients,
                visits,
                lambda visit, patient: self._study_uid(connection, visit, patient),
                self._reader.site.zone,
                moment,
            ):
                entry[_STEP]["Value"][0][_STATION] = {"vr": "AE", "Value": [caller.peer.ae_title]}
                if matches(entry, asked):
                    made.append(entry)
        return made[: self._most], report.more or len(made) > self._most

    def _facts(self, connection: Connection, report: Report) -> tuple[dict[str, PatientFacts], dict[str, VisitFacts]]:
        here = [each for each in report.people if each.arrival is not None]
        patients = self._reader.read_many(connection, "Patient", [each.patient for each in here])
        references = [each.arrival.reference for each in here if each.arrival is not None]
        ids = [each.partition("/")[2] for each in references if each.startswith("Encounter/")]
        visits = self._reader.read_many(connection, "Encounter", ids)
        zone = self._reader.site.zone
        return (
            {each.id: patient_facts(each.json()) for each in patients},
            {each.reference: visit_facts(each.json(), zone) for each in visits},
        )


def may_photograph(caller: Known) -> bool:
    """Whether the worklist is the caller's to see."""
    requester = caller.request.requester
    return caller.request.purpose == TREAT and Right.CAPTURE in requester.rights and requester.confined_to is None


def read_keys(identifier: Attributes) -> Asked:
    """Read the identifier of a request.

    Raises
    ------
    BadIdentifier
        Too many keys; a value that cannot be of its attribute's kind; a sequence of several items.
    """
    if len(identifier) > KEYS:
        raise BadIdentifier("ScheduledProcedureStepSequence", f"more than {KEYS} attributes; ask for fewer")
    tests: list[tuple[tuple[str, ...], Test]] = []
    ignored = False
    for name, value in keys_of(identifier, ""):
        path = tuple(name.split("."))
        if path[0] in _NO_KEYS or universal(value):
            continue
        vr = _vr(identifier, path)
        if not matched_vr(vr):
            ignored = True
            continue
        try:
            tests.append((path, matcher(keyword_of(name), vr, value)))
        except BadValue:
            raise BadIdentifier(keyword_of(name), "the value is not of its kind") from None
    return Asked(identifier, tuple(tests), ignored)


def matches(entry: Attributes, asked: Asked) -> bool:
    """Whether an entry fulfils every key; its sequences have one item, or codes of which one must match."""
    return all(any(test(found) for found in _at(entry, path)) for path, test in asked.tests)


def answered(entry: Attributes, identifier: Attributes) -> dict[str, Any]:
    """What is answered of an entry: the attributes that were asked for, empty where there is no value."""
    shown = {
        name: chosen(entry.get(name), each if isinstance(each, Mapping) else {})
        for name, each in identifier.items()
        if len(name) == 8 and name[4:] != "0000"
    }
    shown["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(shown.items()))


def _at(entry: Attributes, path: tuple[str, ...]) -> Iterator[Attributes]:
    """The attributes at a path."""
    found = entry.get(path[0])
    if found is None:
        return
    if len(path) == 1:
        yield found
        return
    for item in found.get("Value") or ():
        yield from _at(item, path[1:])


def _vr(identifier: Attributes, path: tuple[str, ...]) -> str:
    """The VR that an identifier's attribute was sent with."""
    found: Any = identifier.get(path[0])
    for name in path[1:]:
        found = ((found.get("Value") or [{}])[0] or {}).get(name) or {}
    return str((found or {}).get("vr") or "UN")
