"""``DocumentReference/{id}/$explain``: why somebody may or may not see a photo. Shows nothing of the photo.

Compliance asks about any account. A patient asks about her own photos: for herself, or for whoever holds a purpose and
is named nowhere; she learns her own part of the answer, as if nobody else were shown. To all others, and where
there is no such photo, the answer is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from consent.audit.record import Kind, of_request
from consent.explanation import Explanation, Part, for_patients
from consent.identity.accounts import requester
from consent.inquiry import Explained, Named, inquire
from consent.purposes import BTG, HCOMPL, HRESCH, PATRQT, SOCIAL
from consent.store.engine import reading
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.types import Request, Requester
from fhir_mapping import dates, text
from fhir_mapping.api import access, reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import Invalid, Issue, Malformed, NotFound

NAME = "explain"
DEFINITION = "urn:photospine:operation:explain"
PARAMETERS = ("account", "purpose", "channel", "project", "emergency-reason", "emergency-patient", "at")
HER_PART = "This is the answer as far as it depends on the patient who asks."

_PROXY = "RelatedPerson/"
_YEARS = range(1900, 3000)
"""Of times that can be asked about; every time zone has them."""


def explain(node: Node, asked: Asked, identity: str, pairs: Sequence[tuple[str, str]]) -> Reply:
    """The answer for these parameters, as R4 Parameters."""
    wanted = _wanted(pairs)
    at = None if "at" not in wanted else _moment(wanted["at"])
    with reading(node.engine) as connection:
        found = _found(connection, asked.request, identity, wanted, at)
    details = {name: wanted[name] for name in ("account", "purpose") if name in wanted}
    subject = f"explanation of DocumentReference/{identity}"
    node.chain.append(
        [
            of_request(
                Kind.READ,
                node.door,
                asked.route,
                asked.request,
                subject=subject,
                details=details | {"found": 0 if found is None else 1},
            )
        ]
    )
    if found is None:
        raise NotFound
    return reply.resource(_parameters(found))


def of_body(body: bytes) -> list[tuple[str, str]]:
    """The parameters of a POST: R4 Parameters, each of a simple value."""
    sent = text.parse(body)
    if sent.get("resourceType") != "Parameters":
        raise Invalid(Issue("value", "The body of an operation is a Parameters resource.", "Parameters"))
    listed = sent.get("parameter", [])
    if not isinstance(listed, list):
        raise Invalid(Issue("structure", "This is a list.", "Parameters.parameter"))
    pairs = []
    for position, each in enumerate(listed):
        held = each if isinstance(each, dict) else {}
        values = [value for key, value in held.items() if key.startswith("value")]
        if len(values) != 1 or not isinstance(values[0], str) or not isinstance(held.get("name"), str):
            raise Invalid(
                Issue("value", "A parameter here has a name and a text.", f"Parameters.parameter[{position}]")
            )
        pairs.append((held["name"], values[0]))
    return pairs


def _wanted(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name == "_format":
            continue
        if name not in PARAMETERS or name in found or not value or len(value) > 500:
            known = ", ".join(PARAMETERS)
            raise Malformed(Issue("not-supported", f"Parameters here, each once and with a value, are {known}."))
        found[name] = value
    if "purpose" not in found:
        raise Malformed(Issue("required", "Name the purpose that the answer is for: purpose=CODE."))
    return found


def _moment(value: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None and moment.year in _YEARS:
            return moment.astimezone(UTC)
    except ValueError:
        pass
    raise Malformed(Issue("value", "'at' is a time with an offset, such as 2026-06-01T09:00:00+03:00, since 1900."))


def _found(
    connection: Connection, asker: Request, identity: str, wanted: Mapping[str, str], at: datetime | None
) -> Explained | None:
    """The explanation that this asker gets; None: none, for whatever reason."""
    row = connection.execute(select(photo.c.photo, photo.c.sop_uid).where(photo.c.document == identity)).one_or_none()
    if row is None:
        return None
    about = Named(row.photo, row.sop_uid, identity)
    who = asker.requester
    if asker.purpose == HCOMPL and HCOMPL in who.purposes and who.confined_to is None:
        subject = who if "account" not in wanted else requester(connection, wanted["account"])
        return None if subject is None else inquire(connection, _request(subject, wanted), about, at)
    own = _own(connection, asker)
    if "account" in wanted or not own & _shown(connection, row.photo):
        return None
    herself = wanted["purpose"] == PATRQT
    subject = who if herself else Requester("", (wanted["purpose"],))
    found = inquire(connection, _request(subject, wanted), about, at)
    hers = for_patients(found.explanation, own)
    return None if hers is None else Explained(hers, found.now, (HER_PART, *found.rests_on))


def _own(connection: Connection, asker: Request) -> frozenset[str]:
    """The records of a patient who asks for herself; a proxy learns no reasons."""
    who = asker.requester
    if asker.purpose != PATRQT or PATRQT not in who.purposes or (who.reference or "").startswith(_PROXY):
        return frozenset()
    return frozenset(group(connection, access.own_patients(who)))


def _shown(connection: Connection, number: int) -> set[str]:
    return set(connection.execute(select(photo_patient.c.patient).where(photo_patient.c.photo == number)).scalars())


def _request(subject: Requester, wanted: Mapping[str, str]) -> Request:
    purpose = BTG if wanted["purpose"] == "ETREAT" else wanted["purpose"]
    return Request(
        subject,
        purpose,
        channel=wanted.get("channel") if purpose == SOCIAL else None,
        project=wanted.get("project") if purpose == HRESCH else None,
        emergency_reason=wanted.get("emergency-reason") if purpose == BTG else None,
        emergency_patient=wanted.get("emergency-patient") if purpose == BTG else None,
    )


def _parameters(found: Explained) -> dict[str, Any]:
    explanation = found.explanation
    return {
        "resourceType": "Parameters",
        "parameter": [
            *_answer(explanation),
            {"name": "decided-for", "valueInstant": dates.instant(found.now)},
            *({"name": "rests-on", "valueString": each} for each in found.rests_on),
            *({"name": "part", "part": _part(part)} for part in explanation.parts),
        ],
    }


def _answer(explanation: Explanation) -> list[dict[str, Any]]:
    decision = explanation.decision
    obligations = [{"name": "obligation", "valueCode": str(each)} for each in sorted(decision.obligations)]
    return [
        {"name": "effect", "valueCode": str(decision.effect)},
        {"name": "reason", "valueCode": str(decision.reason)},
        *obligations,
    ]


def _part(part: Part) -> list[dict[str, Any]]:
    decision = part.decision
    made: list[dict[str, Any]] = []
    if decision.patient is not None:
        made.append({"name": "patient", "valueReference": {"reference": f"Patient/{decision.patient}"}})
    made += [
        {"name": "effect", "valueCode": str(decision.effect)},
        {"name": "reason", "valueCode": str(decision.reason)},
        {"name": "answered-by-step", "valueInteger": decision.step},
        *({"name": "step", "valueString": each} for each in part.steps),
    ]
    if decision.rule is not None:
        made.append({"name": "rule", "valueString": str(decision.rule)})
    for each in part.provisions:
        ref = each.directive
        made.append(
            {
                "name": "provision",
                "part": [
                    {
                        "name": "consent",
                        "valueReference": {"reference": f"Consent/{ref.consent}/_history/{ref.version}"},
                    },
                    {"name": "path", "valueString": ref.path},
                    {"name": "sentence", "valueString": each.sentence or "-"},
                ],
            }
        )
    return made
