"""What the plain judge has before it: one request, about one patient, in one photo or one source of a copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from tests.judges import vocabulary as words
from tests.judges.agreement import Agreement
from tests.judges.moments import Stretch, majority, stretch, window


@dataclass(frozen=True)
class Record:
    """The world as the judge looks things up in it."""

    world: Mapping[str, Any]
    zone: ZoneInfo
    now: datetime
    purposes: words.Purposes

    def same_person(self, patient: str) -> set[str]:
        """All records of one person."""
        for group in self.world["merged"]:
            if patient in group:
                return set(group)
        return {patient}

    def belongs_to(self, reference: str | None) -> set[str]:
        """A reference, what it is a member of, and what that is part of."""
        found: set[str] = set()
        pending = [] if reference is None else [reference]
        while pending:
            at = pending.pop()
            if at in found:
                continue
            found.add(at)
            pending += [of for member, of in self.world["members"] if member == at]
            if at in self.world["part_of"]:
                pending.append(self.world["part_of"][at])
        return found

    def holders(self, custodian: str | None) -> set[str]:
        """The organisation that holds a photo, and those that it is part of."""
        found: set[str] = set()
        while custodian is not None and custodian not in found:
            found.add(custodian)
            custodian = self.world["part_of"].get(custodian)
        return found

    def representations(self, person: str, patient: str) -> list[Stretch]:
        """When the record shows a person as entitled to act for the patient, by any record of hers."""
        return [
            window(one["period"], self.zone)
            for name in self.same_person(patient)
            for one in self.world["patients"][name]["representatives"]
            if one["person"] == person
        ]

    def grown_up(self, patient: str) -> Stretch | None:
        """Between when and when the day of majority begins; None where no birth date is known."""
        return majority(self.world["patients"][patient]["birth"], self.world["site"]["majority_age"], self.zone)


@dataclass(frozen=True)
class Matter:
    """One patient's part of a request. ``photo`` is the photo, or the source of a copy with what the copy adds."""

    record: Record
    request: Mapping[str, Any]
    purpose: str
    photo: Mapping[str, Any]
    patient: str
    agreements: tuple[Agreement, ...]
    """The Consents of all records of the patient."""

    @cached_property
    def now(self) -> datetime:
        """The clock of the database."""
        return self.record.now

    @cached_property
    def records(self) -> set[str]:
        """All records of the patient."""
        return self.record.same_person(self.patient)

    @cached_property
    def line(self) -> set[str]:
        """The purpose and all that it descends from."""
        return set(self.record.purposes.line(self.purpose))

    @cached_property
    def requester(self) -> set[str]:
        """The requester, her groups and organisations."""
        return self.record.belongs_to(self.request["account"]["reference"])

    @cached_property
    def known_as(self) -> set[str]:
        """The requester by every name: staff may be patients too, and the patient herself has all her records."""
        own = self.request["account"]["own_patient"]
        records = self.records if self.herself else {own} - {None}
        return self.requester | {f"Patient/{one}" for one in records}

    @cached_property
    def publishing(self) -> bool:
        """Whether the purpose is one of publishing."""
        return self.record.purposes.publishing(self.purpose)

    @cached_property
    def herself(self) -> bool:
        """Whether the requester is the patient; whoever else asks for PATRQT asks for her."""
        account = self.request["account"]
        mine = {f"Patient/{name}" for name in self.records}
        return account["own_patient"] in self.records or account["reference"] in mine

    @cached_property
    def taken(self) -> Stretch | None:
        """When the photo was taken, in its whole uncertainty."""
        return None if self.photo["taken"] is None else stretch(self.photo["taken"], self.record.zone)
