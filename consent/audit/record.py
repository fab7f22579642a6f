"""One audit record, and its canonical form.

A record holds accounts and ids, never a name, a date of birth or a word of a DICOM header. The free texts are the
reason that somebody typed for emergency access, and that for a correction: without them, neither could be reviewed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any

from consent.types import Decision, Request, Requester, Right

Value = Any
"""What JSON can hold, without floating-point numbers: their text differs between writers."""


class Kind(StrEnum):
    """What a record tells of."""

    DECISION = "decision"
    """One photo was asked for; the answer, also a refusal."""

    SET = "set"
    """A list, search, count or archive was answered."""

    INTENT = "intent"
    """A write is about to be committed; the digest says what."""

    DONE = "done"
    """The outcome of an intent."""

    TASK = "task"
    """A process of ours begins work of its own on photos."""

    SIGN_IN = "sign-in"
    """Somebody signed in, or was refused."""

    READ = "read"
    """Resources that are no photos were read."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """What a door reports. Empty parts are left out of the record."""

    kind: Kind
    door: str
    """``wall``, ``serve``, ``worker``, ``cli``, …"""

    route: str = ""
    """The row of the door's table, or the command."""

    account: str | None = None
    os_user: str | None = None
    purpose: str | None = None
    channel: str | None = None
    project: str | None = None
    session: str | None = None
    """SHA-256, shortened, of the session; never what opens it."""

    emergency_reason: str | None = None
    override: bool = False
    """An emergency override: BTG that permitted, whatever the reason."""

    emergency_patient: str | None = None
    """The patient that an emergency request named."""

    held: tuple[str, ...] = ()
    """The purposes that the requester held."""

    requester: Mapping[str, Value] = field(default_factory=dict)
    """Who the requester was in the record, whom she was confined to, whether she might archive (:func:`asked`)."""

    as_of: int | None = None
    """The time by the database's clock that the decision was made for, in microseconds since 1970."""

    photo: str | None = None
    """SOP Instance UID asked for."""

    number: int | None = None
    """Number of the photo, where it is known."""

    patient: str | None = None
    """The patient whose answer decided."""

    effect: str | None = None
    reason: str | None = None
    step: int | None = None
    rule: str | None = None
    directives: tuple[tuple[str, int, str], ...] = ()
    """Consent, version, provision path."""

    obligations: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict)
    """Versions of the facts that were read: ``site``, ``photo``, ``Patient/…``."""

    released: int | None = None
    """How many photos left."""

    photos: str | None = None
    """Their numbers, packed by :func:`pack`."""

    photos_digest: str | None = None
    """SHA-256 of the unpacked numbers."""

    refused: int | None = None
    intent: str | None = None
    """DONE: the record id of the intent."""

    outcome: str | None = None
    """DONE: ``done`` or ``failed``."""

    digest: str | None = None
    """SHA-256, hexadecimal, of what is written."""

    subject: str | None = None
    """Reference of what is written or read, ``Consent/c1``."""

    details: Mapping[str, Value] = field(default_factory=dict)
    """Ids and counts that a kind needs beside these."""


_FIELDS = tuple(entry.name for entry in fields(AuditRecord))
_MAPPINGS = frozenset({"versions", "details", "requester"})
_values = attrgetter(*_FIELDS)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def body(record: AuditRecord, chain: str, sequence: int, recorded: int) -> bytes:
    """The canonical JSON of a record at its place in a chain: sorted keys, no blanks, UTF-8.

    Parameters
    ----------
    recorded
        Microseconds since 1970.
    """
    values: dict[str, Value] = {"at": recorded, "chain": chain, "sequence": sequence}
    for name, value in zip(_FIELDS, _values(record), strict=True):
        if value or (value == 0 and value is not False):
            values[name] = dict(value) if name in _MAPPINGS else value
    return canonical(values)


def canonical(values: Mapping[str, Value]) -> bytes:
    """JSON with sorted keys and no blanks."""
    return _ENCODER.encode(values).encode()


def of_request(kind: Kind, door: str, route: str, request: Request, **more: Any) -> AuditRecord:
    """A record that begins with who asked and for what."""
    return AuditRecord(
        kind=kind,
        door=door,
        route=route,
        account=request.requester.account,
        purpose=request.purpose,
        channel=request.channel,
        project=request.project,
        session=request.session,
        emergency_reason=request.emergency_reason,
        **more,
    )


def asked(request: Request) -> dict[str, Any]:
    """The parts of a record that tell who asked, as far as an answer depends on it."""
    who = request.requester
    stated: dict[str, Value] = {}
    if who.reference is not None:
        stated["reference"] = who.reference
    if who.confined_to is not None:
        stated["confined_to"] = sorted(who.confined_to)
    if who.own_patient is not None:
        stated["own_patient"] = who.own_patient
    if Right.ARCHIVE in who.rights:
        stated["archive"] = True
    return {"emergency_patient": request.emergency_patient, "held": who.purposes, "requester": stated}


def request_of(record: Mapping[str, Any]) -> Request:
    """The request that a record of an answer tells of."""
    stated = record.get("requester", {})
    confined = stated.get("confined_to")
    return Request(
        requester=Requester(
            account=record.get("account", ""),
            purposes=tuple(record.get("held", ())),
            rights=frozenset({Right.ARCHIVE} if stated.get("archive") else ()),
            reference=stated.get("reference"),
            confined_to=None if confined is None else frozenset(confined),
            own_patient=stated.get("own_patient"),
        ),
        purpose=record.get("purpose", ""),
        channel=record.get("channel"),
        project=record.get("project"),
        emergency_reason=record.get("emergency_reason"),
        emergency_patient=record.get("emergency_patient"),
    )


def answer(decision: Decision) -> dict[str, Any]:
    """The parts of a record that tell an answer."""
    return {
        "patient": decision.patient,
        "effect": str(decision.effect),
        "reason": str(decision.reason),
        "step": decision.step,
        "rule": decision.rule,
        "directives": tuple((each.consent, each.version, each.path) for each in decision.directives),
        "obligations": tuple(sorted(decision.obligations)),
    }


def pack(numbers: Iterable[int]) -> tuple[str, str]:
    """Numbers of photos, small, with the digest of what they unpack to.

    Returns
    -------
    tuple of str
        The differences between the sorted numbers, as decimal text, compressed, in base 64; and the SHA-256 of the
        sorted numbers, as decimal text with commas, in hexadecimal.
    """
    ordered = sorted(set(numbers))
    steps = [after - before for before, after in zip([0, *ordered], ordered, strict=False)]
    packed = zlib.compress(",".join(map(str, steps)).encode(), 6)
    digest = hashlib.sha256(",".join(map(str, ordered)).encode()).hexdigest()
    return base64.b64encode(packed).decode(), digest


def unpack(packed: str) -> tuple[int, ...]:
    """The numbers that :func:`pack` was given, sorted."""
    text = zlib.decompress(base64.b64decode(packed)).decode()
    numbers: list[int] = []
    last = 0
    for step in text.split(",") if text else ():
        last += int(step)
        numbers.append(last)
    return tuple(numbers)
