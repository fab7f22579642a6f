"""The public keys of issuers, kept in the database: every process and the wall read them there, and fetch nothing.

Whoever fetches them (``serve``, ``worker``) asks :func:`claim` first, so that an issuer is asked at most once a minute,
however many processes there are and however many tokens name keys that do not exist.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, or_, select, update

from consent.identity.policy import Issuer
from consent.identity.signatures import public_part
from consent.store.clock import instant, micros, now
from consent.store.tables import issuer_key, issuer_state
from consent.store.write import insert_missing, upsert

PAUSE = timedelta(seconds=60)
"""The least time between two attempts to fetch an issuer's keys."""

_MOST = 50
_MICROSECOND = timedelta(microseconds=1)


def find(connection: Connection, issuer: Issuer, kid: str) -> dict[str, str] | None:
    """A key that counts now: published at the last fetch or shortly before it, and that fetch is not too long ago."""
    row = connection.execute(
        select(issuer_key.c.jwk, issuer_key.c.seen, issuer_state.c.fetched)
        .join(issuer_state, issuer_state.c.issuer == issuer_key.c.issuer)
        .where(issuer_key.c.issuer == issuer.issuer, issuer_key.c.kid == kid)
    ).one_or_none()
    if row is None or row.fetched is None:
        return None
    moment = micros(now(connection))
    vanished = row.seen < row.fetched and row.seen + _seconds(issuer.kept_seconds) <= moment
    if vanished or row.fetched + _seconds(issuer.stale_seconds) <= moment:
        return None
    jwk: dict[str, str] = json.loads(row.jwk)
    return jwk


def is_wanted(connection: Connection, issuer: Issuer) -> bool:
    """Whether a key that is not known may be asked for now: not asked for yet, nor fetched a moment ago."""
    row = connection.execute(
        select(issuer_state.c.wanted, issuer_state.c.tried).where(issuer_state.c.issuer == issuer.issuer)
    ).one_or_none()
    return row is not None and row.wanted is None and (row.tried is None or row.tried <= _pause(now(connection)))


def want(connection: Connection, issuer: Issuer) -> None:
    """Have the keys fetched soon: a token names one that is not known. Wants a write transaction."""
    connection.execute(
        update(issuer_state)
        .where(issuer_state.c.issuer == issuer.issuer, issuer_state.c.wanted.is_(None))
        .values(wanted=micros(now(connection)))
    )


def due(connection: Connection, issuers: Iterable[Issuer]) -> list[Issuer]:
    """The issuers whose keys should be fetched now."""
    moment = now(connection)
    rows = {row.issuer: row for row in connection.execute(select(issuer_state))}
    found = []
    for issuer in issuers:
        row = rows.get(issuer.issuer)
        if row is None or row.tried is None:
            found.append(issuer)
        elif row.tried <= _pause(moment):
            old = row.fetched is None or row.fetched + _seconds(issuer.refresh_seconds) <= micros(moment)
            if old or row.wanted is not None:
                found.append(issuer)
    return found


def claim(connection: Connection, issuer: Issuer) -> bool:
    """Take it on to fetch an issuer's keys; False where another process has just done so. Wants a write transaction."""
    insert_missing(connection, issuer_state, [{"issuer": issuer.issuer, "metadata": "{}"}])
    moment = now(connection)
    taken = connection.execute(
        update(issuer_state)
        .where(issuer_state.c.issuer == issuer.issuer)
        .where(or_(issuer_state.c.tried.is_(None), issuer_state.c.tried <= _pause(moment)))
        .values(tried=micros(moment), wanted=None)
    )
    return taken.rowcount == 1


def replace(connection: Connection, issuer: Issuer, keys: Iterable[Any], metadata: Mapping[str, Any]) -> int:
    """Write down what was fetched; tells how many keys count. Keys of no use, or of one name, are left out.

    Parameters
    ----------
    keys
        The member ``keys`` of a JWK set.
    metadata
        What sign-in needs of the discovery document; empty where none was read.
    """
    moment = micros(now(connection))
    found: dict[str, dict[str, str]] = {}
    twice: set[str] = set()
    for each in list(keys)[:_MOST]:
        part = public_part(each) if isinstance(each, Mapping) else None
        if part is not None:
            if part["kid"] in found:
                twice.add(part["kid"])
            found[part["kid"]] = part
    for kid, part in found.items():
        if kid not in twice:
            values = {"issuer": issuer.issuer, "kid": kid, "jwk": json.dumps(part, sort_keys=True), "seen": moment}
            upsert(connection, issuer_key, values)
    connection.execute(
        delete(issuer_key).where(
            issuer_key.c.issuer == issuer.issuer,
            issuer_key.c.seen < moment,
            or_(issuer_key.c.seen <= moment - _seconds(issuer.kept_seconds), issuer_key.c.kid.in_(twice)),
        )
    )
    connection.execute(
        update(issuer_state)
        .where(issuer_state.c.issuer == issuer.issuer)
        .values(fetched=moment, metadata=json.dumps(dict(metadata), sort_keys=True))
    )
    return len(found) - len(twice)


def fault(connection: Connection, issuer: Issuer) -> str | None:
    """What keeps all tokens of an issuer from being proved, for whoever runs the node; None: nothing."""
    fetched = connection.execute(
        select(issuer_state.c.fetched).where(issuer_state.c.issuer == issuer.issuer)
    ).scalar_one_or_none()
    if fetched is None:
        return "its keys were never fetched"
    moment = now(connection)
    if fetched + _seconds(issuer.stale_seconds) <= micros(moment):
        return f"its keys could not be fetched since {instant(fetched):%Y-%m-%d %H:%M} UTC, and count no longer"
    found = select(issuer_key.c.kid).where(issuer_key.c.issuer == issuer.issuer).limit(1)
    return None if connection.execute(found).one_or_none() is not None else "it publishes no key of use"


def metadata(connection: Connection, issuer: str) -> dict[str, Any]:
    """What was kept of an issuer's discovery document; empty before it was read."""
    body = connection.execute(
        select(issuer_state.c.metadata).where(issuer_state.c.issuer == issuer)
    ).scalar_one_or_none()
    found: dict[str, Any] = json.loads(body) if body else {}
    return found


def forget_others(connection: Connection, issuers: Iterable[Issuer]) -> None:
    """Drop the keys of issuers that are believed no more."""
    kept = [issuer.issuer for issuer in issuers]
    for table in (issuer_key, issuer_state):
        connection.execute(delete(table).where(table.c.issuer.not_in(kept)))


def _pause(moment: datetime) -> int:
    return micros(moment - PAUSE)


def _seconds(count: int) -> int:
    return timedelta(seconds=count) // _MICROSECOND
