"""Errors of the clinical record.

- MappingError
  - NoPhoto                 projections.photo: a DocumentReference is not there, or is no photo
  - Behind                  question: more photos wait to be indexed than a question reads itself; ask again
  - Refused                 the request is at fault; carries the issues of an OperationOutcome and an HTTP status
    - Malformed             400  not JSON, not FHIR's JSON, or a parameter that is not supported
    - Unauthenticated       401
    - Forbidden             403
    - NotFound              404  absent, or not to be seen: the two are told apart nowhere
    - NotAllowed            405  the address is known, and the method is not offered there
    - NotAcceptable         406
    - Conflict              409
    - Gone                  410  it was deleted; its former versions are there
    - VersionMismatch       412  If-Match names another version
    - TreatedMeanwhile      409  another treatment of the patient came on record since the sender looked
    - TooLarge              413
    - UnsupportedMediaType  415
    - Invalid               422  FHIR that this record cannot take, with the element that is at fault
      - ConsentRefused      422  a Consent that cannot be honoured as it stands
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from consent.wording import worded


class MappingError(Exception):
    """Root of what can go wrong between FHIR and this product."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome (R4 OperationOutcome.issue)."""

    code: str
    """Of http://hl7.org/fhir/issue-type."""

    text: str
    """One plain sentence for a person."""

    element: str | None = None
    """The element at fault as a simple FHIRPath, ``Consent.provision.actor[0].role``."""

    severity: str = "error"


class Behind(MappingError):
    """More photos wait to be indexed than a question reads of the record itself; nothing is answered meanwhile."""

    def __init__(self, photos: Collection[int]) -> None:
        """Say which, or some of them: whoever indexes these may ask again.

        Parameters
        ----------
        photos
            Their numbers, for no one's eyes outside.
        """
        self.photos = tuple(photos)
        super().__init__("Photos have been taken in or changed and are being indexed. Ask again in some seconds.")


class Refused(MappingError):
    """The request is refused; the sender must change it. Raised before anything is kept."""

    status = 400

    def __init__(self, issues: Iterable[Issue] | Issue) -> None:
        self.issues: tuple[Issue, ...] = (issues,) if isinstance(issues, Issue) else tuple(issues)
        super().__init__("; ".join(f"{i.element}: {i.text}" if i.element else i.text for i in self.issues))


class Malformed(Refused):
    """The body is not JSON or not FHIR's JSON, or a search parameter is not supported."""

    status = 400


class Unauthenticated(Refused):
    """No account is known by these credentials."""

    status = 401


class Forbidden(Refused):
    """The account may not do this at all; says nothing about what the record holds."""

    status = 403


class NotFound(Refused):
    """Absent, or not to be seen by this requester."""

    status = 404

    def __init__(self, issues: Iterable[Issue] | Issue | None = None) -> None:
        super().__init__(Issue("not-found", worded("There is no such resource.")) if issues is None else issues)


class NotAllowed(Refused):
    """The address is known, and the method is not offered there."""

    status = 405


class NotAcceptable(Refused):
    """The client asks for another format than JSON."""

    status = 406


class Conflict(Refused):
    """Somebody else wrote at the same moment, several resources match where one is asked for, or others refer to it."""

    status = 409


class Gone(Refused):
    """The resource was deleted, and this requester might have read it."""

    status = 410

    def __init__(self) -> None:
        super().__init__(Issue("deleted", worded("The resource was deleted. Its history tells its former versions.")))


class VersionMismatch(Refused):
    """If-Match names another version than the current one. Read again, then decide anew."""

    status = 412


class TreatedMeanwhile(Refused):
    """Another treatment of the patient came on record since whoever sends this one looked. Look again, then decide."""

    status = 409


class TooLarge(Refused):
    """The body is larger, deeper or more numerous than the record takes."""

    status = 413


class UnsupportedMediaType(Refused):
    """The body is in another format than JSON."""

    status = 415


class Invalid(Refused):
    """FHIR that this record cannot take; each issue names its element."""

    status = 422


class ConsentRefused(Invalid):
    """A Consent that cannot be honoured as it stands. Nothing is accepted and ignored.

    The caller rolls its transaction back. Where ``has_denial``, it then makes a Task for a person
    (:func:`fhir_mapping.resources.task.refused_consent`), so that no refusal of a patient is lost.
    """

    def __init__(self, issues: Iterable[Issue], *, patient: str | None, has_denial: bool, body: bytes) -> None:
        super().__init__(issues)
        self.patient = patient
        self.has_denial = has_denial
        self.body = body
