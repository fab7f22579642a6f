"""The settings of a site that a decision reads. One row in the database holds them, so that all nodes decide alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from zoneinfo import ZoneInfo


class TreatmentDefault(StrEnum):
    """TREAT for a patient who has said nothing."""

    IMPLIED = "implied"
    OPT_IN = "opt-in"


class PortalDefault(StrEnum):
    """PATRQT for a patient who has said nothing."""

    CONSENT = "consent"
    OPEN = "open"


class CareTeamScope(StrEnum):
    """Who counts as the care team."""

    ORGANIZATION = "organization"
    RECORD = "record"


class OtherObjects(StrEnum):
    """What happens to objects in Orthanc that are no photos, as their SOP Class tells."""

    REFUSE = "refuse"
    """Nobody sees them, and no more of them are taken in: an Orthanc for photos alone."""

    CLINICAL = "clinical"
    """For treatment, by accounts with the right ``archive``; they need no link."""


@dataclass(frozen=True, slots=True)
class SitePurpose:
    """A purpose that a site adds: who decides, publishing and obligations are the parent's; the default is deny."""

    code: str
    system: str
    parent: str


@dataclass(frozen=True, slots=True)
class Site:
    """Settings that bind decisions, in the words of the settings file."""

    organization: str = "clinic"
    """FHIR id of the Organization that holds the photos."""

    time_zone: str = "UTC"
    """IANA name; dates and times without an offset are in it."""

    treatment_default: TreatmentDefault = TreatmentDefault.IMPLIED
    portal_default: PortalDefault = PortalDefault.CONSENT
    care_team: CareTeamScope = CareTeamScope.ORGANIZATION
    deniable_duties: frozenset[str] = frozenset()
    break_glass_minutes: int = 60
    majority_age: int = 18
    """Years of age at which the day of majority begins."""

    purposes: tuple[SitePurpose, ...] = ()
    channels: frozenset[str] = frozenset()
    """Channels of SOCIAL, as named by ``urn:photospine:channel``."""

    projects: frozenset[str] = frozenset()
    """Projects of HRESCH, as named by ``urn:photospine:project``."""

    rules_on: frozenset[str] = frozenset({"no-publishing-of-minors", "own-record-as-patient"})
    """Ids of the site and jurisdiction rules that are on; see ``consent/rules``."""

    forbid_break_glass: bool = False
    watermark: frozenset[str] = frozenset()
    """Purposes whose permits carry the obligation ``watermark``."""

    other_objects: OtherObjects = OtherObjects.REFUSE
    zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "zone", ZoneInfo(self.time_zone))
