"""R4 Consent -> Directive: the rules that a decision can match, or the elements that cannot be honoured.

Nothing is accepted and ignored. What a permit cannot mean is said in a note (it matches nothing); what a denial cannot
mean is refused, because a denial that is not understood would be a denial that is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from consent.directive import Actors, Data, Directive, Label, Reach, Region, Rule, Span
from consent.purposes import SOCIAL, TREAT, Catalog
from consent.regions import regions
from consent.site import Site
from consent.types import Effect, Laterality
from fhir_mapping import consent_codes as codes
from fhir_mapping import dates, references

_ENDED = frozenset({"inactive", "entered-in-error", "rejected"})
"""Statuses whose Consents make no new rules: they are never refused, or a withdrawal could be."""


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


class Resolver(Protocol):
    """What reading a Consent asks of the record."""

    def exists(self, reference: str) -> bool:
        """Whether the reference names something in the record."""

    def consent(self, consent: str) -> EarlierConsent | None:
        """The Consent with this id."""

    def patient_birth(self, patient: str) -> Span | None:
        """The span of a patient's birth date."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a Consent."""

    directive: Directive | None
    """None where it is refused, or its scope makes no rules."""

    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    """What the answer to its write says."""

    has_denial: bool = False
    denial_reaches_treatment: bool = False


def to_directive(
    consent: Mapping[str, Any],
    *,
    version: int,
    was_active: bool,
    site: Site,
    resolver: Resolver,
    base: str | None = None,
) -> Reading:
    """Read a Consent.

    Parameters
    ----------
    consent
        R4 Consent as parsed JSON; whatever is malformed in it becomes a refusal.
    version
        The version that is being written.
    was_active
        Whether any version of it, this one included, had status ``active``.
    base
        This server's FHIR address; absolute references below it are local.
    """
    return _Reader(consent, version, was_active, site, resolver, base).read()


class _Reader:
    """Reads one Consent, gathering refusals and notes on the way."""

    def __init__(
        self,
        consent: Mapping[str, Any],
        version: int,
        was_active: bool,
        site: Site,
        resolver: Resolver,
        base: str | None,
    ) -> None:
        self._consent = consent
        self._version = version
        self._was_active = was_active
        self._site = site
        self._catalog = Catalog.of(site)
        self._resolver = resolver
        self._base = base
        self._refusals: list[Refusal] = []
        self._notes: dict[str, None] = {}

    def read(self) -> Reading:
        scope = self._scope()
        if scope in codes.SCOPES_WITHOUT_RULES:
            return Reading(
                None, notes=(f"Scope {scope} agrees to no showing of photos: kept, and no rule made of it.",)
            )
        self._forbid(self._consent, "Consent", ("modifierExtension", "implicitRules"))
        status = self._consent.get("status")
        directive = self._directive(scope, status if isinstance(status, str) else "")
        refusals = tuple(self._refusals)
        if status in _ENDED and directive is not None:
            refusals = ()
        denials = _denials(self._consent)
        return Reading(
            directive=directive if not refusals else None,
            refusals=refusals,
            notes=tuple(self._notes),
            has_denial=bool(denials),
            denial_reaches_treatment=any(
                not purposes or any(code == TREAT or self._catalog.get(code) is None for code in purposes)
                for purposes in denials
            ),
        )

    def _directive(self, scope: str | None, status: str) -> Directive | None:
        consent = self._consent
        identity = consent.get("id")
        patient = self._local(consent.get("patient"))
        if patient is None or not patient.startswith("Patient/"):
            self._refuse("Consent.patient", "A Consent needs the patient whose photos it is about.")
        if scope is None:
            self._refuse("Consent.scope", "The scope must be patient-privacy, research, treatment or adr.")
        if not status:
            self._refuse("Consent.status", "A Consent needs a status.")
        signed = self._date(consent.get("dateTime"), "Consent.dateTime")
        root, nested, opt_out = self._rules()
        replaces = self._replaces(patient, signed)
        if patient is None or scope is None or not isinstance(identity, str):
            return None
        return Directive(
            consent=identity,
            version=self._version,
            patient=references.id_of(patient),
            scope=scope,
            status=status,
            was_active=self._was_active or status == "active",
            signed=signed,
            performers=self._locals(consent.get("performer")),
            organizations=self._locals(consent.get("organization")),
            verified=all(_object(entry).get("verified") is not False for entry in _list(consent.get("verification"))),
            root=root,
            nested=nested,
            opt_out=opt_out,
            replaces=replaces,
        )

    # --- the whole Consent ------------------------------------------------------------------------------------------

    def _scope(self) -> str | None:
        found = {code for system, code in _codings(self._consent.get("scope")) if system == codes.CONSENT_SCOPE}
        known = found & ({codes.PRIVACY_SCOPE, codes.RESEARCH_SCOPE} | codes.SCOPES_WITHOUT_RULES)
        return known.pop() if len(known) == 1 else None

    def _rules(self) -> tuple[Rule | None, tuple[Rule, ...], bool]:
        """The root rule, the nested ones, and whether policyRule opts out below them."""
        policy = {code for _, code in _codings(self._consent.get("policyRule"))}
        opt_out = codes.OPT_OUT in policy
        stated = self._consent.get("provision")
        provision = _object(stated)
        if stated is not None and not isinstance(stated, Mapping):
            self._refuse("Consent.provision", "The provision cannot be read.")
        effect = self._effect(provision.get("type"), "Consent.provision.type")
        if effect is None and "type" not in provision:
            if codes.OPT_IN in policy and not opt_out:
                effect = Effect.PERMIT
            elif not opt_out:
                self._refuse("Consent.provision.type", "A root needs a type, or policyRule OPTIN or OPTOUT.")
        root_elements = _Elements.of(self, provision, "Consent.provision", _Elements())
        root = self._rule("provision", "Consent.provision", effect, root_elements) if effect is not None else None
        if effect is Effect.PERMIT:
            for number, entry in enumerate(_list(self._consent.get("policy"))):
                uri = _object(entry).get("uri")
                if isinstance(uri, str) and uri.rstrip("/").endswith(codes.POLICIES_AGAINST_PERMIT):
                    self._refuse(f"Consent.policy[{number}].uri", "A root permit cannot stand on a policy that denies.")
        nested = []
        for number, entry in enumerate(_list(provision.get("provision"))):
            element = f"Consent.provision.provision[{number}]"
            own = _object(entry)
            if own.get("provision"):
                self._refuse(f"{element}.provision", "Provisions are read to the second level; write it flatter.")
            own_effect = self._effect(own.get("type"), f"{element}.type")
            if own_effect is None:
                if "type" not in own:
                    self._refuse(f"{element}.type", "A nested provision needs a type: deny or permit.")
                continue
            elements = _Elements.of(self, own, element, root_elements)
            nested.append(self._rule(f"provision.provision[{number}]", element, own_effect, elements))
        return root, tuple(nested), opt_out

    def _effect(self, value: Any, element: str) -> Effect | None:
        if value is None:
            return None
        if value in ("permit", "deny"):
            return Effect(value)
        self._refuse(element, "A provision's type is deny or permit.")
        return None

    def _replaces(self, patient: str | None, signed: Span | None) -> tuple[str, ...]:
        found = []
        for number, extension in enumerate(_list(self._consent.get("extension"))):
            if _object(extension).get("url") != codes.REPLACES_EXTENSION:
                continue
            element = f"Consent.extension[{number}] (replaces)"
            target = self._local(_object(extension).get("valueReference"))
            earlier = (
                self._resolver.consent(references.id_of(target))
                if target is not None and target.startswith("Consent/")
                else None
            )
            if earlier is None or target is None:
                self._refuse(element, "It names no Consent that is here.")
                continue
            if patient is None or earlier.patient != references.id_of(patient):
                self._refuse(element, "It replaces a Consent of another patient.")
            elif signed is None or signed.start is None:
                self._refuse(element, "A Consent that replaces another needs a dateTime.")
            elif earlier.signed_start is not None and signed.start <= earlier.signed_start:
                self._refuse(element, "Its dateTime must start after that of the Consent it replaces.")
            elif earlier.signed_as_adult_by_patient and patient not in self._locals(self._consent.get("performer")):
                self._refuse(element, "What the patient signed as an adult only the patient replaces.")
            found.append(references.id_of(target))
        return tuple(found)

    # --- one provision ----------------------------------------------------------------------------------------------

    def _rule(self, path: str, element: str, effect: Effect, elements: _Elements) -> Rule:
        purposes = self._purposes(elements, effect, element)
        actors = Actors(elements.persons, elements.channels, elements.projects)
        places = bool(actors.channels or actors.projects)
        if effect is Effect.PERMIT and purposes is not None and SOCIAL in purposes and not actors.channels:
            self._refuse(f"{element}.actor", "A permit for SOCIAL names the channel that it is for.")
        if effect is Effect.DENY and purposes is None and places and not actors.persons:
            self._refuse(f"{element}.purpose", "A denial that names a channel or project names its purpose too.")
        return Rule(
            path=path,
            effect=effect,
            purposes=purposes,
            actors=actors if places or actors.persons else None,
            data=None if elements.data is None else tuple(_reach(entry, effect) for entry in elements.data),
            data_period=elements.data_period,
            regions=elements.regions,
            labels=elements.labels,
            periods=elements.periods,
        )

    def _purposes(self, elements: _Elements, effect: Effect, element: str) -> frozenset[str] | None:
        if elements.purposes is None:
            return None
        found = set()
        for system, code in elements.purposes:
            purpose = self._catalog.by_coding(system, code)
            if purpose is None or (effect is Effect.PERMIT and not purpose.requestable):
                if effect is Effect.DENY:
                    self._refuse(
                        f"{element}.purpose", f"The purpose {code!r} is not known, so denying it means nothing."
                    )
                else:
                    self.note(f"{element}.purpose: a permit for {code!r} matches nothing; a permit is exact.")
                continue
            if self._catalog.is_duty(purpose.code) and (
                effect is Effect.PERMIT or purpose.code not in self._site.deniable_duties
            ):
                self.note(f"{element}.purpose: {purpose.code} is a duty and rests on law: recorded, not followed.")
            found.add(purpose.code)
        return frozenset(found)

    # --- elements ---------------------------------------------------------------------------------------------------

    def _refuse(self, element: str, text: str) -> None:
        self._refusals.append(Refusal(element, text))

    def note(self, text: str) -> None:
        """Say something in the answer to the write."""
        self._notes[text] = None

    def _forbid(self, node: Mapping[str, Any], element: str, names: tuple[str, ...]) -> None:
        for name in names:
            if node.get(name):
                self._refuse(f"{element}.{name}", "This element changes a meaning in a way that is not known here.")

    def _date(self, value: Any, element: str) -> Span | None:
        if value is None:
            return None
        try:
            return dates.span(value, self._site.zone)
        except (TypeError, ValueError, OverflowError):
            self._refuse(element, "This is no FHIR date or time.")
            return None

    def _period(self, value: Any, element: str) -> Span | None:
        if value is None:
            return None
        if not isinstance(value, Mapping) or not value.keys() & {"start", "end"}:
            self._refuse(element, "A period needs a start or an end.")
            return None
        start = self._date(value.get("start"), f"{element}.start")
        end = self._date(value.get("end"), f"{element}.end")
        return Span(None if start is None else start.start, None if end is None else end.end)

    def _local(self, reference: Any) -> str | None:
        text = _object(reference).get("reference")
        return references.local(text, self._base) if isinstance(text, str) else None

    def _locals(self, value: Any) -> tuple[str, ...]:
        return tuple(found for entry in _list(value) if (found := self._local(entry)) is not None)

    def _actors(self, provision: Mapping[str, Any], element: str) -> Actors:
        persons: set[str] = set()
        channels: set[str] = set()
        projects: set[str] = set()
        for number, entry in enumerate(_list(provision.get("actor"))):
            at = f"{element}.actor[{number}]"
            actor = _object(entry)
            self._forbid(actor, at, ("modifierExtension",))
            roles = {code for system, code in _codings(actor.get("role")) if system == codes.PARTICIPATION}
            if not roles or not roles <= codes.ACTOR_ROLES:
                self._refuse(f"{at}.role", "An actor is an information recipient: IRCP or PRCP.")
            reference = _object(actor.get("reference"))
            identifier = _object(reference.get("identifier"))
            system, value = identifier.get("system"), identifier.get("value")
            if system in (codes.CHANNEL, codes.PROJECT):
                known = self._site.channels if system == codes.CHANNEL else self._site.projects
                if not isinstance(value, str) or value not in known or "reference" in reference:
                    self._refuse(f"{at}.reference", "It names no channel or project of the settings.")
                else:
                    (channels if system == codes.CHANNEL else projects).add(value)
                continue
            target = self._local(reference)
            if (
                target is None
                or target.partition("/")[0] not in codes.PERSON_TYPES
                or not self._resolver.exists(target)
            ):
                self._refuse(f"{at}.reference", "It names nobody who is in the record.")
            else:
                persons.add(target)
        return Actors(frozenset(persons), frozenset(channels), frozenset(projects))

    def _data(self, provision: Mapping[str, Any], element: str) -> tuple[tuple[str, str], ...] | None:
        """Meaning and reference of each ``data``."""
        found = []
        for number, raw in enumerate(_list(provision.get("data"))):
            at, entry = f"{element}.data[{number}]", _object(raw)
            self._forbid(entry, at, ("modifierExtension",))
            meaning = entry.get("meaning")
            if meaning not in ("instance", "related", "dependents", "authoredby"):
                self._refuse(f"{at}.meaning", "The meaning is instance, related, dependents or authoredby.")
                continue
            text = _object(entry.get("reference")).get("reference")
            kind = references.target_type(text) if isinstance(text, str) else None
            target = self._local(entry.get("reference"))
            if kind is None or (kind in codes.DATA_TYPES and (target is None or not self._resolver.exists(target))):
                self._refuse(f"{at}.reference", "It names nothing that is in the record.")
                continue
            found.append((str(meaning), target or str(text)))
        return tuple(found) or None

    def _regions(self, provision: Mapping[str, Any], element: str) -> tuple[Region, ...] | None:
        found = []
        for number, raw in enumerate(_list(provision.get("extension"))):
            extension = _object(raw)
            if extension.get("url") != codes.REGION_EXTENSION:
                continue
            at = f"{element}.extension[{number}] (photo-region)"
            region = read_region(extension)
            if region is None:
                self._refuse(at, "It names no region of the body that is known here, or no side R, L or B.")
            else:
                found.append(region)
        return tuple(found) or None

    def _labels(self, provision: Mapping[str, Any], element: str) -> tuple[Label, ...] | None:
        found = []
        for number, raw in enumerate(_list(provision.get("securityLabel"))):
            coding = _object(raw)
            system, code = coding.get("system"), coding.get("code")
            if not codes.known_label(system, code):
                self._refuse(f"{element}.securityLabel[{number}]", "The label is not known here.")
            else:
                found.append(Label(str(system), str(code)))
        return tuple(found) or None


@dataclass(frozen=True, slots=True)
class _Elements:
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

    @staticmethod
    def of(reader: _Reader, provision: Mapping[str, Any], element: str, root: _Elements) -> _Elements:
        """Read a provision; what it leaves empty it takes from the root, the period excepted: both bind."""
        reader._forbid(provision, element, ("modifierExtension", "action", "class", "code"))
        purposes = tuple(
            (_object(entry).get("system"), _object(entry).get("code")) for entry in _list(provision.get("purpose"))
        )
        actors = reader._actors(provision, element)
        places = bool(actors.channels or actors.projects)
        period = reader._period(provision.get("period"), f"{element}.period")
        data_period = reader._period(provision.get("dataPeriod"), f"{element}.dataPeriod")
        return _Elements(
            purposes=purposes or root.purposes,
            persons=actors.persons or root.persons,
            channels=actors.channels if places else root.channels,
            projects=actors.projects if places else root.projects,
            data=reader._data(provision, element) or root.data,
            data_period=data_period or root.data_period,
            regions=reader._regions(provision, element) or root.regions,
            labels=reader._labels(provision, element) or root.labels,
            periods=root.periods if period is None else (*root.periods, period),
        )


def read_region(extension: Mapping[str, Any]) -> Region | None:
    """A ``photo-region`` extension; None where it names no region or side that is known here."""
    region, side = None, Laterality.BOTH
    for raw in _list(extension.get("extension")):
        part = _object(raw)
        if part.get("url") == "code":
            known = (
                regions().by_code(f"{system}|{code}") for system, code in _codings(part.get("valueCodeableConcept"))
            )
            region = next((entry for entry in known if entry is not None), None)
        elif part.get("url") == "laterality":
            if part.get("valueCode") not in ("R", "L", "B"):
                return None
            side = Laterality(part["valueCode"])
        else:
            return None
    return None if region is None else Region(region.code, side)


def _reach(entry: tuple[str, str], effect: Effect) -> Data:
    """The table of ``data.reference`` and ``data.meaning``."""
    meaning, reference = entry
    kind = reference.rstrip("/").split("/")[-2] if "/" in reference else ""
    named = meaning in ("instance", "related", "dependents")
    if kind in codes.PHOTO_TYPES and named:
        return Data(Reach.PHOTO, reference)
    if kind in codes.VISIT_TYPES and named:
        return Data(Reach.VISIT, reference)
    if kind in codes.LINKED_TYPES and named:
        # A permit that names the resource itself names none of its photos; a denial is read widely.
        reach = Reach.NOTHING if meaning == "instance" and effect is Effect.PERMIT else Reach.LINKED
        return Data(reach, reference)
    if kind in codes.PERSON_TYPES and meaning == "authoredby":
        return Data(Reach.AUTHOR, reference)
    return Data(Reach.NOTHING, reference)


def has_denial(consent: Mapping[str, Any]) -> bool:
    """Whether a Consent contains a denial, however malformed the rest."""
    return bool(_denials(consent))


def _denials(consent: Mapping[str, Any]) -> list[list[str]]:
    """The purposes of every denial in a Consent, at any depth, however malformed the rest; OPTOUT has none."""
    found: list[list[str]] = []
    if codes.OPT_OUT in {code for _, code in _codings(consent.get("policyRule"))}:
        found.append([])
    pending: list[tuple[Any, list[str]]] = [(consent.get("provision"), [])]
    while pending:
        node, inherited = pending.pop()
        provision = _object(node)
        stated = [str(_object(entry).get("code")) for entry in _list(provision.get("purpose"))] or inherited
        if provision.get("type") == "deny":
            found.append(stated)
        pending += [(entry, stated) for entry in _list(provision.get("provision"))]
    return found


def _codings(concept: Any) -> list[tuple[str | None, str | None]]:
    return [
        (_object(entry).get("system"), _object(entry).get("code")) for entry in _list(_object(concept).get("coding"))
    ]


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
