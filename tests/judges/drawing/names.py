"""Who and what there is in every drawn world."""

from __future__ import annotations

from dataclasses import dataclass

from tests.judges import vocabulary as words

PATIENTS = ("p", "q", "r")
CLINICIANS = ("Practitioner/d", "Practitioner/e", "Practitioner/m")
KIN = ("RelatedPerson/mother", "RelatedPerson/uncle")
ORGANIZATIONS = ("Organization/ward", "Organization/clinic", "Organization/holding", "Organization/other")
GROUPS = ("PractitionerRole/rd", "Group/g", "CareTeam/t", "Device/app", *ORGANIZATIONS)
PHOTOS = ("f1", "f2", "f3", "x1", "x2", "x3")
"""Those that begin with x may be copies of earlier ones."""

VISITS = ("v1", "v2")
LINKS = ("Procedure/pr1", "Procedure/pr2", "EpisodeOfCare/ep1", "CarePlan/cp1")
NOBODY = ("Practitioner/nobody", "Group/nobody", "Organization/nobody")
EXISTING = frozenset(
    [
        *(*CLINICIANS, *KIN, *GROUPS, *LINKS, "Media/m1"),
        *(f"Patient/{one}" for one in PATIENTS),
        *(f"DocumentReference/{one}" for one in PHOTOS),
        *(f"{kind}/{one}" for kind in ("ImagingStudy", "Encounter") for one in VISITS),
    ]
)
CHANNELS = ("instagram", "tiktok")
PROJECTS = ("scars", "peels")

SITE_SYSTEM = "urn:example:purpose"
SITE_PURPOSES = {
    "FooBar": "HRESCH",
    "FLYER": "HMARKT",
    "POSTER": "FLYER",
    "REELS": "SOCIAL",
    "LECTURE": "CONF",
    "DRILL": "TRAIN",
    "LAWSUIT": "HLEGAL",
    "WARD": "TREAT",
    "FAMILY": "PATRQT",
    "DISASTER": "BTG",
}
THEMES = (
    *(("TREAT",), ("TREAT", "BTG"), ("TREAT", "WEB"), ("BTG",)),
    *(("WEB", "PORTFOLIO"), ("SOCIAL", "WEB"), ("SOCIAL",), ("TEACH", "CONF"), ("TEACH",)),
    *(("PATRQT",), ("PATRQT", "TREAT"), ("HRESCH",), ("HRESCH", "TREAT")),
    *(("HLEGAL", "HCOMPL"), ("HPAYMT", "HOPERAT"), ("PATSFTY", "TREAT")),
)
FOCUSES = (
    *("actor", "data", "dataPeriod", "region", "label", "period", "replaces", "signature", "state", "copies", "people"),
    *("signature", "replaces", "snapshot", "refused", "all", "all", "all"),
)
AT_HOME: dict[str, tuple[tuple[str, ...], ...]] = {
    "snapshot": (("WEB",), ("PORTFOLIO", "WEB"), ("CONF",), ("SOCIAL",)),
    "actor": (("SOCIAL",), ("HRESCH",), ("PATRQT",), ("TREAT",), ("BTG",), ("TEACH",)),
    "signature": (("TEACH",), ("TREAT",), ("PATRQT",), ("HPAYMT",), ("TEACH", "CONF")),
    "replaces": (("TEACH",), ("TREAT",), ("WEB",), ("HRESCH",), ("PATRQT",), ("HPAYMT",)),
}
"""Purposes for which an element matters most; other focuses go with any theme."""


@dataclass(frozen=True)
class Theme:
    """A world is about few purposes, so that its Consents and its requests meet, and mostly about one element."""

    purposes: tuple[str, ...]
    focus: str

    def often(self, focus: str, percent: float) -> float:
        """How often in a hundred something is drawn that belongs to a focus."""
        if self.focus == "all":
            return percent
        return min(80, percent * 4) if self.focus == focus else percent / 3


FACE = f"{words.SNOMED}|73897004"
REGIONS = (*words.REGIONS, *words.SAME_REGION)
STRANGE_REGION = "urn:example:region|tail"
STRANGE_LABELS = (["urn:example:label", "famous"], [words.CONFIDENTIALITY, "X"])
