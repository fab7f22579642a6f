"""The plan of a batch: everything that its steps need, so that any process can go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """What is said of one file of a batch whose photos differ; what nobody said is empty or None."""

    sha256: str
    """Of the file."""

    region: str = ""
    laterality: str = ""
    view: str = ""
    expression: str | None = None
    taken: str | None = None
    """FHIR dateTime that overrides what the camera says."""

    taken_from: str | None = None
    """Where an import has that time from (:class:`dicom_bridge.legacy.dating.Source`)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for, resolved: FHIR ids, codes as ``system|code``; region, side and view are empty where nobody
    knows them."""

    account: str
    os_user: str
    patient: str
    visit: str
    region: str
    laterality: str
    view: str
    also: tuple[str, ...] = ()
    """Further regions that the photo shows, treated or not: ``system|code``, or ``system|code#R`` with a side."""

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

    baseline: str | None = None
    """The day of the course's first photos, where the record tells it (FHIR date)."""

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

    taken_from: str | None = None
    """Where an import has the time from."""

    photos: tuple[Shown, ...] = ()
    """What is said of each file, where the files of one visit differ; it stands for what the plan says of all."""

    linked: bool = True
    """False where the file is known as another patient's photo: it is kept, unseen, and a person decides."""

    def of(self, sha256: str) -> Plan:
        """The plan as it is for one file."""
        shown = next((each for each in self.photos if each.sha256 == sha256), None)
        if shown is None:
            return self
        return replace(
            self,
            region=shown.region,
            laterality=shown.laterality,
            view=shown.view,
            expression=shown.expression,
            taken=shown.taken,
            taken_from=shown.taken_from,
            photos=(),
        )

    def dumps(self) -> str:
        """As JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    @staticmethod
    def loads(text: str) -> Plan:
        """The plan that :meth:`dumps` wrote."""
        values: dict[str, Any] = json.loads(text)
        values["photos"] = tuple(Shown(**each) for each in values.get("photos") or ())
        values["also"] = tuple(values.get("also", ()))
        return Plan(**values)
