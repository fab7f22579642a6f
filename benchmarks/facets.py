"""Questions about photos by their facets, each with what its page counts beside it (``fhir_mapping.question``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import select

from benchmarks.generated.foundation import CLINICIANS
from benchmarks.generated.opened import CLINICIAN, MARKETING, Opened
from benchmarks.generated.products import PRODUCTS
from benchmarks.generated.visit import TREATMENTS
from benchmarks.timing import Times, Told, milliseconds
from consent.regions import regions
from consent.store.engine import reading
from consent.types import Laterality, Requester
from dicom_bridge.objects.vocabulary import find_view
from fhir_mapping.outcome.vocabulary import SYSTEM
from fhir_mapping.question.asking import IDENTIFYING
from fhir_mapping.question.facets import COUNTED, Facet
from fhir_mapping.question.question import Grade, Period, Question, Range, Token
from fhir_mapping.question.tables import facet_value
from fhir_mapping.treatment.settings import SETTINGS

_ROUNDS = 7
TO_REACH = 500.0


@dataclass(frozen=True, slots=True)
class _Asked:
    name: str
    question: Question
    by_days: bool = False
    """Whether it names days, and not years, which is not asked for a purpose without identifiers."""


def measured(clinic: Opened) -> Told:
    """What its questions took."""
    lines = [
        "\n### Questions by facets\n",
        "A page of 60 photos, the newest first, and how many photos have each value of every facet that is counted.\n",
        "| question | purpose | photos | median, ms | slowest, ms |\n|---|---|---:|---:|---:|",
    ]
    worst = 0.0
    for requester in (CLINICIAN, MARKETING):
        shows = requester is CLINICIAN
        counted = [each for each in COUNTED if shows or each not in IDENTIFYING]
        for each in _questions(clinic):
            if not shows and (each.by_days or IDENTIFYING.intersection(each.question.asked())):
                continue
            times, total = _asked(clinic, requester, each.question, counted)
            worst = max(worst, times.slowest)
            purpose = requester.purposes[0]
            lines.append(f"| {each.name} | {purpose} | {total:,} | {times.median:.0f} | {times.slowest:.0f} |")
    return Told("\n".join(lines), worst)


def _asked(clinic: Opened, requester: Requester, question: Question, counted: list[Facet]) -> tuple[Times, int]:
    total = clinic.photos(requester, question, counted).total
    return Times.of([milliseconds(lambda: clinic.photos(requester, question, counted)) for _ in range(_ROUNDS)]), total


def _questions(clinic: Opened) -> list[_Asked]:
    with reading(clinic.engine) as connection:
        lot = connection.execute(
            select(facet_value.c.code).where(facet_value.c.facet == Facet.LOT).order_by(facet_value.c.value).limit(1)
        ).scalar_one()
    face, cheek = (_area(name) for name in ("face", "cheek"))
    toxin = frozenset({Token("toxin", TREATMENTS)})
    product = frozenset({Token("alatoxin", PRODUCTS)})
    zone = clinic.node.record.setting.site.zone
    year = Period(datetime(2023, 1, 1, tzinfo=zone), datetime(2024, 1, 1, tzinfo=zone))
    spring = Period(datetime(2023, 3, 1, tzinfo=UTC), datetime(2023, 6, 1, tzinfo=UTC))
    fluence = Range(Token("fluence", SETTINGS), "J/cm2", Decimal(2), Decimal(12))
    better = Grade(Token("redness", SYSTEM), "improved", or_better=True, rater="patient")
    frontal = find_view("frontal")
    return [
        _Asked("all photos", Question()),
        _Asked("face", Question(area=face)),
        _Asked("right cheek after toxin", Question(area=cheek, side=frozenset({Laterality.RIGHT}), treatment=toxin)),
        _Asked("one product, first session", Question(product=product, session=frozenset({1}))),
        _Asked("redness improved or better, by the patient", Question(outcome=frozenset({better}))),
        _Asked("face, frontal", Question(area=face, view=frozenset({Token(frontal.value, frontal.system)}))),
        _Asked("one lot", Question(lot=frozenset({lot}))),
        _Asked("fluence from 2 to 12 J/cm²", Question(setting=frozenset({fluence}))),
        _Asked("taken in a spring", Question(taken=frozenset({spring})), by_days=True),
        _Asked("taken in a year", Question(taken=frozenset({year}))),
        _Asked("one clinician, face", Question(clinician=frozenset({CLINICIANS[3]}), area=face)),
        _Asked("one patient", Question(patient=frozenset({"p000010"}))),
    ]


def _area(name: str) -> frozenset[str]:
    found = regions().by_name(name)
    assert found is not None
    return frozenset({found.code})
