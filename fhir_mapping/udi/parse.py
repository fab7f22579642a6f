"""A UDI from whichever agency: as scanned, as printed, or as a Device on record carries it."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from consent.wording import worded
from fhir_mapping.udi import gs1, hibc, iccbba
from fhir_mapping.udi.identifier import Issuer, Udi, UdiError

_SYMBOLOGY = re.compile(r"\](?P<kind>[A-Za-z])(?P<modifier>[0-9A-Za-z])")  # ISO/IEC 15424
_EAN = "E"
_FNC1 = b"\xe8\xf1\x1d"  # as scanners send it before the first identifier
_LONGEST = 400


def parse(text: str) -> Udi:
    """Read a UDI strictly.

    Raises
    ------
    UdiError
        The text says what is wrong with it.
    """
    kept = unicodedata.normalize("NFKC", text).lstrip().rstrip("\r\n\t")
    whole = kept.rstrip()
    if not whole or len(whole) > _LONGEST:
        raise UdiError(worded("it has 1 to %(longest)s characters.", longest=_LONGEST))
    prefix = _SYMBOLOGY.match(whole)
    rest = whole[prefix.end() :] if prefix else whole
    if gs1.is_gtin(rest):
        return Udi(Issuer.GS1, rest.zfill(14))
    if prefix is not None and prefix.group("kind") == _EAN:
        raise UdiError(worded("an EAN holds the digits of a GTIN alone."))
    if rest.lstrip("*").startswith("+"):
        return hibc.read(kept[len(whole) - len(rest) :])  # a space at its end is a character of it
    if rest[:1] in ("=", "&"):
        return iccbba.read(rest)
    if rest[:1] in ("(", gs1.SEPARATOR) or rest[:1].isdigit() or gs1.is_link(rest):
        return gs1.read(rest)
    raise UdiError(worded("it begins as none of GS1 '(01)', HIBCC '+' and ICCBBA '='."))


def texts_of(carrier: Mapping[str, Any]) -> list[str]:
    """What a ``Device.udiCarrier`` says: as printed, and as scanned (R4: in base64)."""
    found = [carrier["carrierHRF"]] if isinstance(carrier.get("carrierHRF"), str) else []
    try:
        if isinstance(carrier.get("carrierAIDC"), str):
            scanned = base64.b64decode("".join(carrier["carrierAIDC"].split()), validate=True)
            found.append(scanned.lstrip(_FNC1).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError):
        pass  # it is kept, and tells nothing that can be read
    return found


def carried(carrier: Mapping[str, Any]) -> list[Udi]:
    """All that the texts of a carrier tell; what cannot be read strictly is read as far as it goes."""
    found = []
    for text in texts_of(carrier):
        try:
            found.append(parse(text))
        except UdiError:
            found += _leniently(_SYMBOLOGY.sub("", text.strip(), count=1))
    return found


def _leniently(text: str) -> list[Udi]:
    try:
        if text.lstrip("*").startswith("+") and "(" not in text:
            # Who types a label leaves out the characters at its end that check it.
            return [replace(hibc.read(f"{text}{more}", strict=False), doubted=True) for more in ("", "0", "00")]
    except UdiError:
        return []
    lot, expiry = gs1.lot_and_expiry(text)
    return [] if lot is None else [Udi(Issuer.GS1, lot=lot, expiry=expiry)]
