"""What others write of a session: resources, the member of the session that must hold what."""

from __future__ import annotations

from typing import Any

from tests.fhir.clinic import FACE
from tests.fhir.treated import GIVEN, OBSERVED, PART, PHOTO, PROCEDURE

#: What others write, and the member of the session that must hold what.
SHAPES: dict[str, tuple[list[dict[str, Any]], str, Any]] = {
    "the administration is part of the Procedure": (
        [PROCEDURE, GIVEN | PART],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the Procedure is part of the administration": (
        [GIVEN, PROCEDURE | {"partOf": [{"reference": "MedicationAdministration/gx"}]}],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the administration names the visit alone": (
        [
            PROCEDURE | {"encounter": {"reference": "Encounter/v9"}},
            GIVEN | {"context": {"reference": "Encounter/v9"}},
        ],
        "given",
        [("Toxin A", "LOT-0071", "12 U")],
    ),
    "the drug is contained": (
        [
            PROCEDURE,
            GIVEN
            | PART
            | {
                "medicationReference": {"reference": "#m"},
                "contained": [
                    {
                        "resourceType": "Medication",
                        "id": "m",
                        "code": {"coding": [{"system": "urn:x", "code": "tox", "display": "Toxin C"}]},
                        "batch": {"lotNumber": "C-1"},
                    }
                ],
            },
        ],
        "given",
        [("Toxin C", "C-1", "12 U")],
    ),
    "the drug is a code": (
        [
            PROCEDURE,
            {key: value for key, value in (GIVEN | PART).items() if key != "medicationReference"}
            | {"medicationCodeableConcept": {"text": "Toxin B"}},
        ],
        "given",
        [("Toxin B", "", "12 U")],
    ),
    "it was handed over": (
        [
            PROCEDURE,
            {
                "resourceType": "MedicationDispense",
                "id": "dx",
                "status": "completed",
                "subject": {"reference": "Patient/anna"},
                "medicationReference": {"reference": "Medication/lot7"},
                "quantity": {"value": 1, "unit": "tube"},
            }
            | PART,
        ],
        "given",
        [("Toxin A", "LOT-0071", "1 tube")],
    ),
    "the administration is void": ([PROCEDURE, GIVEN | PART | {"status": "entered-in-error"}], "given", []),
    "the setting is the Observation's value": (
        [PROCEDURE, OBSERVED | PART],
        "machines",
        [("", None, [("Fluence", "2.4 J/cm²")])],
    ),
    "the setting names the machine": (
        [PROCEDURE, OBSERVED | PART | {"device": {"reference": "Device/yag"}}],
        "machines",
        [("Laser one", "Device/yag", [("Fluence", "2.4 J/cm²")])],
    ),
    "the machine is a kind": (
        [PROCEDURE | {"usedCode": [{"text": "Nd:YAG"}]}, OBSERVED | PART],
        "machines",
        [("Nd:YAG", None, [("Fluence", "2.4 J/cm²")])],
    ),
    "the machine is used, its settings name none": (
        [PROCEDURE | {"usedReference": [{"reference": "Device/yag"}]}, OBSERVED | PART],
        "machines",
        [("Laser one", "Device/yag", [("Fluence", "2.4 J/cm²")])],
    ),
    "a setting in words": (
        [
            PROCEDURE,
            {key: value for key, value in (OBSERVED | PART).items() if key != "valueQuantity"}
            | {"code": {"text": "Mode"}, "component": [{"code": {"text": "Tip"}, "valueString": "fractional"}]},
        ],
        "machines",
        [("", None, [("Tip", "fractional")])],
    ),
    "a filler used as a device": (
        [PROCEDURE | {"usedReference": [{"reference": "Device/laser"}]}],
        "implants",
        [("", "L1", "2028-12-31", "09504000059118")],
    ),
    "an implant by its use": (
        [
            PROCEDURE,
            {
                "resourceType": "DeviceUseStatement",
                "id": "ux",
                "status": "active",
                "subject": {"reference": "Patient/anna"},
                "device": {"reference": "Device/laser"},
                "derivedFrom": [{"reference": "Procedure/px"}],
            },
        ],
        "implants",
        [("", "L1", "2028-12-31", "09504000059118")],
    ),
    "times are a period": ([PROCEDURE], "end", "2026-06-01T10:30:00+03:00"),
    "the area is a BodyStructure": (
        [
            {
                "resourceType": "BodyStructure",
                "id": "bx",
                "patient": {"reference": "Patient/anna"},
                "location": {"coding": [FACE]},
                "locationQualifier": [{"coding": [{"system": "http://snomed.info/sct", "code": "7771000"}]}],
            },
            PROCEDURE
            | {
                "extension": [
                    {
                        "url": "http://hl7.org/fhir/StructureDefinition/procedure-targetBodyStructure",
                        "valueReference": {"reference": "BodyStructure/bx"},
                    }
                ]
            },
        ],
        "places",
        ["Left face"],
    ),
    "the performer is a display": (
        [PROCEDURE | {"performer": [{"actor": {"display": "Nurse A"}}]}],
        "performers",
        [(None, "Nurse A")],
    ),
    "a point is an Observation of its own": (
        [
            PROCEDURE,
            GIVEN | PART,
            {
                "resourceType": "Observation",
                "id": "pt",
                "status": "final",
                "subject": {"reference": "Patient/anna"},
                "code": {"coding": [{"system": "urn:photospine:injection", "code": "injection-point"}]},
                "partOf": [{"reference": "MedicationAdministration/gx"}],
                "derivedFrom": [{"reference": "DocumentReference/f1"}],
                "component": [
                    {
                        "code": {"coding": [{"system": "urn:photospine:injection", "code": axis}]},
                        "valueQuantity": {"value": value},
                    }
                    for axis, value in (("x", 0.5), ("y", 0.25), ("dose", 4))
                ],
            },
        ],
        "points",
        [(PHOTO, "0.5", "0.25", "4")],
    ),
}
