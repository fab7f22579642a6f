"""What people call the values of facets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from consent.regions import regions
from dicom_bridge.objects.vocabulary import terms
from fhir_mapping import references
from fhir_mapping.outcome.vocabulary import SYSTEM, vocabulary
from fhir_mapping.question.facets import UNPLACED, Facet
from fhir_mapping.search.values import parts, plain, token
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_token
from fhir_mapping.treatment.people import person_name
from fhir_mapping.treatment.session import Named
from fhir_mapping.treatment.units import shown
from orthanc_plugin.workspace.language import digits, noted, said
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.treatment_names import setting_name
from orthanc_plugin.workspace.treatments import area_of
from orthanc_plugin.workspace.vocabularies import title, words

_SIDES = {"R": noted("Right"), "L": noted("Left"), "B": noted("Both")}
_OWN = "urn:photospine:"
_RATERS = {
    "patient": noted("says the patient"),
    "investigator": noted("says the clinician"),
    "measured": noted("measured"),
}
#: The resources whose codes say what a treatment or a product is called, and the search parameter that finds these.
_CALLED = {
    Facet.TREATMENT: (("Procedure", "code"),),
    Facet.PRODUCT: (("Medication", "code"), ("MedicationAdministration", "code"), ("Device", "type")),
}
_MOST = 40
"""Values whose names are looked up in the record; they are the most frequent ones."""


def names_of(
    connection: Connection, store: RecordReader, facet: Facet, counts: Mapping[str, int], *, typed: bool
) -> dict[str, str]:
    """The names of a facet's values.

    Parameters
    ----------
    counts
        Photos by value, as a question asks for it.
    typed
        Whether names that somebody typed may be shown. Who treats is named in any case: she is no patient here.
    """
    if facet in (Facet.CLINICIAN, Facet.PHOTOGRAPHER):
        return _people(connection, store, counts) if typed or facet is Facet.CLINICIAN else {}
    found = {each: value_name(facet, each) for each in counts}
    if typed and facet in _CALLED:
        foreign = sorted((each for each in counts if not _is_own(each)), key=lambda each: -counts[each])
        for each in foreign[:_MOST]:
            found[each] = _display(connection, store, facet, each) or found[each]
    return found


def value_name(facet: Facet, value: str) -> str:
    """What a value is called by its code alone."""
    if facet is Facet.AREA:
        if value.removeprefix("|") == UNPLACED.code:
            return _("Other")
        named = regions().by_name(value)
        return said(area_of(value if named is None else named.code).name)
    if facet is Facet.SIDE:
        return _(_SIDES.get(value, value))
    if facet is Facet.OUTCOME:
        return _judged(value)
    if facet is Facet.SETTING:
        setting, amount, unit = parts(value, "$")
        system, code = token(setting)
        name = said(setting_name(Named("", f"{system or ''}|{code}")))
        first, dots, last = amount.partition("..")
        return " ".join(
            filter(None, (name, ranged(digits(first), digits(last) if dots else None), said(shown(plain(unit)))))
        )
    if facet in (Facet.VIEW, Facet.EXPRESSION):
        known = {term.code: term.name for term in terms(facet.value)}
        system, code = token(value)
        return _capital(_(words(known.get(f"{system or ''}|{code}", code))))
    if facet in (Facet.TREATMENT, Facet.PRODUCT):
        code = token(value)[1]
        return _(title(code)) if _is_own(value) else code
    return value


def _judged(value: str) -> str:
    known = vocabulary()
    what, grade, rater = (plain(part).removeprefix("-") for part in [*parts(value, "$"), "", ""][:3])
    system, code = token(what)
    name = known.characteristics.get(code) if system == SYSTEM else None
    first, dots, last = (_graded(each) for each in grade.partition(".."))
    change = ranged(first, last if dots else None)
    about = said(name) if name is not None else title(code)
    return ", ".join(filter(None, (f"{about}: {change}" if change else about, _(_RATERS.get(rater, "")))))


def _graded(grade: str) -> str:
    known = vocabulary().grades.get(grade)
    return (said(known.name) if known is not None else words(grade)).lower()


def ranged(first: str, last: str | None) -> str:
    """``2 to 5``, ``from 2``, ``to 5``, of which either end may be open; None: there is one value alone."""
    if last is None:
        return first
    if first and last:
        return _("%(first)s to %(last)s") % {"first": first, "last": last}
    return _("from %s") % first if first else _("to %s") % last


def _capital(said: str) -> str:
    return said[:1].upper() + said[1:]


def _is_own(value: str) -> bool:
    return value.startswith(_OWN)


def _people(connection: Connection, store: RecordReader, named: Collection[str]) -> dict[str, str]:
    """Names of persons, organisations and devices."""
    found: dict[str, str] = {}
    for kind in sorted({each.partition("/")[0] for each in named}):
        ids = sorted(references.id_of(each) for each in named if each.startswith(f"{kind}/"))
        for stored in store.read_many(connection, kind, ids):
            resource = stored.json()
            name = resource.get("name")
            called = name if isinstance(name, str) else person_name(resource)
            if called:
                found[stored.reference] = called
    return found


def _display(connection: Connection, store: RecordReader, facet: Facet, value: str) -> str:
    """What a resource that has a code calls it."""
    system, code = token(value)
    if not system:
        return code
    for kind, name in _CALLED[facet]:
        query = select(fhir_token.c.id).where(
            fhir_token.c.type == kind,
            fhir_token.c.name == name,
            fhir_token.c.system == system,
            fhir_token.c.value == code,
        )
        for identity in connection.execute(query.limit(1)).scalars():
            for stored in store.read_many(connection, kind, [identity]):
                for display in _said(stored.json(), system, code):
                    return display
    return ""


def _said(resource: Mapping[str, Any], system: str, code: str) -> Iterator[str]:
    """The display of a coding, or the text of the concept that holds it."""
    for member in ("code", "medicationCodeableConcept", "type"):
        concept = resource.get(member)
        if not isinstance(concept, Mapping):
            continue
        for coding in concept.get("coding") or ():
            if (coding.get("system"), coding.get("code")) == (system, code):
                for said in (coding.get("display"), concept.get("text")):
                    if isinstance(said, str) and said.strip():
                        yield said.strip()


def known_region(code: str | None) -> bool:
    """Whether a region is of the tree, so that its name is nobody's words."""
    return code is not None and regions().by_code(code) is not None
