"""SMART scopes at the FHIR API: a token that names resource types reads and writes no others."""

from __future__ import annotations

from consent.identity.scopes import EVERYTHING, Scopes
from fhir_mapping.api.courses import OPERATIONS
from fhir_mapping.api.interactions import TABLE
from fhir_mapping.errors import Forbidden, Issue

_KINDS = frozenset(row.type for row in TABLE)
_AROUND = frozenset({"$photos"} | {f"${each.name}" for each in OPERATIONS})
"""Operations that answer with whatever is around a resource."""


def require_scope(scopes: Scopes, method: str, route: str) -> None:
    """Let only those requests go on that the scopes cover. What a search reaches beside its own type, it asks itself
    (:class:`fhir_mapping.api.sight.RequestSight`).

    Parameters
    ----------
    route
        The path of the route: its resource type is a segment; an address that has none wants every type.

    Raises
    ------
    Forbidden
        It names what the scopes lack.
    """
    kind = next((segment for segment in route.split("/") if segment in _KINDS), EVERYTHING)
    reads = method in ("GET", "HEAD") or route.endswith("/_search")
    wanted = EVERYTHING if reads and route.rpartition("/")[2] in _AROUND else kind
    if not (scopes.may_read(wanted) if reads else scopes.may_write(wanted)):
        what = "every type" if wanted == EVERYTHING else wanted
        raise Forbidden(
            Issue("forbidden", f"The token's scopes do not cover {'reading' if reads else 'writing'} {what}.")
        )
