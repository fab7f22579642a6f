"""Directives, photo facts and site settings as JSON text, and back: what the database holds of them.

The text is compact, keys are sorted, and what stands at its default is left out. Instants are microseconds since 1970
in UTC. Reading is on the path of every request inside Orthanc: standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.facts import Held, PatientFacts, PhotoFacts, Representation
from consent.site import CareTeamScope, OtherObjects, PortalDefault, Site, SitePurpose, TreatmentDefault
from consent.types import Effect, Laterality

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def directive_to_json(directive: Directive) -> str:
    """A directive as text."""
    value: dict[str, Any] = {
        "consent": directive.consent,
        "version": directive.version,
        "patient": directive.patient,
        "scope": directive.scope,
        "status": directive.status,
        "was_active": directive.was_active,
        "signed": _span_out(directive.signed),
        "performers": list(directive.performers),
        "organizations": list(directive.organizations),
        "verified": directive.verified,
        "root": None if directive.root is None else _rule_out(directive.root),
        "nested": [_rule_out(rule) for rule in directive.nested],
        "opt_out": directive.opt_out,
        "replaces": list(directive.replaces),
    }
    return _dump(value)


def directive_from_json(text: str) -> Directive:
    """The directive that :func:`directive_to_json` wrote."""
    value = json.loads(text)
    root = value.get("root")
    return Directive(
        consent=value["consent"],
        version=value["version"],
        patient=value["patient"],
        scope=value["scope"],
        status=value["status"],
        was_active=value.get("was_active", False),
        signed=_span_in(value.get("signed")),
        performers=tuple(value.get("performers", ())),
        organizations=tuple(value.get("organizations", ())),
        verified=value.get("verified", False),
        root=None if root is None else _rule_in(root),
        nested=tuple(_rule_in(rule) for rule in value.get("nested", ())),
        opt_out=value.get("opt_out", False),
        replaces=tuple(value.get("replaces", ())),
    )


def photo_to_json(photo: PhotoFacts) -> str:
    """Photo facts as text, sources included."""
    return _dump(_photo_out(photo))


def photo_from_json(text: str) -> PhotoFacts:
    """The photo facts that :func:`photo_to_json` wrote."""
    return _photo_in(json.loads(text))


@dataclass(frozen=True, slots=True)
class PhotoOutline:
    """Photo facts of which little is read, for whoever looks at thousands of photos; no decision reads them so."""

    _value: Mapping[str, Any]

    @property
    def photo(self) -> str:
        """SOP Instance UID."""
        return str(self._value["photo"])

    @property
    def document(self) -> str | None:
        """``DocumentReference/…``"""
        document: str | None = self._value.get("document")
        return document

    @property
    def links(self) -> Sequence[str]:
        """As :attr:`consent.facts.PhotoFacts.links`."""
        links: Sequence[str] = self._value.get("links", ())
        return links

    @property
    def taken(self) -> Span | None:
        """The span of the capture time."""
        return _span_in(self._value.get("taken"))

    @property
    def areas(self) -> list[str]:
        """Codes of the regions shown, whichever their side."""
        return [code for code, _ in self._value.get("regions", ())]


def outline_from_json(text: str) -> PhotoOutline:
    """The same facts that :func:`photo_from_json` reads, each when it is asked for."""
    return PhotoOutline(json.loads(text))


def patient_to_json(facts: PatientFacts, directives: Sequence[str]) -> str:
    """A patient's facts as text, without version; in the place of each directive stands a word for it."""
    return _dump(
        {
            "patient": facts.patient,
            "birth": _span_out(facts.birth),
            "directives": list(directives),
            "representatives": [[each.person, _span_out(each.period)] for each in facts.representatives],
            "held": [[each.consent, each.treatment] for each in facts.held],
            "records": sorted(facts.records),
            "care_team": sorted(facts.care_team),
            "final_results": {code: _instant_out(moment) for code, moment in facts.final_results.items()},
        }
    )


def directives_in(text: str) -> tuple[str, ...]:
    """The words for directives in what :func:`patient_to_json` wrote."""
    return tuple(json.loads(text).get("directives", ()))


def patient_from_json(text: str, version: int, directives: Mapping[str, Directive]) -> PatientFacts:
    """The facts that :func:`patient_to_json` wrote, each word exchanged for its directive."""
    value = json.loads(text)
    return PatientFacts(
        patient=value["patient"],
        version=version,
        birth=_span_in(value.get("birth")),
        directives=tuple(directives[word] for word in value.get("directives", ())),
        representatives=tuple(
            Representation(person, _span_in(period) or Span()) for person, period in value.get("representatives", ())
        ),
        held=tuple(Held(consent, treatment) for consent, treatment in value.get("held", ())),
        records=frozenset(value.get("records", ())),
        care_team=frozenset(value.get("care_team", ())),
        final_results={
            code: _EPOCH + timedelta(microseconds=moment) for code, moment in value.get("final_results", {}).items()
        },
    )


def site_to_json(site: Site) -> str:
    """A site's settings as text; equal settings give equal text."""
    return _dump(
        {
            "organization": site.organization,
            "time_zone": site.time_zone,
            "treatment_default": site.treatment_default.value,
            "portal_default": site.portal_default.value,
            "care_team": site.care_team.value,
            "deniable_duties": sorted(site.deniable_duties),
            "break_glass_minutes": site.break_glass_minutes,
            "majority_age": site.majority_age,
            "purposes": [[entry.code, entry.system, entry.parent] for entry in site.purposes],
            "channels": sorted(site.channels),
            "projects": sorted(site.projects),
            "rules_on": sorted(site.rules_on),
            "forbid_break_glass": site.forbid_break_glass,
            "watermark": sorted(site.watermark),
            "other_objects": site.other_objects.value,
        },
        keep_empty=True,
    )


def site_from_json(text: str) -> Site:
    """The settings that :func:`site_to_json` wrote."""
    value = json.loads(text)
    return Site(
        organization=value["organization"],
        time_zone=value["time_zone"],
        treatment_default=TreatmentDefault(value["treatment_default"]),
        portal_default=PortalDefault(value["portal_default"]),
        care_team=CareTeamScope(value["care_team"]),
        deniable_duties=frozenset(value["deniable_duties"]),
        break_glass_minutes=value["break_glass_minutes"],
        majority_age=value["majority_age"],
        purposes=tuple(SitePurpose(*entry) for entry in value["purposes"]),
        channels=frozenset(value["channels"]),
        projects=frozenset(value["projects"]),
        rules_on=frozenset(value["rules_on"]),
        forbid_break_glass=value["forbid_break_glass"],
        watermark=frozenset(value["watermark"]),
        other_objects=OtherObjects(value["other_objects"]),
    )


def _dump(value: Mapping[str, Any], *, keep_empty: bool = False) -> str:
    if not keep_empty:
        value = _without_empty(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _without_empty(value: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that say something: None, False, and what is empty are the defaults of reading."""
    return {key: entry for key, entry in value.items() if entry not in (None, False, [], {})}


def _instant_out(instant: datetime | None) -> int | None:
    return None if instant is None else (instant - _EPOCH) // _MICROSECOND


def _instant_in(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def _span_out(span: Span | None) -> list[int | None] | None:
    return None if span is None else [_instant_out(span.start), _instant_out(span.end)]


def _span_in(value: list[int | None] | None) -> Span | None:
    return None if value is None else Span(_instant_in(value[0]), _instant_in(value[1]))


def _regions_out(regions: tuple[Region, ...]) -> list[list[str]]:
    return [[region.code, region.laterality.value] for region in regions]


def _regions_in(value: list[list[str]]) -> tuple[Region, ...]:
    return tuple(Region(code, Laterality(side)) for code, side in value)


def _labels_out(labels: tuple[Label, ...]) -> list[list[str]]:
    return [[label.system, label.code] for label in labels]


def _labels_in(value: list[list[str]]) -> tuple[Label, ...]:
    return tuple(Label(system, code) for system, code in value)


def _rule_out(rule: Rule) -> dict[str, Any]:
    """A rule; an element that is stated and empty stays apart from one that is not stated."""
    value: dict[str, Any] = {"path": rule.path, "effect": rule.effect.value}
    if rule.purposes is not None:
        value["purposes"] = sorted(rule.purposes)
    if rule.actors is not None:
        value["actors"] = [sorted(rule.actors.persons), sorted(rule.actors.channels), sorted(rule.actors.projects)]
    if rule.data is not None:
        value["data"] = [[entry.reach.value, entry.reference] for entry in rule.data]
    if rule.data_period is not None:
        value["data_period"] = _span_out(rule.data_period)
    if rule.regions is not None:
        value["regions"] = _regions_out(rule.regions)
    if rule.labels is not None:
        value["labels"] = _labels_out(rule.labels)
    if rule.periods:
        value["periods"] = [_span_out(span) for span in rule.periods]
    return value


def _rule_in(value: Mapping[str, Any]) -> Rule:
    actors, data = value.get("actors"), value.get("data")
    purposes, regions, labels = value.get("purposes"), value.get("regions"), value.get("labels")
    return Rule(
        path=value["path"],
        effect=Effect(value["effect"]),
        purposes=None if purposes is None else frozenset(purposes),
        actors=None if actors is None else Actors(*(frozenset(part) for part in actors)),
        data=None if data is None else tuple(Data(Reach(reach), reference) for reach, reference in data),
        data_period=_span_in(value.get("data_period")),
        regions=None if regions is None else _regions_in(regions),
        labels=None if labels is None else _labels_in(labels),
        periods=tuple(span for entry in value.get("periods", ()) if (span := _span_in(entry)) is not None),
    )


def _photo_out(photo: PhotoFacts) -> dict[str, Any]:
    return _without_empty(
        {
            "photo": photo.photo,
            "patients": list(photo.patients),
            "known_since": {patient: _instant_out(instant) for patient, instant in photo.known_since.items()},
            "document": photo.document,
            "formerly": list(photo.formerly),
            "formerly_hers": list(photo.formerly_hers),
            "imaging_study": photo.imaging_study,
            "encounter": photo.encounter,
            "links": sorted(photo.links),
            "treatment": photo.treatment,
            "author": photo.author,
            "photographer": photo.photographer,
            "custodian": photo.custodian,
            "taken": _span_out(photo.taken),
            "regions": _regions_out(photo.regions),
            "labels": _labels_out(photo.labels),
            "sources": [_photo_out(source) for source in photo.sources],
            "own_description": photo.own_description,
            "other": photo.other,
        }
    )


def _photo_in(value: Mapping[str, Any]) -> PhotoFacts:
    return PhotoFacts(
        photo=value["photo"],
        patients=tuple(value.get("patients", ())),
        known_since={
            patient: _EPOCH + timedelta(microseconds=instant)
            for patient, instant in value.get("known_since", {}).items()
        },
        document=value.get("document"),
        formerly=tuple(value.get("formerly", ())),
        formerly_hers=tuple(value.get("formerly_hers", ())),
        imaging_study=value.get("imaging_study"),
        encounter=value.get("encounter"),
        links=frozenset(value.get("links", ())),
        treatment=value.get("treatment", False),
        author=value.get("author"),
        photographer=value.get("photographer"),
        custodian=value.get("custodian"),
        taken=_span_in(value.get("taken")),
        regions=_regions_in(value.get("regions", [])),
        labels=_labels_in(value.get("labels", [])),
        sources=tuple(_photo_in(source) for source in value.get("sources", ())),
        own_description=value.get("own_description", False),
        other=value.get("other", False),
    )
