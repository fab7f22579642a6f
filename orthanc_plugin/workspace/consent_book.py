"""What the pages of consent need: what stands, what a signing would change, and signing and withdrawing themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from consent.types import Request
from fhir_mapping.signing.paper import Paper
from fhir_mapping.signing.preview import Change, Seen
from fhir_mapping.signing.standing import Statement
from fhir_mapping.signing.wishes import Use, Wishes


@dataclass(frozen=True, slots=True)
class Signer:
    """Somebody who may sign."""

    reference: str
    name: str


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a use here."""

    names: tuple[str, ...]
    """As the workspace greets them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A patient's consent as it is."""

    uses: tuple[Use, ...]
    seen: Seen
    statements: tuple[Statement, ...]
    signers: tuple[Signer, ...]
    """The patient first."""

    holders: dict[Use, Holders]
    clinic: str = ""
    """Name of the organisation that holds the photos."""


class ConsentBook(Protocol):
    """Reads and writes consent. Whatever it reads of Consents is recorded."""

    def standing(self, request: Request, patient: str, numbers: Sequence[int], route: str) -> Standing:
        """What stands, over photos that the requester may see.

        Parameters
        ----------
        numbers
            The photos that are counted.
        """
        ...

    def uses(self) -> Sequence[Use]:
        """What patients are asked about here."""
        ...

    def hers(self, patient: str) -> Sequence[int]:
        """Every photo that shows the patient and nobody else, also what nobody may see: for herself alone."""
        ...

    def whys(self, request: Request, numbers: Sequence[int]) -> Sequence[tuple[int, str]]:
        """Why the patient does not see some of her photos: how many, and the reason in her words."""
        ...

    def rehearse(self, wishes: Wishes, by: str, numbers: Sequence[int]) -> Change:
        """What signing would change; nothing is kept.

        Raises
        ------
        fhir_mapping.errors.Refused
            It cannot be written so.
        """
        ...

    def moment(self) -> datetime:
        """Now, by the database."""
        ...

    def sign(self, request: Request, wishes: Wishes, by: str, paper: Paper, at: datetime, route: str) -> Sequence[str]:
        """Write what was signed, with its paper; gives the ids of the Consents."""
        ...

    def withdraw(self, request: Request, patient: str, use: Use | None, route: str) -> None:
        """Take back a use, or every use but her treatment and her own view, at once."""
        ...

    def paper(self, request: Request, patient: str, consent: str, route: str) -> bytes | None:
        """The PDF of what was signed; None where there is none, or it is not hers."""
        ...
