"""What an advisory says to people, in the same words on the page, in the terminal and in the report."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from consent.wording import worded
from fhir_mapping.advisory.batch import Astray, Fit, Patient, Photo, When

#: Of each set its title, and what it means.
SETS = {
    Fit.EXACT: (
        worded("Exactly this batch"),
        worded("The record says this lot, and this expiry where one was asked for."),
    ),
    Fit.OTHER_EXPIRY: (
        worded("The same lot with another expiry"),
        worded("A misprint, a counterfeit, or an expiry that nobody wrote down: compare with the box."),
    ),
    Fit.UNREADABLE: (
        worded("To be looked at"),
        worded("Lots that read alike, cannot be read, are missing or were corrected. Each says why it is here."),
    ),
}


ASTRAY = worded("Photos that name these treatments and show somebody else")
UNPLACED = worded("Used, but no patient on record")


def astray_lines(astray: Iterable[Astray]) -> list[str]:
    """Of each such photo what it names and whom it shows."""
    return [
        worded(
            "%(document)s names %(treatment)s and shows Patient/%(patient)s",
            document=each.document,
            treatment=each.treatment,
            patient=each.patient,
        )
        for each in astray
    ]


def contact_lines(patient: Patient) -> list[str]:
    """Whom to call, a line each."""
    return [
        " ".join(filter(None, (f"{each.who}:" if each.who else "", ", ".join((*each.telecom, *each.address)))))
        for each in patient.contacts
    ]


def local(moment: datetime | None, zone: ZoneInfo) -> str:
    """A time as the clinic's clock shows it."""
    return "time not known" if moment is None else moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def taken_when(photos: Iterable[Photo], when: When) -> list[Photo]:
    """The photos before or after, or of which the times do not tell."""
    return [each for each in photos if each.when is when]


def in_set(patients: Iterable[Patient], fit: Fit) -> list[Patient]:
    """The patients whose best treatment is of a set."""
    return [each for each in patients if each.fit is fit]
