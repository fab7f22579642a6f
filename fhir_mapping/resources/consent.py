"""Consents that this product writes itself: the denial of a withdrawal, and what is signed at hand (R4 Consent)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from consent.purposes import Catalog
from consent.site import Site
from fhir_mapping import consent_codes as codes
from fhir_mapping import dates


def denial(
    site: Site,
    patient: str,
    signed: datetime,
    *,
    purposes: Iterable[str] = (),
    channels: Iterable[str] = (),
    documents: Iterable[str] = (),
) -> dict[str, Any]:
    """A Consent that denies.

    Parameters
    ----------
    purposes
        Codes of the catalogue; none: everything that a denial without a purpose reaches.
    channels
        Of SOCIAL; none: every channel.
    documents
        Ids of the DocumentReferences of the photos that it is about; none: all photos.
    """
    catalog = Catalog.of(site)
    provision: dict[str, Any] = {"type": "deny"}
    actors = [
        {
            "role": {"coding": [{"system": codes.PARTICIPATION, "code": "IRCP"}]},
            "reference": {"identifier": {"system": codes.CHANNEL, "value": channel}},
        }
        for channel in sorted(set(channels))
    ]
    if actors:
        provision["actor"] = actors
    stated = [catalog.get(code) for code in sorted(set(purposes))]
    if stated:
        provision["purpose"] = [{"system": each.system, "code": each.code} for each in stated if each is not None]
    data = [
        {"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}}
        for each in sorted(set(documents))
    ]
    if data:
        provision["data"] = data
    return consent(
        site,
        patient,
        signed,
        provision,
        performer=f"Patient/{patient}",
        source={"title": "Withdrawal, entered here", "creation": dates.instant(signed)},
        policy="urn:photospine:withdrawal",
    )


def consent(
    site: Site,
    patient: str,
    signed: datetime,
    provision: Mapping[str, Any],
    *,
    performer: str,
    source: Mapping[str, Any],
    policy: str,
    replaces: Sequence[str] = (),
) -> dict[str, Any]:
    """An active Consent of scope patient-privacy, as IHE PCF Intermediate wants it.

    Parameters
    ----------
    performer
        Reference of who signed.
    source
        Attachment of what was signed.
    policy
        Uri of the text that was signed.
    replaces
        Ids of the Consents whose place it takes where it says something.
    """
    extensions = [
        {"url": codes.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{each}"}} for each in replaces
    ]
    return {
        "resourceType": "Consent",
        "meta": {"profile": [codes.PCF_INTERMEDIATE]},
        **({"extension": extensions} if extensions else {}),
        "status": "active",
        "scope": {"coding": [{"system": codes.CONSENT_SCOPE, "code": codes.PRIVACY_SCOPE}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0", "display": "Patient Consent"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": dates.instant(signed),
        "performer": [{"reference": performer}],
        "organization": [{"reference": f"Organization/{site.organization}"}],
        "sourceAttachment": dict(source),
        "policy": [{"uri": policy}],
        "provision": dict(provision),
    }
