"""A provision in plain words, for compliance officers: what the rule says, made from what ``decide`` reads of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.regions import regions
from consent.site import Site
from consent.types import Effect, Laterality

OPT_OUT = "policyRule"

_DATA = {
    Reach.PHOTO: "the photo {}",
    Reach.VISIT: "the photos of the visit {}",
    Reach.LINKED: "the photos linked to {}",
    Reach.AUTHOR: "the photos made by {}",
    Reach.NOTHING: "no photo ({} names none)",
}
_SIDES = {Laterality.RIGHT: " (right)", Laterality.LEFT: " (left)", Laterality.BOTH: ""}
_INSTANT = timedelta(microseconds=1)


def sentence(directive: Directive, path: str, site: Site) -> str:
    """What one provision of a Consent says, with who signed it and when.

    Parameters
    ----------
    path
        As in :class:`consent.types.DirectiveRef`: ``provision``, ``provision.provision[0]``, ``policyRule``.
    """
    zone = ZoneInfo(site.time_zone)
    if path == OPT_OUT and directive.opt_out:
        said = "denies every purpose but duties, emergency access and the patient's own view"
    else:
        rules = [*([] if directive.root is None else [directive.root]), *directive.nested]
        rule = next((each for each in rules if each.path == path), None)
        said = "says nothing that is read" if rule is None else _rule(rule, zone)
    signers = _listed(directive.performers) or "nobody"
    when = "at no stated time" if directive.signed is None else _span(directive.signed, zone)
    replaced = (
        f"; it replaces {_listed(f'Consent/{each}' for each in directive.replaces)}" if directive.replaces else ""
    )
    return f"It {said}. Signed by {signers}, {when}, for {_listed(directive.organizations) or 'nobody'}{replaced}."


def _rule(rule: Rule, zone: ZoneInfo) -> str:
    permits = rule.effect is Effect.PERMIT
    parts = ["permits" if permits else "denies", _purposes(rule, permits=permits)]
    if rule.actors is not None:
        parts.append(_actors(rule.actors))
    if rule.data is not None:
        parts.append("of " + _any(_data(each) for each in rule.data))
    if rule.data_period is not None:
        parts.append(f"taken {_span(rule.data_period, zone)}")
    if rule.regions is not None:
        what = "showing nothing but" if permits else "showing any of"
        parts.append(f"{what} {_listed(_region(each) for each in rule.regions) or 'no region'}")
    if rule.labels is not None:
        parts.append(f"labelled {_listed(_label(each) for each in rule.labels) or 'in no way'}")
    for period in rule.periods:
        parts.append(f"in force {_span(period, zone)}")
    return " ".join(parts)


def _purposes(rule: Rule, *, permits: bool) -> str:
    if rule.purposes is None:
        return "TREAT (no purpose is named)" if permits else "every purpose but duties, emergency and her own view"
    return _any(sorted(rule.purposes)) if rule.purposes else "nothing (the purpose that it names is not known)"


def _actors(actors: Actors) -> str:
    parts = []
    if actors.persons:
        parts.append("by " + _any(sorted(actors.persons)))
    if actors.channels:
        parts.append("in the channel " + _any(sorted(actors.channels)))
    if actors.projects:
        parts.append("in the project " + _any(sorted(actors.projects)))
    return " ".join(parts)


def _data(data: Data) -> str:
    return _DATA[data.reach].format(data.reference)


def _region(region: Region) -> str:
    known = regions().by_code(region.code)
    return (region.code if known is None else known.display) + _SIDES[region.laterality]


def _label(label: Label) -> str:
    return label.code


def _span(span: Span, zone: ZoneInfo) -> str:
    start = "" if span.start is None else f"{span.start.astimezone(zone):%Y-%m-%d %H:%M}"
    if span.start is not None and span.end is not None and span.end - span.start <= timedelta(minutes=1):
        return f"on {start}"
    end = "" if span.end is None else f"{(span.end - _INSTANT).astimezone(zone):%Y-%m-%d %H:%M}"
    return " ".join(part for part in (f"from {start}" if start else "", f"to {end}" if end else "") if part) or "always"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _any(words: Iterable[str]) -> str:
    listed = list(words)
    return " or ".join(filter(None, [", ".join(listed[:-1]), listed[-1]])) if listed else "nothing"
