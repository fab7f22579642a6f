"""R4 Consent -> Directive: the rules that a decision can match, or the elements that cannot be honoured.

Nothing is accepted and ignored. What a permit cannot mean is said in a note (it matches nothing); what a denial cannot
mean is refused, because a denial that is not understood would be a denial that is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.directive import Actors, Directive, Reach, Rule, Span
from consent.purposes import HRESCH, SOCIAL, TREAT, Catalog
from consent.site import Site
from consent.types import Effect
from fhir_mapping import consent_codes as codes
from fhir_mapping import references
from fhir_mapping.consent_elements import (
    EarlierConsent,
    ElementReader,
    Elements,
    Refusal,
    Resolver,
    as_object,
    codings,
    reach,
    text,
)

__all__ = ["EarlierConsent", "Reading", "Refusal", "Resolver", "has_denial", "to_directive"]

_ENDED = frozenset({"inactive", "entered-in-error", "rejected"})
"""Statuses whose Consents make no new rules: they are never refused, or a withdrawal could be."""

_SIGNERS = ("Patient/", "RelatedPerson/")
"""The patient, or somebody whom the record shows as entitled to sign for her."""


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
    return _Reader(consent, version, was_active, site, ElementReader(site, resolver, base)).read()


class _Reader:
    """Reads one Consent."""

    def __init__(
        self, consent: Mapping[str, Any], version: int, was_active: bool, site: Site, elements: ElementReader
    ) -> None:
        self._consent = consent
        self._version = version
        self._was_active = was_active
        self._site = site
        self._catalog = Catalog.of(site)
        self._elements = elements

    def read(self) -> Reading:
        scope = self._scope()
        if scope in codes.SCOPES_WITHOUT_RULES:
            return Reading(
                None, notes=(f"Scope {scope} agrees to no showing of photos: kept, and no rule made of it.",)
            )
        self._elements.survey(self._consent)
        status = text(self._consent.get("status"))
        directive = self._directive(scope, status)
        refusals = self._elements.refusals
        if status in _ENDED and directive is not None:
            refusals = ()
        denials = _denials(self._consent)
        return Reading(
            directive=directive if not refusals else None,
            refusals=refusals,
            notes=self._elements.notes,
            has_denial=bool(denials),
            denial_reaches_treatment=scope != codes.RESEARCH_SCOPE
            and any(self._may_reach_treatment(purposes) for purposes in denials),
        )

    def _may_reach_treatment(self, purposes: list[tuple[str | None, str | None]]) -> bool:
        """Whether a denial of these purposes could reach TREAT: one that is not known here may be any."""
        known = [self._catalog.by_coding(system, code) for system, code in purposes]
        return not known or any(purpose is None or purpose.code == TREAT for purpose in known)

    def _directive(self, scope: str | None, status: str | None) -> Directive | None:
        consent, elements = self._consent, self._elements
        identity = text(consent.get("id"))
        patient = elements.local(consent.get("patient"))
        if patient is not None and not patient.startswith("Patient/"):
            patient = None
        if not identity:
            elements.refuse("Consent.id", "A Consent needs an id.")
        if patient is None:
            elements.refuse("Consent.patient", "A Consent needs the patient whose photos it is about.")
        if scope is None:
            elements.refuse("Consent.scope", "The scope must be patient-privacy, research, treatment or adr.")
        if not status:
            elements.refuse("Consent.status", "A Consent needs a status.")
        signed = elements.date(consent.get("dateTime"), "Consent.dateTime")
        root, nested, opt_out = self._rules()
        replaces = self._replaces(patient, signed)
        verifications = elements.entries(consent, "verification", "Consent")
        performers, organizations = self._named("performer"), self._named("organization")
        if any(rule.effect is Effect.PERMIT for rule in (root, *nested) if rule is not None):
            self._note_what_permits_lack(signed, performers, organizations)
        if patient is None or scope is None or not identity or not status:
            return None
        return Directive(
            consent=identity,
            version=self._version,
            patient=references.id_of(patient),
            scope=scope,
            status=status,
            was_active=self._was_active or status == "active",
            signed=signed,
            performers=performers,
            organizations=organizations,
            verified=not any(entry.get("verified") is False for _, entry in verifications),
            root=root,
            nested=nested,
            opt_out=opt_out,
            replaces=replaces,
        )

    def _named(self, name: str) -> tuple[str, ...]:
        """Who of this server is named in a repeating element; the answer to the write tells of those not there yet."""
        found = []
        for at, entry in self._elements.entries(self._consent, name, "Consent"):
            reference = self._elements.local(entry)
            if reference is None or not self._elements.resolver.exists(reference):
                self._elements.note(f"{at}: it names nobody who is in the record.")
            if reference is not None:
                found.append(reference)
        return tuple(found)

    # --- the whole Consent ------------------------------------------------------------------------------------------

    def _scope(self) -> str | None:
        found = {code for system, code in codings(self._consent.get("scope")) if system == codes.CONSENT_SCOPE}
        known = found & ({codes.PRIVACY_SCOPE, codes.RESEARCH_SCOPE} | codes.SCOPES_WITHOUT_RULES)
        return known.pop() if len(known) == 1 else None

    def _rules(self) -> tuple[Rule | None, tuple[Rule, ...], bool]:
        """The root rule, the nested ones, and whether policyRule opts out below them."""
        elements = self._elements
        policy = _policy_rule(self._consent)
        opt_out = codes.OPT_OUT in policy
        stated = self._consent.get("provision")
        if stated is not None and not isinstance(stated, Mapping):
            elements.refuse("Consent.provision", "The provision cannot be read.")
        provision = as_object(stated)
        effect = self._effect(provision, "Consent.provision")
        if effect is None and "type" not in provision and not opt_out:
            if codes.OPT_IN in policy:
                effect = Effect.PERMIT
            else:
                elements.refuse("Consent.provision.type", "A root needs a type, or policyRule OPTIN or OPTOUT.")
        root_elements = elements.provision(provision, "Consent.provision", Elements())
        root = self._rule("provision", "Consent.provision", effect, root_elements) if effect is not None else None
        for at, entry in elements.entries(self._consent, "policy", "Consent"):
            uri = (text(entry.get("uri")) or "").partition("|")[0].rstrip("/")
            if effect is Effect.PERMIT and uri.endswith(codes.POLICIES_AGAINST_PERMIT):
                elements.refuse(f"{at}.uri", "A root permit cannot stand on a policy that denies.")
        nested = []
        for number, (at, own) in enumerate(elements.entries(provision, "provision", "Consent.provision")):
            if own.get("provision"):
                elements.refuse(f"{at}.provision", "Provisions are read to the second level; write it flatter.")
            own_effect = self._effect(own, at)
            if own_effect is None:
                if "type" not in own:
                    elements.refuse(f"{at}.type", "A nested provision needs a type: deny or permit.")
                elements.provision(own, at, root_elements)  # so that all refusals are named at once
                continue
            completed = elements.provision(own, at, root_elements)
            nested.append(self._rule(f"provision.provision[{number}]", at, own_effect, completed))
        return root, tuple(nested), opt_out

    def _effect(self, provision: Mapping[str, Any], element: str) -> Effect | None:
        if "type" not in provision:
            return None
        if provision["type"] in ("permit", "deny"):
            return Effect(provision["type"])
        self._elements.refuse(f"{element}.type", "A provision's type is deny or permit.")
        return None

    def _replaces(self, patient: str | None, signed: Span | None) -> tuple[str, ...]:
        elements, found = self._elements, []
        for at, extension in elements.extensions(self._consent, codes.REPLACES_EXTENSION, "Consent"):
            target = elements.local(extension.get("valueReference"))
            earlier = (
                elements.resolver.consent(references.id_of(target))
                if target is not None and target.startswith("Consent/")
                else None
            )
            if earlier is None or target is None:
                elements.refuse(at, "It names no Consent that is here.")
                continue
            hers = {f"Patient/{record}" for record in earlier.records or {earlier.patient}}
            if patient not in hers:
                elements.refuse(at, "It replaces a Consent of another patient.")
            elif signed is None or signed.start is None:
                elements.refuse(at, "A Consent that replaces another needs a dateTime.")
            elif earlier.signed_start is not None and signed.start <= earlier.signed_start:
                elements.refuse(at, "Its dateTime must start after that of the Consent it replaces.")
            elif earlier.signed_as_adult_by_patient and hers.isdisjoint(elements.locals(self._consent, "performer")):
                elements.refuse(at, "What the patient signed as an adult only the patient replaces.")
            found.append(references.id_of(target))
        return tuple(found)

    def _note_what_permits_lack(
        self, signed: Span | None, performers: tuple[str, ...], organizations: tuple[str, ...]
    ) -> None:
        """Permits of a Consent that nobody here can have signed, for nobody, or at no time never count."""
        if signed is None:
            self._elements.note("Consent.dateTime: without it no permit in this Consent counts.")
        elif len(str(self._consent["dateTime"])) < len("2026-05-04"):
            self._elements.note("Consent.dateTime: it tells no day, so what may be published is older than it.")
        if not any(performer.startswith(_SIGNERS) for performer in performers):
            self._elements.note("Consent.performer: it names nobody here who can sign, so no permit counts.")
        if not organizations:
            self._elements.note("Consent.organization: it names none that is here, so no permit counts.")

    # --- one provision ----------------------------------------------------------------------------------------------

    def _rule(self, path: str, element: str, effect: Effect, stated: Elements) -> Rule:
        purposes = self._purposes(stated, effect, element)
        actors = Actors(stated.persons, stated.channels, stated.projects)
        places = bool(actors.channels or actors.projects)
        if effect is Effect.PERMIT:
            self._check_permitted_places(purposes, actors, element)
        elif purposes is None and places and not actors.persons:
            self._elements.refuse(f"{element}.purpose", "A denial that names a channel or project names its purpose.")
        data = None if stated.data is None else tuple(reach(entry, effect) for entry in stated.data)
        for entry in data or ():
            if entry.reach is Reach.NOTHING:
                self._elements.note(f"{element}.data: {entry.reference} reaches no photo, read in this way.")
        return Rule(
            path=path,
            effect=effect,
            purposes=purposes,
            actors=actors if places or actors.persons else None,
            data=data,
            data_period=stated.data_period,
            regions=stated.regions,
            labels=stated.labels,
            periods=stated.periods,
        )

    def _check_permitted_places(self, purposes: frozenset[str] | None, actors: Actors, element: str) -> None:
        """A permit for SOCIAL names its channels; in a permit for a purpose without places a place matches nothing."""
        permitted = frozenset({TREAT}) if purposes is None else purposes
        if SOCIAL in permitted and not actors.channels:
            self._elements.refuse(f"{element}.actor", "A permit for SOCIAL names the channel that it is for.")
        for code in sorted(permitted):
            if (actors.channels or actors.projects) and not (
                (code == SOCIAL and actors.channels) or (code == HRESCH and actors.projects)
            ):
                self._elements.note(f"{element}.actor: a permit for {code} with a channel or project matches nothing.")

    def _purposes(self, stated: Elements, effect: Effect, element: str) -> frozenset[str] | None:
        if stated.purposes is None:
            return None
        found = set()
        for system, code in stated.purposes:
            purpose = self._catalog.by_coding(system, code)
            if purpose is None and effect is Effect.DENY:
                self._elements.refuse(
                    f"{element}.purpose", f"The purpose {code!r} is not known, so denying it means nothing."
                )
                continue
            if purpose is None or (effect is Effect.PERMIT and not purpose.requestable):
                self._elements.note(f"{element}.purpose: a permit for {code!r} matches nothing; a permit is exact.")
                continue
            if self._catalog.is_duty(purpose.code) and (
                effect is Effect.PERMIT or purpose.code not in self._site.deniable_duties
            ):
                self._elements.note(
                    f"{element}.purpose: {purpose.code} is a duty and rests on law: recorded, not followed."
                )
            found.add(purpose.code)
        return frozenset(found)


def has_denial(consent: Mapping[str, Any]) -> bool:
    """Whether a Consent contains a denial, however malformed the rest."""
    return bool(_denials(consent))


def _denials(consent: Mapping[str, Any]) -> list[list[tuple[str | None, str | None]]]:
    """The purposes of every denial in a Consent, at any depth, however malformed the rest; OPTOUT has none."""
    found: list[list[tuple[str | None, str | None]]] = []
    if codes.OPT_OUT in _policy_rule(consent):
        found.append([])
    pending: list[tuple[Any, list[tuple[str | None, str | None]]]] = [(consent.get("provision"), [])]
    while pending:
        node, inherited = pending.pop()
        if isinstance(node, list):
            pending += [(entry, inherited) for entry in node]
            continue
        provision = as_object(node)
        stated = codings({"coding": provision.get("purpose")}) or inherited
        if provision.get("type") == "deny":
            found.append(stated)
        if "provision" in provision:
            pending.append((provision["provision"], stated))
    return found


def _policy_rule(consent: Mapping[str, Any]) -> set[str | None]:
    """Codes of v3-ActCode in policyRule; any other policy is kept as text."""
    return {code for system, code in codings(consent.get("policyRule")) if system == codes.ACT_CODE}
