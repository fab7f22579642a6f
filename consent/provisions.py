"""A provision in plain words, for compliance officers: what the rule says, made from what ``decide`` reads of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from consent.directive import Actors, Data, Directive, Reach, Region, Rule, Span
from consent.purposes import TREAT, named
from consent.regions import regions
from consent.site import Site
from consent.types import Effect, Laterality
from consent.wording import coded, joined, worded

OPT_OUT = "policyRule"

_NOBODY = worded("nobody")
_INSTANT = timedelta(microseconds=1)


def sentence(directive: Directive, path: str, site: Site) -> str:
    """What one provision of a Consent says, with who signed it and when.

    Parameters
    ----------
    path
        As in :class:`consent.types.DirectiveRef`: ``provision``, ``provision.provision[0]``, ``policyRule``.
    """
    zone = ZoneInfo(site.time_zone)
    said: str
    if path == OPT_OUT and directive.opt_out:
        said = worded("denies every purpose but duties, emergency access and the patient's own view")
    else:
        rules = [*([] if directive.root is None else [directive.root]), *directive.nested]
        rule = next((each for each in rules if each.path == path), None)
        said = worded("says nothing that is read") if rule is None else _rule(rule, zone)
    replaces = [f"Consent/{each}" for each in directive.replaces]
    return worded(
        "It %(said)s. Signed by %(signers)s, %(when)s, for %(organizations)s%(replaced)s.",
        said=said,
        signers=[*directive.performers] or _NOBODY,
        when=worded("at no stated time") if directive.signed is None else _span(directive.signed, zone),
        organizations=[*directive.organizations] or _NOBODY,
        replaced=worded("; it replaces %(consents)s", consents=replaces) if replaces else "",
    )


def _rule(rule: Rule, zone: ZoneInfo) -> str:
    permits = rule.effect is Effect.PERMIT
    parts: list[str] = [worded("permits") if permits else worded("denies"), _purposes(rule, permits=permits)]
    if rule.actors is not None:
        parts += _actors(rule.actors)
    if rule.data is not None:
        parts.append(worded("of %(photos)s", photos=_any(_data(each) for each in rule.data)))
    if rule.data_period is not None:
        parts.append(worded("taken %(when)s", when=_span(rule.data_period, zone)))
    if rule.regions is not None:
        shown = [_region(each) for each in rule.regions] or worded("no region")
        parts.append(
            worded("showing nothing but %(regions)s", regions=shown)
            if permits
            else worded("showing any of %(regions)s", regions=shown)
        )
    if rule.labels is not None:
        labels = [each.code for each in rule.labels]
        parts.append(worded("labelled %(labels)s", labels=labels or worded("in no way")))
    parts += [worded("in force %(when)s", when=_span(period, zone)) for period in rule.periods]
    return joined(parts, " ")


def _purposes(rule: Rule, *, permits: bool) -> str:
    if rule.purposes is not None:
        if not rule.purposes:
            return worded("nothing (the purpose that it names is not known)")
        return _any(map(named, sorted(rule.purposes)))
    if permits:
        return worded("%(purpose)s (no purpose is named)", purpose=named(TREAT))
    return worded("every purpose but duties, emergency and her own view")


def _actors(actors: Actors) -> Iterable[str]:
    if actors.persons:
        yield worded("by %(persons)s", persons=_any(sorted(actors.persons)))
    if actors.channels:
        yield worded("in the channel %(channels)s", channels=_any(sorted(actors.channels)))
    if actors.projects:
        yield worded("in the project %(projects)s", projects=_any(sorted(actors.projects)))


def _data(data: Data) -> str:
    reference = data.reference
    return {
        Reach.PHOTO: worded("the photo %(reference)s", reference=reference),
        Reach.VISIT: worded("the photos of the visit %(reference)s", reference=reference),
        Reach.LINKED: worded("the photos linked to %(reference)s", reference=reference),
        Reach.AUTHOR: worded("the photos made by %(reference)s", reference=reference),
        Reach.NOTHING: worded("no photo (%(reference)s names none)", reference=reference),
    }[data.reach]


def _region(region: Region) -> str:
    known = regions().by_code(region.code)
    name = region.code if known is None else coded(known.display, known.name.replace("-", " ").capitalize())
    if region.laterality is Laterality.BOTH:
        return name
    if region.laterality is Laterality.RIGHT:
        return worded("%(region)s (right)", region=name)
    return worded("%(region)s (left)", region=name)


def _span(span: Span, zone: ZoneInfo) -> str:
    if span.start is not None and span.end is not None and span.end - span.start <= timedelta(minutes=1):
        return worded("on %(start)s", start=_moment(span.start, zone))
    parts = []
    if span.start is not None:
        parts.append(worded("from %(start)s", start=_moment(span.start, zone)))
    if span.end is not None:
        parts.append(worded("to %(end)s", end=_moment(span.end - _INSTANT, zone)))
    return joined(parts, " ") if parts else worded("always")


def _moment(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return worded("%(day)s %(hour)s", day=local.date(), hour=local.strftime("%H:%M"))


def _any(words: Iterable[str]) -> str:
    *more, last = [*words] or [worded("nothing")]
    return worded("%(more)s or %(last)s", more=more, last=last) if more else last
