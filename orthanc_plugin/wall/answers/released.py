"""Sets of photos that leave as files: decided together, recorded once, and each decided again when its turn comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from consent.service import for_one_patient
from consent.store.engine import reading
from consent.store.tables import photo
from consent.store.write import among
from consent.types import narrowed
from dicom_bridge.query.search import Instance
from orthanc_plugin.wall.asking import Asked
from orthanc_plugin.wall.foundation import Foundation

_FEW = 60
"""Photos that are decided one by one faster than by a question to the database about all of them."""


def released(foundation: Foundation, asked: Asked, known: Sequence[Instance]) -> list[Instance]:
    """Those of the photos that may leave, in their order, recorded as one set."""
    rooms, row = foundation.rooms(), asked.match.row
    assert asked.request is not None
    point, request = rooms.point, asked.request
    found = None
    if len(known) <= _FEW:
        pairs = [(one.number, one.sop_uid) for one in known]
        found = point.photos_at_hand(request, pairs, route=row.name, fulfils=row.fulfils)
    if found is None:
        found = point.photos(request, [one.number for one in known], route=row.name, fulfils=row.fulfils)
    numbers = set(found.numbers)
    return [one for one in known if one.number in numbers]


class Turns:
    """Decides the photos of a set again, each when its turn has come to be sent: for an account that is what it was."""

    def __init__(self, foundation: Foundation, asked: Asked) -> None:
        assert asked.request is not None
        self._rooms, self._row, self._request = foundation.rooms(), asked.match.row, asked.request
        self._accounts = self._rooms.callers.authenticator
        self._version = self._accounts.version(self._request.requester.account)

    def still(self, one: Instance) -> bool:
        """Whether the photo may leave now. Who was disabled or changed meanwhile holds no purpose any more."""
        request = self._request
        if not self._stands():
            request = replace(request, requester=narrowed(request.requester, purposes=()))
        return self._rooms.point.still(request, one.sop_uid, route=self._row.name, fulfils=self._row.fulfils)

    def at_hand(self, one: Instance) -> bool | None:
        """As :meth:`still`, where everything is remembered and the photo may leave; else None."""
        try:
            may = self._rooms.point.still_at_hand(self._request, one.sop_uid, fulfils=self._row.fulfils)
            return may and (self._stands() or None)
        except SQLAlchemyError:  # asked once more where there is time to wait
            return None

    def _stands(self) -> bool:
        now = self._accounts.version(self._request.requester.account)
        return now is not None and now == self._version


def first(foundation: Foundation, asked: Asked, known: Sequence[Instance]) -> Instance | None:
    """The first of the photos that may leave, recorded as the one that does; None: none of them, which is recorded."""
    rooms, row, request = foundation.rooms(), asked.match.row, asked.request
    assert request is not None
    with reading(rooms.engine) as connection:
        these = among(connection, photo.c.photo, [one.number for one in known])
        question = for_one_patient(connection, request, these)
        may = rooms.point.permitted(connection, question, fulfils=row.fulfils)
        numbers = set(connection.execute(select(photo.c.photo).where(these, may.clause(photo.c.photo))).scalars())
    found = next((one for one in known if one.number in numbers), None)
    if found is None:
        rooms.point.record_set(request, row.name, (), len(known))
        return None
    return found if rooms.point.photo(request, found.sop_uid, route=row.name, fulfils=row.fulfils).permitted else None
