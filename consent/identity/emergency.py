"""Emergency grants: the workspace's break-glass, one account and one patient for a limited time.

A grant decides nothing. It carries the typed reason into each request, and ``decide`` judges that request.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from consent.errors import ConsentError
from consent.purposes import BTG
from consent.store.clock import instant, micros, now
from consent.store.sites import load_site
from consent.store.tables import emergency_grant
from consent.store.versions import group
from consent.types import Request, Requester

LONGEST_REASON = 500
"""Characters."""


class GrantRefused(ConsentError):
    """Emergency access is not open to this requester, or no reason was given."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An open grant."""

    identity: str
    account: str
    patient: str
    reason: str
    until: datetime

    def request(self, requester: Requester, session: str | None = None) -> Request:
        """The request that this grant stands for."""
        return Request(
            requester=requester,
            purpose=BTG,
            emergency_reason=self.reason,
            emergency_patient=self.patient,
            session=session,
        )


def open_grant(
    connection: Connection,
    requester: Requester,
    patient: str,
    reason: str,
    *,
    identity: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> Grant:
    """Open emergency access to one patient for the site's ``break_glass_minutes``.

    Raises
    ------
    GrantRefused
        The requester does not hold BTG, or the reason is empty.
    """
    reason = reason.strip()
    if BTG not in requester.purposes or not reason or len(reason) > LONGEST_REASON:
        raise GrantRefused("emergency access needs an account that holds it, and a reason of up to 500 characters")
    until = now(connection) + timedelta(minutes=load_site(connection).break_glass_minutes)
    grant = Grant(identity(), requester.account, patient, reason, until)
    connection.execute(
        insert(emergency_grant).values(
            grant=grant.identity,
            account=grant.account,
            patient=grant.patient,
            reason=grant.reason,
            until=micros(grant.until),
        )
    )
    return grant


def active(connection: Connection, account: str, patient: str) -> Grant | None:
    """The account's open grant for the patient, the one that lasts longest."""
    row = connection.execute(
        select(emergency_grant)
        .where(emergency_grant.c.account == account, emergency_grant.c.patient == patient)
        .where(emergency_grant.c.until > micros(now(connection)))
        .order_by(emergency_grant.c.until.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Grant(row.grant, row.account, row.patient, row.reason, instant(row.until))


def close(connection: Connection, grant: Grant) -> None:
    """End a grant before its time, and whatever else the account has opened meanwhile for any record of the patient."""
    connection.execute(
        update(emergency_grant)
        .where(emergency_grant.c.account == grant.account)
        .where(emergency_grant.c.patient.in_(sorted({grant.patient, *group(connection, [grant.patient])})))
        .where(emergency_grant.c.until > micros(now(connection)))
        .values(until=micros(now(connection)))
    )
