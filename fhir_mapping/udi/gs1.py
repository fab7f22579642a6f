"""GS1 element strings (GS1 General Specifications, sections 3 and 7.8).

On a label the application identifiers stand in brackets, ``(01)09504000059118(17)270131(10)7654321D``; a scanner gives
them one behind another, those of no predefined length ended by FNC1, which it sends as 1D.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from consent.wording import worded
from fhir_mapping.udi.identifier import Issuer, Udi, UdiError, day_of

SEPARATOR = "\x1d"

_BRACKET = re.compile(r"\((\d{2,4})\)")
_TYPED_SEPARATOR = re.compile(r"<GS>|\{GS\}|\u241d|[\[<{]FNC1[\]>}]|\\(?:x|u00)1d|[|^~]", re.IGNORECASE)
_LINK = re.compile(r"https?://[^/\s]+/", re.IGNORECASE)

#: First two digits of an application identifier -> length of its value, where that is predefined (figure 7.8.5-2).
_PREDEFINED = {"00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "20": 2, "41": 13}
_PREDEFINED |= {str(each): 6 for each in (*range(11, 20), *range(31, 37))}

#: First two digits -> digits of the identifier, where these are more than two (section 3.2).
_NAME_LENGTH = dict.fromkeys(("23", "24", "25", "40", "41", "42", "71"), 3)
_NAME_LENGTH |= dict.fromkeys(("31", "32", "33", "34", "35", "36", "39", "43", "70", "72", "80", "81", "82"), 4)
_KNOWN = {"00", "01", "02", "03", "04", "10", "11", "12", "13", "15", "16", "17", "20", "21", "22", "30", "37"}
_KNOWN |= {str(each) for each in range(90, 100)} | set(_NAME_LENGTH)

_DEVICE, _LOT, _MADE, _EXPIRY, _SERIAL = "01", "10", "11", "17", "21"
_TEXT = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]{1,20}")  # character set 82


def read(text: str) -> Udi:
    """A label's text, what a scanner gave, without symbology prefix, or a GS1 Digital Link (URI syntax 1.2).

    Raises
    ------
    UdiError
        Something in it is against the specification; the text names the application identifier.
    """
    found: dict[str, str] = {}
    for name, value in _elements(text.strip()):
        if found.setdefault(name, value) != value:
            raise UdiError(worded("(%(name)s) stands twice, with two values.", name=name))
    if not found:
        raise UdiError(worded("there is no application identifier in it, such as (01)."))
    device = found.get(_DEVICE)
    if device is not None:
        _check_gtin(device)
    for name in (_LOT, _SERIAL):
        if name in found and not _TEXT.fullmatch(found[name]):
            raise UdiError(worded("(%(name)s) is 1 to 20 characters of the GS1 set.", name=name))
    return Udi(
        Issuer.GS1,
        device,
        lot=found.get(_LOT),
        expiry=None if _EXPIRY not in found else day_of(found[_EXPIRY], "ymd", worded("expiry (17)"), last=True),
        manufactured=None if _MADE not in found else day_of(found[_MADE], "ymd", worded("manufacture date (11)")),
        serial=found.get(_SERIAL),
    )


def lot_and_expiry(text: str) -> tuple[str | None, str | None]:
    """The same two of what is not quite to the specification, as far as it goes.

    A record is not asked to be right: a lot in it counts all the same.
    """
    marks = list(_BRACKET.finditer(text))
    if marks:
        ends = [*(each.start() for each in marks[1:]), len(text)]
        found = {mark.group(1): text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}
    else:
        try:
            found = dict(_scanned(_TYPED_SEPARATOR.sub(SEPARATOR, text.strip())))
        except _Partly as error:
            found = dict(error.found)
    if _DEVICE not in found and not marks:
        return None, None
    lot = found.get(_LOT, "")
    try:
        expiry = day_of(found.get(_EXPIRY, ""), "ymd", "expiry", last=True)
    except (UdiError, ValueError):
        expiry = None
    return (lot if 0 < len(lot) <= 20 else None), expiry


def is_gtin(text: str) -> bool:
    """Whether a text is a GTIN of 8, 12, 13 or 14 digits, with its check digit."""
    return re.fullmatch(r"[0-9]{8}|[0-9]{12,14}", text) is not None and _check_digit(text[:-1]) == text[-1]


def is_link(text: str) -> bool:
    """Whether a text is a web address, as a Digital Link is."""
    return _LINK.match(text) is not None


def _elements(text: str) -> list[tuple[str, str]]:
    if is_link(text):
        return _linked(text)
    text = _TYPED_SEPARATOR.sub(SEPARATOR, text)
    if text.startswith("("):
        return _labelled(text)
    words = text.split(" ")
    if len(words) > 1 and len(words) % 2 == 0 and all(map(_is_name, words[::2])):
        text = "".join(f"({name}){value}" for name, value in zip(words[::2], words[1::2], strict=True))
        return _labelled(text)
    return _scanned(text)


def _linked(text: str) -> list[tuple[str, str]]:
    """Identifiers and values by turns in the path, and again in the query."""
    parts = urlsplit(text)
    steps = [unquote(each) for each in parts.path.split("/") if each]
    first = next((at for at, each in enumerate(steps) if each == _DEVICE), None)
    if first is None:
        raise UdiError(worded("a web address holds /01/ and a GTIN, where it is a GS1 Digital Link."))
    found = list(zip(steps[first::2], steps[first + 1 :: 2], strict=False))
    found += [(name, value) for name, value in parse_qsl(parts.query) if _is_name(name)]
    for name, value in found:
        _check_value(name, value)
    return found


def _labelled(text: str) -> list[tuple[str, str]]:
    marks = [each for each in _BRACKET.finditer(text) if _is_name(each.group(1))]
    if not marks or marks[0].start() != 0:
        raise UdiError(worded("an identifier in brackets is expected first, such as (01)."))
    ends = [*(each.start() for each in marks[1:]), len(text)]
    found = []
    for mark, end in zip(marks, ends, strict=True):
        name, value = mark.group(1), text[mark.end() : end].strip().rstrip(SEPARATOR)
        _check_value(name, value)
        found.append((name, value))
    return found


def _scanned(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    rest = text.lstrip(SEPARATOR)
    while rest:
        length = _NAME_LENGTH.get(rest[:2], 2)
        name, rest = rest[:length], rest[length:]
        if not _is_name(name):
            raise _Partly(worded("%(name)s is no application identifier.", name=repr(name)), found)
        fixed = _PREDEFINED.get(name[:2])
        if fixed is not None:
            value, rest = rest[:fixed], rest[fixed:].removeprefix(SEPARATOR)
        else:
            value, _, rest = rest.partition(SEPARATOR)
        try:
            _check_value(name, value)
        except UdiError as error:
            raise _Partly(error.why, found) from None
        found.append((name, value))
    return found


class _Partly(UdiError):
    """Read up to a place."""

    def __init__(self, text: str, found: list[tuple[str, str]]) -> None:
        super().__init__(text)
        self.found = found


def _is_name(name: str) -> bool:
    return name.isascii() and name.isdigit() and name[:2] in _KNOWN and len(name) == _NAME_LENGTH.get(name[:2], 2)


def _check_value(name: str, value: str) -> None:
    fixed = _PREDEFINED.get(name[:2])
    if fixed is not None and not (len(value) == fixed and value.isascii() and value.isdigit()):
        raise UdiError(worded("(%(name)s) has %(fixed)s digits.", name=name, fixed=fixed))
    if not value:
        raise UdiError(worded("(%(name)s) is empty.", name=name))


def _check_gtin(digits: str) -> None:
    expected = _check_digit(digits[:-1])
    if digits[-1] != expected:
        raise UdiError(
            worded(
                "(01) ends in %(last)s, and its check digit would be %(expected)s.", last=digits[-1], expected=expected
            )
        )


def _check_digit(digits: str) -> str:
    """Section 7.9: weights 3 and 1 from the right."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)
