"""Marks planted in photos, and finding them again in whatever bytes were received.

Every text, date and identifier of a photo holds its number, also those of its patient, study and series; its pixels
show the number as a pattern that outlives every way to render them. So a photo that left in part is named by any part.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from PIL import ExifTags, Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from dicom_bridge.query.orthanc_ids import OrthancIds, orthanc_ids

WIDTH, HEIGHT = 96, 64
_CELLS = (WIDTH // 8, HEIGHT // 8)
_BITS = 24
_RUN = 64
_RAW = WIDTH * HEIGHT * 3
_STUDY_DAY, _BIRTH_DAY = date(1800, 1, 1), date(1700, 1, 1)
_DEEPEST = 3

_MARK = re.compile(
    rb"z(?P<kind>[xp])(?P<text>\d{6})q"
    rb"|2\.25\.314(?P<level>[123])(?P<uid>\d{6})9(?!\d)"
    rb"|(?<![0-9a-f.\-])(?P<day>1[78]\d{6})(?![0-9a-f])"
    rb"|(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{8}){4})",
    re.IGNORECASE,
)
_JPEG = re.compile(rb"\xff\xd8\xff.*?\xff\xd9", re.DOTALL)
_PNG = re.compile(rb"\x89PNG\r\n\x1a\n.*?IEND....", re.DOTALL)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{88,}={0,2}")
_DEFLATED = re.compile(rb"\x1f\x8b\x08")


@dataclass(frozen=True, slots=True)
class Planted:
    """One photo with its marks."""

    number: int
    patient: int
    study_number: int
    series_number: int
    dicom: bytes = field(repr=False)
    jpeg: bytes = field(repr=False)

    @property
    def sop(self) -> str:
        """SOP Instance UID."""
        return f"2.25.3141{self.number:06d}9"

    @property
    def series(self) -> str:
        """Series Instance UID."""
        return f"2.25.3142{self.series_number:06d}9"

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return f"2.25.3143{self.study_number:06d}9"

    @property
    def patient_id(self) -> str:
        """PatientID (0010,0020)."""
        return f"zp{self.patient:06d}q"

    @property
    def ids(self) -> OrthancIds:
        """Orthanc's ids."""
        return orthanc_ids(self.patient_id, self.study, self.series, self.sop)

    @property
    def run(self) -> bytes:
        """64 bytes of the coded pixels."""
        middle = self.jpeg.rindex(b"\xff\xda") + (len(self.jpeg) - self.jpeg.rindex(b"\xff\xda")) // 2
        return self.jpeg[middle : middle + _RUN]

    @property
    def day(self) -> str:
        """StudyDate."""
        return (_STUDY_DAY + timedelta(self.number)).strftime("%Y%m%d")

    @property
    def text(self) -> str:
        """What every text of it begins with."""
        return f"zx{self.number:06d}q"


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found: photos by number, series and studies by number, patients by number."""

    photos: frozenset[int]
    series: frozenset[int] = frozenset()
    studies: frozenset[int] = frozenset()
    patients: frozenset[int] = frozenset()


def plant(number: int, patient: int, study: int, series: int) -> Planted:
    """A photo whose every attribute holds its number."""
    pixels = _jpeg(number)
    made = Planted(number, patient, study, series, b"", pixels)
    return Planted(number, patient, study, series, _file(dataset(made), pixels), pixels)


def dataset(of: Planted) -> Dataset:
    """The object's attributes, without pixels."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", of.sop
    made.StudyDate = made.SeriesDate = made.ContentDate = of.day
    made.StudyTime = made.ContentTime = "100000"
    made.AccessionNumber, made.StudyID, made.InstitutionName = of.text, of.text, of.text
    made.Modality = "XC"
    made.ReferringPhysicianName = f"{of.text}^R"
    made.StudyDescription, made.SeriesDescription, made.ProtocolName = of.text, of.text, of.text
    made.PatientName, made.PatientID = f"{of.text}^Given", of.patient_id
    made.PatientBirthDate = (_BIRTH_DAY + timedelta(of.number)).strftime("%Y%m%d")
    made.PatientSex = "F"
    made.StudyInstanceUID, made.SeriesInstanceUID = of.study, of.series
    made.SeriesNumber, made.InstanceNumber = of.series_number, of.number
    made.ImageComments = f"{of.text} comment"
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "YBR_FULL_422", 0
    made.Rows, made.Columns = HEIGHT, WIDTH
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    return made


class Finder:
    """Finds the marks of the photos that it was given."""

    def __init__(self, planted: Iterable[Planted]) -> None:
        self.planted = {one.number: one for one in planted}
        self._jpegs = {one.jpeg: one.number for one in self.planted.values()}
        self._runs = [(one.run, one.number) for one in self.planted.values()]
        self._patients = {one.patient for one in self.planted.values()}
        self._days: dict[bytes, int] = {}
        self._ids: dict[bytes, tuple[str, int]] = {}
        for one in self.planted.values():
            for first in (_STUDY_DAY, _BIRTH_DAY):
                self._days[(first + timedelta(one.number)).strftime("%Y%m%d").encode()] = one.number
            ids = one.ids
            self._ids[ids.patient.encode()] = ("patient", one.patient)
            self._ids[ids.study.encode()] = ("study", one.study_number)
            self._ids[ids.series.encode()] = ("series", one.series_number)
            self._ids[ids.instance.encode()] = ("photo", one.number)
        assert len({run for run, _ in self._runs}) == len(self._runs)

    def seen(self, head: bytes, body: bytes) -> Seen:
        """Everything that the bytes of one answer name or show."""
        found: dict[str, set[int]] = {"photo": set(), "series": set(), "study": set(), "patient": set()}
        for part in (head, *unfold(body)):
            self._named(part, found)
            if len(part) > 500:
                found["photo"] |= self._shown(part)
        found["photo"] &= self.planted.keys()
        found["patient"] &= self._patients
        return Seen(*(frozenset(found[level]) for level in ("photo", "series", "study", "patient")))

    def _named(self, part: bytes, found: Mapping[str, set[int]]) -> None:
        for mark in _MARK.finditer(part):
            if mark["text"] is not None:
                found["photo" if mark["kind"] in b"xX" else "patient"].add(int(mark["text"]))
            elif mark["uid"] is not None:
                found[{b"1": "photo", b"2": "series", b"3": "study"}[mark["level"]]].add(int(mark["uid"]))
            elif mark["day"] is not None:
                number = self._days.get(mark["day"])
                if number is not None:
                    found["photo"].add(number)
            else:
                level, number = self._ids.get(mark["id"].lower(), ("", 0))
                if level:
                    found[level].add(number)

    def _shown(self, part: bytes) -> set[int]:
        found: set[int] = set()
        for picture in (*_JPEG.finditer(part), *_PNG.finditer(part)):
            number = self._jpegs.get(picture[0])
            number = number if number is not None else _read(picture[0])
            if number is not None:
                found.add(number)
        if b"\xff" in part:
            found |= {number for run, number in self._runs if run in part}
        if len(part) >= _RAW and not found:
            number = _pattern(Image.frombytes("RGB", (WIDTH, HEIGHT), part[-_RAW:]))
            if number is not None:
                found.add(number)
        return found


def shown_in(body: bytes) -> set[int]:
    """Numbers of the photos that any picture within shows, at whatever size."""
    pictures = (found[0] for part in unfold(body) for kind in (_JPEG, _PNG) for found in kind.finditer(part))
    return {number for picture in pictures if (number := _read(picture)) is not None}


def enlarged(number: int, times: int, taken: datetime) -> bytes:
    """The picture of a number as a camera would bring it: JPEG, so many times larger, with the time it was taken."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
    with Image.open(io.BytesIO(_jpeg(number))) as small:
        large = small.resize((WIDTH * times, HEIGHT * times), Image.Resampling.NEAREST)
    large.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def unfold(body: bytes, depth: int = 0) -> Iterator[bytes]:
    """The bytes as they came, and what is packed in them: ZIP, gzip, deflate, base64."""
    yield body
    if depth >= _DEEPEST or len(body) < 20:
        return
    if body[:2] == b"--" or body[:4] == b"\r\n--":
        boundary = body.lstrip(b"\r\n").partition(b"\r\n")[0]
        for item in body.split(boundary):
            yield from unfold(item.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n"), depth + 1)
    if body[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from unfold(archive.read(name), depth + 1)
        return
    for packed in _DEFLATED.finditer(body):
        yield from _inflated(body[packed.start() :], 31, depth)
    if body[0] == 0x78:
        yield from _inflated(body, 15, depth)
    for text in _BASE64.finditer(body):
        try:
            yield from unfold(base64.b64decode(text[0], validate=True), depth + 1)
        except (binascii.Error, ValueError):
            continue


def _inflated(body: bytes, window: int, depth: int) -> Iterator[bytes]:
    try:
        yield from unfold(zlib.decompressobj(window).decompress(body, 50_000_000), depth + 1)
    except zlib.error:
        return


def _jpeg(number: int) -> bytes:
    """A picture that shows its number four times over, in dark and light squares of a colour of its own."""
    chance = Random(number)
    dark = tuple(chance.randrange(0, 70) for _ in range(3))
    light = tuple(chance.randrange(185, 256) for _ in range(3))
    if number >> (_BITS - 8):
        raise ValueError(f"{number}: a picture has room for {_BITS - 8} bits of a number")
    shown = number << 8 | _check(number)
    bits = [shown >> place & 1 for place in range(_BITS)] * 4
    small = Image.new("RGB", _CELLS)
    small.putdata([light if bit else dark for bit in bits])
    picture = small.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
    for _ in range(60):  # what the coded pixels of no two photos have in common
        at = chance.randrange(WIDTH), chance.randrange(HEIGHT)
        picture.putpixel(at, tuple(max(0, min(255, part + chance.randrange(-30, 31))) for part in picture.getpixel(at)))  # type: ignore[union-attr]
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90, subsampling="4:2:2")
    return out.getvalue()


def _read(picture: bytes) -> int | None:
    try:
        with Image.open(io.BytesIO(picture)) as opened:
            return _pattern(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def _pattern(picture: Image.Image) -> int | None:
    """The number that the picture shows; None where it shows none of ours."""
    tones = picture.convert("L").resize(_CELLS, Image.Resampling.BOX).tobytes()
    bits = [tone > 128 for tone in tones]
    if any(bits[place] != bits[place % _BITS] for place in range(len(bits))):
        return None
    shown = sum(1 << place for place in range(_BITS) if bits[place])
    return shown >> 8 if shown & 0xFF == _check(shown >> 8) else None


def _check(number: int) -> int:
    """So that a picture cut wrongly out of raw pixels is not taken for another one."""
    return (number * 37 + 11) & 0xFF


def _file(attributes: Dataset, pixels: bytes) -> bytes:
    attributes.PixelData = encapsulate([pixels])
    attributes["PixelData"].is_undefined_length = True
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = attributes.SOPClassUID, attributes.SOPInstanceUID
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    attributes.file_meta = meta
    out = io.BytesIO()
    attributes.save_as(out, enforce_file_format=True, little_endian=True, implicit_vr=False)
    return out.getvalue()
