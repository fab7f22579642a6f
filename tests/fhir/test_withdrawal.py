"""Withdrawal: the denial, and the end of every permit that it covers whole."""

from __future__ import annotations

from typing import Any

import pytest

from consent.store.engine import transaction
from fhir_mapping.errors import Invalid
from fhir_mapping.withdrawal import Wish, Withdrawn, withdraw
from tests.fhir.clinic import REASON, Clinic, consent_of

pytestmark = pytest.mark.fast

_CHANNEL = {
    "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
    "reference": {"identifier": {"system": "urn:photospine:channel", "value": "instagram"}},
}
_TREAT = [{"system": REASON, "code": "TREAT"}]
_PROXY = {
    "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
    "reference": {"reference": "RelatedPerson/mother"},
}
_HERSELF = _PROXY | {"reference": {"reference": "Patient/anna"}}
_F1 = {"data": [{"meaning": "instance", "reference": {"reference": "DocumentReference/f1"}}]}


def _withdraw(clinic: Clinic, *purposes: str, **more: Any) -> Withdrawn:
    wish = Wish("anna", frozenset(purposes), **{key: frozenset(value) for key, value in more.items()})
    with transaction(clinic.engine) as connection:
        return withdraw(connection, clinic.record, wish, source="test")


@pytest.mark.parametrize(
    ("permit", "wish", "ended"),
    [
        (consent_of("c", "permit", "WEB"), {"purposes": ["WEB"]}, True),
        (consent_of("c", "permit", "WEB"), {"purposes": ["HMARKT"]}, True),
        (consent_of("c", "permit", "WEB"), {"purposes": ["CONF"]}, False),
        (consent_of("c", "permit", "WEB"), {"purposes": []}, True),
        (consent_of("c", "permit", "PATRQT"), {"purposes": []}, False),
        (consent_of("c", "permit", "PATRQT"), {"purposes": ["PATRQT"]}, True),
        (consent_of("c", "permit", "PATRQT", provision={"actor": [_PROXY]}), {"purposes": []}, True),
        (consent_of("c", "permit", "PATRQT", provision={"actor": [_PROXY, _HERSELF]}), {"purposes": []}, False),
        (consent_of("c", "permit", "WEB", provision=_F1), {"purposes": ["WEB"]}, True),
        (consent_of("c", "permit", "WEB", provision=_F1), {"purposes": ["WEB"], "documents": ["f1"]}, True),
        (consent_of("c", "permit", "WEB", provision=_F1), {"purposes": ["WEB"], "documents": ["f2"]}, False),
        (consent_of("c", "permit", "WEB"), {"purposes": ["WEB"], "documents": ["f1"]}, False),
        (
            consent_of("c", "permit", "SOCIAL", provision={"actor": [_CHANNEL]}),
            {"purposes": ["SOCIAL"], "channels": ["instagram"]},
            True,
        ),
        (
            consent_of("c", "permit", "SOCIAL", provision={"actor": [_CHANNEL]}),
            {"purposes": ["SOCIAL"], "channels": ["tiktok"]},
            False,
        ),
        (consent_of("c", "permit", "WEB"), {"purposes": ["SOCIAL", "WEB"], "channels": ["instagram"]}, True),
        (
            consent_of("c", "permit", "SOCIAL", provision={"actor": [_CHANNEL]}),
            {"purposes": ["HMARKT"], "channels": ["tiktok"]},
            False,
        ),
        (consent_of("c", "permit", "WEB", "ben"), {"purposes": ["WEB"]}, False),
        (consent_of("c", "deny", "WEB"), {"purposes": ["WEB"]}, False),
        (
            consent_of("c", "permit", "WEB", provision={"provision": [{"type": "deny"} | _F1]}),
            {"purposes": ["WEB"]},
            True,
        ),
        (
            consent_of("c", "permit", "WEB", provision={"provision": [{"type": "deny", "purpose": _TREAT} | _F1]}),
            {"purposes": []},
            False,
        ),
    ],
)
def test_what_a_withdrawal_ends(clinic: Clinic, permit: dict[str, Any], wish: dict[str, Any], ended: bool) -> None:
    clinic.put({"resourceType": "RelatedPerson", "id": "mother", "patient": {"reference": "Patient/anna"}})
    clinic.put(permit)
    purposes = wish.pop("purposes")
    done = _withdraw(clinic, *purposes, **wish)
    assert [each.id for each in done.ended] == (["c"] if ended else [])
    now = clinic.get("clinician", "/Consent/c")
    assert now.json()["status"] == ("inactive" if ended else "active")
    denial = clinic.get("clinician", f"/Consent/{done.denial.id}").json()
    assert (denial["status"], denial["provision"]["type"]) == ("active", "deny")


def test_removing_the_denial_later_opens_nothing(clinic: Clinic) -> None:
    clinic.put(consent_of("c", "permit", "PATRQT"))
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 200
    done = _withdraw(clinic, "PATRQT")
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 404
    clinic.put(done.denial.json() | {"status": "inactive"})
    assert clinic.get("anna", "/DocumentReference/f1").status_code == 404


def test_a_withdrawal_that_cannot_be_written_ends_nothing(clinic: Clinic) -> None:
    clinic.put(consent_of("c", "permit", "WEB"))
    with pytest.raises(Invalid):
        _withdraw(clinic, "NONSENSE")
    with pytest.raises(Invalid):
        _withdraw(clinic, channels=["instagram"])  # a channel without its purpose
    with pytest.raises(Invalid):
        _withdraw(clinic, "WEB", documents=["b1"])  # a photo of somebody else
    assert clinic.get("clinician", "/Consent/c").json()["status"] == "active"
    assert clinic.get("clinician", "/Consent?patient=anna").json()["total"] == 1
