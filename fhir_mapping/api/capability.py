"""The CapabilityStatement, made from the interaction table and the search parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_mapping import dates
from fhir_mapping.api import asking, explain
from fhir_mapping.api.interactions import TABLE, Interaction, Row
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.search.parameters import Kind, parameters

_TYPES = {Kind.ID: "token"}


def capability(base: str, version: str, started: datetime) -> dict[str, Any]:
    """R4 CapabilityStatement of this server.

    Parameters
    ----------
    base
        Address of ``/fhir``.
    started
        When the process started: the statement is as old.
    """
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": dates.instant(started),
        "kind": "instance",
        "software": {"name": "Photospine", "version": version},
        "implementation": {"description": "Photospine FHIR R4", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                    "code": code,
                                }
                            ]
                        }
                        for code in ("Basic", "SMART-on-FHIR")
                    ],
                    "description": "X-Purpose-Of-Use chooses among the purposes that the account holds and the token "
                    "leaves; without it the first of them counts.",
                },
                "resource": [_resource(row) for row in TABLE],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _resource(row: Row) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": row.type,
        "interaction": [{"code": str(each)} for each in row.interactions],
    }
    if row.documentation:
        made["documentation"] = row.documentation
    if Interaction.UPDATE in row.interactions:
        made |= {
            "versioning": "versioned-update",
            "readHistory": True,
            "updateCreate": True,
            "conditionalCreate": True,
        }
    if row.explained:
        made["operation"] = [
            {
                "name": explain.NAME,
                "definition": explain.DEFINITION,
                "documentation": f"Why a request is permitted or denied: {', '.join(explain.PARAMETERS)}. For "
                "compliance review, and for the patient about her own part.",
            }
        ]
    if row.questioned:
        facets = ", ".join(Facet)
        made.setdefault("operation", []).append(
            {
                "name": asking.NAME,
                "definition": asking.DEFINITION,
                "documentation": f"Photos by their facets: {facets}; _facets names those that are counted "
                f"({', '.join(COUNTED)}), _count the photos of a page.",
            }
        )
    made["searchParam"] = [
        {"name": each.name, "type": _TYPES.get(each.kind, str(each.kind))}
        for each in sorted(parameters(row.type).values(), key=lambda each: each.name)
    ]
    return made
