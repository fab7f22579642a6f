"""Text of the record as DICOM's value representations hold it (PS3.5 6.2)."""

from __future__ import annotations

from dicom_bridge.errors import DescriptionRefused

_PERSON_NAME = 64
"""Characters of one component group of PN."""

_JOINERS = "\u200c\u200d"
"""Zero width non-joiner and joiner: Persian, Urdu and Indic names are not written without."""


def text(value: str | None, most: int = 64) -> str:
    """A description, cut to what LO holds: a viewer shows as much as there is room for."""
    return _clean(value or "")[:most].strip()


def identifier(keyword: str, value: str | None, most: int = 64) -> str:
    """An identifier, whole: one that is cut or cleaned would be another one.

    Raises
    ------
    DescriptionRefused
        It does not fit.
    """
    value = (value or "").strip()
    if len(value) > most or value != _clean(value):
        raise DescriptionRefused(
            f"{keyword}: the identifier does not fit into DICOM, which holds {most} characters and no backslash; "
            "give the record one that does"
        )
    return value


def person_name(value: str) -> str:
    """A name of one component group, ``family^given^middle^prefix^suffix``."""
    return _clean(value.replace("=", " "))[:_PERSON_NAME].strip()


def _clean(value: str) -> str:
    """Without the backslash, which parts values, and without control characters."""
    return "".join(letter if letter in _JOINERS or _is_plain(letter) else " " for letter in value)


def _is_plain(letter: str) -> bool:
    return letter != "\\" and letter.isprintable()
