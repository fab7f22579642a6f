"""Stored answers for sets, written by ``decide()`` alone.

Only photos whose answer differs from what holds when nobody has said anything have a row, so a count is a total minus
exceptions, or exceptions alone. The answers are those for a requester who holds the purpose, is confined to nobody and
is nobody's own record; what depends on the requester is added by :mod:`consent.sets`. For every patient the state
says whether her answers can be used at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    union_all,
    update,
)

from consent.decision import decide
from consent.facts import Facts, PatientFacts
from consent.purposes import BTG, HRESCH, PATRQT, SOCIAL, TREAT, Catalog
from consent.site import CareTeamScope, Site
from consent.store import clock, jobs, rows_of_bits
from consent.store.clock import micros, micros_or_none
from consent.store.engine import before_commit, reading, transaction
from consent.store.load import LINKED, Loaded, Loader, load_site_facts
from consent.store.sites import site_or_none
from consent.store.sites import stored_purposes as purposes_in_database
from consent.store.tables import decided, decided_bits, patient, patient_state, photo, photo_patient
from consent.store.versions import lock
from consent.store.write import among
from consent.types import Effect, Request, Requester
from consent.validity import names_requester, next_change

EVERYBODY = "*"
"""The audience of an answer that is for no channel and no project."""

AT_ONCE = 500
"""Answers that a transaction decides anew itself; the rest is a job."""

_NOBODY = Requester(account="")

_IS_LINKED = func.coalesce(photo.c.state, "") == LINKED
"""Within a function the state opens no index: SQLite would walk all linked photos for those of a few patients."""


def stored_purposes(site: Site) -> tuple[str, ...]:
    """The purposes that have stored answers: all but the patient's own view and emergencies, always decided live."""
    return tuple(code for code in Catalog.of(site).codes() if code not in (PATRQT, BTG))


def audiences(site: Site, purpose: str) -> tuple[str, ...]:
    """The audiences that a purpose's answers are stored for: channels, projects, else everybody."""
    if purpose == SOCIAL:
        return tuple(sorted(site.channels))
    if purpose == HRESCH:
        return (EVERYBODY, *sorted(site.projects))
    return (EVERYBODY,)


def audience(request: Request) -> str:
    """The audience of a request."""
    return request.channel or request.project or EVERYBODY


def generic(purpose: str, audience: str) -> Request:
    """The question that a stored answer is the answer to."""
    return Request(
        requester=replace(_NOBODY, purposes=(purpose,)),
        purpose=purpose,
        channel=audience if purpose == SOCIAL else None,
        project=audience if purpose == HRESCH and audience != EVERYBODY else None,
    )


def generic_facts(facts: Facts) -> Facts:
    """Facts without the care team, which is added for each requester."""
    if facts.site.care_team is CareTeamScope.ORGANIZATION:
        return facts
    return replace(facts, site=replace(facts.site, care_team=CareTeamScope.ORGANIZATION))


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers about one patient's photos, decided and not yet written."""

    patient: str
    versions: dict[str, int]
    """The versions of every patient that was read."""

    epoch: int
    photos: frozenset[int]
    rows: frozenset[tuple[str, str, int, str]]
    """Purpose, audience, photo, effect: the exceptions."""

    live: bool
    decided_at: datetime
    valid_until: datetime | None


def settle_before_commit(connection: Connection, patients: Iterable[str]) -> None:
    """Decide the answers of these patients anew at the end of the transaction, as far as that is quick."""
    before_commit(connection, _settle_some, patients)


def _settle_some(connection: Connection, patients: set[str]) -> None:
    """Settle patients until 500 answers are decided; the others are jobs, and decided live until those are done."""
    site = site_or_none(connection)
    if site is None:
        return
    each = sum(len(audiences(site, purpose)) for purpose in stored_purposes(site))
    counted = {
        row.patient: int(row.photos)
        for row in connection.execute(
            select(photo_patient.c.patient, func.count().label("photos"))
            .where(among(connection, photo_patient.c.patient, patients))
            .group_by(photo_patient.c.patient)
        )
    }
    left = AT_ONCE
    for identity in sorted(patients, key=lambda identity: (counted.get(identity, 0), identity)):
        cost = counted.get(identity, 0) * each
        if cost <= left:
            left -= cost
            write(connection, decide_all(connection, identity))
        else:
            jobs.put(connection, jobs.REDECIDE, identity)


def decide_all(connection: Connection, identity: str) -> Answers:
    """Every stored answer about a patient's photos, as the connection sees the facts."""
    return decide_for(connection, [identity])[0]


def decide_for(connection: Connection, identities: Sequence[str]) -> list[Answers]:
    """The same about several patients, by the statements of one."""
    loader = Loader(connection, _NOBODY)
    site = loader.site.site
    catalog = Catalog.of(site)
    shown: dict[str, list[int]] = {identity: [] for identity in identities}
    for row in connection.execute(
        select(photo_patient.c.patient, photo_patient.c.photo)
        .join(photo, photo.c.photo == photo_patient.c.photo)
        .where(among(connection, photo_patient.c.patient, shown), _IS_LINKED)
    ):
        shown[row.patient].append(row.photo)
    loaded = {one.number: one for one in loader.photos({number for each in shown.values() for number in each})}
    people = loader.patients(shown)
    questions = [
        (purpose, each, catalog.default_effect(purpose), generic(purpose, each))
        for purpose in stored_purposes(site)
        for each in audiences(site, purpose)
    ]
    return [
        _decided(
            loader,
            people.get(identity, PatientFacts(identity)),
            [loaded[each] for each in numbers if each in loaded],
            questions,
        )
        for identity, numbers in shown.items()
    ]


_Question = tuple[str, str, Effect, Request]
"""Purpose, audience, the purpose's default, and what is asked."""


def _decided(loader: Loader, me: PatientFacts, shown: Iterable[Loaded], questions: Sequence[_Question]) -> Answers:
    live = names_requester(me)
    rows: set[tuple[str, str, int, str]] = set()
    versions = {me.patient: me.version}
    numbers: set[int] = set()
    for one in shown:
        assert one.number is not None
        numbers.add(one.number)
        versions |= {key: facts.version for key, facts in one.facts.patients.items()}
        if live:
            continue
        facts = generic_facts(one.facts)
        for purpose, each, default, question in questions:
            effect = decide(question, facts, loader.now).effect
            if effect is not default:
                rows.add((purpose, each, one.number, effect.value))
    return Answers(
        patient=me.patient,
        versions=versions,
        epoch=loader.site.epoch,
        photos=frozenset(numbers),
        rows=frozenset(rows),
        live=live,
        decided_at=loader.now,
        valid_until=next_change(me, loader.site.site, loader.now),
    )


def write(connection: Connection, answers: Answers) -> None:
    """Store the answers. The facts must not have changed since they were decided."""
    write_all(connection, [answers])


def write_all(connection: Connection, several: Sequence[Answers]) -> None:
    """Store the answers about several patients, by the statements of one."""
    table = decided.c
    wanted: dict[tuple[str, str, int, str], int] = {}
    for each in several:
        wanted |= dict.fromkeys(each.rows, each.versions[each.patient])
    former = {
        (row.purpose, row.audience, row.photo, row.effect)
        for row in connection.execute(
            select(table.purpose, table.audience, table.photo, table.effect).where(
                among(connection, table.photo, {number for each in several for number in each.photos})
            )
        )
    }
    gone, fresh = former - wanted.keys(), wanted.keys() - former
    if gone:
        connection.execute(
            delete(decided).where(
                table.purpose == bindparam("b_purpose"),
                table.audience == bindparam("b_audience"),
                table.photo == bindparam("b_photo"),
            ),
            [
                {"b_purpose": purpose, "b_audience": audience, "b_photo": number}
                for purpose, audience, number, _effect in sorted(gone)
            ],
        )
    if fresh:
        connection.execute(
            insert(decided),
            [
                {
                    "purpose": row[0],
                    "audience": row[1],
                    "photo": row[2],
                    "effect": row[3],
                    "patient_version": wanted[row],
                }
                for row in sorted(fresh)
            ],
        )
    rows_of_bits.change(connection, decided_bits, _by_set(fresh), _by_set(gone))
    shown = {row[2] for row in gone ^ fresh if row[0] == TREAT}  # what was made for the care team's pages follows
    seen = {each.patient for each in several if each.live or not shown.isdisjoint(each.photos)}
    if seen:
        jobs.put_all(connection, [jobs.RENDER], seen, clock.now(connection))
    if several:
        connection.execute(_SETTLED, [_state(each) for each in several])


_SETTLED = (
    update(patient_state)
    .where(patient_state.c.patient == bindparam("b_patient"))
    .values(
        stale=False,
        live=bindparam("b_live"),
        valid_from=bindparam("b_from"),
        valid_until=bindparam("b_until"),
        epoch=bindparam("b_epoch"),
    )
)


def _state(answers: Answers) -> dict[str, object]:
    return {
        "b_patient": answers.patient,
        "b_live": answers.live,
        "b_from": micros(answers.decided_at),
        "b_until": micros_or_none(answers.valid_until),
        "b_epoch": answers.epoch,
    }


def _by_set(rows: Iterable[tuple[str, str, int, str]]) -> dict[rows_of_bits.Key, set[int]]:
    found: dict[rows_of_bits.Key, set[int]] = {}
    for purpose, each, number, _effect in rows:
        found.setdefault((purpose, each), set()).add(number)
    return found


def rebuild_bits(connection: Connection) -> None:
    """Make ``decided_bits`` anew from ``decided``."""
    lock(connection)
    connection.execute(delete(decided_bits))
    columns = select(decided.c.purpose, decided.c.audience, decided.c.photo)
    sets: dict[rows_of_bits.Key, set[int]] = {}
    for row in connection.execute(columns):
        sets.setdefault((row.purpose, row.audience), set()).add(row.photo)
    rows_of_bits.change(connection, decided_bits, sets, {})


def settle(engine: Engine, identity: str) -> bool:
    """Decide a patient's answers outside a transaction and store them; False where the facts changed meanwhile."""
    with reading(engine) as connection:
        answers = decide_all(connection, identity)
    with transaction(engine) as connection:
        lock(connection)
        versions = {
            row.patient: row.version
            for row in connection.execute(
                select(patient.c.patient, patient.c.version).where(
                    among(connection, patient.c.patient, set(answers.versions))
                )
            )
        }
        if versions != answers.versions or load_site_facts(connection).epoch != answers.epoch:
            return False
        write(connection, answers)
        jobs.put(connection, jobs.RENDER, identity, not_before=clock.now(connection))  # what waited for the answers
    return True


def unsettled(connection: Connection, purpose: str, now: datetime, epoch: int | None = None) -> set[str]:
    """The patients whose stored answers for a purpose cannot be used: each part of the question reads an index.

    Parameters
    ----------
    epoch
        Of the site's settings, where they were read in this snapshot; None: it is read.
    """
    state = patient_state.c
    moment = micros(now)
    epoch = load_site_facts(connection).epoch if epoch is None else epoch
    mine = state.purpose == purpose
    conditions = (
        and_(mine, state.stale.is_(True)),
        and_(mine, state.stale.is_(False), state.live.is_(True)),
        and_(mine, state.stale.is_(False), state.live.is_(False), state.valid_until <= moment),
        and_(mine, state.valid_from > moment),
        and_(mine, or_(state.epoch < epoch, state.epoch > epoch)),
    )
    parts = (select(state.patient).where(condition) for condition in conditions)
    return set(connection.execute(union_all(*parts)).scalars())


def unsettled_of(connection: Connection, patients: Collection[str], now: datetime) -> set[tuple[str, str]]:
    """Of these patients those whose stored answers cannot be used, with the purpose: the same for a few."""
    state = patient_state.c
    moment, epoch = micros(now), load_site_facts(connection).epoch
    query = select(state.patient, state.purpose).where(
        among(connection, state.patient, patients), _unusable(moment, epoch)
    )
    return {(row.patient, row.purpose) for row in connection.execute(query)}


def _unusable(moment: int, epoch: int) -> ColumnElement[bool]:
    """The condition that a patient's stored answers for a purpose cannot be used."""
    state = patient_state.c
    return or_(
        state.stale.is_(True),
        state.live.is_(True),
        state.valid_until <= moment,
        state.valid_from > moment,
        state.epoch != epoch,
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """What stored answers say of each row of ``photo``, for everybody: for work beforehand, which permits nothing.

    Whoever shows a photo asks :mod:`consent.sets` or the service.
    """

    permitted: ColumnElement[bool]
    """It is linked, and permitted by answers that can be used."""

    refused: ColumnElement[bool]
    """It is not linked, or refused by answers that can be used, or the answer depends on who asks. Of a photo whose
    answers ran out or are being decided anew neither holds."""


def stored(connection: Connection, purpose: str) -> Stored:
    """What stored answers say for a purpose."""
    site, state = load_site_facts(connection), patient_state.c
    usual = default_effect(site.site, purpose)
    otherwise = exists(
        select(literal(1)).where(
            decided.c.purpose == purpose,
            decided.c.audience == EVERYBODY,
            decided.c.photo == photo.c.photo,
            decided.c.effect != usual.value,
        )
    )
    permitted = not_(otherwise) if usual is Effect.PERMIT else otherwise

    def of_a_patient(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        # Within a function the purpose opens no index: SQLite would read the states of all patients for each photo.
        hers = and_(photo_patient.c.photo == photo.c.photo, func.coalesce(state.purpose, "") == purpose)
        bound = photo_patient.join(patient_state, state.patient == photo_patient.c.patient)
        return exists(select(literal(1)).select_from(bound).where(hers, condition).correlate(photo))

    unsure = of_a_patient(_unusable(micros(clock.now(connection)), site.epoch))
    live = of_a_patient(state.live.is_(True))
    return Stored(
        and_(_IS_LINKED, permitted, not_(unsure)),
        or_(not_(_IS_LINKED), live, and_(not_(permitted), not_(unsure))),
    )


def sweep(engine: Engine, *, most: int = 20) -> int:
    """Settle up to ``most`` patients whose answers ran out or are stale, and tell how many.

    For the worker, each hour: a settings file was changed, a period ended, a job was lost.
    """
    with reading(engine) as connection:
        moment = clock.now(connection)
        due: set[str] = set()
        for purpose in purposes_in_database(connection):
            due |= unsettled(connection, purpose, moment) - _settled_live(connection, purpose, moment)
            if len(due) >= most:
                break
    return sum(settle(engine, identity) for identity in sorted(due)[:most])


def _settled_live(connection: Connection, purpose: str, now: datetime) -> set[str]:
    """Patients that are live and otherwise settled: deciding them anew would change nothing."""
    state = patient_state.c
    epoch = load_site_facts(connection).epoch
    return set(
        connection.execute(
            select(state.patient).where(
                state.purpose == purpose,
                state.stale.is_(False),
                state.live.is_(True),
                state.valid_from <= micros(now),
                state.epoch == epoch,
            )
        ).scalars()
    )


def work(engine: Engine, job: jobs.Job) -> bool:
    """Do a job of the kind ``redecide``; False where it must be tried again."""
    if job.key == EVERYBODY:
        while sweep(engine, most=100):
            pass
        return True
    return settle(engine, job.key)


def default_effect(site: Site, purpose: str) -> Effect:
    """What a photo without a row answers."""
    return Catalog.of(site).default_effect(purpose)


def photos_of(connection: Connection, patients: Collection[str]) -> list[int]:
    """Numbers of the linked photos that any of these patients' Consents bind, sorted."""
    if not patients:
        return []
    # Asked of each photo of theirs: joined and in order, SQLite would walk all linked photos instead.
    linked = exists().where(photo.c.photo == photo_patient.c.photo, photo.c.state == LINKED)
    query = select(photo_patient.c.photo).where(among(connection, photo_patient.c.patient, patients), linked)
    return sorted(set(connection.execute(query).scalars()))
