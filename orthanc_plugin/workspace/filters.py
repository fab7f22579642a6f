"""Filters of a page of photos: the question in its address, and each value that it can be narrowed by with its count.

The query of the address is the text of the question (:mod:`fhir_mapping.question.text`), as the FHIR operation and the
command line take it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from consent.regions import regions
from fhir_mapping.errors import Refused
from fhir_mapping.question import text
from fhir_mapping.question.facets import Facet
from fhir_mapping.question.question import Question
from fhir_mapping.question.text import Names
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.record import Answer, Value

NAMES = {
    Facet.AREA: noted("Body area"),
    Facet.SIDE: noted("Side"),
    Facet.VIEW: noted("View"),
    Facet.EXPRESSION: noted("Expression"),
    Facet.SESSION: noted("Session"),
    Facet.TREATMENT: noted("Treatment"),
    Facet.PRODUCT: noted("Product"),
    Facet.LOT: noted("Lot"),
    Facet.SETTING: noted("Device setting"),
    Facet.CLINICIAN: noted("Clinician"),
    Facet.PHOTOGRAPHER: noted("Photographer"),
    Facet.OUTCOME: noted("Outcome"),
    Facet.TAKEN: noted("Date"),
}
"""Facets that pages offer, as people call them."""

CHART_FACETS = (
    Facet.AREA,
    Facet.SESSION,
    Facet.TREATMENT,
    Facet.PRODUCT,
    Facet.LOT,
    Facet.VIEW,
    Facet.EXPRESSION,
    Facet.SIDE,
    Facet.OUTCOME,
    Facet.SETTING,
    Facet.CLINICIAN,
    Facet.PHOTOGRAPHER,
)
"""Facets that a course is narrowed by, with counts."""

GALLERY_FACETS = (
    Facet.AREA,
    Facet.TREATMENT,
    Facet.PRODUCT,
    Facet.OUTCOME,
    Facet.CLINICIAN,
    Facet.VIEW,
    Facet.EXPRESSION,
    Facet.SIDE,
    Facet.SESSION,
)
"""Facets that a gallery is narrowed by: none that tells who somebody is."""

ALONE = frozenset({Facet.AREA, Facet.SESSION, Facet.TAKEN})
"""Facets of which one value is chosen at a time; of the others any number, and any of them will do."""

_SHOWN = 16
"""Values of a facet that are offered; those chosen always are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value."""

    name: str
    count: int | None
    """None: it was chosen, and no photo has it."""

    chosen: bool
    address: str
    """With the value chosen, or not any more."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One facet."""

    facet: Facet
    name: str
    choices: tuple[Choice, ...]
    whole: str
    """The address without it."""

    hidden: int = 0
    """Values that are not offered, the rarest."""

    @property
    def chosen(self) -> bool:
        """Whether the photos are narrowed by it."""
        return any(choice.chosen for choice in self.choices)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address of a page asks for."""

    question: Question
    fault: str = ""
    """Why it cannot be read; then nothing is narrowed."""

    names: Names = text.UNNAMED

    def pairs(self) -> list[tuple[str, str]]:
        """Facets and values, as addresses have them."""
        return text.pairs(self.question, self.names)


@dataclass(frozen=True, slots=True)
class Period:
    """The span of days that photos are asked for, and the form that asks for another one."""

    text: str
    """As the address has it; empty: none."""

    first: str
    last: str
    fields: tuple[tuple[str, str], ...]
    """What the form sends besides."""

    whole: str
    """The address without it."""


def asked(query: Sequence[tuple[str, str]], facets: Collection[Facet], zone: ZoneInfo, names: Names) -> Asked:
    """The question in the query of an address; what names no facet of the page belongs to somebody else."""
    mine = [(name, value) for name, value in query if name in facets and value.strip()]
    try:
        return Asked(text.read(mine, zone, names), names=names)
    except Refused as error:
        return Asked(Question(), str(error), names)


def filters(
    asked: Asked, answer: Answer, facets: Sequence[Facet], path: str, others: Sequence[tuple[str, str]]
) -> tuple[Filter, ...]:
    """The filters of a page.

    Parameters
    ----------
    facets
        Those that the page offers, in order.
    others
        What its addresses carry besides.
    """
    pairs = asked.pairs()

    def address(changed: Sequence[tuple[str, str]]) -> str:
        query = urlencode([*changed, *others])
        return f"{path}?{query}" if query else path

    found = []
    for facet in facets:
        own = [value for name, value in pairs if name == facet]
        rest = [pair for pair in pairs if pair[0] != facet]
        values = _values(facet, answer.values.get(facet, ()), own, asked.names)
        offered = [each for place, each in enumerate(values) if place < _SHOWN or each.text in own]
        choices = []
        for each in offered:
            chosen = each.text in own
            others_chosen = [] if facet in ALONE else [value for value in own if value != each.text]
            wanted = others_chosen if chosen else [*others_chosen, each.text]
            choices.append(
                Choice(each.name, each.count or None, chosen, address([*rest, *((facet.value, one) for one in wanted)]))
            )
        if choices:
            hidden = len(values) - len(offered)
            found.append(Filter(facet, _(NAMES[facet]), tuple(choices), address(rest), hidden))
    return tuple(found)


def dated(path: str, asked: Asked, ends: Sequence[str], others: Sequence[tuple[str, str]]) -> str:
    """The address with a span of days: what the two fields of the form say is one value of the question."""
    pairs = [pair for pair in asked.pairs() if pair[0] != Facet.TAKEN]
    if any(ends):
        pairs.append((Facet.TAKEN.value, "..".join(ends)))
    query = urlencode([*pairs, *others])
    return f"{path}?{query}" if query else path


def period(asked: Asked, path: str, others: Sequence[tuple[str, str]]) -> Period:
    """The span of days that is asked for, and the form for another one."""
    pairs = asked.pairs()
    stated = next((value for name, value in pairs if name == Facet.TAKEN), "")
    first, dots, last = stated.partition("..")
    rest = [pair for pair in pairs if pair[0] != Facet.TAKEN]
    query = urlencode([*rest, *others])
    return Period(stated, first, last if dots else first, (*rest, *others), f"{path}?{query}" if query else path)


def _values(facet: Facet, counted: Sequence[Value], own: Sequence[str], names: Names) -> list[Value]:
    """The values of a facet, those of most photos first; what is chosen is there, whether any photo has it or not."""
    told = _telling(counted) if facet is Facet.AREA else list(counted)
    found: dict[str, Value] = {}
    for each in told:
        written = _written(facet, each.text, names)
        if written is not None:
            found[written] = Value(written, each.name, each.count)
    known = {_written(facet, each.text, names): each for each in counted}
    for chosen in own:
        if chosen not in found:
            stood = known.get(chosen)
            found[chosen] = Value(chosen, stood.name if stood else chosen, stood.count if stood else 0)
    if facet is Facet.SESSION:
        return sorted(found.values(), key=lambda value: (len(value.text), value.text))
    return sorted(found.values(), key=lambda value: (-value.count, value.name, value.text))


def _written(facet: Facet, value: str, names: Names) -> str | None:
    """A value as the question's text has it: a region by its name; None where no question could ask for it."""
    try:
        question = text.read([(facet.value, value)], _ANY_ZONE, names)
    except Refused:
        return None
    return text.pairs(question, names)[0][1]


_ANY_ZONE = ZoneInfo("UTC")


def _telling(counted: Sequence[Value]) -> list[Value]:
    """The regions that tell something: not one that holds the same photos as a part of it does, nor that of all."""
    tree, by_text = regions(), {each.text: each.count for each in counted}
    most = max(by_text.values(), default=0)

    def tells(value: Value) -> bool:
        parts = [count for code, count in by_text.items() if code != value.text and tree.includes(value.text, code)]
        return value.count not in parts and not (parts and value.count == most)

    return [each for each in counted if tells(each)]


def values_by_name(counts: Mapping[str, int], names: Mapping[str, str]) -> tuple[Value, ...]:
    """Counted values with what people call them."""
    return tuple(Value(each, names.get(each, each), count) for each, count in counts.items())
