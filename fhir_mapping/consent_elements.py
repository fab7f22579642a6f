"""The elements of a Consent's provisions: actors, data, regions, labels, periods, each read or refused where it stands.

Nothing is accepted and ignored: a list that is no list, an entry that is no object and an extension of ours in a place
where nobody reads it are refused like any other element that cannot be honoured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from consent.directive import Actors, Data, Label, Reach, Region, Span
from consent.regions import regions
from consent.site import Site
from consent.types import Effect, Laterality
from fhir_mapping import consent_codes as codes
from fhir_mapping import dates, references


@dataclass(frozen=True, slots=True)
class Refusal:
    """One element that cannot be honoured, and what to do about it."""

    element: str
    """``Consent.provision.provision[0].actor[1].role``"""

    text: str


@dataclass(frozen=True, slots=True)
class EarlierConsent:
    """A Consent that another one replaces, as far as that needs it."""

    patient: str
    signed_start: datetime | None
    signed_as_adult_by_patient: bool
    records: frozenset[str] = frozenset()
    """All records of the same person after merges, this one among them; empty means this one alone."""


class Resolver(Protocol):
    """What reading a Consent asks of the record."""

    def exists(self, reference: str) -> bool:
        """Whether the reference names something in the record."""

    def consent(self, consent: str) -> EarlierConsent | None:
        """The Consent with this id."""

    def patient_birth(self, patient: str) -> Span | None:
        """The span of a patient's birth date."""


@dataclass(frozen=True, slots=True)
class Elements:
    """What a provision states, completed from its root; None and empty sets ask for nothing."""

    purposes: tuple[tuple[str | None, str | None], ...] | None = None
    persons: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    projects: frozenset[str] = frozenset()
    data: tuple[tuple[str, str], ...] | None = None
    data_period: Span | None = None
    regions: tuple[Region, ...] | None = None
    labels: tuple[Label, ...] | None = None
    periods: tuple[Span, ...] = ()


class ElementReader:
    """Reads elements of one Consent, gathering refusals and notes on the way."""

    def __init__(self, site: Site, resolver: Resolver, base: str | None) -> None:
        self.site = site
        self.resolver = resolver
        self._base = base
        self._refusals: dict[Refusal, None] = {}
        self._notes: dict[str, None] = {}

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What cannot be honoured, in the order of reading."""
        return tuple(self._refusals)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the answer to the write says."""
        return tuple(self._notes)

    def refuse(self, element: str, text: str) -> None:
        """Refuse an element, once."""
        self._refusals[Refusal(element, text)] = None

    def note(self, text: str) -> None:
        """Say something in the answer to the write."""
        self._notes[text] = None

    # --- shapes -----------------------------------------------------------------------------------------------------

    def entries(self, node: Mapping[str, Any], name: str, element: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The objects of a repeating element, each with its place; whatever is no object is refused."""
        value = node.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(f"{element}.{name}", "This element repeats: a list is needed.")
            return []
        found = []
        for number, entry in enumerate(value):
            at = f"{element}.{name}[{number}]"
            if isinstance(entry, Mapping):
                found.append((at, entry))
            else:
                self.refuse(at, "This entry cannot be read.")
        return found

    def extensions(self, node: Mapping[str, Any], url: str, element: str) -> list[tuple[str, Mapping[str, Any]]]:
        """The extensions of one kind, each with its place."""
        stated = [entry for _, entry in self.entries(node, "extension", element) if entry.get("url") == url]
        return [(f"{element}.extension('{url}')[{number}]", entry) for number, entry in enumerate(stated)]

    def local(self, reference: Any) -> str | None:
        """``Type/id`` where a Reference is to a resource of this server."""
        text = as_object(reference).get("reference")
        return references.local(text, self._base) if isinstance(text, str) else None

    def locals(self, node: Mapping[str, Any], name: str) -> tuple[str, ...]:
        """All references of a repeating element that are to resources of this server."""
        stated = self.entries(node, name, "Consent")
        return tuple(found for _, entry in stated if (found := self.local(entry)) is not None)

    def date(self, value: Any, element: str) -> Span | None:
        """The span of a date or time."""
        if value is None:
            return None
        try:
            return dates.span(value, self.site.zone)
        except (TypeError, ValueError, OverflowError):
            self.refuse(element, "This is no FHIR date or time.")
            return None

    def period(self, value: Any, element: str) -> Span | None:
        """A Period: its bounds are inclusive, to the end of their last unit."""
        if value is None:
            return None
        if not isinstance(value, Mapping) or (value.get("start") is None and value.get("end") is None):
            self.refuse(element, "A period needs a start or an end.")
            return None
        start = self.date(value.get("start"), f"{element}.start")
        end = self.date(value.get("end"), f"{element}.end")
        span = Span(None if start is None else start.start, None if end is None else end.end)
        if span.start is not None and span.end is not None and span.end <= span.start:
            self.refuse(element, "The period ends before it starts.")
        return span

    # --- a provision ------------------------------------------------------------------------------------------------

    def provision(self, provision: Mapping[str, Any], element: str, root: Elements) -> Elements:
        """Read a provision; what it leaves empty it takes from the root, the period excepted: both bind."""
        for name in ("action", "class", "code"):
            if provision.get(name):
                self.refuse(f"{element}.{name}", "This element is not read here, so it cannot be honoured.")
        stated = self.entries(provision, "purpose", element)
        purposes = tuple((text(entry.get("system")), text(entry.get("code"))) for _, entry in stated)
        actors = self._actors(provision, element)
        places = bool(actors.channels or actors.projects)
        period = self.period(provision.get("period"), f"{element}.period")
        data_period = self.period(provision.get("dataPeriod"), f"{element}.dataPeriod")
        return Elements(
            purposes=purposes or root.purposes,
            persons=actors.persons or root.persons,
            channels=actors.channels if places else root.channels,
            projects=actors.projects if places else root.projects,
            data=self._data(provision, element) or root.data,
            data_period=data_period or root.data_period,
            regions=self._regions(provision, element) or root.regions,
            labels=self._labels(provision, element) or root.labels,
            periods=root.periods if period is None else (*root.periods, period),
        )

    def _actors(self, provision: Mapping[str, Any], element: str) -> Actors:
        persons: set[str] = set()
        channels: set[str] = set()
        projects: set[str] = set()
        for at, actor in self.entries(provision, "actor", element):
            roles = {code for system, code in codings(actor.get("role")) if system == codes.PARTICIPATION}
            if not roles or not roles <= codes.ACTOR_ROLES:
                self.refuse(f"{at}.role", "An actor is an information recipient: IRCP or PRCP.")
            reference = as_object(actor.get("reference"))
            identifier = as_object(reference.get("identifier"))
            system, value = identifier.get("system"), identifier.get("value")
            if system in (codes.CHANNEL, codes.PROJECT):
                known = self.site.channels if system == codes.CHANNEL else self.site.projects
                if not isinstance(value, str) or value not in known or "reference" in reference:
                    self.refuse(f"{at}.reference", "It names no channel or project of the settings.")
                else:
                    (channels if system == codes.CHANNEL else projects).add(value)
                continue
            target = self.local(reference)
            if target is None or target.partition("/")[0] not in codes.PERSON_TYPES or not self.resolver.exists(target):
                self.refuse(f"{at}.reference", "It names nobody who is in the record.")
            else:
                persons.add(target)
        return Actors(frozenset(persons), frozenset(channels), frozenset(projects))

    def _data(self, provision: Mapping[str, Any], element: str) -> tuple[tuple[str, str], ...] | None:
        """Meaning and reference of each ``data``."""
        found = []
        for at, entry in self.entries(provision, "data", element):
            meaning = entry.get("meaning")
            if meaning not in ("instance", "related", "dependents", "authoredby"):
                self.refuse(f"{at}.meaning", "The meaning is instance, related, dependents or authoredby.")
                continue
            stated = as_object(entry.get("reference")).get("reference")
            kind = references.target_type(stated) if isinstance(stated, str) else None
            target = self.local(entry.get("reference"))
            if kind is None or (kind in codes.DATA_TYPES and (target is None or not self.resolver.exists(target))):
                self.refuse(f"{at}.reference", "It names nothing that is in the record.")
                continue
            found.append((str(meaning), target or str(stated)))
        return tuple(found) or None

    def _regions(self, provision: Mapping[str, Any], element: str) -> tuple[Region, ...] | None:
        found = []
        for at, extension in self.extensions(provision, codes.REGION_EXTENSION, element):
            region = read_region(extension)
            if region is None:
                self.refuse(at, "It names no region of the body that is known here, or no side R, L or B.")
            else:
                found.append(region)
        return tuple(found) or None

    def _labels(self, provision: Mapping[str, Any], element: str) -> tuple[Label, ...] | None:
        found = []
        for at, coding in self.entries(provision, "securityLabel", element):
            system, code = text(coding.get("system")), text(coding.get("code"))
            if not codes.known_label(system, code):
                self.refuse(at, "The label is not known here.")
            else:
                found.append(Label(str(system), str(code)))
        return tuple(found) or None

    # --- what changes a meaning, wherever it stands -----------------------------------------------------------------

    def survey(self, consent: Mapping[str, Any]) -> None:
        """Refuse modifiers that are not known, and extensions of ours in places where nobody reads them."""
        if consent.get("implicitRules"):
            self.refuse("Consent.implicitRules", "Rules outside the Consent cannot be honoured.")
        pending: list[tuple[str, Any]] = [("Consent", consent)]
        while pending:
            element, node = pending.pop()
            if isinstance(node, list):
                pending += [(f"{element}[{number}]", entry) for number, entry in enumerate(node)]
                continue
            if not isinstance(node, Mapping):
                continue
            if node.get("modifierExtension"):
                self.refuse(f"{element}.modifierExtension", "This changes a meaning in a way that is not known here.")
            for number, entry in enumerate(as_list(node.get("extension"))):
                if not _is_in_place(as_object(entry).get("url"), element):
                    self.refuse(f"{element}.extension[{number}]", "Nothing reads this extension in this place.")
            pending += [
                (f"{element}.{name}", value)
                for name, value in node.items()
                if name not in ("extension", "contained", "text", "modifierExtension")
            ]


_PROVISION = re.compile(r"Consent\.provision(?:\.provision\[\d+\])?")


def _is_in_place(url: Any, element: str) -> bool:
    """Whether an extension of ours stands where it is read; those of others may stand anywhere."""
    if url == codes.REPLACES_EXTENSION:
        return element == "Consent"
    if url == codes.REGION_EXTENSION:
        return _PROVISION.fullmatch(element) is not None
    return not (isinstance(url, str) and url.startswith(codes.OURS))


def read_region(extension: Mapping[str, Any]) -> Region | None:
    """A ``photo-region`` extension; None where it names no region or side that is known here."""
    region, side, parts = None, Laterality.BOTH, set()
    for raw in as_list(extension.get("extension")):
        part = as_object(raw)
        name = part.get("url")
        if name not in ("code", "laterality") or name in parts:
            return None
        parts.add(name)
        if name == "code":
            named = (
                regions().by_code(f"{system}|{code}") for system, code in codings(part.get("valueCodeableConcept"))
            )
            known = {entry.name: entry for entry in named if entry is not None}
            # Several codings of one concept say the same; where they name two regions, nobody knows which is meant.
            region = known.popitem()[1] if len(known) == 1 else None
        elif part.get("valueCode") in ("R", "L", "B"):
            side = Laterality(part["valueCode"])
        else:
            return None
    return None if region is None else Region(region.code, side)


def reach(entry: tuple[str, str], effect: Effect) -> Data:
    """The table of ``data.reference`` and ``data.meaning``."""
    meaning, reference = entry
    kind = references.target_type(reference)
    named = meaning in ("instance", "related", "dependents")
    if kind in codes.PHOTO_TYPES and named:
        return Data(Reach.PHOTO, reference)
    if kind in codes.VISIT_TYPES and named:
        return Data(Reach.VISIT, reference)
    if kind in codes.LINKED_TYPES and named:
        # A permit that names the resource itself names none of its photos; a denial is read widely.
        nothing = meaning == "instance" and effect is Effect.PERMIT
        return Data(Reach.NOTHING if nothing else Reach.LINKED, reference)
    if kind in codes.PERSON_TYPES and meaning == "authoredby":
        return Data(Reach.AUTHOR, reference)
    return Data(Reach.NOTHING, reference)


def codings(concept: Any) -> list[tuple[str | None, str | None]]:
    """System and code of each Coding of a CodeableConcept, however malformed."""
    return [
        (text(as_object(entry).get("system")), text(as_object(entry).get("code")))
        for entry in as_list(as_object(concept).get("coding"))
    ]


def text(value: Any) -> str | None:
    """The value where it is a string."""
    return value if isinstance(value, str) else None


def as_object(value: Any) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    """The value where it is a list, else an empty one."""
    return value if isinstance(value, list) else []
