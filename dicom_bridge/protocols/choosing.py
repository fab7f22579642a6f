"""Which protocols concern a treatment: by its code or its name, and by its areas."""

from __future__ import annotations

import re
from collections.abc import Iterable

from consent.regions import regions
from dicom_bridge.protocols.protocol import Protocol
from fhir_mapping.treatment.session import Named, Place


def concerning(protocols: Iterable[Protocol], treatment: Named, places: Iterable[Place]) -> tuple[Protocol, ...]:
    """The protocols for a treatment of these areas.

    For each area the narrowest that includes it: one for the glabella goes before one for the face. Where no area is
    told, those whose treatment's name says it already. An area that only includes a protocol's (the face, for one of
    the lips) asks for nothing: what was treated is not known.

    Parameters
    ----------
    treatment
        Procedure.code, or that of a plan's activity. A code that is known decides; else the words of its text do.
    places
        Its areas; sides do not matter here.
    """
    meant = [each for each in protocols if _names(each, treatment)]
    areas = [each.region for each in places]
    if not areas:
        return tuple(each for each in meant if each.applies.implied)
    found: dict[str, Protocol] = {}
    for area in areas:
        code = area.code or ""
        within = [each for each in meant if _includes(each, code)]
        for each in within:
            if not any(_narrower(other, each, code) for other in within):
                found[each.name] = each
    return tuple(found[name] for name in sorted(found))


def _names(protocol: Protocol, treatment: Named) -> bool:
    if treatment.code is not None and treatment.code in protocol.applies.codes:
        return True
    said = treatment.text.casefold()
    return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said) for word in protocol.applies.words)


def _includes(protocol: Protocol, code: str) -> bool:
    return any(regions().includes(each.code, code) for each in protocol.applies.regions)


def _narrower(one: Protocol, other: Protocol, code: str) -> bool:
    """Whether what one says of the area is a part of what the other says of it."""
    tree = regions()
    mine = [each.code for each in one.applies.regions if tree.includes(each.code, code)]
    theirs = [each.code for each in other.applies.regions if tree.includes(each.code, code)]
    return all(any(whole != part and tree.includes(whole, part) for part in mine) for whole in theirs)
