"""The form before anything was typed: what its page knows, and what its fields hold, as the last session says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fhir_mapping import dates
from fhir_mapping.course.upcoming import Upcoming
from fhir_mapping.course.views import Shot
from fhir_mapping.treatment.session import Amount, Given, Implant, Setting, Use
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.shown_names import view_name
from orthanc_plugin.workspace.today.fields import as_typed
from orthanc_plugin.workspace.today.state import (
    Frame,
    Kind,
    KnownMachine,
    KnownProduct,
    KnownSetting,
    State,
    expired_note,
    unit_of,
)

_KINDS = {Use.GIVEN: Kind.GIVEN, Use.HANDED: Kind.HANDED, Use.HOME: Kind.HOME}


def state_of(found: Upcoming, key: str, day: Callable[[datetime], str]) -> State:
    """What the page knows.

    Parameters
    ----------
    key
        New for each form.
    day
        How a day reads.
    """
    form = found.form
    return State(
        key=key,
        patient=found.patient,
        plan=found.plan.reference if found.plan is not None else None,
        plan_version=found.plan.version if found.plan is not None else None,
        visit=found.visit,
        last=found.last.reference if found.last and found.last.reference.startswith("Procedure/") else None,
        known=found.known,
        record=found.record,
        title=form.title,
        places=form.places,
        products=(
            *(_given(each, found) for each in form.given),
            *(_implant(each, found) for each in form.implants),
        ),
        machines=tuple(
            KnownMachine(each.name, each.reference, tuple(map(_setting, each.settings))) for each in form.machines
        ),
        frames=tuple(_frame(each, day) for each in _latest_first(found)),
        house=tuple((each.reference, each.name) for each in found.machines if each.reference is not None),
    )


def fields_of(found: Upcoming) -> dict[str, str]:
    """What the fields hold: as last time, but for what has expired."""
    form = found.form
    made = {"number": str(form.number or ""), "products": "1", "outcomes": "1", "maps": "1", "machines": "0"}
    rows = [(each.product.lot, each.product.expires, each.dose, each.use is Use.HOME) for each in form.given]
    rows += [(each.lot, each.expires, each.amount, False) for each in form.implants]
    for number, (lot, expires, dose, at_home) in enumerate(rows):
        made |= {f"lot-{number}": lot, f"expires-{number}": expires}
        made |= {f"dose-{number}": as_typed(dose.value)} if dose is not None else {}
        # What she uses at home is said anew where it is said at all, and not with each session.
        made |= {} if at_home else {f"given-{number}": "on"}
    for machine, each in enumerate(form.machines):
        made[f"used-{machine}"] = "on"
        for number, setting in enumerate(each.settings):
            value = setting.value
            made[f"setting-{machine}-{number}"] = as_typed(value.value) if isinstance(value, Amount) else str(value)
    if not form.machines and not rows:
        made["machines"] = "1"
    return made


def _given(given: Given, found: Upcoming) -> KnownProduct:
    lot = given.product
    note = "" if lot.lot else expired_note(lot.name, found.expired)
    return KnownProduct(lot.name, _KINDS[given.use], unit_of(given.dose), given.place, lot.di, note)


def _implant(implant: Implant, found: Upcoming) -> KnownProduct:
    note = "" if implant.lot else expired_note(implant.name, found.expired)
    di = f"|{implant.di}" if implant.di else ""
    return KnownProduct(implant.name, Kind.IMPLANT, unit_of(implant.amount), implant.place, di, note)


def _setting(setting: Setting) -> KnownSetting:
    unit = (setting.value.unit, setting.value.code) if isinstance(setting.value, Amount) else None
    return KnownSetting(setting.name, unit)


def _latest_first(found: Upcoming) -> list[Shot]:
    """Today's photos, then the last session's, then those that the plan was decided on."""
    order = (*found.today, *found.latest, *found.mapped, *found.baseline)
    return list({each.document: each for each in order}.values())


def _frame(shot: Shot, day: Callable[[datetime], str]) -> Frame:
    when = day(shot.at) if shot.at is not None else _("date unknown")
    return Frame(
        document=shot.document,
        version=shot.version,
        name=f"{view_name(shot.view)}, {when}",
        at=dates.date_time(shot.at) if shot.at is not None else "",
        place=shot.view.place,
        view="|".join(shot.view.key),
    )
