"""The plan of a batch: everything that its steps need, so that any process can go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, resolved: FHIR ids, codes as ``system|code``."""

    account: str
    os_user: str
    patient: str
    visit: str
    region: str
    laterality: str
    view: str
    expression: str | None = None
    session: int | None = None
    procedure: str | None = None
    """Id of a Procedure that is in the record, or the fullUrl of one that comes with ``record``."""

    clinician: str | None = None
    """Relative reference, ``Practitioner/d``."""

    photographer: str | None = None
    taken: str | None = None
    """FHIR dateTime that overrides what the camera says."""

    record: str | None = None
    """A FHIR transaction, as it was given."""

    known_since: str | None = None
    """The day that an import's manifest states (FHIR date)."""

    corrects: str | None = None
    """SOP Instance UID of the instance whose place this one takes; region, side and view may then be empty, which is
    what the former object says."""

    rejection: str | None = None
    """SOP Instance UID of the document that says that the former one is rejected."""

    reason: str | None = None
    """Why it is corrected, as a person typed it."""

    corrector: str | None = None
    """Relative reference of whoever the account stands for in the record."""

    linked: bool = True
    """False where the file is known as another patient's photo: it is kept, unseen, and a person decides."""

    def dumps(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @staticmethod
    def loads(text: str) -> Plan:
        """The plan that :meth:`dumps` wrote."""
        values: dict[str, Any] = json.loads(text)
        return Plan(**values)
