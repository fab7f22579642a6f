"""Identifiers of C-FIND, C-MOVE and C-GET (PS3.4 C.4, C.6): DICOM JSON in and out, a :class:`Question` between.

An identifier is a mapping in the DICOM JSON Model (PS3.18 F.2), ``{"00080052": {"vr": "CS", "Value": ["STUDY"]}, …}``,
so that nobody needs pydicom here. C-FIND reads as follows; ``permitted`` is what every door asks::

    wanted = find_identifier(identifier, Root.STUDY)      # BadIdentifier: status 0xA900, its keyword the offending one
    found = find(connection, wanted.question, permitted.clause)
    ... record_set(...)                                   # before anything leaves
    for answer in responses(found, wanted, "PHOTOSPINE"):  # one pending response each
        yield (0xFF01 if wanted.ignored else 0xFF00), answer

and C-MOVE or C-GET::

    question = retrieve_identifier(identifier, Root.STUDY)
    for photo in matching_instances(connection, question):   # permitted or not: each is put to the decision
        ...

Matching is hierarchical (PS3.4 C.4.1.2.2.1): at each level the unique keys of the levels above are given as single
values. Relational queries, combined date and time matching, fuzzy matching of names and time zone adjustment are not
negotiated; so StudyDate and StudyTime are two keys, each by itself, and ``""`` is an ordinary text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from dicom_bridge.query.computed import COMPUTED, computed
from dicom_bridge.query.dictionary import BY_TAG, Level, tag
from dicom_bridge.query.matching import BadValue, check, supported
from dicom_bridge.query.search import Found, Question
from dicom_bridge.query.values import universal

DEPTH = 4
"""Items within items that a key may stand in."""

KEYS = 256
"""Most attributes in one identifier."""

_LEVELS = {"PATIENT": Level.PATIENT, "STUDY": Level.STUDY, "SERIES": Level.SERIES, "IMAGE": Level.INSTANCE}
_NAMES = {level: name for name, level in _LEVELS.items()}
_UNIQUE = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.INSTANCE: "SOPInstanceUID",
}
_LEVEL, _AE, _CHARACTERS = tag("QueryRetrieveLevel"), tag("RetrieveAETitle"), tag("SpecificCharacterSet")
_NO_KEYS = frozenset({_LEVEL, _AE, _CHARACTERS, tag("TimezoneOffsetFromUTC"), tag("InstanceAvailability")})
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Attributes = Mapping[str, Any]
"""A data set in the DICOM JSON Model."""


class Root(Enum):
    """The information models (PS3.4 C.6.1, C.6.2)."""

    PATIENT = "Patient Root"
    STUDY = "Study Root"


class BadIdentifier(ValueError):
    """The identifier does not match the SOP Class: status 0xA900. The text names the keyword, never a value."""

    def __init__(self, keyword: str, why: str) -> None:
        super().__init__(f"{keyword}: {why}")
        self.keyword = keyword
        """For Offending Element (0000,0901) and Error Comment (0000,0902)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a C-FIND identifier asks for."""

    question: Question
    identifier: Attributes
    """As it came: its attributes are those that the answers hold."""

    ignored: tuple[str, ...]
    """Keywords or tags of keys with a value that are not matched: the answers hold them without one, and the status is
    0xFF01 (PS3.4 C.4.1.1.4)."""


def find_identifier(identifier: Attributes, root: Root) -> Wanted:
    """Read the identifier of a C-FIND request.

    Keys of levels above are matched too, which asks for less. Keys of levels below, counts and private attributes are
    not matched (PS3.4 C.2.2.1.3) and are returned without value.

    Raises
    ------
    BadIdentifier
        No level, or one that the root does not have; no single value of a unique key above; a value that cannot be of
        its attribute's kind; too many keys.
    """
    level = _level(identifier, root)
    for above in range(_first(root), level):
        _single(identifier, _UNIQUE[Level(above)])
    keys: list[tuple[str, str]] = []
    ignored: list[str] = []
    for name, value in keys_of(identifier, ""):
        outer = name.partition(".")[0]
        attribute = BY_TAG.get(outer)
        known = Level.INSTANCE if attribute is None else attribute.level
        if known > level or not supported(name):
            if not universal(value):
                ignored.append(keyword_of(name))
            continue
        try:
            check(name, value)
        except BadValue:
            raise BadIdentifier(keyword_of(name), "the value is not of its kind") from None
        if not universal(value):
            keys.append((keyword_of(name), value))
    return Wanted(Question(level, tuple(keys)), identifier, tuple(ignored))


def retrieve_identifier(identifier: Attributes, root: Root) -> Question:
    """The photos that a C-MOVE or C-GET identifier names (PS3.4 C.4.2.1.4.1, C.4.3.1.3.1), as a question.

    The unique key of the level is one value, of UIDs also a list. Unique keys of the levels above must hold where they
    are given; UIDs name their photos without them, so that they may be absent. Other attributes do not count.

    Raises
    ------
    BadIdentifier
        No level, or one that the root does not have; no value of its unique key; a pattern.
    """
    level = _level(identifier, root)
    keys = []
    for each in range(_first(root), level + 1):
        keyword = _UNIQUE[Level(each)]
        value = _text(identifier.get(tag(keyword)))
        if each < level and value == "":
            continue
        if each < level or level is Level.PATIENT:
            _single(identifier, keyword)
        if universal(value) or any(each in value for each in ("*", "?", "\0")):
            raise BadIdentifier(keyword, "the value of a unique key is needed")
        keys.append((keyword, value))
    return Question(Level.INSTANCE, tuple(keys))


def responses(found: Found, wanted: Wanted, ae_title: str) -> Iterator[dict[str, Any]]:
    """The identifiers of the pending responses (PS3.4 C.4.1.1.3.2), as DICOM JSON in the order of tags.

    Each holds the attributes that were asked for, empty where there is no value; of a sequence that was asked for by
    its items' attributes, those alone. The unique key of the level, SpecificCharacterSet, QueryRetrieveLevel,
    RetrieveAETitle and InstanceAvailability are always there. Counts are of permitted photos.

    Parameters
    ----------
    ae_title
        Of the gateway: whom to ask for the photos.
    """
    level = wanted.question.level
    for entity in found.entities:
        values = {name: entry for name, entry in entity.attributes.items() if _shown(name, level)}
        values |= computed(entity)
        shown = {
            name: chosen(values.get(name), asked if isinstance(asked, Mapping) else {})
            for name, asked in wanted.identifier.items()
            if len(name) == 8 and name[4:] != "0000"
        }
        shown[tag(_UNIQUE[level])] = chosen(values.get(tag(_UNIQUE[level])), {"vr": "UI"})
        shown[_CHARACTERS] = {"vr": "CS", "Value": ["ISO_IR 192"]}
        shown[_LEVEL] = {"vr": "CS", "Value": [_NAMES[level]]}
        shown[_AE] = {"vr": "AE", "Value": [ae_title]}
        shown[tag("InstanceAvailability")] = {"vr": "CS", "Value": ["ONLINE"]}
        yield dict(sorted(shown.items()))


def _level(identifier: Attributes, root: Root) -> Level:
    if len(identifier) > KEYS:
        raise BadIdentifier("QueryRetrieveLevel", f"more than {KEYS} attributes; ask for fewer")
    level = _LEVELS.get(_text(identifier.get(_LEVEL)))
    if level is None or (root is Root.STUDY and level is Level.PATIENT):
        levels = [name for name in _LEVELS if root is Root.PATIENT or name != "PATIENT"]
        raise BadIdentifier("QueryRetrieveLevel", f"one of {', '.join(levels)} is needed in the {root.value} model")
    return level


def _first(root: Root) -> Level:
    return Level.PATIENT if root is Root.PATIENT else Level.STUDY


def _single(identifier: Attributes, keyword: str) -> None:
    """A unique key that must name one thing."""
    value = _text(identifier.get(tag(keyword)))
    if value == "" or any(each in value for each in ("\\", "*", "?")) or (keyword != "PatientID" and "," in value):
        raise BadIdentifier(keyword, "a single value is needed at this level")


def keys_of(identifier: Attributes, prefix: str) -> Iterator[tuple[str, str]]:
    """Tag, or path of tags, and value of each attribute; of sequences, of those in their first item."""
    for name, entry in identifier.items():
        if not isinstance(entry, Mapping) or (not prefix and name in _NO_KEYS) or len(name) != 8:
            continue
        if entry.get("vr") != "SQ":
            yield prefix + name, _text(entry)
            continue
        items = entry.get("Value") or ()
        if len(items) > 1 or prefix.count(".") >= DEPTH:  # PS3.4 C.2.2.2.6: a key has one item
            raise BadIdentifier(keyword_of(prefix + name), "one item, with its keys, is needed")
        for item in items:
            yield from keys_of(item, f"{prefix}{name}.")


def _text(entry: Any) -> str:
    """The values of an identifier's attribute, several joined by a backslash."""
    values: Sequence[Any] = (entry or {}).get("Value") or () if isinstance(entry, Mapping) else ()
    texts = []
    for value in values:
        if isinstance(value, Mapping):
            texts.append("=".join(str(value.get(part, "")) for part in _GROUPS).rstrip("="))
        elif value is not None:
            texts.append(str(value).rstrip("\0"))  # padding, as some write it behind any text
    return "\\".join(texts).strip(" \0")


def keyword_of(name: str) -> str:
    """Tags as keywords, where the dictionary has them."""
    return ".".join(BY_TAG[part].keyword if part in BY_TAG else part for part in name.split("."))


def _shown(name: str, level: Level) -> bool:
    """Whether an attribute of the object says something of an entity of this level."""
    attribute = BY_TAG.get(name)
    return name not in COMPUTED and (level is Level.INSTANCE if attribute is None else attribute.level <= level)


def chosen(entry: Mapping[str, Any] | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The value, or an empty one; of a sequence, what was asked for of each item."""
    vr = str((entry or asked).get("vr") or "UN")
    if entry is None or not entry.get("Value"):
        return {"vr": vr}
    items = asked.get("Value") or () if vr == "SQ" else ()
    below = items[0] if items and isinstance(items[0], Mapping) else {}
    if not below:
        return {"vr": vr, "Value": list(entry["Value"])}
    return {
        "vr": vr,
        "Value": [{name: chosen(item.get(name), each) for name, each in below.items()} for item in entry["Value"]],
    }
