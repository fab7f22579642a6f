"""One question about photos. Its purpose is that of the request that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from consent.types import Laterality
from fhir_mapping.question.facets import Facet


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A code, in any system or in one."""

    code: str
    system: str | None = None
    """None: any; empty: a code without a system, or a name that somebody typed."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a machine was set to."""

    setting: Token
    unit: str
    """UCUM; ``1`` for a number without a unit. Amounts in other units are not converted: they do not match."""

    low: Decimal | None = None
    high: Decimal | None = None
    """Both inclusive."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a judgement said."""

    characteristic: Token | None = None
    """None: whatever was judged."""

    grade: str | None = None
    """A code of the scale; None: any; empty: a judgement that states none."""

    or_better: bool = False
    rater: str | None = None
    """``patient``, ``investigator`` or ``measured``; None: anybody; empty: of whom it is not known."""


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, half-open; photos whose capture began in it."""

    start: datetime | None = None
    end: datetime | None = None
    text: str = ""
    """As it was written, so that it is written so again: ``2026-05..2026-07``."""


@dataclass(frozen=True, slots=True)
class Question:
    """What photos are asked for. Within a facet any value will do; between facets all must be met; empty asks nothing.

    References are relative: ``Practitioner/d``.
    """

    patient: frozenset[str] = frozenset()
    """Ids. Records that were merged are one."""

    area: frozenset[str] = frozenset()
    """``system|code``."""

    side: frozenset[Laterality] = frozenset()
    view: frozenset[Token] = frozenset()
    expression: frozenset[Token] = frozenset()
    session: frozenset[int] = frozenset()
    treatment: frozenset[Token] = frozenset()
    product: frozenset[Token] = frozenset()
    lot: frozenset[str] = frozenset()
    setting: frozenset[Range] = frozenset()
    """Of several settings each must be met; of several ranges of one setting any."""

    clinician: frozenset[str] = frozenset()
    photographer: frozenset[str] = frozenset()
    outcome: frozenset[Grade] = frozenset()
    plan: frozenset[str] = frozenset()
    taken: frozenset[Period] = frozenset()

    def asked(self) -> Iterator[Facet]:
        """The facets that it names, in order."""
        return (Facet(each.name) for each in fields(self) if getattr(self, each.name))
