"""Today's session as the last one suggests it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from fhir_mapping import dates
from fhir_mapping.course.plan import Plan
from fhir_mapping.treatment.read import Treated
from fhir_mapping.treatment.session import UNNAMED, Given, Implant, Lot, Session


def suggested(
    patient: str, plan: Plan | None, last: Treated | None, visit: str | None, done: int, now: datetime, zone: ZoneInfo
) -> tuple[Session, tuple[Lot, ...]]:
    """The session, and the lots of last time that have expired: these are not suggested.

    Parameters
    ----------
    done
        Sessions of the course that are on record.
    """
    before = last.session if last is not None else Session(patient)
    today = now.astimezone(zone).date()
    expired: list[Lot] = []

    def current(lot: Lot) -> Lot:
        if not _is_over(lot.expires, today, zone):
            return replace(lot, reference=None)
        expired.append(lot)
        return Lot(lot.name, di=lot.di)

    given = [replace(each, product=current(each.product), maps=()) for each in before.given]
    if not given and not before.implants and plan is not None:
        given = [Given(Lot(each)) for each in plan.products]
    title = before.title if before.title != UNNAMED else (plan.treatment if plan is not None else UNNAMED)
    made = Session(
        patient=patient,
        title=title,
        encounter=visit,
        number=max(done, before.number or 0) + 1,
        plans=(plan.reference,) if plan is not None and plan.reference is not None else (),
        places=before.places or (plan.places if plan is not None else ()),
        given=tuple(given),
        implants=tuple(_another(each, current(Lot(each.name, each.lot, each.expires))) for each in before.implants),
        machines=before.machines,
    )
    return made, tuple(expired)


def _another(implant: Implant, lot: Lot) -> Implant:
    """Another piece of the same product: its serial number and the printed UDI are its own."""
    return Implant(implant.name, implant.di, "", lot.lot, lot.expires, amount=implant.amount, place=implant.place)


def _is_over(expires: str, today: date, zone: ZoneInfo) -> bool:
    """Whether a lot is past its expiry: on the day that is named it may still be used."""
    if not expires:
        return False
    try:
        end = dates.span(expires, zone).end
    except ValueError:
        return False
    return end is not None and end.astimezone(zone).date() <= today
