"""Who calls, from an ``Authorization`` header: HTTP Basic or a bearer token. Every HTTP door asks here alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address

from sqlalchemy import Engine

from consent.audit.record import AuditRecord
from consent.identity.accounts import Authenticator
from consent.identity.basic import credentials
from consent.identity.bearer import BearerTokens, Caller, token_of
from consent.identity.throttle import Throttle

_LONGEST_HEADER = 8192 + len("Bearer ")


class Callers:
    """One for each process."""

    def __init__(self, authenticator: Authenticator, tokens: BearerTokens, throttle: Throttle) -> None:
        self.authenticator, self._tokens, self.throttle = authenticator, tokens, throttle

    @staticmethod
    def of(engine: Engine, *, record: Callable[[AuditRecord], object], door: str) -> Callers:
        """Put together from a database; lock-outs are recorded by ``record`` as the door's."""
        throttle = Throttle(engine, record=record, door=door)
        return Callers(Authenticator(engine, throttle=throttle), BearerTokens(engine), throttle)

    def identify(self, header: str | None, address: str | None) -> Caller | None:
        """Who calls; None where nobody is proved. Wrong, unknown, disabled, expired and locked out are all None.

        A token that is remembered, or a password that is remembered for this address, is let in whatever was guessed
        meanwhile. One that is locked out is not
        looked at, so that guessing costs this machine nothing; that tells of waiting, never of an account.

        Parameters
        ----------
        address
            IP address of the client, for counting failures; None where the same request was counted already.
        """
        if header is None or len(header) > _LONGEST_HEADER:
            return None
        token = token_of(header)
        if token is not None:
            return self._tokens.remembered(token) or self._by_token(token, address or "")
        pair = credentials(header)
        requester = None if pair is None else self.authenticator.authenticate(*pair, address)
        return None if requester is None else Caller(requester)

    def at_hand(self, header: str | None, address: str | None) -> Caller | None:
        """As :meth:`identify`, where the password or the token is remembered; None where it must be proved first."""
        if header is None or len(header) > _LONGEST_HEADER:
            return None
        token = token_of(header)
        if token is not None:
            return self._tokens.at_hand(token)
        pair = credentials(header)
        requester = None if pair is None else self.authenticator.at_hand(*pair, address)
        return None if requester is None else Caller(requester)

    def _by_token(self, token: str, address: str) -> Caller | None:
        if self.throttle.waits(address):
            return None
        caller = self._tokens.verify(token)
        if caller is None:
            self.throttle.attempt(None, address)
        return caller


def client_address(peer: str, headers: Mapping[str, str]) -> str:
    """The address of the client: what a proxy on this machine says last in ``X-Forwarded-For``, else the peer's own.

    Parameters
    ----------
    headers
        Names in lower case.
    """
    forwarded = headers.get("x-forwarded-for")
    try:
        trusted = ip_address(peer).is_loopback
    except ValueError:
        return peer
    if forwarded is None or not trusted:
        return peer
    last = forwarded.rpartition(",")[2].strip()
    try:
        return str(ip_address(last))
    except ValueError:
        return peer
