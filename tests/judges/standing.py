"""Which Consents count for a matter, which are silent because others replace them, and what the others answer.

Where the page leaves a choice, it is read so that a No is kept and a Yes is not:

- each rule of a replacing Consent stands by itself: one permits and does not count yet, another denies and counts;
- a nested provision whose own period has ended ends like the Consent: what it replaced does not permit again there;
- ``verified`` false is a verification that was withdrawn, whenever it became false;
- a permit signed for somebody who may have been under age ends when she may be of age.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from tests.judges.agreement import Agreement, Statement
from tests.judges.matter import Matter
from tests.judges.reach import reaches

NEVER_SIGN = frozenset({"Practitioner", "PractitionerRole", "Organization"})
"""Clinicians and organisations sign for no patient, whatever the record says of them."""


class Life(Enum):
    """Where a statement stands."""

    NEVER = "it does not count, and never did"
    NOT_YET = "it will count"
    COUNTS = "it counts now"
    ENDED = "it counted, and no longer does"


@dataclass(frozen=True)
class Voice:
    """What one Consent answers, and by which of its provisions."""

    permits: bool
    agreement: Agreement
    paths: frozenset[str]


def voices(matter: Matter) -> Iterator[tuple[Voice, Life | None]]:
    """What each Consent that matches answers, and how another one stands that makes it silent, if one does."""
    for agreement in matter.agreements:
        answer = _answer(agreement, matter)
        if answer is not None:
            yield answer, _silencer(answer.permits, agreement, matter)


def answers(matter: Matter) -> list[Voice]:
    """The answers of all Consents that speak about the matter."""
    return [voice for voice, silent in voices(matter) if not silent]


def names(purpose: str, matter: Matter) -> bool:
    """Whether a counting Consent has rules that name the purpose."""
    return any(
        statement.purposes is not None
        and purpose in statement.purposes
        and life(statement, agreement, matter) is Life.COUNTS
        for agreement in matter.agreements
        if agreement.status == "active" and _in_scope(agreement, matter)
        for statement in agreement.statements()
    )


def spoke_of_treatment(matter: Matter) -> bool:
    """Whether a Consent that counts, or would but for the end of its period, permits TREAT at its root."""
    for agreement in matter.agreements:
        root = agreement.root
        if agreement.status != "active" or agreement.scope != "patient-privacy" or root is None or not root.permits:
            continue
        if root.purposes is not None and "TREAT" not in root.purposes:
            continue
        if agreement.window.first <= matter.now and _permits(agreement, matter) is Life.COUNTS:
            return True
    return False


def _answer(agreement: Agreement, matter: Matter) -> Voice | None:
    """What one Consent says by itself: nested provisions before the root, deny first; the root before an OPTOUT."""
    if agreement.status != "active" or not _in_scope(agreement, matter):
        return None

    def speaks(statement: Statement) -> bool:
        return life(statement, agreement, matter) is Life.COUNTS and reaches(statement, agreement, matter)

    nested = [statement for statement in agreement.nested if speaks(statement)]
    if nested:
        permits = all(statement.permits for statement in nested)
        paths = frozenset(statement.path for statement in nested if statement.permits is permits)
        return Voice(permits, agreement, paths)
    for statement in [agreement.root, OPTED_OUT if agreement.opted_out else None]:
        if statement is not None and speaks(statement):
            return Voice(statement.permits, agreement, frozenset({statement.path}))
    return None


OPTED_OUT = Statement("policyRule", permits=False)
"""OPTOUT denies as a denial without a purpose, and asks for no actor, photo or period."""


def _silencer(answer: bool, agreement: Agreement, matter: Matter) -> Life | None:
    """How Consents stand that take the place of this one: where their rules match, everywhere else it speaks."""
    found = set()
    for later in matter.agreements:
        if agreement.id not in later.replaces or not _in_scope(later, matter):
            continue
        for statement in [*later.statements(), *([OPTED_OUT] if later.opted_out else [])]:
            if reaches(statement, later, matter):
                found.add(life(statement, later, matter))
    if Life.COUNTS in found:
        return Life.COUNTS
    # When it no longer counts, what it replaced denies again and does not permit again.
    return Life.ENDED if Life.ENDED in found and answer else None


def life(statement: Statement, agreement: Agreement, matter: Matter) -> Life:
    """Where one statement of a Consent stands now. Entered in error counts as never written."""
    if agreement.status == "entered-in-error" or not agreement.was_active:
        return Life.NEVER
    stands = Life.COUNTS
    if any(one.after <= matter.now for one in statement.windows):
        stands = Life.ENDED
    elif any(matter.now < one.first for one in statement.windows):
        stands = Life.NOT_YET
    if statement.permits:
        signature = _permits(agreement, matter)
        if signature in (Life.NEVER, Life.NOT_YET):
            return signature
        if signature is Life.ENDED and stands is Life.COUNTS:
            stands = Life.ENDED
    if stands is Life.COUNTS and agreement.status != "active":
        return Life.ENDED
    return stands


def _in_scope(agreement: Agreement, matter: Matter) -> bool:
    """Scope research counts for HRESCH only; what it denies reaches the children of HRESCH, like any denial."""
    return agreement.scope == "patient-privacy" or "HRESCH" in matter.line


def _permits(agreement: Agreement, matter: Matter) -> Life:
    """Whether the permits of a Consent count, its status and periods left aside."""
    signed, grown = agreement.signed, matter.record.grown_up(matter.patient)
    if signed is None or not agreement.organizations & matter.record.holders(matter.photo["custodian"]):
        return Life.NEVER
    lasting = bool(agreement.signers & {f"Patient/{name}" for name in matter.records})
    entitled = lasting
    for signer in agreement.signers:
        if signer.split("/")[0] in NEVER_SIGN or grown is None:
            continue
        if any(one.includes(signed) for one in matter.record.representations(signer, matter.patient)):
            entitled = True
            # Signed for an adult it lasts; signed for a minor, or for one who may have been, until she may be of age.
            lasting = lasting or signed.first >= grown.after or matter.now < grown.first
    if not entitled:
        return Life.NEVER
    if signed.first > matter.now:
        return Life.NOT_YET
    return Life.COUNTS if lasting and agreement.verified else Life.ENDED
