"""Which protocols concern a treatment: by its code or its name, and by its areas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.protocols.protocol import Protocol, Shot
from fhir_mapping.treatment.session import Named, Place


def concerning(protocols: Iterable[Protocol], treatment: Named, places: Iterable[Place]) -> tuple[Protocol, ...]:
    """The protocols for a treatment of these areas, in which shots of the treated area show these.

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
    areas = tuple(dict.fromkeys(places))
    if not areas:
        return tuple(each for each in meant if each.applies.implied)
    found: dict[str, list[Place]] = {}
    for area in areas:
        code = area.region.code or ""
        within = [each for each in meant if _includes(each, code)]
        for each in within:
            if not any(_narrower(other, each, code) for other in within):
                found.setdefault(each.name, []).append(area)
    by_name = {each.name: each for each in meant}
    return tuple(_of_areas(by_name[name], found[name]) for name in sorted(found))


def _of_areas(protocol: Protocol, areas: Sequence[Place]) -> Protocol:
    """The protocol with its shots of the treated area made for each of these areas."""
    if not any(each.treated for each in protocol.shots):
        return protocol
    made = {each.name: tuple(_of_area(each, area, len(areas) > 1) for area in areas) for each in protocol.shots}
    for each in protocol.shots:
        if not each.treated:
            made[each.name] = (each,)
    return replace(
        protocol,
        shots=tuple(shot for each in protocol.shots for shot in made[each.name]),
        times=tuple(
            replace(time, shots=tuple(shot for each in time.shots for shot in made[each.name]))
            for time in protocol.times
        ),
    )


def _of_area(shot: Shot, area: Place, several: bool) -> Shot:
    region = regions().by_code(area.region.code or "")
    if region is None:
        return shot
    side = (area.side or Laterality.BOTH) if region.paired else Laterality.BOTH
    word = {Laterality.RIGHT: "right-", Laterality.LEFT: "left-"}.get(side, "")
    return replace(shot, name=f"{shot.name}-{word}{region.name}" if several else shot.name, region=region, side=side)


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
