"""Who the patients are, under all their records, and whom to call about them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from consent.ages import majority
from consent.site import Site
from consent.store import clock
from consent.store.tables import patient as people
from consent.store.write import among
from consent.wording import PartialDate, joined, worded
from fhir_mapping import dates
from fhir_mapping.advisory.batch import Contact
from fhir_mapping.advisory.treatments import kept
from fhir_mapping.tables import fhir_reference

#: Kinds of contact (R4 ContactPoint.system).
_SYSTEMS = {
    "phone": worded("phone"),
    "fax": worded("fax"),
    "email": worded("email"),
    "pager": worded("pager"),
    "url": worded("url"),
    "sms": worded("sms"),
    "other": worded("other"),
}


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one person."""

    survivor: str
    all: frozenset[str]


def records_of(connection: Connection, patients: Collection[str]) -> dict[str, Records]:
    """The records of each of these patients, merged ones with hers."""
    asked, other = people.alias(), people.alias()
    merged = connection.execute(
        select(asked.c.patient.label("asked"), asked.c.survivor, other.c.patient)
        .join(other, other.c.survivor == asked.c.survivor)
        .where(among(connection, asked.c.patient, patients))
    )
    found: dict[str, tuple[str, set[str]]] = {each: (each, {each}) for each in patients}
    for row in merged:
        found[row.asked] = (row.survivor, found[row.asked][1] | {row.patient})
    return {each: Records(survivor, frozenset(mine)) for each, (survivor, mine) in found.items()}


def contacts_of(
    connection: Connection,
    site: Site,
    groups: Mapping[str, Collection[str]],
    patients: Mapping[str, Mapping[str, Any]],
) -> dict[str, list[Contact]]:
    """How to reach each patient: a minor, who is dead or cannot be reached, by those who act for her, these first.

    Parameters
    ----------
    patients
        The Patient resources of all records.
    """
    owners = {f"Patient/{record}": identity for identity, group in groups.items() for record in group}
    named = select(fhir_reference.c.id, fhir_reference.c.target).where(
        among(connection, fhir_reference.c.target, owners),
        fhir_reference.c.type == "RelatedPerson",
        fhir_reference.c.path == "patient",
    )
    related: dict[str, set[str]] = defaultdict(set)
    for row in connection.execute(named):
        related[owners[row.target]].add(f"RelatedPerson/{row.id}")
    persons = kept(connection, {each for those in related.values() for each in those})
    now = clock.now(connection)
    found: dict[str, list[Contact]] = {}
    for identity in groups:
        resource = patients.get(identity, {})
        merged = [patients[each] for each in sorted(groups[identity]) if each != identity and each in patients]
        own = _contact("", resource)
        own = (
            own
            if own.telecom or own.address
            else next((one for one in (_contact("", each) for each in merged) if one.telecom or one.address), own)
        )
        others = [
            _contact(_titled(person.resource), person.resource)
            for each in sorted(related[identity])
            if (person := persons.get(each)) is not None and person.resource.get("active") is not False
        ]
        for stated in (each for one in (resource, *merged) for each in one.get("contact") or ()):
            others.append(_contact(_titled(stated), stated))
        others = [each for each in others if each.telecom or each.address]
        birth = resource.get("birthDate")
        of_age = majority(dates.span(birth, site.zone), site) if isinstance(birth, str) else None
        minor = of_age is not None and (of_age.start is None or now < of_age.start)
        reached = bool(own.telecom or own.address)
        if minor or not reached or death_of(resource):
            found[identity] = [*others, *([own] if reached else [])]
        else:
            found[identity] = [own]
    return found


def death_of(resource: Mapping[str, Any]) -> str:
    """``died``, with the date on record; empty: nothing says so."""
    when = resource.get("deceasedDateTime")
    if isinstance(when, str):
        return worded("died %(day)s", day=PartialDate(when[:10]))
    return worded("died") if resource.get("deceasedBoolean") is True else ""


def name_of(resource: Mapping[str, Any]) -> str:
    """A person's name as it is written."""
    names = resource.get("name") or ()
    for name in [names] if isinstance(names, Mapping) else names:
        if name.get("text"):
            return str(name["text"])
        parts = [*(name.get("given") or ()), name.get("family")]
        joined = " ".join(str(each) for each in parts if each)
        if joined:
            return joined
    return ""


def _titled(person: Mapping[str, Any]) -> str:
    """Name and relationship."""
    concepts = person.get("relationship") or ()
    texts = [
        str(each.get("text") or next((str(c.get("display") or c.get("code")) for c in each.get("coding") or ()), ""))
        for each in concepts
    ]
    return ", ".join(filter(None, (name_of(person), *texts))) or worded("contact")


def _telecom(system: str, value: str) -> str:
    return joined([_SYSTEMS.get(system, system), value], " ") if system else value.strip()


def _contact(who: str, person: Mapping[str, Any]) -> Contact:
    telecom = [
        _telecom(str(each.get("system", "")), str(each["value"]))
        for each in person.get("telecom") or ()
        if each.get("value") and each.get("use") != "old"
    ]
    listed = person.get("address") or ()
    address = []
    for each in [listed] if isinstance(listed, Mapping) else listed:
        parts = [*(each.get("line") or ()), each.get("postalCode"), each.get("city"), each.get("country")]
        whole = each.get("text") or ", ".join(str(part) for part in parts if part)
        if whole and each.get("use") != "old":
            address.append(str(whole))
    return Contact(who, tuple(telecom), tuple(address))
