"""The resource types that the record keeps, and who writes them."""

from __future__ import annotations

#: What anybody with the right to may write.
CLINICAL = (
    "Patient",
    "Organization",
    "Location",
    "Practitioner",
    "PractitionerRole",
    "RelatedPerson",
    "Group",
    "CareTeam",
    "EpisodeOfCare",
    "Encounter",
    "Appointment",
    "ServiceRequest",
    "Goal",
    "CarePlan",
    "Condition",
    "BodyStructure",
    "Device",
    "DeviceUseStatement",
    "Medication",
    "Procedure",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationStatement",
    "Observation",
    "Communication",
    "Consent",
)

#: What is never deleted: what a patient has decided, and what was done to her or seen on her. A version with the status
#: ``entered-in-error`` takes it back, and whoever looks for a lot or a refusal still finds it.
LASTING = frozenset(
    {
        "Communication",
        "Consent",
        "DeviceUseStatement",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationStatement",
        "Observation",
        "Procedure",
    }
)

#: What this product alone writes.
OWN = ("DocumentReference", "ImagingStudy", "Provenance", "Task")

SOURCE = "urn:photospine"
"""Owner (``meta.source``) of what this product writes by itself."""

KEPT = frozenset(CLINICAL + OWN)

#: Projections of a transaction run in this order, so that a Consent finds the people and photos that came with it.
ORDER = {kind: number for number, kind in enumerate((*CLINICAL[:-1], *OWN, CLINICAL[-1]))}
