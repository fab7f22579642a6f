"""What a batch question asks and what it answers.

Lots are matched on product, lot and expiry, and come back in three sets (a lot that differs or cannot be read is never
passed over in silence): exact; the same lot with another expiry; lots that are written otherwise or cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fhir_mapping.advisory.asked import Question
from fhir_mapping.treatment.session import Place


class Fit(StrEnum):
    """How well what the record holds fits the lot asked for."""

    EXACT = "exact"
    """The lot, and the expiry where one was asked for."""

    OTHER_EXPIRY = "other-expiry"
    """The lot with another expiry, or none: a free-text error, or a counterfeit."""

    UNREADABLE = "unreadable"
    """A lot that reads alike, is partly legible, or is missing: where a batch is on record, or of the same product.

    So does a lot that an earlier version of the record bears: who was treated before may have had it.
    """


#: The better fit first.
BEST = {Fit.EXACT: 0, Fit.OTHER_EXPIRY: 1, Fit.UNREADABLE: 2}


class When(StrEnum):
    """A photo's time against the first treatment with the batch."""

    BEFORE = "before"
    AFTER = "after"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Product:
    """A Medication or Device on record, or one contained in another resource."""

    reference: str
    """``Medication/m``; for a contained one the resource that holds it, ``MedicationAdministration/a#m``."""

    fit: Fit
    name: str
    lot: str | None
    expiry: str | None
    """FHIR date as received."""

    former: bool = False
    """Whether only an earlier version says so: it was corrected, or one record is used again for each new lot."""

    why: str = ""
    """Why it does not fit exactly: ``reads alike``, ``no lot on record``."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """A Procedure, or an administration without one, in which the product was used."""

    reference: str
    patient: str
    product: str
    """Reference of the :class:`Product`."""

    fit: Fit
    at: datetime | None
    until: datetime | None = None
    """By when it had begun for certain: a record to the day leaves open when on that day."""

    over: datetime | None = None
    """When it was over for certain; None: not known, or it may go on."""

    void: str | None = None
    """Status where the record says that it did not take place: ``not-done``, ``entered-in-error``."""

    through: tuple[str, ...] = ()
    """The administrations, dispenses and uses that lead from the product to it."""

    sites: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    """The same, for pages to name them."""

    doses: tuple[str, ...] = ()
    why: str = ""
    """Why it is not certain that the product was used in it: an earlier version names it, a part of it is named."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One photo that the requester may see."""

    number: int
    sop_uid: str
    document: str
    patient: str
    when: When
    taken: datetime | None
    linked: bool
    """Whether the photo is linked to the treatment; else it shows the same area, or the area is not known."""

    moved: bool = False
    """Whether it was linked to the treatment or its visit once, and is no longer."""

    allowed: tuple[str, ...] = ()
    """Purposes for which the patient's Consents, or the site's defaults, let it be shown now."""


@dataclass(frozen=True, slots=True, order=True)
class Astray:
    """A photo that names a treatment of the batch and shows somebody else: one of the two is wrong."""

    treatment: str
    document: str
    patient: str
    """Whom the photo shows."""


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to call or write to: the patient, or who acts for her."""

    who: str
    """Empty: the patient herself."""

    telecom: tuple[str, ...] = ()
    address: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient who may have received the batch."""

    id: str
    name: str
    birth: str | None
    fit: Fit
    """The best of her treatments."""

    died: str = ""
    """Where she is dead: ``died``, with the date on record."""

    records: tuple[str, ...] = ()
    """Her other records on file, merged into this one or this one into them."""

    contacts: tuple[Contact, ...] = ()
    treatments: tuple[Treatment, ...] = ()
    photos: tuple[Photo, ...] = ()


@dataclass(frozen=True, slots=True)
class Advisory:
    """The answer."""

    question: Question
    products: tuple[Product, ...]
    patients: tuple[Patient, ...]
    unplaced: tuple[str, ...] = ()
    """Administrations, dispenses and uses of the batch without a patient on record."""

    astray: tuple[Astray, ...] = ()
    """Those that the requester may see."""
