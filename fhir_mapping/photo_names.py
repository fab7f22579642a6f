"""How a resource that is no photo names photos, and what goes where one of them may not be seen.

A reference to a DocumentReference, an ImagingStudy or a Media of this server names photos, and so does a logical one by
a UID. These go where the requester does not see the photo, whether it is refused or was never there: the two look
alike. Any other text (an attachment's address, a note, an identifier) goes where it mentions a photo that is here and
refused; a number that names none here is left as it is, since it may name anything.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fhir_mapping import references
from fhir_mapping.pruning import Doomed, Path, tree
from fhir_mapping.r4 import elements_of
from fhir_mapping.resources.document_reference import DICOM_UID

DOCUMENT, STUDY, MEDIA, UID = "DocumentReference/", "ImagingStudy/", "Media/", "urn:oid:"
KINDS = (DOCUMENT, STUDY, MEDIA)
"""How a reference to a photo, to photos, begins. A Media is kept by nobody here, so that none may be seen."""

OWN_ROOT = "2.25."
"""Beginning of UIDs that are made of a hash or a UUID, as those of photos are (PS3.5 B.2)."""

_UID = re.compile(r"(?<![\w.])[0-2](?:\.(?:0|[1-9][0-9]*)){2,}(?!\w|\.[0-9])")
_LONGEST_UID = 64
_AT = re.compile(r"(?<![\w.\-/])(DocumentReference|ImagingStudy|Media)/([A-Za-z0-9\-.]{1,64})")
_PICTURE = re.compile(r"(?<![\w.\-])photos/([A-Za-z0-9\-.]{1,64})")
_HINT = re.compile(rb"DocumentReference|ImagingStudy|Media|photos/|[0-2]\.[0-9]+\.[0-9]|\\")
PHOTOS = frozenset({"DocumentReference", "ImagingStudy", "Media"})
"""Types of resources that are photos."""


@dataclass(frozen=True, slots=True)
class Naming:
    """One place where a resource names a photo, or photos."""

    path: Path
    """What goes where it may not be seen: the Reference, the identifier, else the text."""

    name: str
    """``DocumentReference/id``, ``ImagingStudy/id``, ``Media/id`` or ``urn:oid:UID``."""

    stated: bool
    """Whether it is a reference, that goes also where there is no such photo."""


def may_name(body: bytes) -> bool:
    """Whether a resource might name a photo; where it does not, nothing of it needs to be read."""
    return _HINT.search(body) is not None


def found(resource: Mapping[str, Any], base: str | None) -> Iterator[Naming]:
    """Every place, but for the resource's own id and ``meta``."""
    for member, value in resource.items():
        if member not in ("id", "meta", "resourceType"):
            for naming in _walk(value, (member,), base):
                # A contained picture or document is a logical reference too.
                within = member == "contained" and value[naming.path[1]].get("resourceType") in PHOTOS
                yield replace(naming, stated=True) if within and naming.name.startswith(UID + OWN_ROOT) else naming


def _walk(node: Any, path: Path, base: str | None) -> Iterator[Naming]:
    if isinstance(node, str):
        yield from _mentioned(node, path, base)
    elif isinstance(node, list):
        for number, each in enumerate(node):
            yield from _walk(each, (*path, number), base)
    elif isinstance(node, Mapping):
        text = node.get("reference")
        if isinstance(text, str):
            target = references.local(text, base)
            if target is not None and target.startswith(KINDS):
                yield Naming(path, target, True)
        logical = node.get("identifier")
        if isinstance(logical, Mapping) and "resourceType" not in node:
            yield from _identified(logical, path, reference=True)
        whole = list(_identified(node, path, reference=False)) if "system" in node else []
        yield from whole
        for member, value in node.items():
            if member != "reference" and not (member == "value" and whole):
                yield from _walk(value, (*path, member), base)


def _identified(identifier: Mapping[str, Any], path: Path, *, reference: bool) -> Iterator[Naming]:
    """An Identifier by itself, or that of a Reference."""
    uid = uid_in(identifier.get("value"))
    if uid is not None:
        stated = reference and identifier.get("system") == DICOM_UID and uid.startswith(OWN_ROOT)
        yield Naming(path, f"{UID}{uid}", stated)


def _mentioned(text: str, path: Path, base: str | None) -> Iterator[Naming]:
    """What a text mentions, here or there in it."""
    for match in _UID.finditer(text):
        if len(match.group()) <= _LONGEST_UID:
            yield Naming(path, f"{UID}{match.group()}", False)
    local = text.replace(f"{base}/", " ") if base is not None else text
    for match in _AT.finditer(local):
        yield Naming(path, f"{match[1]}/{match[2].rstrip('.')}", False)
    for match in _PICTURE.finditer(text):
        yield Naming(path, f"{DOCUMENT}{match[1].rstrip('.')}", False)


def uid_in(value: object) -> str | None:
    """The UID that an Identifier's value is, with ``urn:oid:`` before it or without."""
    if not isinstance(value, str):
        return None
    uid = value.removeprefix(UID)
    return uid if _UID.fullmatch(uid) and len(uid) <= _LONGEST_UID else None


def what_goes(resource: Mapping[str, Any], hidden: Iterable[Path]) -> list[Path]:
    """The elements that go so that nothing names what is hidden, and nothing is left that FHIR does not allow so.

    A contained picture or document goes whole, and every reference to it; an element that must have what goes, goes
    too; so does the narrative, which tells the resource once more.
    """
    going: list[Path] = []
    inner: set[str] = set()
    for path in hidden:
        contained = resource["contained"][path[1]] if path[0] == "contained" else {}
        if contained.get("resourceType") in PHOTOS:
            going.append(path[:2])
            inner.add(f"#{contained.get('id')}")
        else:
            going.append(path)
    going += _references_to(resource, inner) if inner else ()
    going += [("text",)] if "text" in resource else ()
    kind = str(resource.get("resourceType"))
    return _within(resource, (), kind, tree(going))


def _references_to(node: Any, texts: Collection[str], path: Path = ()) -> Iterator[Path]:
    if isinstance(node, list):
        for number, each in enumerate(node):
            yield from _references_to(each, texts, (*path, number))
    elif isinstance(node, Mapping):
        if node.get("reference") in texts:
            yield path
        for member, value in node.items():
            if isinstance(value, list | Mapping):
                yield from _references_to(value, texts, (*path, member))


def _from(node: Any, path: Path, owner: str, doomed: Doomed) -> list[Path]:
    """What goes of one element: itself, or what is within it.

    Parameters
    ----------
    owner
        The type that the element is a member of.
    doomed
        What is to go within it; empty: itself.
    """
    if not doomed:
        return [path]
    if isinstance(node, list):
        found = [each for number in doomed for each in _from(node[int(number)], (*path, number), owner, doomed[number])]
        return [path] if sum(len(each) == len(path) + 1 for each in found) == len(node) else found
    member = next(each for each in reversed(path) if isinstance(each, str))
    own = str(node.get("resourceType") or _type(owner, member))
    found = _within(node, path, own, doomed)
    gone = {str(each[-1]) for each in found if len(each) == len(path) + 1}
    return found if _may_be(own, node, gone) else [path]


def _within(node: Mapping[str, Any], path: Path, own: str, doomed: Doomed) -> list[Path]:
    """What goes of an object's members."""
    found: list[Path] = []
    for step, within in doomed.items():
        name = str(step)
        parts = _from(node[name], (*path, name), own, within)
        beside = f"_{name}"
        # The extensions of a text, and of texts in a list by their place, stand beside it.
        found += [(*path, name), (*path, beside)] if beside in node and parts else parts
    return found


def _type(owner: str, member: str) -> str:
    try:
        return elements_of(owner).types.get(member, "")
    except (KeyError, ValueError):
        return ""


def _may_be(owner: str, node: Mapping[str, Any], gone: set[str]) -> bool:
    """Whether an element may stand without some of its members."""
    left = set(node) - gone
    if left <= {"id", "resourceType"} or (owner == "Extension" and left <= {"id", "url"}):
        return False
    if owner == "Identifier" and "value" in gone:
        return False
    try:
        known = elements_of(owner)
    except (KeyError, ValueError):
        return True
    for name in gone & known.required:
        choice = next((each for each in known.choices.values() if name in each), frozenset({name}))
        if not choice & left:
            return False
    return True
