"""The CapabilityStatement, made from the interaction table and the search parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_mapping import dates
from fhir_mapping.api import asking, audit_search, batch_advisory, courses, definitions, explain
from fhir_mapping.api.interactions import TABLE, Interaction, Row
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.search.parameters import OWN_DEFINITION, Form, Kind, Parameter, parameters

_TYPES = {Kind.ID: "token", Kind.UPDATED: "date"}


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
                "resource": [*(_resource(row) for row in TABLE), _definitions()],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
                "operation": [
                    {
                        "name": batch_advisory.NAME,
                        "definition": batch_advisory.DEFINITION,
                        "documentation": "Everybody and everything that a batch reached, for patient safety: "
                        f"{', '.join(batch_advisory.PARAMETERS)}.",
                    }
                ],
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
    if Interaction.VREAD in row.interactions:
        made |= {"versioning": "versioned", "readHistory": Interaction.HISTORY in row.interactions}
    if Interaction.UPDATE in row.interactions:
        made |= {
            "versioning": "versioned-update",
            "updateCreate": True,
            "conditionalCreate": True,
            "conditionalUpdate": True,
        }
    if Interaction.DELETE in row.interactions:
        made["conditionalDelete"] = "single"
    operations = courses.statements(row.type)
    if row.explained:
        operations.append(
            {
                "name": explain.NAME,
                "definition": explain.DEFINITION,
                "documentation": f"Why a request is permitted or denied: {', '.join(explain.PARAMETERS)}. For "
                "compliance review, and for the patient about her own part.",
            }
        )
    if row.questioned:
        operations.append(
            {
                "name": asking.NAME,
                "definition": asking.DEFINITION,
                "documentation": f"Photos by their facets: {', '.join(Facet)}; _facets names those that are counted "
                f"({', '.join(COUNTED)}), _count the photos of a page.",
            }
        )
    if operations:
        made["operation"] = operations
    if row.type == audit_search.TYPE:
        made["searchParam"] = [{"name": name, "type": kind} for name, kind in sorted(audit_search.PARAMETERS.items())]
        return made
    known = sorted(parameters(row.type).values(), key=lambda each: each.name)
    made["searchInclude"] = [f"{row.type}:{each.name}" for each in known if each.form is Form.REFERENCE]
    made["searchRevInclude"] = [
        f"{other.type}:{each.name}"
        for other in TABLE
        for each in sorted(parameters(other.type).values(), key=lambda each: each.name)
        if each.form is Form.REFERENCE and row.type in each.targets
    ]
    made["searchParam"] = [_parameter(row.type, each) for each in known]
    return {name: value for name, value in made.items() if value != []}


def _definitions() -> dict[str, Any]:
    return {
        "type": definitions.TYPE,
        "interaction": [{"code": str(each)} for each in (Interaction.READ, Interaction.SEARCH)],
        "documentation": "What our extensions mean, for whoever validates; answered without an account.",
        "searchParam": [{"name": name, "type": kind} for name, kind in definitions.PARAMETERS.items()],
    }


def _parameter(kind: str, parameter: Parameter) -> dict[str, Any]:
    """One parameter; one of our own with the elements that it reads."""
    made = {"name": parameter.name, "type": _TYPES.get(parameter.kind, str(parameter.kind))}
    if parameter.own:
        made["definition"] = f"{OWN_DEFINITION}{kind}-{parameter.name}"
        made["documentation"] = " | ".join(f"{kind}.{path}" for path in parameter.paths)
    return made
