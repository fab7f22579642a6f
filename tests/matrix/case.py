"""One patient (or two), her photos and her Consents, as a world of the judges.

Every instant is told from now, so that nothing here depends on the day of the test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.judges import worlds as build
from tests.judges.drawing import names

MEMBERS = [
    ["Practitioner/d", "PractitionerRole/rd"],
    ["PractitionerRole/rd", "Organization/ward"],
    ["Practitioner/d", "Group/g"],
    ["Practitioner/e", "CareTeam/t"],
    ["Practitioner/e", "Organization/clinic"],
    ["Practitioner/m", "Organization/clinic"],
]
PARTS = {"Organization/ward": "Organization/clinic", "Organization/clinic": "Organization/holding"}
PEOPLE = frozenset(
    [
        *(*names.CLINICIANS, *names.GROUPS),
        *("Practitioner/x", "Organization/nowhere"),
    ]
)
CONSENTED = ("WEB", "PORTFOLIO", "CONF", "TEACH")
VISITS = ("1", "1", "1", "2", "2")
REGIONS = (("face", None), ("lips", None), ("hand", "R"), ("face", None), ("neck", "L"))


@dataclass
class Case:
    """One patient in one state. ``photos`` and ``consents`` are filled by the state."""

    state: str
    patient: str
    now: datetime
    photos: dict[str, dict[str, Any]] = field(default_factory=dict)
    series: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Photo -> its visit and its series within it."""

    consents: list[dict[str, Any]] = field(default_factory=list)
    patients: dict[str, dict[str, Any]] = field(default_factory=dict)
    merged: list[list[str]] = field(default_factory=list)
    unlinked: dict[str, str] = field(default_factory=dict)
    """Photo -> how far it has come, where it is not linked."""

    def __post_init__(self) -> None:
        self.patients[self.patient] = self.somebody()
        for number, (visit, region) in enumerate(zip(VISITS, REGIONS, strict=True), start=1):
            self.photo(str(number), visit, "1" if number in (1, 2, 4) else "2", region)

    # --- words ---------------------------------------------------------------------------------------------------

    def ago(self, days: float) -> str:
        """An instant so many days ago; with a negative number, to come."""
        return (self.now - timedelta(days=days)).isoformat(timespec="seconds")

    def day(self, ago: float) -> str:
        """A day."""
        return (self.now - timedelta(days=ago)).date().isoformat()

    def name(self, photo: str) -> str:
        """The photo's name in the world."""
        return f"{self.patient}-{photo}"

    def document(self, photo: str) -> str:
        """Its DocumentReference."""
        return f"DocumentReference/{self.name(photo)}"

    def somebody(self, **changed: Any) -> dict[str, Any]:
        """An adult in the care of Practitioner/d."""
        return build.patient(birth=self.day(40 * 365.25), care_team=["Practitioner/d"], **changed)

    def photo(self, number: str, visit: str, series: str, region: tuple[str, str | None], **changed: Any) -> None:
        """A photo of the patient."""
        name, taken = self.name(number), self.ago(60)
        self.photos[name] = build.photo(
            name,
            **{
                "patients": [self.patient],
                "known_since": {self.patient: taken},
                "imaging_study": f"ImagingStudy/{self.patient}-{visit}",
                "encounter": f"Encounter/{self.patient}-{visit}",
                "links": [f"Encounter/{self.patient}-{visit}"],
                "taken": taken,
                "regions": [build.shown(*region)],
                **changed,
            },
        )
        self.series[name] = (visit, series)

    def change(self, photo: str, **changed: Any) -> None:
        """Change a photo."""
        self.photos[self.name(photo)] |= changed

    def sign(
        self,
        root: dict[str, Any] | None,
        *history: str,
        patient: str | None = None,
        ago: float = 50,
        synchronised: bool = False,
        **changed: Any,
    ) -> str:
        """A Consent of the patient's."""
        who = patient or self.patient
        name = f"{self.patient}-c{len(self.consents)}"
        body = build.consent(
            name,
            root,
            **{
                "patient": {"reference": f"Patient/{who}"},
                "performer": [{"reference": f"Patient/{who}"}],
                "dateTime": self.ago(ago),
                **changed,
            },
        )
        self.consents.append(build.written(body, *history, synchronised=synchronised))
        return name

    def world(self, site: dict[str, Any]) -> dict[str, Any]:
        """The case as the judges read it."""
        exists = {*PEOPLE, *(f"Patient/{one}" for one in self.patients), f"RelatedPerson/{self.patient}-mother"}
        for photo in self.photos.values():
            exists |= {photo["document"], photo["imaging_study"], photo["encounter"], *photo["links"]}
        return {
            "site": site,
            "now": self.now.isoformat(),
            "patients": self.patients,
            "merged": self.merged,
            "exists": exists - {None},
            "members": MEMBERS,
            "part_of": PARTS,
            "consents": self.consents,
            "photos": self.photos,
            "requests": [],
        }
