"""The file that an export is: pictures, a PDF and a manifest in one ZIP. The same items give the same bytes.

Nothing in it names anybody. Consents are named by an opaque name that this clinic alone can read back
(:mod:`.tracing`), with the version that permitted: an id of the record would lead from a picture to its patient.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import hmac
import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from consent.types import DirectiveRef, Request
from dicom_bridge.compare.renditions import Rendition
from dicom_bridge.publish.pair import Half, Pair, Shown
from dicom_bridge.publish.sheet import Row, sheet

_EPOCH = (1980, 1, 1, 0, 0, 0)  # when a file was put in is nobody's business, and equal items give equal bytes
_NAME = 10  # bytes of an opaque name


@dataclass(frozen=True, slots=True)
class Item:
    """One picture: a photo that was decided, without anything but its pixels."""

    half: Half
    jpeg: bytes = field(repr=False)
    page: Rendition
    """The same as it stands on a page of the PDF."""

    consents: tuple[DirectiveRef, ...] = ()
    marked: bool = False
    """Whether a watermark was drawn into it."""

    @property
    def sha256(self) -> str:
        """Of the picture."""
        return hashlib.sha256(self.jpeg).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """A pair with its pictures."""

    pair: Pair
    before: Item
    after: Item

    @property
    def items(self) -> tuple[tuple[str, Item], ...]:
        """Both, with their sides."""
        return ("before", self.before), ("after", self.after)


class Names:
    """Opaque names: nobody without the key can make one or tell what it stands for."""

    def __init__(self, key: bytes, request: Request) -> None:
        self._key = key
        self._context = f"photospine export\x00{request.purpose}\x00{request.channel or ''}"

    def picture(self, place: int, side: str, half: Half) -> str:
        """The file name of a picture."""
        return f"pictures/{place:03}-{side}-{self._of(half.sop_uid)}.jpg"

    def consent(self, consent: str) -> str:
        """A Consent's name in a manifest."""
        return self._of(f"Consent/{consent}")

    def _of(self, text: str) -> str:
        digest = hmac.digest(self._key, f"{self._context}\x00{text}".encode(), hashlib.sha256)
        return base64.b32encode(digest[:_NAME]).decode().lower()


def manifest(entries: Sequence[Entry], names: Names, request: Request) -> list[dict[str, Any]]:
    """A row for each picture: its file, its hash, the purpose, and the Consents behind it with their versions."""
    return [
        {
            "pair": place,
            "side": side,
            "file": names.picture(place, side, item.half),
            "sha256": item.sha256,
            "bytes": len(item.jpeg),
            "purpose": request.purpose,
            "channel": request.channel or "",
            "area": entry.pair.area,
            "view": entry.pair.view,
            "treatment": entry.pair.title,
            "when": item.half.when,
            "watermark": item.marked,
            "consents": [
                {"consent": names.consent(each.consent), "version": each.version, "provision": each.path}
                for each in item.consents
            ],
        }
        for place, entry in enumerate(entries, 1)
        for side, item in entry.items
    ]


def bundle(entries: Sequence[Entry], names: Names, request: Request, title: str, shown: Shown) -> bytes:
    """The ZIP.

    Parameters
    ----------
    title
        What the purpose is called.
    shown
        The pairs as people read them.
    """
    rows = manifest(entries, names, request)
    pictures = {
        names.picture(place, side, item.half): item.jpeg
        for place, entry in enumerate(entries, 1)
        for side, item in entry.items
    }
    rows_shown = [
        Row(shown.pairs.get(entry.pair.numbers, entry.pair), entry.before.page, entry.after.page) for entry in entries
    ]
    page = sheet(rows_shown, title, shown.say)
    told = {"purpose": request.purpose, "channel": request.channel or "", "pairs": len(entries), "pictures": rows}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        _put(archive, "manifest.json", json.dumps(told, ensure_ascii=False, indent=1, sort_keys=True).encode())
        _put(archive, "manifest.csv", _csv(rows))
        _put(archive, "portfolio.pdf", page)
        for name, jpeg in pictures.items():
            _put(archive, name, jpeg)
    return out.getvalue()


def _put(archive: zipfile.ZipFile, name: str, body: bytes) -> None:
    about = zipfile.ZipInfo(name, _EPOCH)
    about.create_system, about.external_attr = 3, 0o644 << 16
    archive.writestr(about, body, zipfile.ZIP_STORED)


def _csv(rows: Iterable[dict[str, Any]]) -> bytes:
    """The same as a table (RFC 4180); several Consents stand in one cell, one behind the other."""
    columns = ("pair", "side", "file", "sha256", "bytes", "purpose", "channel", "area", "view", "treatment", "when",
               "watermark", "consents")  # fmt: skip
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    for row in rows:
        said = [f"{each['consent']} version {each['version']} {each['provision']}" for each in row["consents"]]
        writer.writerow([*(row[name] for name in columns[:-1]), "; ".join(said)])
    return out.getvalue().encode("utf-8-sig")
