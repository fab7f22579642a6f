"""SMART scopes at the FHIR API: a token that names resource types reads and writes no others."""

from __future__ import annotations

from collections.abc import Iterable

from consent.identity.scopes import EVERYTHING, Scopes
from fhir_mapping.api.interactions import TABLE
from fhir_mapping.errors import Forbidden, Issue

_KINDS = frozenset(row.type for row in TABLE)
_BEYOND = ("_include", "_revinclude", "_has")


def require_scope(scopes: Scopes, method: str, route: str, names: Iterable[str]) -> None:
    """Let only those requests go on that the scopes cover.

    Parameters
    ----------
    route
        The path of the route: its resource type is a segment; a transaction has none, and wants every type.
    names
        Search parameters in the address: one that reaches into other types wants all of them.

    Raises
    ------
    Forbidden
        It names what the scopes lack.
    """
    kind = next((segment for segment in route.split("/") if segment in _KINDS), EVERYTHING)
    reads = method in ("GET", "HEAD") or route.endswith("/_search")
    beyond = any(name.partition(":")[0] in _BEYOND or "." in name for name in names)
    beyond = beyond or route.endswith(("/_search", "/$photos"))  # facets come from all that is around a photo
    wanted = EVERYTHING if reads and beyond else kind
    if not (scopes.may_read(wanted) if reads else scopes.may_write(wanted)):
        what = "every type" if wanted == EVERYTHING else wanted
        raise Forbidden(
            Issue("forbidden", f"The token's scopes do not cover {'reading' if reads else 'writing'} {what}.")
        )
