"""Closing the photographs of a visit: looked at, closed by a person, and open again when a photo comes later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from consent.audit.record import Kind, of_request
from consent.store import clock
from consent.store.engine import reading
from consent.types import Request
from consent.wording import joined, worded
from dicom_bridge.protocols.closing import Closed, Person, Why, closing_id, observation, read
from dicom_bridge.protocols.protocol import Protocol
from dicom_bridge.protocols.reasons import reasons
from dicom_bridge.protocols.wanted import Asked, Visited, visited
from dicom_bridge.protocols.words import shot_words
from fhir_mapping.api import access
from fhir_mapping.api.node import Node
from fhir_mapping.api.writes import perform
from fhir_mapping.errors import Invalid, Issue, NotFound
from fhir_mapping.store.kinds import SOURCE
from fhir_mapping.store.record import RecordStore

_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Looked:
    """A visit's photographs as they stand."""

    visited: Visited
    closed: Closed | None

    @property
    def missing(self) -> tuple[Asked, ...]:
        """The photos that are not there."""
        return tuple(each for each in self.visited.asked if each.photo is None)

    @property
    def baseline(self) -> tuple[Asked, ...]:
        """Those missing that belong to the set before the first treatment."""
        return tuple(each for each in self.missing if each.baseline)


class Closings:
    """Looks, and closes.

    Parameters
    ----------
    strict
        Whether nothing is closed whose baseline set is not whole, whatever the reason.
    """

    def __init__(
        self,
        node: Node,
        protocols: Iterable[Protocol],
        *,
        strict: bool = False,
        os_user: str | None = None,
        now: Callable[[Connection], datetime] = clock.now,
    ) -> None:
        self._node, self.protocols, self.strict = node, tuple(protocols), strict
        self._os_user, self._now = os_user, now

    def look(self, request: Request, visit: str, route: str) -> Looked | None:
        """A visit's photographs; what it shows is recorded before this returns.

        Returns
        -------
        None where there is no such visit, or the request may not read it.

        Raises
        ------
        consent.audit.shelf.AuditUnavailable
            Nothing may leave.
        """
        node = self._node
        with reading(node.engine) as connection:
            if not access.readable(connection, request, "Encounter", visit):
                return None
            try:
                found, question = visited(node.decisions, connection, node.record, request, visit, self.protocols)
            except NotFound:
                return None
            shown = {each.photo.number for each in found.asked if each.photo is not None}
            node.decisions.record_set(
                question, route, sorted(shown), found.refused, details={"subject": f"Encounter/{visit}"}
            )
            return Looked(found, _closed(connection, node.record, visit))

    def close(
        self,
        request: Request,
        visit: str,
        why: Mapping[str, Why],
        person: Person,
        route: str,
        *,
        version: int | None = None,
    ) -> Looked:
        """Close them.

        Parameters
        ----------
        why
            By code, of photos that are not there; of others it is left out.
        version
            Of the Observation that was shown; None: whichever there is.

        Raises
        ------
        Forbidden, NotFound
        Invalid
            A reason is missing or unknown, or the baseline set is not whole and the site wants it.
        fhir_mapping.errors.VersionMismatch
            Somebody else closed them meanwhile.
        """
        node = self._node
        access.require_write(request.requester, "Observation")
        with reading(node.engine) as connection:
            if not access.readable(connection, request, "Encounter", visit):
                raise NotFound

        def work(connection: Connection) -> Looked:
            found, _ = visited(node.decisions, connection, node.record, request, visit, self.protocols)
            looked = Looked(found, None)
            _require(looked, why, self.strict)
            told = {each.code: why[each.code] for each in looked.missing}
            made = observation(found, told, person, self._now(connection))
            stored = node.record.update(connection, "Observation", made["id"], made, source=SOURCE, if_match=version)
            return Looked(found, read(stored.json(), stored.version))

        intent = of_request(Kind.INTENT, node.door, route, request, subject=f"Encounter/{visit}", os_user=self._os_user)
        return perform(node, intent, request.requester.account, lambda: work)


def _require(looked: Looked, why: Mapping[str, Why], strict: bool) -> None:
    if not looked.visited.asked:
        raise Invalid(Issue("required", worded("No protocol asks this visit for photos: there is nothing to close.")))
    if strict and looked.baseline:
        raise Invalid(
            Issue(
                "required",
                worded(
                    "The set before the first treatment is not whole, and this clinic closes no session without it: "
                    "%(shots)s. Take it before the treatment begins.",
                    shots=joined((shot_words(each.shot) for each in looked.baseline), "; "),
                ),
            )
        )
    for each in looked.missing:
        fault = _fault(shot_words(each.shot), why.get(each.code))
        if fault is not None:
            raise Invalid(replace(fault, element=each.code))


def _fault(shot: str, given: Why | None) -> Issue | None:
    """What is wrong with the reason for a photo that is missing."""
    if given is None:
        return Issue("required", worded("%(shot)s: the photo is not there; say why.", shot=shot))
    reason = reasons().get(given.reason)
    if reason is None:
        text = worded("%(shot)s: %(reason)s is none of %(known)s.", shot=shot, reason=repr(given.reason),
                      known=tuple(reasons()))  # fmt: skip
        return Issue("value", text)
    if reason.told and not given.told.strip():
        return Issue("required", worded("%(shot)s: say in a sentence which reason.", shot=shot))
    if len(given.told) > _LONGEST:
        return Issue("too-long", worded("%(shot)s: a reason is %(most)s characters at most.", shot=shot, most=_LONGEST))
    return None


def _closed(connection: Connection, store: RecordStore, visit: str) -> Closed | None:
    try:
        stored = store.read(connection, "Observation", closing_id(visit))
    except NotFound:
        return None
    return read(stored.json(), stored.version)
