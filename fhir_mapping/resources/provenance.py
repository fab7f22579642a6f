"""Provenance: where a photo comes from (R4 Provenance)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_mapping import dates
from fhir_mapping.resources.document_reference import ORIGINAL_HASH

_PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_DATA_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"


def provenance(
    *,
    document: str,
    study: str,
    sha256: str,
    custodian: str,
    photographer: str | None,
    author: str | None,
    occurred: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The resource for one photo.

    Parameters
    ----------
    document, study, custodian, photographer, author
        Relative references.
    sha256
        Of the original file, which is the source of what is kept.
    occurred
        FHIR dateTime of the capture.
    """
    agents = [_agent("assembler", custodian)]
    if photographer is not None:
        agents.insert(0, _agent("performer", photographer))
    if author is not None:
        agents.append(_agent("author", author))
    resource: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": document}, {"reference": study}],
        "recorded": dates.instant(now),
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": "CREATE"}]},
        "agent": agents,
        "entity": [
            {"role": "source", "what": {"identifier": {"system": ORIGINAL_HASH, "value": sha256}}},
        ],
    }
    if occurred is not None:
        resource["occurredDateTime"] = occurred
    return resource


def _agent(kind: str, who: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": _PARTICIPANT, "code": kind}]}, "who": {"reference": who}}
