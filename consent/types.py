"""The nouns of a decision: who asks, for what, and what the answer was."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from enum import StrEnum


class Effect(StrEnum):
    """What an answer or a rule says."""

    PERMIT = "permit"
    DENY = "deny"


class Obligation(StrEnum):
    """What a door must do with a permitted photo. A door that cannot do it refuses."""

    NO_IDENTIFIERS = "no-identifiers"
    """Pixels only: never a header, a name, a date of birth or an identifier."""

    WATERMARK = "watermark"
    WARN = "warn"


class Right(StrEnum):
    """What an account may do, beside seeing photos for its purposes."""

    CAPTURE = "capture"
    LINK = "link"
    CONSENT = "consent"
    RECORD = "record"
    STORE = "store"
    ARCHIVE = "archive"
    RECONCILE = "reconcile"
    ADMIN = "admin"


class Laterality(StrEnum):
    """A side of the body; a region without a side means both (DICOM Image Laterality (0020,0062), without U)."""

    RIGHT = "R"
    LEFT = "L"
    BOTH = "B"


@dataclass(frozen=True, slots=True)
class Requester:
    """Somebody or something that asks for photos.

    References are relative FHIR references such as ``Practitioner/d``; patients are FHIR ids without a type.
    """

    account: str
    """Name of the account; it stands in every audit record."""

    purposes: tuple[str, ...] = ()
    """Purpose codes held; the first is used where a request names none."""

    rights: frozenset[Right] = frozenset()

    reference: str | None = None
    """Who the account is in the record: Practitioner/…, Patient/…, RelatedPerson/…, Device/…."""

    confined_to: frozenset[str] | None = None
    """Patients that the requester is confined to (portal, proxy, SMART patient context); None: not confined."""

    own_patient: str | None = None
    """The patient record of the requester's own, where staff are patients too."""


def narrowed(
    requester: Requester,
    *,
    purposes: Container[str] | None = None,
    rights: frozenset[Right] | None = None,
    confined_to: frozenset[str] | None = None,
) -> Requester:
    """The requester with no more than this; None leaves a part as it is, and nothing is ever added.

    Who is confined to other patients already is confined to none then: every photo is of another patient.
    """
    confinement = requester.confined_to
    if confined_to is not None:
        confinement = confined_to if confinement is None else confinement & confined_to
    return replace(
        requester,
        purposes=requester.purposes
        if purposes is None
        else tuple(purpose for purpose in requester.purposes if purpose in purposes),
        rights=requester.rights if rights is None else requester.rights & rights,
        confined_to=confinement,
    )


@dataclass(frozen=True, slots=True)
class Request:
    """One question, always for exactly one purpose."""

    requester: Requester
    purpose: str
    channel: str | None = None
    """SOCIAL: the channel of the settings that is asked for."""

    project: str | None = None
    """HRESCH: the research project, where there is one."""

    emergency_reason: str | None = None
    """BTG: the reason typed."""

    emergency_patient: str | None = None
    """BTG: the one patient it is for; None: the photo's first patient."""

    session: str | None = None
    """Workspace session, for the audit record."""


@dataclass(frozen=True, slots=True)
class DirectiveRef:
    """A Consent, in the version that was read, and the provision in it that spoke."""

    consent: str
    version: int
    path: str
    """``provision``, ``provision.provision[0]``, ``policyRule``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one question about one photo. A denial is a value, not an exception."""

    effect: Effect
    reason: str
    """A member of :class:`consent.reasons.Reason`."""

    directives: tuple[DirectiveRef, ...] = ()
    """All provisions that matched with the answering effect."""

    obligations: frozenset[Obligation] = frozenset()
    step: int = 0
    """The step of the decision table that answered (0 to 11)."""

    rule: str | None = None
    """``site-rule``: the id of the rule, with its source in :mod:`consent.rules`."""

    patient: str | None = None
    """The patient whose answer decided, where a photo shows several."""

    @property
    def permitted(self) -> bool:
        """Whether the photo may be shown, its obligations fulfilled."""
        return self.effect is Effect.PERMIT
