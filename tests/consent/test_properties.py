"""What must hold for every Consent, photo and request, whatever they are."""

from __future__ import annotations

import dataclasses
import string
from datetime import timedelta
from typing import Any

import pytest
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
from consent.directive import Directive, Region, Rule, Span
from consent.facts import Facts, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.site import Site
from consent.types import Decision, Effect, Request
from consent.validity import next_change
from fhir_mapping.to_directive import to_directive
from tests.consent.drawing import (
    NOW,
    always,
    births,
    consents,
    directives,
    known_spans,
    photos,
    region,
    requests,
    rules,
    sites,
)
from tests.consent.words import consent_json
from tests.consent.world import SITE, World

pytestmark = pytest.mark.fast


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
