"""Uses by a code alone whose lot an Observation tells: marked, so that a batch question need not look at each of them.

A use is marked in the transaction that makes it true, and the mark is taken away in the one that ends it: whatever is
written of the use, of its treatment, or of the Observation has it looked at anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from consent.store.write import among
from fhir_mapping import references
from fhir_mapping.advisory.stated import USES, State, stated
from fhir_mapping.advisory.tables import advisory_lot
from fhir_mapping.advisory.uses import ABOUT, TOLD_BY, by_kind, told_of
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.tables import fhir_reference

_STATES = (State.BARE.value, State.OBSERVED.value)


def note(connection: Connection, setting: Setting, written: Iterable[Written]) -> None:
    """Mark the uses that some versions concern, or take their marks away."""
    uses: set[str] = set()
    observations: set[str] = set()
    procedures: set[str] = set()
    for each in written:
        versions = [one for one in (each.resource, each.previous) if one is not None]
        if each.type == "Observation":
            if any(one.lot for version in versions for one in stated(version)):
                observations.add(each.reference)
                named = _named(versions, setting, ABOUT)
                procedures |= {one for one in named if one.startswith("Procedure/")}
                uses |= named
        elif each.type in USES:
            uses.add(each.reference)
            if each.type == "Procedure":
                uses |= _named(versions, setting, ("partOf",))
    mark(connection, uses | _around(connection, observations, procedures))


def mark(connection: Connection, uses: Iterable[str]) -> None:
    """Mark those of the uses by a code alone whose lot an Observation tells, and no others of them."""
    there: dict[str, str] = {}
    for kind, ids in by_kind(each for each in uses if each.partition("/")[0] in USES):
        query = select(advisory_lot.c.id, advisory_lot.c.state).where(
            advisory_lot.c.type == kind, among(connection, advisory_lot.c.id, ids), advisory_lot.c.state.in_(_STATES)
        )
        there |= {f"{kind}/{row.id}": row.state for row in connection.execute(query)}
    told = told_of(connection, there)
    for state, others, those in (
        (State.OBSERVED, State.BARE, told),
        (State.BARE, State.OBSERVED, there.keys() - told),
    ):
        for kind, ids in by_kind(each for each in those if there[each] == others.value):
            connection.execute(
                update(advisory_lot)
                .where(
                    advisory_lot.c.type == kind,
                    among(connection, advisory_lot.c.id, ids),
                    advisory_lot.c.state == others.value,
                )
                .values(state=state.value)
            )


def anew(connection: Connection, after: tuple[str, str] = ("", ""), most: int = 500) -> tuple[str, str] | None:
    """Look at some uses by a code alone, whatever their marks say.

    Parameters
    ----------
    after
        What the call before has given: type and id of the use that it came to.

    Returns
    -------
    tuple or None
        None: there are no more.
    """
    kind, identity = after
    columns = advisory_lot.c
    query = (
        select(columns.type, columns.id)
        .distinct()
        .where(
            columns.type.in_(USES),
            columns.state.in_(_STATES),
            (columns.type > kind) | ((columns.type == kind) & (columns.id > identity)),
        )
        .order_by(columns.type, columns.id)
        .limit(most)
    )
    rows = connection.execute(query).all()
    mark(connection, [f"{row.type}/{row.id}" for row in rows])
    return (rows[-1].type, rows[-1].id) if len(rows) == most else None


def _named(versions: Sequence[Mapping[str, Any]], setting: Setting, paths: Sequence[str]) -> set[str]:
    found = (one.text for version in versions for one in references.found(version) if one.path in paths)
    return {target for text in found if (target := references.local(text, setting.base)) is not None}


def _around(connection: Connection, observations: set[str], procedures: set[str]) -> set[str]:
    """Uses that name Observations, or are parts of treatments, or of which treatments are parts."""
    found: set[str] = set()
    columns = fhir_reference.c
    for targets, paths in ((observations, TOLD_BY), (procedures, ("partOf", "derivedFrom"))):
        if targets:
            naming = select(columns.type, columns.id).where(
                among(connection, columns.target, targets), columns.type.in_(USES), columns.path.in_(paths)
            )
            found |= {f"{row.type}/{row.id}" for row in connection.execute(naming)}
    if procedures:
        ids = {references.id_of(each) for each in procedures}
        parts = select(columns.target).where(
            columns.type == "Procedure", among(connection, columns.id, ids), columns.path == "partOf"
        )
        found |= set(connection.execute(parts).scalars())
    return found
