"""The little world of the consent table: one clinic, a few people and photos, and Consents written in its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from consent.ages import majority
from consent.decision import decide
from consent.directive import Directive, Span
from consent.facts import Facts, Held, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.purposes import OWN_PURPOSES
from consent.site import CareTeamScope, OtherObjects, PortalDefault, Site, SitePurpose, TreatmentDefault
from consent.types import Decision, Request, Requester, Right
from fhir_mapping.to_directive import EarlierConsent, Reading, to_directive
from tests.consent.words import consent_json, moment, read_labels, read_regions, span

NOW = "2026-06-15T12:00:00+03:00"

SITE = Site(
    organization="clinic",
    time_zone="Europe/Athens",
    channels=frozenset({"instagram", "tiktok"}),
    projects=frozenset({"scars", "peels"}),
    purposes=(
        SitePurpose("FooBar", OWN_PURPOSES, "HRESCH"),
        SitePurpose("FLYER", OWN_PURPOSES, "HMARKT"),
        SitePurpose("LAWSUIT", OWN_PURPOSES, "HLEGAL"),
    ),
)

ACCOUNTS = {
    "D": Requester("D", ("TREAT", "BTG"), reference="Practitioner/d"),
    "B": Requester("B", ("BTG",), reference="Practitioner/b"),
    "E": Requester("E", ("TREAT",), reference="Practitioner/e"),
    "M": Requester("M", ("PORTFOLIO", "WEB", "SOCIAL", "FLYER"), reference="Practitioner/m"),
    "N": Requester("N", ("PORTFOLIO", "WEB", "SOCIAL"), reference="Practitioner/n"),
    "C": Requester("C", ("HCOMPL", "PATSFTY"), reference="Practitioner/c"),
    "L": Requester("L", ("HLEGAL", "LAWSUIT"), reference="Practitioner/l"),
    "T": Requester("T", ("TEACH",), reference="Practitioner/t"),
    "K": Requester("K", ("CONF",), reference="Practitioner/k"),
    "R": Requester("R", ("HRESCH", "FooBar", "HPAYMT"), reference="Practitioner/r"),
    "S": Requester("S", ("TREAT", "WEB", "HCOMPL", "PATRQT", "BTG"), reference="Practitioner/s", own_patient="P"),
    "P": Requester("P", ("PATRQT",), reference="Patient/P", confined_to=frozenset({"P"})),
    "Q": Requester("Q", ("PATRQT",), reference="Patient/Q", confined_to=frozenset({"Q"})),
    "mother": Requester("mother", ("PATRQT",), reference="RelatedPerson/mother", confined_to=frozenset({"P"})),
    "stranger": Requester("stranger", ("PATRQT",), reference="RelatedPerson/stranger", confined_to=frozenset({"P"})),
    "nameless": Requester("nameless", ("TREAT", "WEB")),
    "marketer": Requester("marketer", ("HMARKT", "TRAIN", "SOMETHING")),
    "A": Requester("A", ("TREAT", "BTG", "HCOMPL"), frozenset({Right.ARCHIVE}), reference="Practitioner/a"),
    "portal": Requester("portal", ("TREAT",), frozenset({Right.ARCHIVE}), confined_to=frozenset({"P"})),
    "admin": Requester("admin"),
}

UNKNOWN = "nobody"
"""References that end so name nothing in the record; all others exist."""


def _photo(name: str, taken: str, visit: str, regions_: str, author: str) -> PhotoFacts:
    when = span(taken)
    assert when.end is not None
    return PhotoFacts(
        photo=f"2.25.{name}",
        patients=("P",),
        known_since={"P": when.end},
        document=f"DocumentReference/{name}",
        imaging_study=f"ImagingStudy/{visit}",
        encounter=f"Encounter/{visit}",
        links=frozenset({f"Encounter/{visit}", f"Procedure/of-{visit}"}),
        treatment=True,
        author=author,
        photographer=author,
        custodian="Organization/clinic",
        taken=when,
        regions=read_regions(regions_),
    )


def photos() -> dict[str, PhotoFacts]:
    """The photos of the fixture."""
    return {
        "f1": _photo("f1", "2026-05-03T10:00:00+03:00", "V1", "face,neck", "Practitioner/d"),
        "h1": _photo("h1", "2026-05-03T10:05:00+03:00", "V1", "hand", "Practitioner/e"),
        "f2": _photo("f2", "2026-06-10T09:00:00+03:00", "V2", "face", "Practitioner/d"),
    }


@dataclass
class World:
    """Everything one row of the table states, ready to be asked."""

    site: Site = SITE
    now: datetime = field(default_factory=lambda: moment(NOW))
    photos: dict[str, PhotoFacts] = field(default_factory=photos)
    patients: dict[str, PatientFacts] = field(default_factory=dict)
    belongs: dict[str, frozenset[str]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=lambda: {"Organization/clinic": "Organization/group"})
    current: bool = True
    readings: list[Reading] = field(default_factory=list)

    def __post_init__(self) -> None:
        for identity, born in (("P", "1990-01-01"), ("Q", "1985-01-01")):
            self.patients.setdefault(identity, PatientFacts(identity, birth=span(born)))
        self._earlier: dict[str, dict[str, Any]] = {}

    # Resolver

    def exists(self, reference: str) -> bool:
        return not reference.endswith(UNKNOWN)

    def consent(self, consent: str) -> EarlierConsent | None:
        resource = self._earlier.get(consent)
        if resource is None:
            return None
        patient = resource["patient"]["reference"].partition("/")[2]
        signed = span(resource["dateTime"]).start if "dateTime" in resource else None
        of_age = majority(self.patient_birth(patient), self.site)
        by_patient = {"reference": f"Patient/{patient}"} in resource["performer"]
        adult = of_age is not None and of_age.end is not None and signed is not None and of_age.end <= signed
        return EarlierConsent(patient, signed, by_patient and adult)

    def patient_birth(self, patient: str) -> Span | None:
        return self.patients[patient].birth

    # Writing and asking

    def read(self, resource: dict[str, Any], *, version: int = 1, was_active: bool = True) -> Reading:
        """Read a Consent of the record, and remember it for later ones to replace."""
        reading = to_directive(resource, version=version, was_active=was_active, site=self.site, resolver=self)
        self._earlier[resource["id"]] = resource
        self.readings.append(reading)
        return reading

    def write(self, stated: str | Mapping[str, Any]) -> None:
        """Write a Consent: it makes a directive, is refused, or holds the patient where it arrived by itself."""
        resource = consent_json(stated, len(self.readings) + 1)
        given: Mapping[str, Any] = {} if isinstance(stated, str) else stated
        reading = self.read(resource, was_active=given.get("was_active", True))
        patient = self.patients[resource["patient"]["reference"].partition("/")[2]]
        if reading.directive is not None:
            self._bind(reading.directive)
        elif reading.refusals and given.get("arrived"):
            held = Held(resource["id"], reading.denial_reaches_treatment)
            self.patients[patient.patient] = replace(patient, held=(*patient.held, held))

    def _bind(self, directive: Directive) -> None:
        for identity, patient in self.patients.items():
            if directive.patient in (patient.records or {identity}):
                self.patients[identity] = replace(patient, directives=(*patient.directives, directive))

    def ask(self, words: str) -> Decision:
        """Ask: account, purpose with channel or project, photo, and for BTG ``for=PATIENT`` and ``!reason``."""
        who, purpose, name, *rest = words.split()
        code, _, place = purpose.partition("/")
        requester = ACCOUNTS[who]
        reason = next((word[1:] for word in rest if word.startswith("!")), None)
        about = next((word.removeprefix("for=") for word in rest if word.startswith("for=")), None)
        request = Request(
            requester,
            code,
            channel=place or None if code == "SOCIAL" else None,
            project=place or None if code == "HRESCH" else None,
            emergency_reason=reason,
            emergency_patient=about,
        )
        own = frozenset({requester.reference, "Organization/clinic", "Organization/group"} - {None})
        belongs = self.belongs.get(who, own if (requester.reference or "").startswith("Practitioner/") else frozenset())
        facts = Facts(
            site=self.site,
            photo=self.photos.get(name),
            patients=self.patients,
            requester=RequesterFacts(belongs),  # type: ignore[arg-type]
            organization_parents=self.parents,
            current=self.current,
        )
        return decide(request, facts, self.now)


def world_of(case: Mapping[str, Any]) -> World:
    """The world of a row, its Consents not yet written."""
    world = World(site=_site(case.get("site", {})), now=moment(case.get("now", NOW)), current=not case.get("stale"))
    for identity, stated in case.get("patients", {}).items():
        world.patients[identity] = _patient(identity, stated)
    for name, stated in case.get("photos", {}).items():
        world.photos[name] = _photo_of(name, stated, world.photos)
    world.belongs = {who: frozenset(stated) for who, stated in case.get("belongs", {}).items()}
    world.parents |= case.get("parents", {})
    return world


def _site(stated: Mapping[str, Any]) -> Site:
    read: dict[str, Any] = {}
    for name, value in stated.items():
        match name:
            case "treatment_default":
                read[name] = TreatmentDefault(value)
            case "portal_default":
                read[name] = PortalDefault(value)
            case "care_team":
                read[name] = CareTeamScope(value)
            case "other_objects":
                read[name] = OtherObjects(value)
            case "rules_on" | "deniable_duties" | "watermark":
                read[name] = frozenset(value)
            case _:
                read[name] = value
    return replace(SITE, **read)


def _patient(identity: str, stated: Mapping[str, Any]) -> PatientFacts:
    birth = stated.get("birth", "1990-01-01")
    return PatientFacts(
        identity,
        birth=span(birth) if birth else None,
        representatives=tuple(
            Representation(words.split()[0], span(words.split()[1]) if " " in words else Span())
            for words in stated.get("representatives", ())
        ),
        records=frozenset(stated.get("records", ())),
        care_team=frozenset(stated.get("care_team", ())),
        final_results={read_regions(name)[0].code: moment(when) for name, when in stated.get("results", {}).items()},
    )


def _photo_of(name: str, stated: Mapping[str, Any], known: Mapping[str, PhotoFacts]) -> PhotoFacts:
    base = replace(known[stated.get("like", "f1")], photo=f"2.25.{name}", document=f"DocumentReference/{name}")
    read: dict[str, Any] = {}
    for key, value in stated.items():
        match key:
            case "like":
                continue
            case "regions":
                read[key] = read_regions(value)
            case "labels":
                read[key] = read_labels(value)
            case "taken":
                read[key] = span(value) if value else None
            case "known_since":
                read[key] = {patient: moment(when) for patient, when in value.items()}
            case "links":
                read[key] = frozenset(value)
                read["treatment"] = any(each.startswith("Procedure/") for each in value)
            case "formerly" | "formerly_hers":
                read[key] = tuple(value)
            case "patients":
                read[key] = tuple(value)
                since = next(iter(base.known_since.values()))
                read.setdefault("known_since", dict.fromkeys(value, since))
            case "sources":
                read[key] = tuple(known[each] for each in value)
            case "visit":
                read |= {"encounter": f"Encounter/{value}", "imaging_study": f"ImagingStudy/{value}"}
                read["links"] = frozenset({f"Encounter/{value}"})
                read["treatment"] = False
            case _:
                read[key] = value or None if isinstance(value, str) else value
    return replace(base, **read)
