"""Which subject of which issuer is which account. Without a link, a token opens nothing."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from consent.identity.accounts import AccountRefused, change
from consent.identity.policy import load
from consent.store.tables import account_identity

_LONGEST = 255


def link(connection: Connection, account: str, issuer: str, subject: str) -> None:
    """Let tokens of the issuer about the subject act as the account, from the next request on.

    Raises
    ------
    AccountRefused
        There is no such account or issuer, or the subject is another account's already.
    """
    if not subject or len(subject) > _LONGEST or not subject.isprintable():
        raise AccountRefused(f"a subject has 1 to {_LONGEST} printable characters")
    if load(connection).issuer(issuer) is None:
        raise AccountRefused(f"no issuer {issuer!r} is set: see [[issuers]], then 'photospine db upgrade'")
    taken = connection.execute(select(account_identity.c.account).where(_is(issuer, subject))).scalar_one_or_none()
    if taken is not None:
        raise AccountRefused(f"this subject is the account {taken} already")
    change(connection, account)
    connection.execute(insert(account_identity).values(issuer=issuer, subject=subject, account=account))


def unlink(connection: Connection, account: str, issuer: str, subject: str) -> None:
    """Let them act so no more, from the next request on; the account's sessions end too.

    Raises
    ------
    AccountRefused
        There is no such link.
    """
    gone = connection.execute(
        delete(account_identity).where(_is(issuer, subject), account_identity.c.account == account)
    )
    if gone.rowcount == 0:
        raise AccountRefused(f"this subject is not the account {account}")
    change(connection, account)


def account_of(connection: Connection, issuer: str, subject: str) -> str | None:
    """The account's name; it may be disabled."""
    return connection.execute(select(account_identity.c.account).where(_is(issuer, subject))).scalar_one_or_none()


def links_of(connection: Connection, account: str) -> list[tuple[str, str]]:
    """Issuers and subjects of an account."""
    rows = connection.execute(
        select(account_identity.c.issuer, account_identity.c.subject)
        .where(account_identity.c.account == account)
        .order_by(account_identity.c.issuer, account_identity.c.subject)
    )
    return [(row.issuer, row.subject) for row in rows]


def _is(issuer: str, subject: str) -> ColumnElement[bool]:
    return (account_identity.c.issuer == issuer) & (account_identity.c.subject == subject)
