"""HIBC supplier labels (ANSI/HIBC 2.6): primary, secondary, and both in one.

``+A123BJC5D6E71G`` names a device: labeler, product, unit of measure, check character. ``+$$3270131LOT7GI`` names lot
and expiry; its last but one character is the primary's check character. In one: ``+A123BJC5D6E71/$$3270131LOT7H``.
"""

from __future__ import annotations

import re

from consent.wording import joined, worded
from fhir_mapping.udi.identifier import Issuer, Udi, UdiError, day_of, ordinal

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
"""The check character is the sum of the characters' places in it, modulo 43 (2.6, appendix B)."""

_PRIMARY = re.compile(r"\+([A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9])")
_LOT = re.compile(r"[A-Z0-9.\-]{0,18}")
_FURTHER = re.compile(r"/(16D|14D|S|Q)([A-Z0-9.\-]*)")
_BEHIND = re.compile(r"\s+(?=\+..)")
"""Between two labels; what ends a label may be a plus itself."""

_QUANTITY = re.compile(r"8[0-9]{2}|9[0-9]{5}")

#: Flag -> digits of the date behind it (2.6, table 2).
_DATES = {"2": 6, "3": 6, "4": 8, "5": 5, "6": 7, "7": 0}


def read(text: str, *, strict: bool = True) -> Udi:
    """A primary label, a secondary one, both in one, or both behind one another.

    Parameters
    ----------
    strict
        Whether check and link characters must be right; a record is not asked to be.

    Raises
    ------
    UdiError
        The text names the part that is against the standard.
    """
    parts = _parts(text.lstrip().rstrip("\r\n\t").upper())
    if len(parts) > 2:
        raise UdiError(worded("a label has a primary and a secondary part at most."))
    if not parts:
        raise UdiError(worded("there is no label in it."))
    primary, check = _checked(parts[0], strict)
    if len(parts) == 1 and (primary.startswith("+$") or _is_dated(primary)):
        return _secondary(primary[:-1], Udi(Issuer.HIBCC))
    head, mark, rest = primary.partition("/")
    match = _PRIMARY.fullmatch(head)
    if match is None:
        raise UdiError(
            worded("'+' is followed by a labeler code, a product of 1 to 18 characters, and a digit for the unit.")
        )
    found = Udi(Issuer.HIBCC, match.group(1))
    if mark:
        if len(parts) == 2:
            raise UdiError(worded("the first part holds a secondary part already."))
        return _secondary(f"+{rest}", found)
    if len(parts) == 1:
        return found
    secondary, _ = _checked(parts[1], strict)
    if strict and secondary[-1:] != check:
        raise UdiError(
            worded("the second part belongs to another label: its link character is not %(check)s.", check=repr(check))
        )
    return _secondary(secondary[:-1], found)


def check_character(text: str) -> str:
    """The character that ends a label.

    Raises
    ------
    UdiError
        A character is not of the alphabet.
    """
    try:
        return ALPHABET[sum(ALPHABET.index(each) for each in text) % 43]
    except ValueError:
        raise UdiError(worded("a label has capital letters, digits and %(marks)s alone.", marks="-. $/+%")) from None


def _parts(text: str) -> list[str]:
    """The labels of a text: between asterisks, or behind white space. A space that ends one is its check character."""
    if "*" in text:
        return [each.lstrip() for each in text.split("*") if each.strip()]
    parted = _BEHIND.search(text)
    if parted is None:
        return [text] if text else []
    first, between = text[: parted.start()], parted.group()
    if len(between) > 1 and check_character(first[:-1]) != first[-1] and check_character(first) == " ":
        first += " "
    return [first, *_parts(text[parted.end() :])]


def _checked(label: str, strict: bool) -> tuple[str, str]:
    """A label without its check character, and that; a space at the end is printed as ``_``.

    Where it was lost on its way, a label cannot be told from a misread one: that is refused.
    """
    if label.endswith("_"):
        label = f"{label[:-1]} "
    if len(label) < 3:
        raise UdiError(worded("a label has more characters."))
    if not strict or check_character(label[:-1]) == label[-1]:
        return label[:-1], label[-1]
    expected = repr(check_character(label[:-1]))
    said = [worded("the check character would be %(expected)s; a character was misread.", expected=expected)]
    if check_character(label) == " ":
        said.append(worded("Where a space ends the label, write _ for it."))
    elif label.endswith(" ") and check_character(label.rstrip()[:-1]) == label.rstrip()[-1]:
        said.append(worded("Take the space at its end away."))
    raise UdiError(joined(said, " "))


def _is_dated(label: str) -> bool:
    """``+`` and five digits: a secondary label of the first kind; a labeler's code begins with a letter."""
    return re.match(r"\+[0-9]{5}", label) is not None


def _secondary(label: str, found: Udi) -> Udi:
    """``label`` begins with ``+``, and has neither link nor check character."""
    body, _, tail = label[1:].partition("/")
    made: dict[str, str | None] = {}
    serial = False
    if body.startswith("$$"):
        body = body[2:]
        serial = body.startswith("+")
        body = body.removeprefix("+")
        quantity = _QUANTITY.match(body)
        body = body[quantity.end() :] if quantity else body
        made["expiry"], body = _dated(body)
    elif body.startswith("$"):
        serial = body[1:].startswith("+")
        body = body[1:].removeprefix("+")
    elif body[:5].isdigit() and len(body) >= 5:
        made["expiry"], body = ordinal(2000 + int(body[:2]), int(body[2:5]), worded("expiry")), body[5:]
    elif body:
        raise UdiError(worded("a secondary part begins with $, $$ or a date of five digits."))
    if not _LOT.fullmatch(body):
        raise UdiError(worded("a lot or serial number has at most 18 letters and digits."))
    made["serial" if serial else "lot"] = body or None
    return _further(f"/{tail}" if tail else "", found, made)


def _further(tail: str, found: Udi, made: dict[str, str | None]) -> Udi:
    """``/S`` serial, ``/14D`` expiry, ``/16D`` manufacture date (2.6, table 3)."""
    at = 0
    for match in _FURTHER.finditer(tail):
        if match.start() != at:
            break
        at, (name, value) = match.end(), match.groups()
        if name == "S":
            made["serial"] = value
        elif name in ("14D", "16D"):
            if not re.fullmatch(r"20[0-9]{6}", value):
                raise UdiError(worded("/%(name)s is followed by a date, YYYYMMDD.", name=name))
            member = "expiry" if name == "14D" else "manufactured"
            made[member] = day_of(value[2:], "ymd", worded("date /%(name)s", name=name))
    if at != len(tail):
        raise UdiError(worded("%(text)s is none of /S, /14D, /16D and /Q.", text=repr(tail[at : at + 4])))
    return Udi(found.issuer, found.device, made.get("lot"), made.get("expiry"), made.get("manufactured"),
               made.get("serial"))  # fmt: skip


def _dated(body: str) -> tuple[str | None, str]:
    """The expiry at the beginning, and what follows it."""
    flag = body[:1]
    if flag in _DATES:
        length = _DATES[flag]
        digits, rest = body[1 : 1 + length], body[1 + length :]
    elif flag in ("0", "1"):
        length, digits, rest = 4, body[:4], body[4:]
    elif not body:
        return None, ""
    else:
        raise UdiError(worded("%(flag)s is no format of a date.", flag=repr(flag)))
    if len(digits) != length or (digits and not digits.isdigit()):
        raise UdiError(worded("the expiry has %(length)s digits here.", length=length))
    if flag == "7":
        return None, rest
    if flag == "2":
        return day_of(digits, "mdy", worded("expiry")), rest
    if flag in ("3", "4"):
        return day_of(digits[:6], "ymd", worded("expiry")), rest
    if flag in ("5", "6"):
        return ordinal(2000 + int(digits[:2]), int(digits[2:5]), worded("expiry")), rest
    return day_of(f"{digits[2:]}{digits[:2]}00", "ymd", worded("expiry")), rest
