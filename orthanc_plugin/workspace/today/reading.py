"""The whole form, read back into what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fhir_mapping import dates
from fhir_mapping.outcome.outcome import Outcome
from fhir_mapping.treatment.session import UNNAMED, Named, Person, Session
from orthanc_plugin.workspace.today import machines, outcomes, points, products
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.state import Kind, State

NOTE = 4_000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that came back."""

    state: State
    session: Session
    outcomes: tuple[Outcome, ...]
    errors: Mapping[str, str]
    """Field -> what is wrong with it. While there is any, nothing is written."""


def read(state: State, sent: Mapping[str, str], *, now: datetime, performer: str | None) -> Sent:
    """What was sent.

    Parameters
    ----------
    now
        When it was sent, in the site's time zone.
    performer
        ``Practitioner/…`` of the account.
    """
    fields = Fields(sent)
    number = fields.text("number", 20)
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 1000):
        fields.wrong("number", "Give the session's number, from 1 to 999.")
        number = "0"
    title, places = state.title, state.places
    if title == UNNAMED:
        title = Named(fields.text("title"))
        if title == UNNAMED:
            fields.wrong("title", "Say what is done today.")
    if not places:
        stated = fields.place("area", "area-side")
        places = (stated,) if stated is not None else ()
    chosen = products.read(state, fields, now.date())
    maps = points.read(state, fields, chosen)
    start = dates.date_time(now)
    used = machines.read(state, fields)
    noted = outcomes.read(state, fields, performer=performer, moment=start)
    note = fields.text("note", NOTE).replace("\r\n", "\n")
    session = Session(
        patient=state.patient,
        title=title,
        start=start,
        encounter=state.visit,
        number=int(number),
        plans=(state.plan,) if state.plan is not None else (),
        places=places,
        performers=(Person(performer),) if performer is not None else (),
        given=tuple(each.given(maps.get(each.key, ())) for each in chosen if each.kind is not Kind.IMPLANT),
        implants=tuple(each.implant(maps.get(each.key, ())) for each in chosen if each.kind is Kind.IMPLANT),
        machines=used,
        note=note,
        key=state.key,
    )
    return Sent(state, session, noted, fields.errors)
