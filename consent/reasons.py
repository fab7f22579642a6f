"""The reasons of decisions, as they stand in audit records. The sentences are for compliance officers."""

from __future__ import annotations

from enum import StrEnum

from consent.wording import worded


class Reason(StrEnum):
    """Why a decision came out as it did."""

    FACTS_UNAVAILABLE = "facts-unavailable"
    PURPOSE_NOT_HELD = "purpose-not-held"
    NOT_LINKED = "not-linked"
    OTHER_PERMIT = "other-permit"
    OTHER_DENY = "other-deny"
    OTHER_PATIENT = "other-patient"
    SITE_RULE = "site-rule"
    ROLE_PERMIT = "role-permit"
    BREAK_GLASS = "break-glass"
    HELD = "held"
    PATIENT_DENIED = "patient-denied"
    PATIENT_PERMITTED = "patient-permitted"
    NOT_COVERED = "not-covered"
    DEFAULT_PERMIT = "default-permit"
    DEFAULT_DENY = "default-deny"

    @property
    def sentence(self) -> str:
        """What the reason says, in one sentence."""
        return _SENTENCES[self]


_SENTENCES: dict[Reason, str] = {
    Reason.FACTS_UNAVAILABLE: worded("Facts were missing, or older than the database's version of them."),
    Reason.PURPOSE_NOT_HELD: worded("The requester does not hold the purpose, or left out what the purpose asks for."),
    Reason.NOT_LINKED: worded("The photo is unknown, or not linked to a patient and to a visit or a treatment."),
    Reason.OTHER_PERMIT: worded(
        "It is no photo, and the site opens such objects for treatment to accounts that may archive."
    ),
    Reason.OTHER_DENY: worded(
        "It is no photo; such are opened for treatment alone, to accounts that may archive, if at all."
    ),
    Reason.OTHER_PATIENT: worded("The requester is confined to a patient whom the photo does not show."),
    Reason.SITE_RULE: worded("A rule of the site or the jurisdiction forbids it."),
    Reason.ROLE_PERMIT: worded("The purpose is a duty of the requester's role and rests on law, not on consent."),
    Reason.BREAK_GLASS: worded("Emergency access with a reason typed, for one patient and a limited time."),
    Reason.HELD: worded("A Consent arrived that cannot be honoured; a person has to resolve it first."),
    Reason.PATIENT_DENIED: worded("A Consent of the patient denies it."),
    Reason.PATIENT_PERMITTED: worded("A Consent of the patient permits it, and none denies it."),
    Reason.NOT_COVERED: worded("The patient has spoken about treatment, and no Consent of hers covers this photo."),
    Reason.DEFAULT_PERMIT: worded("The patient has said nothing about it, and the site permits it then."),
    Reason.DEFAULT_DENY: worded("The patient has said nothing about it, and it is denied then."),
}
