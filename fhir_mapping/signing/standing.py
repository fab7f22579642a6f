"""What stands: each rule of a patient's active Consents, in words that she herself reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consent.directive import Directive, Reach, Rule
from consent.purposes import HMARKT, TRAIN, TREAT
from consent.types import Effect
from fhir_mapping.signing.spoken import ENGLISH, Spoken
from fhir_mapping.signing.wishes import Use
from fhir_mapping.signing.words import title

_INSTANT = timedelta(microseconds=1)


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


def statements(
    directives: Sequence[Directive], papers: frozenset[str] = frozenset(), spoken: Spoken = ENGLISH
) -> tuple[Statement, ...]:
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
            made.append(Statement(directive.consent, False, (_everything(spoken),), _all(spoken), signed, None, paper))
        rules = [*([] if directive.root is None else [directive.root]), *directive.nested]
        made += [
            Statement(
                directive.consent,
                _is_yes(rule),
                _what(rule, spoken),
                _photos(rule, spoken),
                signed,
                _until(rule),
                paper,
            )
            for rule in rules
        ]
    return tuple(sorted(made, key=lambda each: -(each.signed.timestamp() if each.signed else 0)))


def _everything(spoken: Spoken) -> str:
    return spoken.phrase("Everything but emergencies, what the law asks for, and your own view")


def _all(spoken: Spoken) -> str:
    return spoken.phrase("All photos")


def _is_yes(rule: Rule) -> bool:
    return rule.effect is Effect.PERMIT


def _what(rule: Rule, spoken: Spoken) -> tuple[str, ...]:
    phrase = spoken.phrase
    if rule.purposes is None:
        return (title(Use(TREAT), spoken),) if _is_yes(rule) else (_everything(spoken),)
    parents = {HMARKT: phrase("Everything for publicity"), TRAIN: phrase("Everything for training and congresses")}
    places = () if rule.actors is None else (*sorted(rule.actors.channels), *sorted(rule.actors.projects))
    named: list[str] = []
    for code in sorted(rule.purposes):
        if code in parents:
            named.append(parents[code])
        elif places and code in ("SOCIAL", "HRESCH"):
            named += [title(Use(code, place), spoken) for place in places]
        else:
            named.append(title(Use(code), spoken))
    return tuple(named) or (phrase("Nothing that is known here"),)


def _photos(rule: Rule, spoken: Spoken) -> str:
    parts, phrase = [], spoken.phrase
    if rule.data is not None:
        parts.append(_data(rule, spoken))
    if rule.regions is not None:
        yes = _is_yes(rule)
        shown = phrase("Photos that show nothing but: %s") if yes else phrase("Photos that show any part of: %s")
        parts.append(shown % ", ".join(spoken.region(each) for each in rule.regions))
    if rule.data_period is not None:
        parts.append(phrase("Photos of a certain time"))
    if rule.labels is not None:
        parts.append(phrase("Photos with certain labels"))
    if rule.actors is not None and rule.actors.persons:
        parts.append(phrase("for certain people"))
    return "; ".join(parts) or _all(spoken)


def _data(rule: Rule, spoken: Spoken) -> str:
    reaches = [each.reach for each in rule.data or ()]
    photos, visits, linked, authors = (
        sum(each is reach for each in reaches) for reach in (Reach.PHOTO, Reach.VISIT, Reach.LINKED, Reach.AUTHOR)
    )
    counted = (
        (photos, spoken.plural("%s photo", "%s photos", photos)),
        (visits, spoken.plural("%s visit", "%s visits", visits)),
        (linked, spoken.plural("%s visit or treatment", "%s visits or treatments", linked)),
        (authors, spoken.plural("%s photographer", "%s photographers", authors)),
    )
    return " + ".join(text % number for number, text in counted if number) or spoken.phrase("No photo")


def _until(rule: Rule) -> datetime | None:
    ends: Iterable[datetime] = (span.end for span in rule.periods if span.end is not None)
    return min((end - _INSTANT for end in ends), default=None)
