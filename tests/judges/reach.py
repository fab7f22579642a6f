"""Whether a statement reaches a matter: a Yes must cover the whole, a No need only touch a part.

Time and whether the Consent counts are left aside here (see ``standing``). Where a fact is missing, a permit that asks
for it does not match and a denial does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from tests.judges import vocabulary as words
from tests.judges.agreement import Agreement, Statement
from tests.judges.matter import Matter
from tests.judges.reading import ONE_PHOTO, PERSONS, TREATMENT, sides

POINTING = frozenset({"instance", "related", "dependents"})


def reaches(statement: Statement, agreement: Agreement, matter: Matter) -> bool:
    """Between elements all must match; an empty element asks for nothing."""
    return next(failing(statement, agreement, matter), None) is None


def failing(statement: Statement, agreement: Agreement, matter: Matter) -> Iterator[str]:
    """The elements that do not match, by name."""
    for name, asks in (PERMIT if statement.permits else DENIAL).items():
        if not asks(statement, agreement, matter):
            yield name


# --- Purposes --------------------------------------------------------------------------------------------------------


def _permits_purpose(statement: Statement, agreement: Agreement, matter: Matter) -> bool:
    """A permit is exact; without a purpose it means TREAT only. Scope research counts for HRESCH only."""
    if agreement.scope == "research" and matter.purpose != "HRESCH":
        return False
    return matter.purpose in ({"TREAT"} if statement.purposes is None else statement.purposes)


def _denies_purpose(statement: Statement, _: Agreement, matter: Matter) -> bool:
    """A denial reaches every child; without a purpose all but duties, BTG and the patient's own PATRQT."""
    if statement.purposes is not None:
        return bool(statement.purposes & matter.line)
    if matter.record.purposes.duty(matter.purpose) or matter.purpose == "BTG":
        return False
    return not (matter.purpose == "PATRQT" and matter.herself)


# --- Actors ----------------------------------------------------------------------------------------------------------


def _place(matter: Matter) -> tuple[str | None, str | None]:
    """Which kind of place binds the purpose, and the one that the request names."""
    if matter.purpose == "SOCIAL":
        return words.CHANNEL, matter.request["channel"]
    if matter.purpose == "HRESCH":
        return words.PROJECT, matter.request["project"]
    return None, None


def _permits_requester(statement: Statement, _: Agreement, matter: Matter) -> bool:
    """A permit that names both kinds must match both; a proxy needs one that names her."""
    if statement.persons is None:
        if matter.purpose == "PATRQT" and not matter.herself:
            return False
    elif not statement.persons & matter.known_as:
        return False
    return statement.places is None or _place(matter) in statement.places


def _denies_requester(statement: Statement, _: Agreement, matter: Matter) -> bool:
    """A denial that names both kinds matches if either does; what does not bind the purpose is passed over."""
    kind, name = _place(matter)
    binding = {value for system, value in statement.places or set() if system == kind}
    if statement.persons is None and not binding:
        return True
    # Somebody whom the record does not know may be anybody.
    if statement.persons is not None and (not matter.requester or statement.persons & matter.known_as):
        return True
    return bool(binding) and (name is None or name in binding)


# --- Photos ----------------------------------------------------------------------------------------------------------


def _seen_when_signed(_: Statement, agreement: Agreement, matter: Matter) -> bool:
    """Publishing permits are snapshots of the record they were signed on."""
    if not matter.publishing:
        return True
    since = matter.photo["known_since"].get(agreement.patient)
    if since is None or agreement.signed is None:
        return False
    told = agreement.signed
    # Of a month or a year nobody knows the day: it may have been the first.
    until = told.first if told.after - told.first > timedelta(hours=30) else told.after
    return datetime.fromisoformat(since).astimezone(UTC) < until


def _covers_data(statement: Statement, _: Agreement, matter: Matter) -> bool:
    return statement.data is None or any(_permits_data(*one, matter) for one in statement.data)


def _touches_data(statement: Statement, _: Agreement, matter: Matter) -> bool:
    return statement.data is None or any(_denies_data(*one, matter) for one in statement.data)


def _permits_data(meaning: str, name: str, matter: Matter) -> bool:
    photo, kind = matter.photo, name.split("/")[0]
    if kind in PERSONS:
        return meaning == "authoredby" and name == photo["author"]
    if kind in TREATMENT:
        return meaning in POINTING - {"instance"} and name in _linked(matter)
    if kind in ONE_PHOTO:
        return meaning in POINTING and name in [photo["document"], *photo["formerly_hers"]]
    return kind == "ImagingStudy" and meaning in POINTING and name == photo["imaging_study"]


def _denies_data(meaning: str, name: str, matter: Matter) -> bool:
    photo, kind = matter.photo, name.split("/")[0]
    if kind in PERSONS:
        return meaning == "authoredby" and not {photo["author"], photo["photographer"]}.isdisjoint({name, None})
    if kind in TREATMENT:
        return meaning in POINTING and name in _linked(matter)
    if kind in ONE_PHOTO:
        return meaning in POINTING and name in photo["documents"]
    return kind == "ImagingStudy" and meaning in POINTING and name == photo["imaging_study"]


def _linked(matter: Matter) -> set[str]:
    return {*matter.photo["links"], matter.photo["encounter"]}


def _covers_time(statement: Statement, _: Agreement, matter: Matter) -> bool:
    return statement.taken is None or (matter.taken is not None and statement.taken.includes(matter.taken))


def _touches_time(statement: Statement, _: Agreement, matter: Matter) -> bool:
    return statement.taken is None or matter.taken is None or statement.taken.meets(matter.taken)


def _shown(matter: Matter) -> list[tuple[str, str]]:
    """Each region that the photo shows, once for each side."""
    return [
        (words.SAME_REGION.get(one["code"], one["code"]), side)
        for one in matter.photo["regions"]
        for side in sides(one["laterality"])
    ]


def _covers_regions(statement: Statement, _: Agreement, matter: Matter) -> bool:
    """It must cover every region that the photo shows; a region includes its parts."""
    if statement.regions is None:
        return True
    shown, meant = _shown(matter), _meant(statement)
    return bool(shown) and all(any((whole, side) in meant for whole in words.wholes(part)) for part, side in shown)


def _touches_regions(statement: Statement, _: Agreement, matter: Matter) -> bool:
    """It matches if the photo shows any of them: the region, a part of it, a whole around it, or who knows what."""
    if statement.regions is None or not matter.photo["regions"]:
        return True
    return any(
        side == on and (part not in words.REGIONS or region in words.wholes(part) or part in words.wholes(region))
        for region, side in _meant(statement)
        for part, on in _shown(matter)
    )


def _meant(statement: Statement) -> set[tuple[str, str]]:
    return {(region, side) for region, both in statement.regions or [] for side in both}


def _worn(matter: Matter) -> tuple[int, set[tuple[str, str]]]:
    """The photo's step on the ladder, and its other labels. Without a step: N, or R with any other label."""
    labels = {(system, code) for system, code in matter.photo["labels"]}
    # A step that is not on the ladder may be the highest.
    steps = {words.LADDER.find(code) % 6 for system, code in labels if system == words.CONFIDENTIALITY}
    others = {label for label in labels if label[0] != words.CONFIDENTIALITY}
    return max(steps, default=words.LADDER.index("R" if others else "N")), others


def _covers_labels(statement: Statement, _: Agreement, matter: Matter) -> bool:
    if statement.labels is None:
        return True
    step, others = _worn(matter)
    highest = max((step for step in _steps(statement)), default=-1)
    return step <= highest and others <= statement.labels


def _touches_labels(statement: Statement, _: Agreement, matter: Matter) -> bool:
    if statement.labels is None:
        return True
    step, others = _worn(matter)
    return any(step >= one for one in _steps(statement)) or bool(others & statement.labels)


def _steps(statement: Statement) -> list[int]:
    stated = statement.labels or set()
    return [words.LADDER.index(code) for system, code in stated if system == words.CONFIDENTIALITY]


Asks = Callable[[Statement, Agreement, Matter], bool]

PERMIT: dict[str, Asks] = {
    "purpose": _permits_purpose,
    "actor": _permits_requester,
    "snapshot": _seen_when_signed,
    "data": _covers_data,
    "dataPeriod": _covers_time,
    "region": _covers_regions,
    "label": _covers_labels,
}
DENIAL: dict[str, Asks] = {
    "purpose": _denies_purpose,
    "actor": _denies_requester,
    "data": _touches_data,
    "dataPeriod": _touches_time,
    "region": _touches_regions,
    "label": _touches_labels,
}
