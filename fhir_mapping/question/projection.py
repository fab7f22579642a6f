"""The index of facets: written in the transaction that changes what photos have, and made anew at any time.

A photo whose facts may have changed is due (``photo_due``). Before the transaction commits, as many as are quick are
indexed; the others are left to the worker. Whoever asks meanwhile reads the facts of some from the record itself; where
they are too many for that, they are indexed before the answer, or there is none. So a late index costs time, never
truth.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select, update

from consent.bits import SHIFT, Bits, by_chunk, unpacked
from consent.store import rows_of_bits
from consent.store.engine import before_commit, reading, transaction
from consent.store.tables import photo, photo_due, photo_link
from consent.store.versions import lock
from consent.store.write import among, insert_missing
from fhir_mapping import references
from fhir_mapping.projections.standing import successors
from fhir_mapping.projections.written import Setting, Written
from fhir_mapping.question import elements
from fhir_mapping.question.facets import Value
from fhir_mapping.question.facts import values_of
from fhir_mapping.question.surroundings import JUDGED_PATHS, PART_PATHS, PARTS, PLANNED_PATHS, PRODUCTS, VISIT_PATHS
from fhir_mapping.question.tables import facet_bits, facet_value, photo_values
from fhir_mapping.tables import fhir_reference

AT_ONCE = 200
"""Photos that a transaction indexes itself; the rest is left to the worker."""

_CHANGE = update(photo_values).where(photo_values.c.photo == bindparam("b_photo")).values(body=bindparam("b_body"))


def note(connection: Connection, setting: Setting, written: Iterable[Written], documents: Collection[str]) -> None:
    """Have the photos indexed anew whose values some writes may have changed.

    Parameters
    ----------
    documents
        Ids of the DocumentReferences whose photos' facts the writes touch, as :mod:`.projections.photo` tells.
    """
    reached = {f"DocumentReference/{each}" for each in documents} | _reached(connection, setting.base, written)
    named = {references.id_of(each) for each in reached if each.startswith("DocumentReference/")}
    named |= successors(connection, named)
    if reached:
        query = select(photo.c.photo).where(among(connection, photo.c.document, named))
        linked = select(photo_link.c.photo).where(
            among(connection, photo_link.c.reference, {each for each in reached if not each.startswith("Document")})
        )
        numbers = set(connection.execute(query.union(linked)).scalars())
        insert_missing(connection, photo_due, [{"photo": number} for number in sorted(numbers)])
        before_commit(connection, _Settle(setting), ())


@dataclass(frozen=True, slots=True)
class _Settle:
    """Indexes what is due at the end of a transaction; the photos' rows may be written after their documents."""

    setting: Setting

    def __call__(self, connection: Connection, _items: set[str]) -> None:
        settle(connection, self.setting)


def settle(connection: Connection, setting: Setting) -> int:
    """Index as many of the photos that are due as is quick, the newest first; tells how many."""
    lock(connection)
    due = select(photo_due.c.photo).order_by(photo_due.c.photo.desc()).limit(AT_ONCE)
    numbers = connection.execute(due).scalars().all()
    index(connection, setting, numbers)
    return len(numbers)


def index(connection: Connection, setting: Setting, numbers: Collection[int], *, anew: bool = False) -> None:
    """Write what these photos have.

    Parameters
    ----------
    anew
        Whether what the index holds of them is not believed.
    """
    if not numbers:
        return
    lock(connection)
    found = {number: frozenset[Value]() for number in numbers} | values_of(connection, setting, numbers)
    rows = _in_rows(connection, numbers)
    save(connection, found, _in_bits(connection, numbers) if anew else rows, set(rows))
    connection.execute(delete(photo_due).where(among(connection, photo_due.c.photo, numbers)))


def work(engine: Engine, setting: Setting, *, most: int | None = None) -> int:
    """Index what is due, in transactions so short that nobody else waits; tells how many photos that were.

    Parameters
    ----------
    most
        Photos after which it ends, about; None: it goes on until nothing is due.
    """
    done = 0
    while most is None or done < most:
        with reading(engine) as connection:  # most often nothing is, and a transaction would hold up who writes
            if connection.execute(select(photo_due.c.photo).limit(1)).first() is None:
                return done
        with transaction(engine) as connection:
            done += settle(connection, setting)
    return done


def catch_up(engine: Engine, setting: Setting, numbers: Sequence[int], until: float) -> bool:
    """Index some photos now, the first ones first, for somebody who waits; False where it is too late to begin.

    Parameters
    ----------
    until
        By :func:`time.monotonic`.
    """
    if time.monotonic() >= until:
        return False
    for start in range(0, len(numbers), AT_ONCE):
        with transaction(engine) as connection:
            lock(connection)
            mine = among(connection, photo_due.c.photo, numbers[start : start + AT_ONCE])
            due = connection.execute(select(photo_due.c.photo).where(mine)).scalars().all()
            index(connection, setting, due)
        if time.monotonic() >= until:
            break
    return True


def rebuild(connection: Connection, setting: Setting, after: int = 0) -> int | None:
    """Index some photos anew, whatever the index holds of them.

    Parameters
    ----------
    after
        What the call before has given: the number of the photo that it came to.

    Returns
    -------
    int or None
        None: there are no more.
    """
    following = select(photo.c.photo).where(photo.c.photo > after).order_by(photo.c.photo).limit(AT_ONCE)
    numbers = list(connection.execute(following).scalars())
    until = numbers[-1] if len(numbers) == AT_ONCE else None
    _forget_others(connection, numbers, after, until)
    index(connection, setting, numbers, anew=True)
    return until


# --- which photos a write concerns ------------------------------------------------------------------------------------


def _reached(connection: Connection, base: str | None, written: Iterable[Written]) -> set[str]:
    """Procedures, visits and documents whose photos the versions written say something else of."""
    found: set[str] = set()
    uses: set[str] = set()
    for each in written:
        versions = [one for one in (each.resource, each.previous) if one is not None]
        if each.type in PRODUCTS:
            if each.previous is None or not _same_product(each.resource, each.previous):
                uses.add(each.reference)
        elif each.type == "Procedure":
            found.add(each.reference)
        elif each.type == "CarePlan":
            named = (one.text for version in versions for one in references.found(version) if one.path in PLANNED_PATHS)
            found |= {target for one in named if (target := references.local(one, base)) is not None}
        elif each.type in PARTS:
            uses.add(each.reference)
            for version in versions:
                found |= _named(version, base)
    uses |= {each for each in found if each.partition("/")[0] in PARTS}
    return (found - uses) | _treatments(connection, uses)


def _named(part: Mapping[str, object], base: str | None) -> set[str]:
    """What a use or an Observation belongs to: treatments, visits, photos, other uses."""
    paths = {*PART_PATHS, *VISIT_PATHS, *JUDGED_PATHS}
    targets = {references.local(each.text, base) for each in references.found(part) if each.path in paths}
    return {each for each in targets if each is not None}


def _treatments(connection: Connection, uses: set[str]) -> set[str]:
    """Procedures, visits and documents that uses and products lead to; and the uses' own parts lead there too."""
    found: set[str] = set()
    seen, pending = set(uses), set(uses)
    while pending:
        following: set[str] = set()
        into = select(fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.path).where(
            among(connection, fhir_reference.c.target, pending),
            fhir_reference.c.type.in_(("Procedure", "DocumentReference", "Medication", *sorted(PARTS))),
        )
        for row in connection.execute(into).all():
            this = f"{row.type}/{row.id}"
            (found if row.type in ("Procedure", "DocumentReference") else following).add(this)
        parts = {each for each in pending if each.partition("/")[0] in PARTS}
        if parts:
            columns = (fhir_reference.c.type, fhir_reference.c.id, fhir_reference.c.target)
            out = select(*columns).where(
                fhir_reference.c.type.in_(sorted({each.partition("/")[0] for each in parts})),
                among(connection, fhir_reference.c.id, {references.id_of(each) for each in parts}),
                fhir_reference.c.path.in_(sorted({*PART_PATHS, *VISIT_PATHS})),
            )
            for row in connection.execute(out).all():
                if f"{row.type}/{row.id}" in parts:
                    (following if row.target.partition("/")[0] in PARTS else found).add(row.target)
        pending = following - seen
        seen |= pending
    return found


def _same_product(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    def told(product: Mapping[str, object]) -> object:
        return set(elements.product(product)), elements.named_products(product)

    return told(one) == told(other)


# --- writing ----------------------------------------------------------------------------------------------------------


def save(
    connection: Connection, found: Mapping[int, frozenset[Value]], former: Mapping[int, set[int]], there: set[int]
) -> None:
    """Put photos' values in place of those that they had.

    Parameters
    ----------
    there
        The photos that have a row of ``photo_values``.
    """
    keys = known(connection, {each for values in found.values() for each in values})
    added: dict[rows_of_bits.Key, set[int]] = defaultdict(set)
    taken: dict[rows_of_bits.Key, set[int]] = defaultdict(set)
    fresh, other = [], []
    for number, values in found.items():
        now, before = {keys[each] for each in values}, former.get(number, set())
        for key in now - before:
            added[(key,)].add(number)
        for key in before - now:
            taken[(key,)].add(number)
        row = {"b_photo": number, "b_body": json.dumps(sorted(now), separators=(",", ":"))}
        if number not in there:
            fresh.append(row)
        elif now != before:
            other.append(row)
    rows_of_bits.change(connection, facet_bits, added, taken)
    if fresh:
        connection.execute(insert(photo_values), [{"photo": each["b_photo"], "body": each["b_body"]} for each in fresh])
    if other:
        connection.execute(_CHANGE, other)


def _in_rows(connection: Connection, numbers: Collection[int]) -> dict[int, set[int]]:
    """The values that photos had, as their rows tell."""
    query = select(photo_values).where(among(connection, photo_values.c.photo, numbers))
    return {row.photo: set(json.loads(row.body)) for row in connection.execute(query)}


def _in_bits(connection: Connection, numbers: Collection[int]) -> dict[int, set[int]]:
    """The values that photos had, as the bits tell."""
    found: dict[int, set[int]] = defaultdict(set)
    wanted = by_chunk(numbers)
    query = select(facet_bits).where(among(connection, facet_bits.c.chunk, wanted))
    for row in connection.execute(query):
        both = wanted[row.chunk] & unpacked(bytes(row.bits))
        for number in Bits({row.chunk: both} if both else {}):
            found[number].add(row.value)
    return found


def _forget_others(connection: Connection, numbers: Collection[int], after: int, until: int | None) -> None:
    """Take out of the bits what is no photo, of a range of numbers; None: to the end."""
    lock(connection)
    there = Bits.of(numbers)
    where = [facet_bits.c.chunk >= after >> SHIFT]
    where += [] if until is None else [facet_bits.c.chunk <= until >> SHIFT]
    taken: dict[rows_of_bits.Key, set[int]] = {}
    for key, bits in rows_of_bits.load(connection, facet_bits, *where).items():
        ghosts = {each for each in bits - there if after < each and (until is None or each <= until)}
        if ghosts:
            taken[key] = ghosts
    rows_of_bits.change(connection, facet_bits, {}, taken)


def known(connection: Connection, values: Collection[Value]) -> dict[Value, int]:
    """The numbers of values; those that are new are written."""
    found = _numbers(connection, values)
    missing = sorted({each for each in values if each not in found}, key=lambda each: (each.facet, each.text))
    if missing:
        connection.execute(
            insert(facet_value),
            [
                {"facet": each.facet, "system": each.system, "code": each.code, "amount": each.amount}
                for each in missing
            ],
        )
        found |= _numbers(connection, missing)
    return found


def _numbers(connection: Connection, values: Collection[Value]) -> dict[Value, int]:
    wanted = {(each.facet, each.system, each.code): each for each in values}
    facets, codes = ({each[place] for each in wanted} for place in (0, 2))
    query = select(facet_value).where(
        among(connection, facet_value.c.facet, facets), among(connection, facet_value.c.code, codes)
    )
    found = {}
    for row in connection.execute(query):
        each = wanted.get((row.facet, row.system, row.code))
        if each is not None:
            found[each] = row.value
    return found
