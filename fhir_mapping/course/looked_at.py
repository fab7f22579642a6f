"""What was looked at when something was decided: a Provenance of the session or plan, with the photos shown.

Each entity is a photo's DocumentReference in the version that was shown (R4 Provenance.entity, role ``source``); one
more names the audit record that released them, so that the chain proves what stood on the screen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_mapping import dates, references
from fhir_mapping.treatment.elements import Json, parts, text

AUDIT_RECORD = "urn:photospine:audit-record"
"""Identifier system: a record of the audit chain."""

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo in the version that was shown."""

    document: str
    """Id of its DocumentReference."""

    version: int


def provenance(
    targets: Sequence[str],
    shown: Collection[Shown],
    *,
    who: str | None,
    account: str,
    record: str,
    now: datetime,
) -> dict[str, Any]:
    """The Provenance.

    Parameters
    ----------
    targets
        References to what was decided: the Procedure, the CarePlan.
    who
        ``Practitioner/…`` of the account, where it has one.
    record
        Id of the audit record that released what was shown.
    """
    agent: dict[str, Any] = {"reference": who} if who is not None else {}
    entities = [
        {"role": "source", "what": {"reference": f"DocumentReference/{each.document}/_history/{each.version}"}}
        for each in shown
    ]
    if record:
        entities.append({"role": "source", "what": {"identifier": {"system": AUDIT_RECORD, "value": record}}})
    made: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": each} for each in targets],
        "recorded": dates.instant(now),
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": "CREATE"}]},
        "agent": [
            {
                "type": {"coding": [{"system": _PARTICIPANT, "code": "author"}]},
                "who": agent | {"display": account},
            }
        ],
    }
    return made | ({"entity": entities} if entities else {})


def shown_in(resource: Json, base: str | None) -> list[tuple[str, int | None]]:
    """The photos that a Provenance names as its sources: ``DocumentReference/…`` and version, where one is stated."""
    found = []
    for entity in parts(resource, "entity"):
        for said in references.of(entity, "what"):
            target = references.local(said, base)
            if target is not None and target.startswith("DocumentReference/"):
                _, mark, version = said.partition("/_history/")
                found.append((target, int(version) if mark and version.isdigit() else None))
    return found


def record_in(resource: Json) -> str:
    """The audit record that a Provenance names."""
    for entity in parts(resource, "entity"):
        for what in parts(entity, "what"):
            for identifier in parts(what, "identifier"):
                if text(identifier, "system") == AUDIT_RECORD:
                    return text(identifier, "value")
    return ""
