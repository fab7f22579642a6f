"""Treatments as the pages show them; :mod:`fhir_mapping.treatment.read` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from consent.regions import regions
from consent.store.write import among
from consent.wording import worded
from fhir_mapping import references
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.resources.session import session_of
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_resource
from fhir_mapping.treatment import elements, moments, read
from fhir_mapping.treatment.elements import parts, text
from fhir_mapping.treatment.read import Treated
from fhir_mapping.treatment.session import Given, Implant, Named, Place, Use
from fhir_mapping.treatment.surroundings import USES, Surroundings
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.language import noted
from orthanc_plugin.workspace.record import OTHER, Area, Product, Setting, Treatment
from orthanc_plugin.workspace.shown_names import region_name
from orthanc_plugin.workspace.treatment_names import OWN_TREATMENTS, setting_name, treatment_name
from orthanc_plugin.workspace.vocabularies import title

HOW = {Use.GIVEN: "", Use.HANDED: noted("Handed to the patient"), Use.HOME: noted("Used at home")}
"""How a product reached her, where it was not given in the clinic."""

#: What a use is called that belongs to no Procedure.
_ALONE = {
    "MedicationAdministration": noted("Given in the clinic"),
    "MedicationDispense": noted("Handed to the patient"),
    "MedicationStatement": noted("Used at home"),
    "DeviceUseStatement": noted("Device"),
}
_MOST = 60_000
"""References around one patient's treatments that are followed: some thousand sessions."""


def treatments(connection: Connection, store: RecordReader, patients: Iterable[str], zone: ZoneInfo) -> list[Treatment]:
    """All treatments of the patients, in order of time."""
    kinds = ("Procedure", *sorted(USES))
    rows = connection.execute(
        select(fhir_resource.c.type, fhir_resource.c.id).where(
            fhir_resource.c.type.in_(kinds), among(connection, fhir_resource.c.patient, set(patients))
        )
    )
    anchors = [f"{row.type}/{row.id}" for row in rows]
    around = Surroundings(connection, store.base, anchors, most=_MOST)
    return [shown(each, zone) for each in read.treatments(around, others=is_outcome) if each.took_place]


def shown(treated: Treated, zone: ZoneInfo) -> Treatment:
    """A session as pages show it."""
    session = treated.session
    kind, _slash, identity = treated.reference.partition("/")
    begun = moments.begun(session, zone)
    return Treatment(
        id=identity,
        title=treatment_name(session.title) or _(_ALONE.get(kind, noted("Treatment"))),
        at=begun,
        stated=moments.roughly(session) if begun is not None else "",
        visit=references.id_of(session.encounter) if session.encounter else None,
        areas=tuple(dict.fromkeys(map(_area, session.places))),
        where=", ".join(dict.fromkeys(map(region_name, session.places))),
        session=session.number,
        clinician=", ".join(dict.fromkeys(each.name for each in session.performers if each.name)),
        device=", ".join(dict.fromkeys(each.name for each in session.machines if each.name)),
        products=(*map(_product, session.given), *map(_implant, session.implants)),
        settings=tuple(
            Setting(setting_name(setting.name), setting.shown) for each in session.machines for setting in each.settings
        ),
        note=session.note,
        procedure=kind == "Procedure",
    )


def titles(connection: Connection, store: RecordReader, procedures: Iterable[str]) -> dict[str, str]:
    """Names of treatments by their codes alone, for pages that must not repeat what somebody typed."""
    found = store.read_many(connection, "Procedure", sorted(set(procedures)))
    return {stored.id: _coded_title(stored.json().get("code")) for stored in found}


def sessions(connection: Connection, store: RecordReader, kind: str, ids: Iterable[str]) -> dict[str, int]:
    """Session numbers stated by resources of a type."""
    found = {stored.id: session_of(stored.json()) for stored in store.read_many(connection, kind, sorted(set(ids)))}
    return {identity: number for identity, number in found.items() if number}


def area_of(code: str) -> Area:
    """The area of a region's code, as people call it: ``Lower eyelid``; one that is not known, as it stands."""
    name = elements.region_name(Place(Named("", code)))
    return Area(code, name if regions().by_code(code) is None else worded(name))


def _area(where: Place) -> Area:
    code = where.region.code
    if code is not None and regions().by_code(code) is not None:
        return area_of(code)
    return Area(OTHER, elements.region_name(where))


def _product(given: Given) -> Product:
    lot = given.product
    return Product(
        name=lot.name.text or _("Product"),
        amount=given.dose.shown if given.dose is not None else "",
        lot=lot.lot,
        expires=lot.expires,
        how=_(HOW[given.use]),
        where=region_name(given.place) if given.place is not None else "",
        points=sum(len(each.points) for each in given.maps),
    )


def _implant(implant: Implant) -> Product:
    return Product(
        name=implant.name.text or _("Device"),
        amount=implant.amount.shown if implant.amount is not None else "",
        lot=implant.lot,
        expires=implant.expires,
        how=_("Filler or implant"),
        where=region_name(implant.place) if implant.place is not None else "",
        udi=implant.udi if implant.udi.isprintable() and implant.udi else implant.di,
        serial=implant.serial,
        points=sum(len(each.points) for each in implant.maps),
    )


def _coded_title(concept: Any) -> str:
    """A treatment's name by a code of ours; the display beside another system's code is what a sender typed."""
    for coding in parts(concept, "coding"):
        if coding.get("system") == OWN_TREATMENTS and text(coding, "code"):
            return worded(title(text(coding, "code")))
    return ""
