"""THE decision point: may this requester see this photo for this purpose, now?

``decide`` is pure: standard library only, no input or output, no clock. The steps are numbered as in the decision
table, and the first that applies gives the answer; steps 4 to 11 run for each patient shown, and for each source of a
copy. One denial denies, and the reason is that of the lowest step among the denials, else among the permits.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from consent.directive import Span
from consent.facts import Facts, PatientFacts, PhotoFacts, records_of
from consent.matching import Question, is_herself
from consent.prepared import Answer, Prepared, prepare
from consent.purposes import BTG, PATRQT, SOCIAL, TREAT, Catalog, Decider
from consent.reasons import Reason
from consent.regions import regions
from consent.rules.site import SiteRuleId
from consent.site import CareTeamScope, OtherObjects, Site
from consent.sources import Source, patients_of, sources_of
from consent.standing import answers, has_spoken_about_treatment, names_purpose
from consent.types import Decision, DirectiveRef, Effect, Obligation, Request, Requester, Right

_PROXY = "RelatedPerson/"

# Members of enumerations are looked up once: Python 3.11 takes longer for that than a whole comparison.
_PERMIT, _DENY = Effect.PERMIT, Effect.DENY
_PERMITTED, _DENIED = Reason.PATIENT_PERMITTED, Reason.PATIENT_DENIED
_BY_RECORD, _BY_ORGANIZATION = CareTeamScope.RECORD, CareTeamScope.ORGANIZATION
_DUTY = Decider.DUTY
_MINORS, _SIGNATURE = SiteRuleId.NO_PUBLISHING_OF_MINORS, SiteRuleId.SIGNATURE_AFTER_RESULT


def decide(request: Request, facts: Facts, now: datetime) -> Decision:
    """Decide one request for one photo.

    Parameters
    ----------
    facts
        Everything that the decision reads; what is not in it does not exist for the decision.
    now
        The clock of the database, aware.

    Returns
    -------
    Decision
        The same for the same request, facts and time, always.
    """
    return speaking(decisions_of(request, facts, now))


def decisions_of(request: Request, facts: Facts, now: datetime) -> list[Decision]:
    """What is answered for each patient and source; one denial alone where a step before them speaks."""
    if not facts.current:
        return [_deny(Reason.FACTS_UNAVAILABLE, 0)]
    catalog = Catalog.of(facts.site)
    photo = facts.photo
    sources = () if photo is None else sources_of(photo)
    shown = patients_of(sources)
    for patient in shown:
        if patient not in facts.patients:
            return [_deny(Reason.FACTS_UNAVAILABLE, 0)]
    if not _holds(request, catalog, facts, shown):
        return [_deny(Reason.PURPOSE_NOT_HELD, 1)]
    if photo is None:
        return [_deny(Reason.NOT_LINKED, 2)]
    if photo.other:
        return [_other_object(request, catalog, facts.site)]
    for source, patients, _ in sources:
        if not patients or (source.encounter is None and not source.treatment):
            return [_deny(Reason.NOT_LINKED, 2)]
    if not _is_within_confinement(request.requester, facts, sources, now):
        return [_deny(Reason.OTHER_PATIENT, 3)]
    emergency = _emergency_patient(request, facts, shown) if request.purpose == BTG else None
    found = []
    for source, patients, copies in sources:
        for patient in patients:
            found.append(_decide_for(request, catalog, source, facts.patients[patient], facts, now, emergency, copies))
    return found


def _other_object(request: Request, catalog: Catalog, site: Site) -> Decision:
    """Steps 2 and 3 for what is no photo: the same answer for every such object."""
    requester = request.requester
    opened = site.other_objects is OtherObjects.CLINICAL and Right.ARCHIVE in requester.rights
    if not opened or request.purpose != TREAT:
        return _deny(Reason.OTHER_DENY, 2)
    if requester.confined_to is not None or (requester.reference or "").startswith(_PROXY):
        return _deny(Reason.OTHER_PATIENT, 3)
    return Decision(_PERMIT, Reason.OTHER_PERMIT, obligations=catalog.obligations(TREAT), step=2)


def speaking(decisions: list[Decision]) -> Decision:
    """The answer: one denial denies; the lowest step among the denials speaks, else among the permits."""
    if len(decisions) == 1:
        return decisions[0]
    denials = [decision for decision in decisions if not decision.permitted]
    spoken = min(denials or decisions, key=lambda decision: decision.step)
    refs = {
        ref: None
        for decision in decisions
        if decision.effect is spoken.effect and decision.step == spoken.step
        for ref in decision.directives
    }
    return replace(spoken, directives=tuple(refs))


# --- steps 1 and 3: who asks ----------------------------------------------------------------------------------------


def _holds(request: Request, catalog: Catalog, facts: Facts, shown: tuple[str, ...]) -> bool:
    """Step 1: the purpose is held, and the request holds what the purpose asks for."""
    purpose = catalog.get(request.purpose)
    if purpose is None or not purpose.requestable or request.purpose not in request.requester.purposes:
        return False
    if request.purpose == SOCIAL and not request.channel:
        return False
    if request.purpose == BTG and not (request.emergency_reason or "").strip():
        return False
    if request.purpose == TREAT and facts.site.care_team is _BY_RECORD:
        return all(_is_of_care_team(request, facts, facts.patients[patient]) for patient in shown)
    return True


def _is_of_care_team(request: Request, facts: Facts, patient: PatientFacts) -> bool:
    if facts.site.care_team is _BY_ORGANIZATION:
        return True
    named = patient.care_team
    return request.requester.reference in named or not named.isdisjoint(facts.requester.belongs_to)


def _is_within_confinement(requester: Requester, facts: Facts, sources: tuple[Source, ...], now: datetime) -> bool:
    """Step 3: of each source one of the patients shown is one that the requester is confined to."""
    reference = requester.reference
    proxy = reference if reference is not None and reference.startswith(_PROXY) else None
    if requester.confined_to is None and proxy is None:
        return True
    return all(
        any(_is_confined_to(requester, proxy, facts.patients[identity], now) for identity in source.patients)
        for source, _, _ in sources
    )


def _is_confined_to(requester: Requester, proxy: str | None, patient: PatientFacts, now: datetime) -> bool:
    if requester.confined_to is not None and requester.confined_to.isdisjoint(records_of(patient)):
        return False
    return proxy is None or any(each.person == proxy and each.period.contains(now) for each in patient.representatives)


def _emergency_patient(request: Request, facts: Facts, shown: tuple[str, ...]) -> str:
    """The one patient that the emergency is about, by any record of hers; where none is named, the first shown."""
    if request.emergency_patient is None:
        return shown[0]
    for identity in shown:
        if request.emergency_patient in records_of(facts.patients[identity]):
            return identity
    return request.emergency_patient


# --- steps 4 to 11, for one patient ---------------------------------------------------------------------------------


def _decide_for(
    request: Request,
    catalog: Catalog,
    photo: PhotoFacts,
    patient: PatientFacts,
    facts: Facts,
    now: datetime,
    emergency: str | None,
    copies: frozenset[str | None],
) -> Decision:
    purpose = request.purpose
    if emergency is not None and emergency not in records_of(patient):
        # The other patients of a photo that is opened in an emergency are decided as for TREAT, step 1 included.
        purpose = TREAT
        if TREAT not in request.requester.purposes or not _is_of_care_team(request, facts, patient):
            return _deny(Reason.PURPOSE_NOT_HELD, 1, patient)
    prepared = prepare(patient, facts.site)
    stated = catalog.get(purpose)
    assert stated is not None
    question = Question(
        request,
        purpose,
        stated.publishing,
        photo,
        copies,
        facts.requester,
        purpose == PATRQT and is_herself(request.requester, prepared.records),
        prepared,
        facts.organization_parents,
        now,
    )
    obligations = catalog.obligations(request.purpose)
    if stated.publishing or purpose == BTG or request.requester.own_patient is not None:
        rule = _site_rule(question)
        if rule is not None:
            return _deny(Reason.SITE_RULE, 4, patient, rule=rule)
    if stated.decider is _DUTY:
        return _duty(question, obligations)
    if purpose == BTG and not names_purpose(question):
        return _permit(Reason.BREAK_GLASS, 6, patient, obligations)
    if patient.held and purpose != BTG and (purpose != TREAT or any(held.treatment for held in patient.held)):
        return _deny(Reason.HELD, 7, patient)
    found = answers(question)
    if len(found) == 1:
        return _alone(found[0], request.purpose, patient, obligations)
    if found:
        denials = [answer for answer in found if answer.effect is _DENY]
        if denials:
            return _deny(_DENIED, 8, patient, denials)
        return _permit(_PERMITTED, 9, patient, obligations, found)
    if purpose == BTG:
        return _deny(_DENIED, 8, patient)
    if purpose == TREAT and has_spoken_about_treatment(question):
        return _deny(Reason.NOT_COVERED, 10, patient)
    if catalog.default_effect(purpose) is _PERMIT and (purpose != PATRQT or question.herself):
        return _permit(Reason.DEFAULT_PERMIT, 11, patient, obligations)
    return _deny(Reason.DEFAULT_DENY, 11, patient)


def _alone(answer: Answer, purpose: str, patient: PatientFacts, obligations: frozenset[Obligation]) -> Decision:
    """Steps 8 and 9 where one Consent alone answers."""
    decision = answer.decisions.get(purpose)
    if decision is None:
        if answer.effect is _DENY:
            decision = _deny(_DENIED, 8, patient, [answer])
        else:
            decision = _permit(_PERMITTED, 9, patient, obligations, [answer])
        answer.decisions[purpose] = decision
    return decision


def _duty(question: Question, obligations: frozenset[Obligation]) -> Decision:
    """Step 5: duties rest on law; only where the site says so is a denial that names one followed."""
    patient = question.prepared.patient
    if question.purpose in question.prepared.site.deniable_duties:
        denials = [answer for answer in answers(question) if answer.effect is _DENY]
        if denials:
            return _deny(_DENIED, 5, patient, denials)
    return _permit(Reason.ROLE_PERMIT, 5, patient, obligations)


def _site_rule(question: Question) -> SiteRuleId | None:
    """Step 4: the rule of the site that forbids it, if any."""
    prepared = question.prepared
    site = prepared.site
    if question.purpose == BTG and site.forbid_break_glass:
        return SiteRuleId.FORBID_BREAK_GLASS
    own = question.request.requester.own_patient
    if (
        own is not None
        and question.request.purpose != PATRQT
        and own in prepared.records
        and SiteRuleId.OWN_RECORD_AS_PATIENT in site.rules_on
    ):
        return SiteRuleId.OWN_RECORD_AS_PATIENT
    if not question.publishing:
        return None
    if _MINORS in site.rules_on and not _surely_adult(prepared, question.photo.taken, question.now):
        return _MINORS
    if _SIGNATURE in site.rules_on and _is_signed_too_early(question):
        return _SIGNATURE
    return None


def _surely_adult(prepared: Prepared, taken: Span | None, now: datetime) -> bool:
    """Whether she is of age now and was when the photo was taken, both beyond doubt."""
    of_age = prepared.of_age
    if of_age is None or of_age.end is None or taken is None or taken.start is None:
        return False
    return of_age.end <= now and of_age.end <= taken.start


def _is_signed_too_early(question: Question) -> bool:
    """Whether every permit that matches was signed before the final result was there to see."""
    permits = [answer for answer in answers(question) if answer.effect is _PERMIT]
    results = _results(question.photo, question.prepared.patient)
    for answer in permits:
        signed = answer.directive.signed
        if results is not None and signed is not None and signed.start is not None and results <= signed.start:
            return False
    return bool(permits)


def _results(photo: PhotoFacts, patient: PatientFacts) -> datetime | None:
    """When the final result of every area that the photo shows was reached; None where that is not known."""
    if not photo.regions:
        return None
    tree = regions()
    latest: datetime | None = None
    for region in photo.regions:
        moments = [moment for code, moment in patient.final_results.items() if tree.overlap(code, region.code)]
        if not moments:
            return None
        latest = max(moments) if latest is None else max(latest, *moments)
    return latest


def _refs(found: list[Answer] | None) -> tuple[DirectiveRef, ...]:
    if not found:
        return ()
    return found[0].directives if len(found) == 1 else tuple(ref for answer in found for ref in answer.directives)


def _permit(
    reason: Reason,
    step: int,
    patient: PatientFacts,
    obligations: frozenset[Obligation],
    found: list[Answer] | None = None,
) -> Decision:
    return Decision(_PERMIT, reason, _refs(found), obligations, step, None, patient.patient)


def _deny(
    reason: Reason,
    step: int,
    patient: PatientFacts | None = None,
    found: list[Answer] | None = None,
    rule: SiteRuleId | None = None,
) -> Decision:
    return Decision(
        _DENY,
        reason,
        _refs(found),
        step=step,
        rule=rule,
        patient=None if patient is None else patient.patient,
    )
