"""What treatments, settings and outcomes are called on pages: by a code of ours, else as they are written."""

from __future__ import annotations

from functools import cache

from consent.wording import worded
from dicom_bridge.protocols.reading import all_protocols
from fhir_mapping.outcome.vocabulary import SYSTEM, vocabulary
from fhir_mapping.treatment.elements import system_and_code
from fhir_mapping.treatment.points import MAP, POINT
from fhir_mapping.treatment.session import Named
from fhir_mapping.treatment.settings import AMOUNT_USED, DEVICE_SETTINGS, SETTINGS, known_settings
from orthanc_plugin.workspace.vocabularies import own_title, title

OWN_TREATMENTS = "urn:photospine:treatment"

TREATMENTS = (
    worded("Laser pigment"),
    worded("Platelet rich plasma"),
    worded("Toxin"),
    worded("Filler"),
    worded("Peel"),
)
"""What treatments and products of our own codes are called besides those that a protocol names."""

_PARTS = {
    MAP: worded("Injection points"),
    POINT: worded("Injection point"),
    DEVICE_SETTINGS: worded("Device settings"),
    AMOUNT_USED: worded("Amount used"),
}


def treatment_name(name: Named) -> str:
    """``Laser of facial pigment``: as somebody wrote it, else by a code of ours."""
    system, code = system_and_code(name.code or "")
    return worded(title(code)) if system == OWN_TREATMENTS and name.text in ("", code) else name.text


def told_treatment(said: str) -> str:
    """A treatment's name where it was told as text; of one that is a code of ours, ``botulinum-toxin``, its name."""
    return worded(title(said)) if said in _codes() else said


@cache
def _codes() -> frozenset[str]:
    """Codes of ours for treatments that protocols are for."""
    codes = (code for each in all_protocols() for code in each.applies.codes if own_title(code))
    return frozenset(code.rpartition("|")[2] for code in codes)


def setting_name(name: Named) -> str:
    """``Wavelength``: a setting of a machine; what has no code here, as it stands."""
    called = name.text.casefold()
    code = (name.code or "").removeprefix(f"{SETTINGS}|")
    for known in known_settings().values():
        if called == known.name.casefold() or (not called and code == known.code):
            return known.name
    if name.code in _PARTS:
        return _PARTS[name.code]
    own = own_title(name.code or "")
    return name.text or (worded(own) if own else worded("Setting"))


def part_name(name: Named) -> str:
    """What our codes call an outcome, a part of a session, or a treatment; anything else as it stands."""
    system, code = system_and_code(name.code or "")
    if system == SYSTEM and code in vocabulary().characteristics:
        return vocabulary().characteristics[code]
    return _PARTS.get(name.code or "") or treatment_name(name)
