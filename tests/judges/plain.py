"""A second model of the page on consent, as plain as it can be: a world of dictionaries goes in, an answer comes out.

It shares no code with the product and is built the other way round: nothing is prepared, everything is asked anew from
the FHIR JSON for each question, and each step of the decision is one function that either answers or stands aside.

The world::

    {"site": {...}, "now": "2026-06-15T12:00:00+03:00",
     "patients": {"p": {"birth": "1990-01-01", "representatives": [{"person", "period"}], "care_team": [],
                        "results": {"system|code of a region": "2026-05-20T10:00:00Z"}}},
     "merged": [["p", "q"]], "exists": ["Practitioner/d"], "members": [["Practitioner/d", "Group/g"]],
     "part_of": {"Organization/ward": "Organization/clinic"},
     "consents": [{"body": {FHIR Consent}, "history": ["active", "inactive"], "synchronised": False}],
     "photos": {"f1": {"patients", "known_since", "document", "formerly", "formerly_hers", "imaging_study",
                       "encounter", "links", "author", "photographer", "custodian", "taken", "regions", "labels",
                       "sources", "own_description", "other"}},
     "requests": [{"photo", "purpose", "channel", "project", "reason", "emergency_patient", "stale",
                   "account": {"purposes", "rights", "reference", "confined_to", "own_patient"}}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.judges import vocabulary as words
from tests.judges.agreement import Agreement, Earlier, Read, Shelf
from tests.judges.matter import Matter, Record
from tests.judges.moments import majority, stretch
from tests.judges.reading import locals_of, read
from tests.judges.standing import Voice, answers, names, spoke_of_treatment

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""When a result that nobody recorded was reached."""


@dataclass(frozen=True)
class Answer:
    """What the page says: the lowest step that answered, the effect and the reason."""

    step: int
    permit: bool
    reason: str
    by: frozenset[tuple[str, int, str]] = frozenset()
    """Consent, version and path of every provision behind it."""


def deny(step: int, reason: str, voices: Iterable[Voice] = ()) -> Answer:
    """A denial."""
    return Answer(step, False, reason, behind(voices))


def permit(step: int, reason: str, voices: Iterable[Voice] = ()) -> Answer:
    """A permit."""
    return Answer(step, True, reason, behind(voices))


def behind(voices: Iterable[Voice]) -> frozenset[tuple[str, int, str]]:
    """Consent, version and path of every provision that speaks."""
    return frozenset((voice.agreement.id, voice.agreement.version, path) for voice in voices for path in voice.paths)


class PlainJudge:
    """One world, with all of its Consents written in order; then questions."""

    def __init__(self, world: dict[str, Any]) -> None:
        self.world = world
        self.site = world["site"]
        self.zone = ZoneInfo(self.site["time_zone"])
        self.purposes = words.Purposes(self.site)
        self.now = datetime.fromisoformat(world["now"]).astimezone(UTC)
        self.record = Record(world, self.zone, self.now, self.purposes)
        self.reads: list[Read] = []
        self.agreements: list[Agreement] = []
        self.held: list[tuple[str, bool]] = []
        self._here: dict[str, Earlier] = {}
        for written in world["consents"]:
            self._write(written)

    # --- Writing -------------------------------------------------------------------------------------------------

    def _write(self, written: dict[str, Any]) -> None:
        body = written["body"]
        shelf = Shelf(
            zone=self.zone,
            purposes=self.purposes,
            channels=set(self.site["channels"]),
            projects=set(self.site["projects"]),
            deniable=set(self.site["deniable_duties"]),
            exists=lambda name: name in self.world["exists"],
            earlier=self._here.get,
        )
        result = read(body, shelf, "active" in written["history"])
        self.reads.append(result)
        if result.refused:
            if written["synchronised"]:
                self.held.append((body["patient"]["reference"].removeprefix("Patient/"), result.may_deny_treatment))
            return
        self._here[body["id"]] = self.earlier(body)
        if result.agreement is not None:
            result.agreement.version = len(written["history"])
            self.agreements.append(result.agreement)

    def earlier(self, body: dict[str, Any]) -> Earlier:
        """What a later Consent that replaces this one has to know."""
        patient = body["patient"]["reference"].removeprefix("Patient/")
        signed = stretch(body["dateTime"], self.zone) if "dateTime" in body else None
        signers = locals_of(body, "performer")
        grown = majority(self.world["patients"][patient]["birth"], self.site["majority_age"], self.zone)
        adult = signed is not None and grown is not None and grown.after <= signed.first
        records = self.record.same_person(patient)
        return Earlier(records, signed, adult and any(f"Patient/{one}" in signers for one in records))

    # --- The decision --------------------------------------------------------------------------------------------

    def answer(self, request: Mapping[str, Any]) -> Answer:
        """The answer to one request."""
        photo = self.world["photos"].get(request["photo"])
        aspects = [] if photo is None else self.aspects(photo)
        if request["stale"] or any(
            one not in self.world["patients"] for aspect in aspects for one in aspect["patients"]
        ):
            return deny(0, "facts-unavailable")
        purpose = "BTG" if request["purpose"] == "ETREAT" else request["purpose"]
        if photo is None:
            return deny(2, "not-linked") if self._may_ask(request, purpose, []) else deny(1, "purpose-not-held")
        if photo["other"]:
            return self._no_photo(request, purpose)
        early = [answer for aspect in aspects if (answer := self._before_patients(request, purpose, aspect))]
        return lowest(early or [self._for_patient(matter) for matter in self.matters(request)])

    def _no_photo(self, request: Mapping[str, Any], purpose: str) -> Answer:
        """Steps 1 to 3 for an object that is no photo: who asks and for what decides, and nothing about the object."""
        account = request["account"]
        if not self._may_ask(request, purpose, []):
            return deny(1, "purpose-not-held")
        clinical = self.site["other_objects"] == "clinical" and "archive" in account["rights"]
        if purpose != "TREAT" or not clinical:
            return deny(2, "other-deny")
        return permit(2, "other-permit") if self._hers(account) is None else deny(3, "other-patient")

    def matters(self, request: Mapping[str, Any]) -> list[Matter]:
        """The parts of a request, each about one patient in the photo or in one source of it."""
        purpose = "BTG" if request["purpose"] == "ETREAT" else request["purpose"]
        photo = self.world["photos"].get(request["photo"])
        found = []
        for aspect in [] if photo is None else self.aspects(photo):
            for patient in aspect["patients"]:
                # The other patients in a photo of an emergency are decided as for TREAT.
                other = purpose == "BTG" and not self._emergency_is_for(request, photo, patient)
                records = self.record.same_person(patient)
                mine = tuple(one for one in self.agreements if one.patient in records)
                found.append(Matter(self.record, request, "TREAT" if other else purpose, aspect, patient, mine))
        return found

    def aspects(self, photo: dict[str, Any]) -> list[dict[str, Any]]:
        """A copy is decided once for each source, as if it were that source; ``all`` are all whom that one shows.

        Somebody whom no source shows and to whom the copy is linked is asked as well, about the copy as it is.
        """
        if not photo["sources"]:
            return [{**photo, "all": photo["patients"], "documents": _names(photo), "copied": 0}]
        found = []
        for name in photo["sources"]:
            for aspect in self.aspects(self.world["photos"][name]):
                mine = {**aspect, "documents": aspect["documents"] | _names(photo), "copied": aspect["copied"] + 1}
                if photo["own_description"]:
                    mine["regions"], mine["labels"] = photo["regions"], photo["labels"]
                found.append(mine)
        known = {patient for aspect in found for patient in aspect["patients"]}
        further = [patient for patient in photo["patients"] if patient not in known]
        if further:
            found.append(
                {**photo, "patients": further, "all": photo["patients"], "documents": _names(photo), "copied": 0}
            )
        return found

    def _before_patients(self, request: Mapping[str, Any], purpose: str, aspect: dict[str, Any]) -> Answer | None:
        """Steps 1 to 3: the first that applies."""
        if not self._may_ask(request, purpose, aspect["patients"]):
            return deny(1, "purpose-not-held")
        if not aspect["patients"] or (aspect["encounter"] is None and not treated(aspect)):
            return deny(2, "not-linked")
        hers = self._hers(request["account"])
        if hers is not None and hers.isdisjoint(aspect["all"]):
            return deny(3, "other-patient")
        return None

    def obligations(self, request: Mapping[str, Any]) -> set[str]:
        """What a permit of the request obliges to."""
        purpose = request["purpose"]
        found = {"no-identifiers"} if self.purposes.without_identifiers(purpose) else set()
        owed = set(self.purposes.line(purpose)) & set(self.site["watermark"])
        return found | ({"watermark"} if owed else set())

    # --- Steps 1 to 3 --------------------------------------------------------------------------------------------

    def _may_ask(self, request: Mapping[str, Any], purpose: str, patients: list[str]) -> bool:
        """Step 1."""
        if purpose not in request["account"]["purposes"] or not self.purposes.known(purpose):
            return False
        if purpose == "SOCIAL" and request["channel"] is None:
            return False
        if purpose == "BTG" and not (request["reason"] or "").strip():
            return False
        if purpose == "TREAT" and self.site["care_team"] == "record":
            me = self.record.belongs_to(request["account"]["reference"])
            return all(
                any(
                    me & set(self.world["patients"][record]["care_team"]) for record in self.record.same_person(patient)
                )
                for patient in patients
            )
        return True

    def _hers(self, account: dict[str, Any]) -> set[str] | None:
        """Step 3: the patients to whom the requester is confined, by all their records; None: not confined."""
        confined, reference = account["confined_to"], account["reference"] or ""
        if reference.startswith("RelatedPerson/"):
            confined = [
                one
                for one in (self.world["patients"] if confined is None else confined)
                if any(each.holds(self.now) for each in self.record.representations(reference, one))
            ]
        if confined is None:
            return None
        return {record for one in confined for record in self.record.same_person(one)}

    def _emergency_is_for(self, request: Mapping[str, Any], photo: dict[str, Any], patient: str) -> bool:
        """One patient; where the request names none, the first whom the photo shows."""
        named = request["emergency_patient"]
        if named is None:
            named = next(one for aspect in self.aspects(photo) for one in aspect["patients"])
        return named in self.record.same_person(patient)

    # --- Steps 4 to 11, for one patient shown --------------------------------------------------------------------

    def _for_patient(self, matter: Matter) -> Answer:
        if matter.purpose == "TREAT" and not self._may_ask(matter.request, "TREAT", [matter.patient]):
            return deny(1, "purpose-not-held")
        steps = (self._site_rule, self._duty, self._emergency, self._held, self._consents, self._not_covered)
        for step in steps:
            answer = step(matter)
            if answer is not None:
                return answer
        return self._nothing_said(matter)

    def _site_rule(self, matter: Matter) -> Answer | None:
        """Step 4."""
        rules, grown, taken = self.site["rules_on"], self.record.grown_up(matter.patient), matter.taken
        own = matter.request["account"]["own_patient"] in matter.records
        if "own-record-as-patient" in rules and own and matter.purpose != "PATRQT":
            return deny(4, "site-rule")
        if matter.purpose == "BTG" and self.site["forbid_break_glass"]:
            return deny(4, "site-rule")
        if matter.publishing and "no-publishing-of-minors" in rules:
            adult = grown is not None and grown.after <= self.now
            if not adult or taken is None or grown is None or taken.first < grown.after:
                return deny(4, "site-rule")
        if matter.publishing and "signature-after-result" in rules and self._signed_before_result(matter):
            return deny(4, "site-rule")
        return None

    def _signed_before_result(self, matter: Matter) -> bool:
        """Whether she signed, and every signature is older than the final result of what the photo shows."""
        results = self.world["patients"][matter.patient]["results"]
        latest: list[datetime] = []
        for shown in matter.photo["regions"]:
            region = words.SAME_REGION.get(shown["code"], shown["code"])
            known = [
                datetime.fromisoformat(when)
                for part, when in results.items()
                if region in words.wholes(part) or part in words.wholes(region)
            ]
            latest.append(max(known, default=NEVER))
        after = max(latest, default=NEVER)
        signed = [voice.agreement.signed for voice in answers(matter) if voice.permits]
        return bool(signed) and not any(one is not None and after <= one.first for one in signed)

    def _duty(self, matter: Matter) -> Answer | None:
        """Step 5."""
        if not self.purposes.duty(matter.purpose):
            return None
        denials = [voice for voice in answers(matter) if not voice.permits]
        if matter.purpose in self.site["deniable_duties"] and denials:
            return deny(5, "patient-denied", denials)
        return permit(5, "role-permit")

    def _emergency(self, matter: Matter) -> Answer | None:
        """Step 6."""
        if matter.purpose != "BTG":
            return None
        if not names("BTG", matter):
            return permit(6, "break-glass")
        return self._consents(matter) or deny(8, "patient-denied")

    def _held(self, matter: Matter) -> Answer | None:
        """Step 7."""
        held = [treatment for patient, treatment in self.held if patient in matter.records]
        if held and (matter.purpose != "TREAT" or any(held)):
            return deny(7, "held")
        return None

    def _consents(self, matter: Matter) -> Answer | None:
        """Steps 8 and 9."""
        found = answers(matter)
        denials = [voice for voice in found if not voice.permits]
        if denials:
            return deny(8, "patient-denied", denials)
        return permit(9, "patient-permitted", found) if found else None

    def _not_covered(self, matter: Matter) -> Answer | None:
        """Step 10."""
        return deny(10, "not-covered") if matter.purpose == "TREAT" and spoke_of_treatment(matter) else None

    def _nothing_said(self, matter: Matter) -> Answer:
        """Step 11."""
        implied = matter.purpose == "TREAT" and self.site["treatment_default"] == "implied"
        opened = matter.purpose == "PATRQT" and self.site["portal_default"] == "open" and matter.herself
        return permit(11, "default-permit") if implied or opened else deny(11, "default-deny")


def lowest(found: list[Answer]) -> Answer:
    """One denial denies; the reason is that of the lowest step among the denials, else among the permits."""
    denials = [one for one in found if not one.permit]
    first = min(denials or found, key=lambda one: one.step)
    together = [one.by for one in denials or found if one.step == first.step]
    return replace(first, by=frozenset().union(*together))


def _names(photo: dict[str, Any]) -> set[str]:
    """By what a No may name it: as it is, and as whatever it took the place of."""
    return {photo["document"], *photo["formerly"]}


def treated(photo: dict[str, Any]) -> bool:
    """Whether a treatment is linked to it."""
    return any(link.startswith("Procedure/") for link in photo["links"])
