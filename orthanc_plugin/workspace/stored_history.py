"""The record of answers over the chains, read by the same code as ``photospine audit`` and ``consent explain``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from heapq import nlargest

from sqlalchemy import Connection, select

from consent.audit import seen
from consent.audit.read import Archive
from consent.audit.record import Kind, of_request
from consent.audit.seen import How, Seen, Window
from consent.identity import accounts
from consent.inquiry import Explained, inquire, named
from consent.purposes import BTG
from consent.store.clock import instant, micros
from consent.store.engine import reading
from consent.store.history import numbers_of
from consent.store.photos import former_of
from consent.store.tables import photo_patient
from consent.store.versions import group
from consent.store.write import among
from consent.types import Request
from fhir_mapping import dates
from fhir_mapping.api.node import Node
from fhir_mapping.resources.task import EMERGENCY_ACCESS, TASK_SYSTEM
from orthanc_plugin.workspace.history_book import DAYS, Answer, Asked, History, Look, Opened
from orthanc_plugin.workspace.language import gettext as _

_MOST = 300


class StoredHistory:
    """See :class:`orthanc_plugin.workspace.history_book.HistoryBook`."""

    def __init__(self, node: Node, archive: Archive) -> None:
        self._node, self._archive = node, archive

    def of_patient(self, request: Request, patient: str, until: datetime, route: str) -> Sequence[Look]:
        """What was shown of her."""
        with reading(self._node.engine) as connection:
            hers = group(connection, [patient])
            query = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, hers))
            numbers = set(connection.execute(query).scalars())
            numbers |= former_of(connection, numbers)  # what was shown of her under another header was shown of her
            people = {each.name: each for each in accounts.everyone(connection)}
        since = until - timedelta(days=DAYS)
        found = seen.of_photos(self._archive, numbers, Window(micros(since), micros(until)))
        zone = self._node.record.site.zone
        days: dict[tuple[date, str, str, bool], set[int]] = {}
        for each in found:
            if each.how is not How.RELEASED:
                continue
            key = (
                instant(each.at).astimezone(zone).date(),
                str(each.values.get("account") or ""),
                str(each.values.get("purpose") or ""),
                each.override,
            )
            days.setdefault(key, set()).update(each.numbers)
        self._record(request, route, f"Patient/{patient}", len(days))
        looks = []
        for (day, account, purpose, emergency), shown in days.items():
            who = people.get(account)
            reference = (who.requester.reference or "") if who is not None else ""
            herself = reference.partition("/")[2] in hers and reference.startswith("Patient/")
            name = (who.display or who.name) if who is not None else account or _("A process of the clinic")
            looks.append(Look(day, name, purpose, len(shown), emergency, herself))
        return sorted(looks, key=lambda look: (look.day, look.who, look.purpose), reverse=True)

    def of_photo(self, request: Request, word: str, route: str) -> History | None:
        """Every answer about a photo."""
        with reading(self._node.engine) as connection:
            meant = named(connection, word)
            numbers: Collection[int] = () if meant is None else numbers_of(connection, meant.sop_uid)
            names = {each.name: each.display or each.name for each in accounts.everyone(connection)}
        if meant is None:
            self._record(request, route, "audit of a photo that is not known", 0)
            return None
        found = list(seen.of_photo(self._archive, meant.sop_uid, numbers, Window()))
        self._record(request, route, f"audit of {meant.sop_uid}", len(found))
        newest = nlargest(_MOST, found, key=lambda each: each.at)
        return History(meant.sop_uid, tuple(_answer(each, names) for each in newest), len(found), _people(found, names))

    def explain(self, request: Request, word: str, asked: Asked, route: str) -> Explained | None:
        """Why somebody may or may not see it."""
        self._record(request, route, f"explanation of {word}"[:200], 1)
        with reading(self._node.engine) as connection:
            about, who = named(connection, word), accounts.requester(connection, asked.account)
            if about is None or who is None:
                return None
            question = Request(
                who,
                BTG if asked.purpose == "ETREAT" else asked.purpose,
                channel=asked.channel,
                project=asked.project,
                emergency_reason=asked.reason,
            )
            return inquire(connection, question, about)

    def accounts(self) -> Sequence[str]:
        """The names of all accounts."""
        with reading(self._node.engine) as connection:
            return [each.name for each in accounts.everyone(connection) if each.active]

    def emergencies(self) -> Sequence[Opened]:
        """What is to be looked at."""
        with reading(self._node.engine) as connection:
            return list(self._emergencies(connection))[:_MOST]

    def _emergencies(self, connection: Connection) -> Iterable[Opened]:
        asked = {"code": f"{TASK_SYSTEM}|{EMERGENCY_ACCESS}", "status": "requested"}
        found = [each.json() for each in self._node.record.search(connection, "Task", asked)]
        for task in sorted(found, key=lambda each: str(each.get("authoredOn")), reverse=True):
            span = dates.span(task["authoredOn"], self._node.record.site.zone)
            yield Opened(
                span.start,
                str((task.get("for") or {}).get("reference", "")).partition("/")[2],
                str(task["input"][0].get("valueString", "")),
                str((task.get("reasonCode") or {}).get("text", "")),
            )

    def _record(self, request: Request, route: str, subject: str, found: int) -> None:
        node = self._node
        entry = of_request(Kind.READ, node.door, route, request, subject=subject, details={"found": found})
        node.chain.append([entry])


def _answer(each: Seen, names: dict[str, str]) -> Answer:
    values = each.values
    account = str(values.get("account") or values.get("os_user") or "")
    return Answer(
        at=instant(each.at),
        who=names.get(account, account) or _("Nobody who was known"),
        account=account,
        how=each.how,
        purpose=str(values.get("purpose") or ""),
        place=str(values.get("channel") or values.get("project") or ""),
        among=each.of if each.how is How.RELEASED else 0,
        reason=str(values.get("reason") or ""),
        emergency=str(values.get("emergency_reason") or "") if each.override else "",
        record=each.record,
    )


def _people(found: Iterable[Seen], names: dict[str, str]) -> tuple[str, ...]:
    shown = {str(each.values.get("account") or "") for each in found if each.how is How.RELEASED}
    return tuple(sorted(names.get(each, each) for each in shown if each))
