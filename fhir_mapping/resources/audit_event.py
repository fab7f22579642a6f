"""AuditEvent: a record of the audit chain, as FHIR tells it (R4 AuditEvent, IHE BALP 1.1).

The chain is the truth, and this a view: nothing stands here that the record does not say. A record names no client and
no address, so these are absent with a reason, where BALP wants them.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.audit.record import Kind
from consent.purposes import Catalog
from consent.site import Site
from consent.store.clock import instant
from fhir_mapping import dates
from fhir_mapping.resources.document_reference import DICOM_UID

ACCOUNT = "urn:photospine:account"
"""System of an account's name, as the identifier of who asked."""

RECORD = "urn:photospine:audit-record"
"""System of a record's place, ``node/role/slot#sequence``."""

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_REST = "http://hl7.org/fhir/restful-interaction"
_ENTITY, _ROLE = (
    "http://terminology.hl7.org/CodeSystem/audit-entity-type",
    "http://terminology.hl7.org/CodeSystem/object-role",
)
_PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_BALP = "https://profiles.ihe.net/ITI/BALP/"
_UNKNOWN = {
    "extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"},
    ]
}
_MOST_PATIENTS = 50
_TARGET = re.compile(r"([A-Z][A-Za-z]{1,31})/([A-Za-z0-9\-.]{1,64})(?:/_history(?:/[0-9]{1,9})?)?")
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,31}")


@dataclass(frozen=True, slots=True)
class About:
    """What the record of resources says beside the chain."""

    patients: Sequence[str] = ()
    """Whom it is about: of the photos shown, or in whose compartment the resource is."""

    document: str | None = None
    """Id of the DocumentReference of the photo asked for."""


def is_told(record: Mapping[str, Any]) -> bool:
    """Whether a record is an event of its own: of a write the outcome is, and not the intent before it."""
    return record.get("kind") in (Kind.DECISION, Kind.SET, Kind.READ, Kind.DONE, Kind.SIGN_IN, Kind.TASK)


def subject_of(record: Mapping[str, Any]) -> str | None:
    """``Type/id`` of the resource that was read or written."""
    match = _TARGET.fullmatch(str(record.get("subject", "")))
    return f"{match[1]}/{match[2]}" if match else None


def audit_event(record: Mapping[str, Any], identity: str, about: About, site: Site, base: str) -> dict[str, Any]:
    """The event that a record tells of (:func:`is_told`)."""
    kind = record["kind"]
    maker = _MAKERS[kind]
    made: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": identity,
        "meta": {"versionId": "1", "lastUpdated": dates.instant(instant(record["at"]))},
        **maker(record, about),
        "recorded": dates.instant(instant(record["at"])),
        "source": {"site": str(record.get("door", "")) or "unknown", "observer": {"display": record["chain"]}},
    }
    profile = made.pop("profile")
    if profile is not None:
        made["meta"]["profile"] = [f"{_BALP}StructureDefinition/IHE.BasicAudit.{profile}"]
    restful = made["subtype"][0]["code"] if made["type"]["code"] == "rest" else None
    made["agent"] = _agents(record, site, base, restful, profile == "AuthZconsent")
    purpose = _purpose(record, site)
    if purpose is not None and kind != Kind.SIGN_IN:
        made["purposeOfEvent"] = [purpose]
    order = ("type", "subtype", "action", "recorded", "outcome", "outcomeDesc", "purposeOfEvent", "agent", "source")
    head = {name: made[name] for name in ("resourceType", "id", "meta", *order) if name in made}
    entities = made.get("entity") or []
    if profile != "AuthZconsent":
        entities = [*entities, _transaction(record)]
    return head | {"entity": entities}


def _decision(record: Mapping[str, Any], about: About) -> dict[str, Any]:
    photo: dict[str, Any] = {"identifier": {"system": DICOM_UID, "value": f"urn:oid:{record.get('photo', '')}"}}
    if about.document is not None:
        photo["reference"] = f"DocumentReference/{about.document}"
    if record.get("effect") == "permit":
        data = {"what": photo, "type": _coding(_ENTITY, "2"), "role": _coding(_ROLE, "4")}
        return _event("read", "R", _read_profile(about), [data, *_patients(about)])
    consents = [
        {
            "what": {"reference": f"Consent/{each[0]}"},
            "type": _coding("http://hl7.org/fhir/resource-types", "Consent"),
        }
        for each in record.get("directives", ())
    ]
    made = {
        "type": _coding(_DCM, "110113", "Security Alert"),
        "action": "E",
        "outcome": "8",
        "outcomeDesc": str(record.get("reason", "denied")),
    }
    if consents and len(about.patients) == 1:
        subtype = [_coding(f"{_BALP}CodeSystem/AuthZsubType", "AuthZ-Consent")]
        return made | {"profile": "AuthZconsent", "subtype": subtype, "entity": [*_patients(about), *consents]}
    data = {"what": photo, "type": _coding(_ENTITY, "2"), "role": _coding(_ROLE, "4")}
    return made | {"profile": None, "entity": [data, *_patients(about), *consents]}


def _set(record: Mapping[str, Any], about: About) -> dict[str, Any]:
    return _query(record, about, int(record.get("released", 0)))


def _query(record: Mapping[str, Any], about: About, found: int) -> dict[str, Any]:
    """A search: the route and the names of what was asked by; what was asked for is in no record."""
    names = record.get("details", {}).get("by") or ()
    asked = f"{record.get('route', '')}?{'&'.join(str(each) for each in names)}"
    entity = {
        "type": _coding(_ENTITY, "2"),
        "role": _coding(_ROLE, "24", "Query"),
        "query": base64.b64encode(asked.encode()).decode(),
        "description": f"{found} found",
    }
    profile = "PatientQuery" if len(about.patients) == 1 else "Query"
    return _event("search", "E", profile, [entity, *_patients(about)])


def _read(record: Mapping[str, Any], about: About) -> dict[str, Any]:
    subject, found = subject_of(record), record.get("details", {}).get("found", 1)
    if subject is None:
        return _query(record, about, found if isinstance(found, int) else 0)
    code = "vread" if "/_history/" in str(record.get("subject")) else "read"
    data = {"what": {"reference": subject}, "type": _coding(_ENTITY, "2"), "role": _coding(_ROLE, "4")}
    if not found:
        return _event(code, "R", None, [data, *_patients(about)], "4")
    return _event(code, "R", _read_profile(about), [data, *_patients(about)])


def _done(record: Mapping[str, Any], about: About) -> dict[str, Any]:
    method = str(record.get("route", "")).partition(" ")[0]
    code, action, profile = _WRITES.get(method, ("operation", "E", None))
    subject = subject_of(record)
    what = {"reference": subject} if subject is not None else {"display": str(record.get("subject", "")) or "unknown"}
    data = {"what": what, "type": _coding(_ENTITY, "2"), "role": _coding(_ROLE, "4")}
    done = record.get("outcome") == "done"
    if profile is not None and len(about.patients) == 1:
        profile = f"Patient{profile}"
    return _event(code, action, profile if done else None, [data, *_patients(about)], "0" if done else "4")


def _sign_in(record: Mapping[str, Any], _about: About) -> dict[str, Any]:
    permitted = record.get("effect") == "permit" or record.get("outcome") == "done"
    return {
        "type": _coding(_DCM, "110114", "User Authentication"),
        "subtype": [_coding(_DCM, "110122", "Login")],
        "action": "E",
        "outcome": "0" if permitted else "4",
        "profile": None,
        "entity": [],
    }


def _task(record: Mapping[str, Any], _about: About) -> dict[str, Any]:
    return {
        "type": _coding(_DCM, "110100", "Application Activity"),
        "action": "E",
        "outcome": "0",
        "profile": None,
        "entity": [{"name": str(record.get("route", "")) or "task", "type": _coding(_ENTITY, "4")}],
    }


_MAKERS = {
    Kind.DECISION: _decision,
    Kind.SET: _set,
    Kind.READ: _read,
    Kind.DONE: _done,
    Kind.SIGN_IN: _sign_in,
    Kind.TASK: _task,
}

_WRITES: Mapping[str, tuple[str, str, str | None]] = {
    "POST": ("create", "C", "Create"),
    "PUT": ("update", "U", "Update"),
    "DELETE": ("delete", "D", "Delete"),
}


def _event(
    code: str, action: str, profile: str | None, entities: list[dict[str, Any]], outcome: str = "0"
) -> dict[str, Any]:
    return {
        "type": _coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"),
        "subtype": [_coding(_REST, code)],
        "action": action,
        "outcome": outcome,
        "profile": profile,
        "entity": entities,
    }


def _read_profile(about: About) -> str:
    return "PatientRead" if len(about.patients) == 1 else "Read"


def _patients(about: About) -> list[dict[str, Any]]:
    return [
        {
            "what": {"reference": f"Patient/{each}"},
            "type": _coding(_ENTITY, "1", "Person"),
            "role": _coding(_ROLE, "1", "Patient"),
        }
        for each in about.patients[:_MOST_PATIENTS]
    ]


def _transaction(record: Mapping[str, Any]) -> dict[str, Any]:
    place = f"{record['chain']}#{record['sequence']}"
    return {
        "what": {"identifier": {"system": RECORD, "value": place}},
        "type": _coding(f"{_BALP}CodeSystem/BasicAuditEntityType", "XrequestId"),
    }


def _agents(
    record: Mapping[str, Any], site: Site, base: str, restful: str | None, authorization: bool
) -> list[dict[str, Any]]:
    account = record.get("account")
    who: dict[str, Any] = {"identifier": {"system": ACCOUNT, "value": account}} if account else {"display": "nobody"}
    server = {"identifier": {"system": "urn:ietf:rfc:3986", "value": base}}
    user: dict[str, Any] = {
        "type": _concept(_PARTICIPATION, _USERS.get(restful, "IRCP")),
        "who": who,
        "requestor": True,
    }
    if account:
        user["name"] = account
    # A client is not told apart from its account here.
    if authorization:
        return [
            {
                "type": _concept(_DCM, "110150", "Application"),
                "who": {"display": str(record.get("door", "unknown"))},
                "requestor": False,
                "network": _UNKNOWN,
            },
            user,
            {
                "type": _concept("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV"),
                "who": {"reference": f"Organization/{site.organization}"},
                "requestor": False,
            },
            {
                "type": _concept("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver"),
                "who": server,
                "requestor": False,
            },
        ]
    if restful is None:
        return [user]
    client, here = _SIDES.get(restful, (_SOURCE, _DESTINATION))
    return [
        {
            "type": client,
            "who": who,
            "requestor": False,
            "network": _UNKNOWN,
        },
        {
            "type": here,
            "who": server,
            "requestor": False,
            "network": {"address": base, "type": "5"},
        },
        user,
    ]


def _purpose(record: Mapping[str, Any], site: Site) -> dict[str, Any] | None:
    known = Catalog.of(site).get(str(record.get("purpose", "")))
    return None if known is None else _concept(known.system, known.code)


def _concept(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}


def _coding(system: str, code: str, display: str | None = None) -> dict[str, Any]:
    made = {"system": system, "code": code}
    return made if display is None else made | {"display": display}


_SOURCE, _DESTINATION = (
    _concept(_DCM, "110153", "Source Role ID"),
    _concept(_DCM, "110152", "Destination Role ID"),
)

#: Of each interaction, the roles of the client and of this server, as BALP has them.
_SIDES: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "read": (_DESTINATION, _SOURCE),
    "vread": (_DESTINATION, _SOURCE),
    "delete": (
        _concept(_DCM, "110150", "Application"),
        _concept("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
    ),
}

#: Of each interaction, the role of whoever asked: a writer is the author.
_USERS: Mapping[str | None, str] = {"create": "AUT", "update": "AUT", "delete": "AUT"}
