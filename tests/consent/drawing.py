"""What the properties are held against: Consents, photos, sites and requests of every kind, drawn."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.facts import PhotoFacts
from consent.regions import regions
from consent.site import CareTeamScope, PortalDefault, Site, SitePurpose, TreatmentDefault
from consent.types import Effect, Laterality, Request, Requester
from fhir_mapping import consent_codes as codes
from tests.counts import count, report

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
