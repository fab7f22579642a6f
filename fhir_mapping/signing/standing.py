"""What stands: each rule of a patient's active Consents, in words that she herself reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consent.directive import Directive, Reach, Rule
from consent.purposes import HMARKT, TRAIN, TREAT
from consent.types import Effect
from fhir_mapping.signing.wishes import Use
from fhir_mapping.signing.words import region_name, title

_INSTANT = timedelta(microseconds=1)
_PARENTS = {HMARKT: "Everything for publicity", TRAIN: "Everything for training and congresses"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of one Consent."""

    consent: str
    yes: bool
    what: tuple[str, ...]
    """Names of uses."""

    photos: str
    signed: datetime | None
    until: datetime | None
    """The last moment of its period."""

    paper: bool = False
    """Whether a PDF of what was signed is kept with it."""


def statements(directives: Sequence[Directive], papers: frozenset[str] = frozenset()) -> tuple[Statement, ...]:
    """What the active ones say, the newest first.

    Parameters
    ----------
    papers
        Ids of Consents with a PDF.
    """
    made: list[Statement] = []
    for directive in directives:
        if directive.status != "active":
            continue
        signed = None if directive.signed is None else directive.signed.start
        paper = directive.consent in papers
        if directive.opt_out:
            made.append(Statement(directive.consent, False, (_EVERYTHING,), _ALL, signed, None, paper))
        rules = [*([] if directive.root is None else [directive.root]), *directive.nested]
        made += [
            Statement(directive.consent, _is_yes(rule), _what(rule), _photos(rule), signed, _until(rule), paper)
            for rule in rules
        ]
    return tuple(sorted(made, key=lambda each: -(each.signed.timestamp() if each.signed else 0)))


_EVERYTHING = "Everything but emergencies, what the law asks for, and your own view"
_ALL = "All photos"


def _is_yes(rule: Rule) -> bool:
    return rule.effect is Effect.PERMIT


def _what(rule: Rule) -> tuple[str, ...]:
    if rule.purposes is None:
        return (title(Use(TREAT)),) if _is_yes(rule) else (_EVERYTHING,)
    places = () if rule.actors is None else (*sorted(rule.actors.channels), *sorted(rule.actors.projects))
    named: list[str] = []
    for code in sorted(rule.purposes):
        if code in _PARENTS:
            named.append(_PARENTS[code])
        elif places and code in ("SOCIAL", "HRESCH"):
            named += [title(Use(code, place)) for place in places]
        else:
            named.append(title(Use(code)))
    return tuple(named) or ("Nothing that is known here",)


def _photos(rule: Rule) -> str:
    parts: list[str] = []
    if rule.data is not None:
        parts.append(_data(rule))
    if rule.regions is not None:
        shown = "Photos that show nothing but" if _is_yes(rule) else "Photos that show any part of"
        parts.append(f"{shown}: {', '.join(region_name(each) for each in rule.regions)}")
    if rule.data_period is not None:
        parts.append("Photos of a certain time")
    if rule.labels is not None:
        parts.append("Photos with certain labels")
    if rule.actors is not None and rule.actors.persons:
        parts.append("for certain people")
    return "; ".join(parts) or _ALL


def _data(rule: Rule) -> str:
    reaches = [each.reach for each in rule.data or ()]
    return " and ".join(
        _counted(name, sum(each is reach for each in reaches))
        for reach, name in (
            (Reach.PHOTO, "photo"),
            (Reach.VISIT, "visit"),
            (Reach.LINKED, "visit or treatment"),
            (Reach.AUTHOR, "photographer"),
        )
        if reach in reaches
    ) or ("No photo")


def _counted(name: str, number: int) -> str:
    plain = "visits or treatments" if name == "visit or treatment" else f"{name}s"
    return f"{number} {name if number == 1 else plain}"


def _until(rule: Rule) -> datetime | None:
    ends: Iterable[datetime] = (span.end for span in rule.periods if span.end is not None)
    return min((end - _INSTANT for end in ends), default=None)
