"""What must hold for every Consent, photo and request, whatever they are."""

from __future__ import annotations

import dataclasses
import functools
import string
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.codec import (
    directive_from_json,
    directive_to_json,
    photo_from_json,
    photo_to_json,
    site_from_json,
    site_to_json,
)
from consent.decision import decide
from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.facts import Facts, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.regions import regions
from consent.site import CareTeamScope, PortalDefault, Site, SitePurpose, TreatmentDefault
from consent.types import Decision, Effect, Laterality, Request, Requester
from consent.validity import next_change
from fhir_mapping import consent_codes as codes
from fhir_mapping.to_directive import to_directive
from tests.consent.words import consent_json
from tests.consent.world import SITE, World
from tests.counts import count, report

pytestmark = pytest.mark.fast

_NAME = "consent-properties"
_EXAMPLES = count(_NAME, small=40, full=5_000)
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def always(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The test holds for everything drawn; what really ran is reported."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        ran = 0

        @functools.wraps(test)
        def counted(*drawn: Any, **named: Any) -> None:
            nonlocal ran
            ran += 1
            test(*drawn, **named)

        property_ = _SETTINGS(given(*strategies)(counted))

        def reported() -> None:
            started = time.monotonic()
            failures = 1
            try:
                property_()
                failures = 0
            finally:
                report(f"{_NAME}: {test.__name__}", asked=_EXAMPLES, run=ran, failures=failures, started=started)

        reported.__name__ = test.__name__
        reported.__doc__ = test.__doc__
        return reported

    return decorate


NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
PURPOSES = ("TREAT", "BTG", "PATRQT", "WEB", "SOCIAL", "CONF", "TEACH", "HRESCH", "HLEGAL", "HPAYMT", "FooBar")
NAMED = (*PURPOSES, "HMARKT", "TRAIN")
CODES = tuple(regions().by_name(name).code for name in ("face", "lips", "hand", "neck"))  # type: ignore[union-attr]

days = st.integers(-60, 60).map(lambda day: NOW + timedelta(days=day))
spans = st.builds(
    lambda start, length: Span(start, None if start is None or length is None else start + timedelta(days=length)),
    st.none() | days,
    st.none() | st.integers(1, 60),
)
known_spans = st.builds(lambda start, length: Span(start, start + timedelta(days=length)), days, st.integers(1, 60))
sides = st.sampled_from(Laterality)
region = st.builds(Region, st.sampled_from(CODES), sides)
label = st.sampled_from(
    [Label(codes.CONFIDENTIALITY, code) for code in "ULMNRV"] + [Label(codes.ACT_CODE, code) for code in ("HIV", "SUD")]
)
data = st.builds(
    Data,
    st.sampled_from(Reach),
    st.sampled_from(["DocumentReference/1", "ImagingStudy/1", "Encounter/1", "Procedure/1", "Practitioner/d"]),
)
actors = st.builds(
    Actors,
    st.frozensets(st.sampled_from(["Practitioner/d", "Organization/clinic", "Patient/P"]), max_size=2),
    st.frozensets(st.sampled_from(["instagram", "tiktok"]), max_size=2),
    st.frozensets(st.just("scars"), max_size=1),
)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Stated or not, most often not, so that rules do match."""
    return st.one_of(st.none(), st.none(), strategy)


def rules(path: str) -> st.SearchStrategy[Rule]:
    return st.builds(
        Rule,
        path=st.just(path),
        effect=st.sampled_from(Effect),
        purposes=st.none() | st.frozensets(st.sampled_from(NAMED), max_size=4),
        actors=optional(actors),
        data=optional(st.tuples(data)),
        data_period=optional(spans),
        regions=optional(st.lists(region, min_size=1, max_size=2).map(tuple)),
        labels=optional(st.lists(label, min_size=1, max_size=2).map(tuple)),
        periods=st.lists(spans, max_size=2).map(tuple),
    )


def directives(identity: str) -> st.SearchStrategy[Directive]:
    return st.builds(
        Directive,
        consent=st.just(identity),
        version=st.integers(1, 9),
        patient=st.just("P"),
        scope=st.sampled_from(["patient-privacy", "patient-privacy", "research"]),
        status=st.sampled_from(["active", "active", "active", "inactive", "entered-in-error", "draft"]),
        was_active=st.booleans(),
        signed=st.none() | known_spans,
        performers=st.sampled_from([("Patient/P",), ("RelatedPerson/g",), ("Practitioner/d",), ()]),
        organizations=st.sampled_from([("Organization/clinic",), ("Organization/other",), ()]),
        verified=st.booleans() | st.just(True),
        root=st.none() | rules("provision"),
        nested=st.lists(rules("provision.provision[0]"), max_size=2).map(tuple),
        opt_out=st.sampled_from([False, False, False, True]),
        replaces=st.lists(st.sampled_from(["c0", "c1", "c2"]), max_size=1).map(tuple),
    )


consents = st.tuples(directives("c0"), directives("c1"), directives("c2"))
photos = st.builds(
    PhotoFacts,
    photo=st.just("1.2"),
    patients=st.just(("P",)),
    known_since=st.just({}) | days.map(lambda day: {"P": day}),
    document=st.just("DocumentReference/1"),
    imaging_study=st.just("ImagingStudy/1"),
    encounter=st.just("Encounter/1"),
    links=st.frozensets(st.sampled_from(["Encounter/1", "Procedure/1"])),
    treatment=st.booleans(),
    author=st.sampled_from([None, "Practitioner/d", "Practitioner/e"]),
    photographer=st.sampled_from([None, "Practitioner/d"]),
    custodian=st.sampled_from([None, "Organization/clinic", "Organization/clinic"]),
    taken=st.none() | known_spans,
    regions=st.lists(region, max_size=2, unique=True).map(tuple),
    labels=st.lists(label, max_size=2, unique=True).map(tuple),
)
sites = st.builds(
    Site,
    time_zone=st.sampled_from(["UTC", "Europe/Athens"]),
    treatment_default=st.sampled_from(TreatmentDefault),
    portal_default=st.sampled_from(PortalDefault),
    care_team=st.sampled_from(CareTeamScope),
    deniable_duties=st.frozensets(st.just("HLEGAL")),
    purposes=st.just((SitePurpose("FooBar", "urn:photospine:purpose", "HRESCH"),)),
    channels=st.frozensets(st.sampled_from(["instagram", "tiktok"])),
    rules_on=st.frozensets(st.sampled_from(["no-publishing-of-minors", "signature-after-result"])),
    forbid_break_glass=st.booleans(),
)
requests = st.builds(
    Request,
    st.sampled_from(
        [
            Requester("d", PURPOSES, reference="Practitioner/d"),
            Requester("n", PURPOSES),
            Requester("p", PURPOSES, reference="Patient/P", confined_to=frozenset({"P"})),
            Requester("g", PURPOSES, reference="RelatedPerson/g", confined_to=frozenset({"P"})),
        ]
    ),
    st.sampled_from(PURPOSES),
    channel=st.sampled_from([None, "instagram", "tiktok"]),
    project=st.sampled_from([None, "scars"]),
    emergency_reason=st.sampled_from([None, "bleeding"]),
)
births = st.sampled_from(
    [None, *(Span(datetime(y, 6, 1, tzinfo=UTC), datetime(y, 6, 2, tzinfo=UTC)) for y in (1990, 2008, 2015))]
)


def ask(
    request: Request, photo: PhotoFacts, given_consents: tuple[Directive, ...], site: Site, birth: Span | None
) -> Decision:
    patient = PatientFacts(
        "P",
        birth=birth,
        directives=given_consents,
        representatives=(Representation("RelatedPerson/g", Span()),),
        care_team=frozenset({"Practitioner/d"}),
    )
    belongs = RequesterFacts(frozenset({request.requester.reference, "Organization/clinic"} - {None}))  # type: ignore[arg-type]
    return decide(request, Facts(site, photo, {"P": patient}, belongs), NOW)


@always(requests, photos, consents, sites, births, st.permutations([0, 1, 2]))
def test_the_same_facts_give_the_same_answer_in_any_order_of_consents(
    request_: Request,
    photo: PhotoFacts,
    stated: tuple[Directive, ...],
    site: Site,
    birth: Span | None,
    order: list[int],
) -> None:
    first = ask(request_, photo, stated, site, birth)
    again = ask(request_, photo, stated, site, birth)
    turned = ask(request_, photo, tuple(stated[number] for number in order), dataclasses.replace(site), birth)
    assert first == again
    assert (turned.effect, turned.reason, set(turned.directives)) == (first.effect, first.reason, set(first.directives))


@always(requests, photos, consents, sites, births, rules("provision"))
def test_a_further_denial_never_opens_anything(
    request_: Request,
    photo: PhotoFacts,
    stated: tuple[Directive, ...],
    site: Site,
    birth: Span | None,
    rule: Rule,
) -> None:
    before = ask(request_, photo, stated, site, birth)
    denial = Directive("d", 1, "P", "patient-privacy", "active", root=dataclasses.replace(rule, effect=Effect.DENY))
    after = ask(request_, photo, (*stated, denial), site, birth)
    if after.permitted and not before.permitted:
        pytest.fail(f"a denial opened the photo: {before.reason} became {after.reason}")


@always(requests, photos, sites, births)
def test_a_denial_of_the_purpose_without_more_closes_it(
    request_: Request, photo: PhotoFacts, site: Site, birth: Span | None
) -> None:
    stated = (
        Directive(
            "c", 1, "P", "patient-privacy", "active", root=Rule("provision", Effect.DENY, frozenset({request_.purpose}))
        ),
    )
    answer = ask(request_, photo, stated, site, birth)
    if answer.permitted:
        assert request_.purpose == "HLEGAL"
        assert "HLEGAL" not in site.deniable_duties


@always(requests, photos, consents, sites, births)
def test_withdrawing_is_monotone(
    request_: Request, photo: PhotoFacts, stated: tuple[Directive, ...], site: Site, birth: Span | None
) -> None:
    """The denial written and every permit made inactive: nothing opens, and removing the denial opens nothing new."""
    before = ask(request_, photo, stated, site, birth)
    ended = tuple(
        dataclasses.replace(each, status="inactive", was_active=True)
        if each.status == "active" and each.root is not None and each.root.effect is Effect.PERMIT and not each.nested
        else each
        for each in stated
    )
    denial = Directive(
        "w", 1, "P", "patient-privacy", "active", root=Rule("provision", Effect.DENY, frozenset({request_.purpose}))
    )
    after = ask(request_, photo, (*ended, denial), site, birth)
    if request_.purpose != "HLEGAL":
        assert not after.permitted
    removed = ask(request_, photo, (*ended, dataclasses.replace(denial, status="inactive")), site, birth)
    if removed.permitted and not before.permitted:
        # The defaults may come back, and what an ended Consent had replaced; never a permit that was ended.
        assert removed.reason in ("default-permit", "break-glass", "patient-permitted")
        assert not {ref.consent for ref in removed.directives} & {
            each.consent for each, was in zip(ended, stated, strict=True) if each.status != was.status
        }


@always(requests, photos, sites, births, rules("provision"), known_spans, region)
def test_a_permit_covers_the_whole_and_a_denial_touches_a_part(
    request_: Request,
    photo: PhotoFacts,
    site: Site,
    birth: Span | None,
    rule: Rule,
    signed: Span,
    further: Region,
) -> None:
    """A photo that shows more is never permitted for it, and never escapes a denial for it."""
    wider = dataclasses.replace(photo, regions=(*photo.regions, further)) if photo.regions else photo
    permit = Directive(
        "c",
        1,
        "P",
        "patient-privacy",
        "active",
        signed=signed,
        performers=("Patient/P",),
        organizations=("Organization/clinic",),
        root=dataclasses.replace(rule, effect=Effect.PERMIT),
    )
    narrow, wide = (ask(request_, each, (permit,), site, birth) for each in (photo, wider))
    if wide.reason == "patient-permitted":
        assert narrow.reason == "patient-permitted" or narrow.reason == "site-rule"
    denial = dataclasses.replace(permit, root=dataclasses.replace(rule, effect=Effect.DENY))
    narrow, wide = (ask(request_, each, (denial,), site, birth) for each in (photo, wider))
    if narrow.reason == "patient-denied":
        assert wide.reason == "patient-denied"


@always(requests, photos, consents, sites, births)
def test_nothing_changes_by_itself_before_the_next_change(
    request_: Request, photo: PhotoFacts, stated: tuple[Directive, ...], site: Site, birth: Span | None
) -> None:
    patient = PatientFacts(
        "P", birth=birth, directives=stated, representatives=(Representation("RelatedPerson/g", Span()),)
    )
    facts = Facts(site, photo, {"P": patient})
    moment = next_change(patient, site, NOW)
    last = NOW + timedelta(days=400) if moment is None else moment - timedelta(microseconds=1)
    assert decide(request_, facts, last) == decide(request_, facts, NOW)


@always(directives("c0"))
def test_a_directive_comes_back_from_its_text(directive: Directive) -> None:
    assert directive_from_json(directive_to_json(directive)) == directive


@always(photos, photos, st.booleans())
def test_a_photo_comes_back_from_its_text(photo: PhotoFacts, source: PhotoFacts, described: bool) -> None:
    copy = dataclasses.replace(photo, sources=(source,), own_description=described)
    assert photo_from_json(photo_to_json(copy)) == copy


@always(sites)
def test_settings_come_back_from_their_text(site: Site) -> None:
    assert site_from_json(site_to_json(site)) == site


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(string.ascii_letters + "/-:", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(string.ascii_letters, max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
members = st.sampled_from(
    [
        *(
            "id",
            "status",
            "scope",
            "patient",
            "dateTime",
            "performer",
            "organization",
            "policyRule",
            "policy",
            "extension",
        ),
        *("provision", "verification", "modifierExtension", "implicitRules"),
    ]
)
inner_members = st.sampled_from(
    [
        "type",
        "period",
        "actor",
        "purpose",
        "data",
        "dataPeriod",
        "securityLabel",
        "extension",
        "provision",
        "code",
        "class",
    ]
)
_GOOD = "permit WEB actor=Practitioner/d data=instance:DocumentReference/f1 region=face label=N period=2026..2027"


@always(
    st.dictionaries(members, json_values, max_size=3),
    st.dictionaries(inner_members, json_values, max_size=3),
    st.booleans(),
)
def test_malformed_json_is_refused_and_never_an_exception(
    outer: dict[str, Any], inner: dict[str, Any], nested: bool
) -> None:
    resource = consent_json({"root": _GOOD, "nested": [_GOOD], "policy": "OPTIN", "replaces": "c0"}, 1)
    place = resource["provision"]["provision"][0] if nested else resource["provision"]
    place.update(inner)
    resource.update(outer)
    reading = to_directive(resource, version=1, was_active=False, site=SITE, resolver=World())
    assert (reading.directive is None) == bool(reading.refusals) or not reading.refusals
    if reading.directive is not None:
        assert directive_from_json(directive_to_json(reading.directive)) == reading.directive


@always(
    json_values,
    st.lists(st.sampled_from(["provision", "actor", "data", "purpose", "coding", "reference"]), min_size=1, max_size=4),
)
def test_a_wrong_value_anywhere_within_is_never_an_exception(value: Any, path: list[str]) -> None:
    resource = consent_json({"root": _GOOD, "nested": [_GOOD]}, 1)
    node: Any = resource["provision"]
    for name in path:
        inner = node.get(name) if isinstance(node, dict) else None
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            node = inner[0]
        elif isinstance(inner, dict):
            node = inner
    if isinstance(node, dict) and node:
        node[sorted(node)[0]] = value
    to_directive(resource, version=1, was_active=False, site=SITE, resolver=World())
