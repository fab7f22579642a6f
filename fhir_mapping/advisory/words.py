"""Words by which people say "lot", "expiry" and "cannot be read", and text as it is typed, scanned and pasted.

Words are in the languages of the notices that European authorities publish, and of boxes from elsewhere. They are
looked for in levelled text: without accents, with dashes and spaces of one kind.
"""

from __future__ import annotations

import re
import unicodedata

_LETTER = r"[^\W\d_]"
_NUMBER = r"(?:numbers?|num(?:ero|mer)?|nummern?|nos?|nr|n\u00b0|code|id|identification|bez(?:eichnung)?)"
_LOT = (
    rf"(?:lots?|lotes?|lotto|lotti|batch(?:es)?|chargen?|partij(?:en)?|partidas?|sarze|\u03c0\u03b1\u03c1\u03c4\u03b9\u03b4{_LETTER}{{1,3}}"
    rf"|\u0441\u0435\u0440\u0438[\u044f\u0438\u044e\u0439]|\u043f\u0430\u0440\u0442\u0438[\u044f\u0438\u044e\u0439]"
    rf"|(?:lot|los|batch|chargen?|partij|sats){_NUMBER}|ch\.?-? ?(?:b\b|nr\b))"
)
_EAST = (
    r"\u6279\u53f7|\u6279\u865f|\u6279\u6b21|\u30ed\u30c3\u30c8(?:\u756a\u53f7)?"
    r"|\ub85c\ud2b8|\uc81c\uc870\ubc88\ud638"
)

#: A word for "lot", with what may stand behind it: ``Lot No.:``, ``Chargen-Nr.``, ``numéro de lot``.
LOT = re.compile(
    rf"(?:(?<!{_LETTER}){_LOT}(?!{_LETTER})\.?|{_EAST})"
    rf"(?:[ \t]*(?:[/&-][ \t]*)?(?:{_NUMBER}(?!{_LETTER})\.?|n\u00ba|#))?(?:\(s\)|\(n\)|\(en\))?",
    re.IGNORECASE,
)
#: A word for "expiry".
EXPIRY = re.compile(
    rf"(?<!{_LETTER})(?:exp(?:\.|iry|iration|ires|iring)?|use[- ]by|use before|best before|valid until"
    r"|(?:ver)?wendbar bis|verw\. ?bis|verfall(?:s?datum)?|haltbar(?:keit)? ?(?:bis)?|mhd"
    r"|peremption|perime[rs]?|a utiliser avant|utiliser jusqu'?au"
    r"|caducidad|cad\.|scadenza|scad\.|validade|houdbaar tot|vervaldatum"
    rf"|\u03bb\u03b7\u03be{_LETTER}{{1,4}}|\u0433\u043e\u0434\u0435\u043d \u0434\u043e)"
    rf"(?:[ \t]*dates?)?(?!{_LETTER})",
    re.IGNORECASE,
)
_WILD = "?*_\ufffd"
_DASHES = "\u00ad\u058a\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63\uff0d"
_NOTHING = dict.fromkeys((0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF))
_CONTROL = {each: " " for each in (*range(32), 127) if each not in (9, 10)}
_ELLIPSIS = re.compile(r"\u2026|\.{3,}")


def level(text: str) -> str:
    """A text of the same length in plain letters: each character without accent and width, dashes and spaces as one."""
    plain = text.translate(_CONTROL)
    return plain if plain.isascii() else "".join(map(_level, plain))


def _level(character: str) -> str:
    if character.isascii():
        return character
    if character in _DASHES:
        return "-"
    if character.isspace():
        return "\n" if character in "\x85\u2028\u2029" else " "
    digit = unicodedata.digit(character, None)
    if digit is not None and unicodedata.category(character) == "Nd":
        return str(digit)
    plain = [each for each in unicodedata.normalize("NFKD", character) if not unicodedata.combining(each)]
    return plain[0] if len(plain) == 1 else character


def tidy(text: str) -> str:
    """A lot as it was typed or pasted, without what nobody sees: width, soft hyphens, kinds of dashes and spaces.

    Letters, case, marks and zeros stay as they are.
    """
    plain = unicodedata.normalize("NFKC", text.translate(_NOTHING))
    return " ".join(level(plain).split())


def says_lot(text: str) -> bool:
    """Whether a name (a code's text, an extension's address) speaks of a lot."""
    return LOT.search(level(text)) is not None


def says_expiry(text: str) -> bool:
    """Whether a name speaks of an expiry."""
    return EXPIRY.search(level(text)) is not None


def tells_nothing(lot: str) -> bool:
    """Whether a lot on record says that there is none to be read, in whichever words, or says nothing at all.

    No agency's lot is known that has no digit; a text without one is a remark. It is a lot all the same for whoever
    asks for it as it stands.
    """
    return not any(each.isdigit() for each in lot)


def legible(lot: str) -> list[str] | None:
    """The pieces of a lot between its illegible places, the first and last empty where it begins or ends so.

    None where it has no such place.
    """
    marked = _ELLIPSIS.sub("?", lot)
    if not any(each in marked for each in _WILD):
        return None
    return re.split(rf"[{re.escape(_WILD)}]+", marked)
