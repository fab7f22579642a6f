"""Provenance: where a photo comes from (R4 Provenance)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_mapping import dates
from fhir_mapping.resources.document_reference import ORIGINAL_HASH

ACCOUNT = "urn:photospine:account"
"""Identifier system: the account that did it."""

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


@dataclass(frozen=True, slots=True)
class CorrectionFacts:
    """Why and by whom a photo was corrected."""

    account: str
    corrector: str | None
    """Relative reference of whoever the account stands for."""

    reason: str
    former: str | None
    """``DocumentReference/…`` of the rejected instance; None: it was never linked."""


def of_correction(made: Mapping[str, Any], correction: CorrectionFacts) -> dict[str, Any]:
    """The Provenance of a photo that takes the place of a rejected one.

    Parameters
    ----------
    made
        What :func:`provenance` says of the photo.
    """
    who: dict[str, Any] = {"identifier": {"system": ACCOUNT, "value": correction.account}}
    if correction.corrector is not None:
        who["reference"] = correction.corrector
    agents = [*made["agent"], {"type": {"coding": [{"system": _PARTICIPANT, "code": "enterer"}]}, "who": who}]
    entities = list(made["entity"])
    if correction.former is not None:
        entities.append({"role": "revision", "what": {"reference": correction.former}})
    said = {name: value for name, value in made.items() if name != "entity"}
    return {
        **said,
        "activity": {"coding": [{"system": _DATA_OPERATION, "code": "UPDATE"}]},
        "reason": [{"text": correction.reason}],
        "agent": agents,
    } | ({"entity": entities} if entities else {})


def origin_of(document: str, custodian: str, now: datetime) -> dict[str, Any]:
    """What a Provenance says at least of a photo whose record alone is written anew."""
    return {
        "resourceType": "Provenance",
        "target": [{"reference": document}],
        "recorded": dates.instant(now),
        "agent": [_agent("assembler", custodian)],
        "entity": [],
    }


def _agent(kind: str, who: str) -> dict[str, Any]:
    return {"type": {"coding": [{"system": _PARTICIPANT, "code": kind}]}, "who": {"reference": who}}
