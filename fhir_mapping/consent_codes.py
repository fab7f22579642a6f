"""Codes of R4 Consent that are read here, and the names of our extensions on it."""

from __future__ import annotations

PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
ACTOR_ROLES = frozenset({"IRCP", "PRCP"})
"""Information recipient, primary information recipient: whom a provision is about. Others are refused."""

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
OPT_IN = "OPTIN"
OPT_OUT = "OPTOUT"

CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
PRIVACY_SCOPE = "patient-privacy"
RESEARCH_SCOPE = "research"
SCOPES_WITHOUT_RULES = frozenset({"treatment", "adr"})
"""Agreeing to be treated or photographed is not agreeing to be shown."""

OURS = "urn:photospine:"
"""All names of ours begin so: what does, and is not known, is a slip of the pen that would widen a permit."""

PCF_INTERMEDIATE = "https://profiles.ihe.net/ITI/PCF/StructureDefinition/IHE.PCF.consentIntermediate"
"""The IHE PCF profile that the Consents claim which this product writes."""

REGION_EXTENSION = "urn:photospine:photo-region"
REPLACES_EXTENSION = "urn:photospine:replaces"
CHANNEL = "urn:photospine:channel"
PROJECT = "urn:photospine:project"

POLICIES_AGAINST_PERMIT = ("Policy-deny", "Policy-break-glass-only")
"""IHE PCF's implicit policies that a root permit contradicts."""

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
CONFIDENTIALITY_CODES = frozenset("ULMNRV")

SENSITIVITY_CODES = frozenset(
    [
        "ETH",
        "GDIS",
        "HIV",
        "MST",
        "PREGNANT",
        "SCA",
        "SDV",
        "SEX",
        "SPI",
        "STD",
        "TBOO",
        "VIO",
        "SICKLE",
        "BH",
        "COGN",
        "DVD",
        "EMOTDIS",
        "MH",
        "PSY",
        "PSYTHPN",
        "SUD",
        "ETHUD",
        "OPIOIDUD",
        "DEMO",
        "DOB",
        "GENDER",
        "LIVARG",
        "MARST",
        "PATLOC",
        "RACE",
        "REL",
        "B",
        "EMPL",
        "LOCIS",
        "SSP",
        "ADOL",
        "CEL",
        "DIA",
        "DRGIS",
        "EMP",
        "PDS",
        "PHY",
        "PRS",
    ]
)
"""Sensitivities of v3-ActCode (InformationSensitivityPolicy)."""

PERSON_TYPES = frozenset(
    {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device", "Organization", "Group", "CareTeam"}
)
PHOTO_TYPES = frozenset({"DocumentReference", "Media"})
VISIT_TYPES = frozenset({"ImagingStudy"})
LINKED_TYPES = frozenset({"Procedure", "Encounter", "EpisodeOfCare", "CarePlan"})
DATA_TYPES = PERSON_TYPES | PHOTO_TYPES | VISIT_TYPES | LINKED_TYPES
"""Types of ``provision.data.reference`` that must name something in the record."""


def known_label(system: str | None, code: str | None) -> bool:
    """Whether a security label is one that decisions can weigh."""
    if system == CONFIDENTIALITY:
        return code in CONFIDENTIALITY_CODES
    return system == ACT_CODE and code in SENSITIVITY_CODES
