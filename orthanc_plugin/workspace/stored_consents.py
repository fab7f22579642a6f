"""Consent over the database: as the decision reads it, written as the FHIR API writes; all of it is recorded."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, select

from consent.audit.record import Kind, of_request
from consent.decision import decide
from consent.directive import Directive
from consent.identity import accounts
from consent.purposes import HMARKT, PATRQT, SOCIAL, TRAIN, TREAT
from consent.reasons import Reason
from consent.store.clock import now
from consent.store.engine import reading
from consent.store.load import LINKED, Loader
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Request, Requester
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.resources.kept import about_photos
from fhir_mapping.signing.build import Signed, attachment
from fhir_mapping.signing.paper import Paper, pdf
from fhir_mapping.signing.preview import Change, rehearsed, seen
from fhir_mapping.signing.signing import sign
from fhir_mapping.signing.standing import statements
from fhir_mapping.signing.wishes import Use, Wishes, uses
from fhir_mapping.treatment.people import person_name
from fhir_mapping.withdrawal import Wish, withdraw
from orthanc_plugin.workspace.consent_book import Holders, Signer, Standing
from orthanc_plugin.workspace.consent_language import speaking
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted

T = TypeVar("T")

_PDF = "application/pdf"
_WHY = {
    Reason.DEFAULT_DENY: noted(
        "Nobody has signed a Yes to your own view of them yet. The clinic can hand you the form."
    ),
    Reason.PATIENT_DENIED: noted("A No to your own view of them stands."),
    Reason.HELD: noted("A consent has arrived that cannot be read. The clinic has to see to it first."),
}
"""Reasons that a patient meets, in her words."""


class StoredConsents:
    """See :class:`orthanc_plugin.workspace.consent_book.ConsentBook`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._uses = uses(node.record.site)

    def standing(self, request: Request, patient: str, numbers: Sequence[int], route: str) -> Standing:
        """What stands."""
        node = self._node
        with reading(node.engine) as connection:
            facts = Loader(connection, Requester("")).patients([patient]).get(patient)
            directives = () if facts is None else facts.directives
            counted = seen(connection, patient, numbers, self._uses)
            said = statements(directives, self._papers(connection, directives), speaking())
            signers = [Signer(f"Patient/{patient}", self._name(connection, "Patient", patient))]
            moment = now(connection)
            for each in () if facts is None else facts.representatives:
                if each.period.contains(moment):
                    name = self._name(connection, "RelatedPerson", each.person.partition("/")[2])
                    signers.append(Signer(each.person, name))
            holders = self._holders(connection)
            found = node.record.read_many(connection, "Organization", [node.record.site.organization])
            clinic = str(found[0].json().get("name") or "") if found else ""
        details = {"found": len(directives)}
        node.chain.append(
            [of_request(Kind.READ, node.door, route, request, subject=f"Patient/{patient}", details=details)]
        )
        return Standing(self._uses, counted, said, tuple(signers), holders, clinic)

    def uses(self) -> Sequence[Use]:
        """What patients are asked about here."""
        return self._uses

    def hers(self, patient: str) -> Sequence[int]:
        """Every photo that shows her alone; what stands for a comparison is none."""
        with reading(self._node.engine) as connection:
            everyone = group(connection, [patient])
            mine = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, everyone))
            rows = connection.execute(
                select(photo_patient.c.photo, photo_patient.c.patient)
                .join(photo, photo.c.photo == photo_patient.c.photo)
                .where(photo.c.state == LINKED, ~about_photos(photo.c.document), photo_patient.c.photo.in_(mine))
            ).all()
        others = {row.photo for row in rows if row.patient not in everyone}
        return sorted({row.photo for row in rows} - others)

    def whys(self, request: Request, numbers: Sequence[int]) -> Sequence[tuple[int, str]]:
        """Why she does not see some of them."""
        with reading(self._node.engine) as connection:
            loaded = Loader(connection, request.requester).photos(numbers)
        reasons = Counter(
            decision.reason
            for decision in (decide(request, each.facts, each.now) for each in loaded)
            if not decision.permitted
        )
        return [
            (count, _(_WHY[Reason(reason)]) if Reason(reason) in _WHY else Reason(reason).sentence)
            for reason, count in reasons.most_common()
        ]

    def rehearse(self, wishes: Wishes, by: str, numbers: Sequence[int]) -> Change:
        """What signing would change."""
        node = self._node

        def write(connection: Connection) -> object:
            moment = now(connection)
            source = {"title": "Rehearsal"}
            return sign(connection, node.record, wishes, Signed(moment, by, source), source="rehearsal")

        return rehearsed(node.engine, wishes.patient, numbers, self._uses, write)

    def moment(self) -> datetime:
        """Now, by the database."""
        with reading(self._node.engine) as connection:
            return now(connection)

    def sign(self, request: Request, wishes: Wishes, by: str, paper: Paper, at: datetime, route: str) -> Sequence[str]:
        """Write it."""
        node = self._node
        kept = pdf(paper)
        signed = Signed(at, by, attachment(kept, paper.title, at, paper.language))

        def work(connection: Connection) -> list[str]:
            written = sign(connection, node.record, wishes, signed, source=request.requester.account)
            return [each.id for each in written]

        return self._write(request, route, wishes.patient, kept, work)

    def withdraw(self, request: Request, patient: str, use: Use | None, route: str) -> None:
        """Take it back."""
        node = self._node
        if use is None:
            mine = {each.purpose for each in self._uses} - {TREAT, PATRQT}
            wish = Wish(patient, frozenset(mine | {HMARKT, TRAIN}))
        else:
            channels = frozenset({use.place}) if use.purpose == SOCIAL and use.place else frozenset[str]()
            wish = Wish(patient, frozenset({use.purpose}), channels)
        self._write(
            request,
            route,
            patient,
            repr(wish).encode(),
            lambda connection: withdraw(connection, node.record, wish, source=request.requester.account),
        )

    def paper(self, request: Request, patient: str, consent: str, route: str) -> bytes | None:
        """The PDF."""
        node = self._node
        with reading(node.engine) as connection:
            found = node.record.read_many(connection, "Consent", [consent])
            resource = found[0].json() if found else {}
            about = str((resource.get("patient") or {}).get("reference", "")).partition("/")[2]
            data = _paper(resource) if about in group(connection, [patient]) else None
        node.chain.append(
            [
                of_request(
                    Kind.READ,
                    node.door,
                    route,
                    request,
                    subject=f"Consent/{consent}" if data is not None else None,
                    details={"found": int(data is not None)},
                )
            ]
        )
        return data

    def _write(self, request: Request, route: str, patient: str, body: bytes, work: Callable[[Connection], T]) -> T:
        intent = of_request(
            Kind.INTENT,
            self._node.door,
            route,
            request,
            subject=f"Patient/{patient}",
            digest=hashlib.sha256(body).hexdigest(),
        )
        return perform(self._node, intent, request.requester.account, lambda: work)

    def _papers(self, connection: Connection, directives: Sequence[Directive]) -> frozenset[str]:
        kept = self._node.record.read_many(connection, "Consent", [each.consent for each in directives])
        return frozenset(each.id for each in kept if _paper(each.json()) is not None)

    def _name(self, connection: Connection, kind: str, identity: str) -> str:
        found = self._node.record.read_many(connection, kind, [identity])
        return (person_name(found[0].json()) if found else "") or _("Name not recorded")

    def _holders(self, connection: Connection) -> dict[Use, Holders]:
        """The accounts that may ask for each use; a patient's own view is hers."""
        staff = [each for each in accounts.everyone(connection) if each.active and each.requester.confined_to is None]
        return {
            use: Holders(tuple(each.display or each.name for each in staff if use.purpose in each.requester.purposes))
            for use in self._uses
        }


def _paper(consent: dict[str, Any]) -> bytes | None:
    source = consent.get("sourceAttachment")
    if not isinstance(source, dict) or source.get("contentType") != _PDF or not isinstance(source.get("data"), str):
        return None
    try:
        data = base64.b64decode(source["data"], validate=True)
    except (ValueError, binascii.Error):
        return None
    return data if data.startswith(b"%PDF-") else None
