"""The product's side of the comparison: a judges' world, put before ``to_directive`` and ``decide``.

Only the comparison imports the product; the judges do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from consent.ages import majority
from consent.decision import decide
from consent.directive import Directive, Label, Region, Span
from consent.facts import Facts, Held, PatientFacts, PhotoFacts, Representation, RequesterFacts
from consent.site import CareTeamScope, OtherObjects, PortalDefault, Site, SitePurpose, TreatmentDefault
from consent.types import Decision, Laterality, Request, Requester, Right
from consent.validity import next_change
from fhir_mapping import dates, references
from fhir_mapping.to_directive import EarlierConsent, Reading, to_directive


def refused(reading: Reading) -> set[str]:
    """The elements that a reading refuses, in the words of the judges: the name of the element, not its place."""
    found = set()
    for refusal in reading.refusals:
        steps = re.sub(r"\[\d+\]", "", refusal.element.replace("urn:photospine:", "")).split(".")
        while steps[-1] in ("role", "reference", "meaning", "uri", "start", "end"):
            steps.pop()
        found.add(steps[-1].removeprefix("extension('").removesuffix("')").replace("photo-region", "extension"))
    return found


def said(reading: Reading) -> set[str]:
    """What the answer to the write says of purposes, in the words of the judges."""
    words = {"rests on law: recorded, not followed": "recorded, not followed", "a permit is exact": "matches nothing"}
    return {word for note in reading.notes for phrase, word in words.items() if phrase in note}


class Product:
    """One world in the product's own types."""

    def __init__(self, world: Mapping[str, Any]) -> None:
        self.world = world
        self.site = site_of(world["site"])
        self.now = _instant(world["now"])
        self.readings: list[Reading] = []
        self._bodies: dict[str, Mapping[str, Any]] = {}
        self._directives: list[Directive] = []
        self._held: list[tuple[str, Held]] = []
        for written in world["consents"]:
            self._write(written)
        self._patients = {name: self._patient(name) for name in world["patients"]}

    # The resolver of a write

    def exists(self, reference: str) -> bool:
        """Whether the record holds it."""
        return reference in self.world["exists"]

    def consent(self, consent: str) -> EarlierConsent | None:
        """A Consent that is already here."""
        body = self._bodies.get(consent)
        if body is None:
            return None
        patient = body["patient"]["reference"].removeprefix("Patient/")
        signed = dates.span(body["dateTime"], self.site.zone) if "dateTime" in body else None
        performers = {references.local(text) for text in references.of(body, "performer")}
        records = next((frozenset(group) for group in self.world["merged"] if patient in group), frozenset({patient}))
        by_patient = not performers.isdisjoint({f"Patient/{record}" for record in records})
        of_age = majority(self.patient_birth(patient), self.site)
        adult = None not in (signed, of_age) and of_age.end <= signed.start  # type: ignore[union-attr, operator]
        return EarlierConsent(patient, signed.start if signed else None, by_patient and adult, records)

    def patient_birth(self, patient: str) -> Span | None:
        """When the patient was born."""
        birth = self.world["patients"][patient]["birth"]
        return None if birth is None else dates.span(birth, self.site.zone)

    def _write(self, written: Mapping[str, Any]) -> None:
        body = written["body"]
        reading = to_directive(
            body,
            version=len(written["history"]),
            was_active="active" in written["history"],
            site=self.site,
            resolver=self,
        )
        self.readings.append(reading)
        if reading.refusals:
            if written["synchronised"]:
                patient = body["patient"]["reference"].removeprefix("Patient/")
                self._held.append((patient, Held(body["id"], reading.denial_reaches_treatment)))
            return
        self._bodies[body["id"]] = body
        if reading.directive is not None:
            self._directives.append(reading.directive)

    # Facts

    def _patient(self, name: str) -> PatientFacts:
        records = next((frozenset(group) for group in self.world["merged"] if name in group), frozenset({name}))
        stated = [self.world["patients"][record] for record in sorted(records)]
        return PatientFacts(
            patient=name,
            birth=self.patient_birth(name),
            directives=tuple(one for one in self._directives if one.patient in records),
            representatives=tuple(
                Representation(each["person"], dates.period(each["period"], self.site.zone))
                for one in stated
                for each in one["representatives"]
            ),
            held=tuple(held for patient, held in self._held if patient in records),
            records=records,
            care_team=frozenset(each for one in stated for each in one["care_team"]),
            final_results={region: _instant(when) for region, when in self.world["patients"][name]["results"].items()},
        )

    def photo(self, name: str) -> PhotoFacts | None:
        """What the decision reads of a photo; its UID is made of its name."""
        stated = self.world["photos"].get(name)
        if stated is None:
            return None
        sources = [self.photo(source) for source in stated["sources"]]
        return PhotoFacts(
            photo=f"2.25.{name}",
            patients=tuple(stated["patients"]),
            known_since={patient: _instant(since) for patient, since in stated["known_since"].items()},
            document=stated["document"],
            formerly=tuple(stated["formerly"]),
            formerly_hers=tuple(stated["formerly_hers"]),
            imaging_study=stated["imaging_study"],
            encounter=stated["encounter"],
            links=frozenset(stated["links"]),
            treatment=any(link.startswith("Procedure/") for link in stated["links"]),
            author=stated["author"],
            photographer=stated["photographer"],
            custodian=stated["custodian"],
            taken=None if stated["taken"] is None else dates.span(stated["taken"], self.site.zone),
            regions=tuple(Region(one["code"], Laterality(one["laterality"] or "B")) for one in stated["regions"]),
            labels=tuple(Label(system, code) for system, code in stated["labels"]),
            sources=tuple(source for source in sources if source is not None),
            own_description=stated["own_description"],
            other=stated["other"],
        )

    def _belongs_to(self, reference: str | None) -> frozenset[str]:
        steps = [*map(tuple, self.world["members"]), *self.world["part_of"].items()]
        found = frozenset() if reference is None else frozenset({reference})
        while (wider := found | {above for below, above in steps if below in found}) != found:
            found = wider
        return found

    def good_until(self) -> datetime | None:
        """Until when the answers about these patients hold by themselves, with no write; None: for ever."""
        ends = [next_change(patient, self.site, self.now) for patient in self._patients.values()]
        return min((end for end in ends if end is not None), default=None)

    def decide(self, asked: Mapping[str, Any]) -> Decision:
        """The product's answer."""
        stated = asked["account"]
        confined = stated["confined_to"]
        requester = Requester(
            account="account",
            purposes=tuple(stated["purposes"]),
            rights=frozenset(map(Right, stated["rights"])),
            reference=stated["reference"],
            confined_to=None if confined is None else frozenset(confined),
            own_patient=stated["own_patient"],
        )
        request = Request(
            requester,
            "BTG" if asked["purpose"] == "ETREAT" else asked["purpose"],  # as every door reads it
            channel=asked["channel"],
            project=asked["project"],
            emergency_reason=asked["reason"],
            emergency_patient=asked["emergency_patient"],
        )
        facts = Facts(
            site=self.site,
            photo=self.photo(asked["photo"]),
            patients=self._patients,
            requester=RequesterFacts(self._belongs_to(stated["reference"])),
            organization_parents=self.world["part_of"],
            current=not asked["stale"],
        )
        return decide(request, facts, self.now)


def site_of(stated: Mapping[str, Any]) -> Site:
    """The settings in the product's own type."""
    return replace(
        Site(),
        organization=stated["organization"],
        time_zone=stated["time_zone"],
        treatment_default=TreatmentDefault(stated["treatment_default"]),
        portal_default=PortalDefault(stated["portal_default"]),
        care_team=CareTeamScope(stated["care_team"]),
        deniable_duties=frozenset(stated["deniable_duties"]),
        majority_age=stated["majority_age"],
        purposes=tuple(SitePurpose(one["code"], one["system"], one["parent"]) for one in stated["purposes"]),
        channels=frozenset(stated["channels"]),
        projects=frozenset(stated["projects"]),
        rules_on=frozenset(stated["rules_on"]),
        forbid_break_glass=stated["forbid_break_glass"],
        watermark=frozenset(stated["watermark"]),
        other_objects=OtherObjects(stated["other_objects"]),
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
