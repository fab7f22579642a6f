"""Renditions: sizes, nothing but pixels, watermarks, and a shelf that keeps to its bounds."""

from __future__ import annotations

import io
import threading

import pytest
from PIL import Image, ImageChops, ImageStat
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from dicom_bridge.compare.renditions import NotRendered, Rendition, Shelf, embedded_jpeg, render, shown_picture

pytestmark = pytest.mark.fast


def _jpeg(size: tuple[int, int] = (600, 400)) -> bytes:
    out = io.BytesIO()
    picture = Image.radial_gradient("L").resize(size).convert("RGB")
    picture.save(out, "JPEG", quality=95, comment=b"secret", exif=Image.Exif(), xmp=b"<secret/>")
    return out.getvalue()


@pytest.mark.parametrize(("width", "size"), [(0, (600, 400)), (300, (300, 200)), (5000, (600, 400)), (1, (1, 1))])
def test_a_rendition_is_as_wide_as_asked_and_never_enlarged(width: int, size: tuple[int, int]) -> None:
    made = render(_jpeg(), width=width)
    with Image.open(io.BytesIO(made.jpeg)) as opened:
        assert opened.size == (made.width, made.height) == size
        assert opened.mode == "RGB"


def test_comments_and_xmp_of_the_file_are_left_behind() -> None:
    assert b"secret" in _jpeg()
    assert b"secret" not in render(_jpeg()).jpeg
    assert b"secret" not in render(_jpeg(), width=200).jpeg


def test_a_watermark_is_in_the_pixels() -> None:
    plain, marked = render(_jpeg(), width=400), render(_jpeg(), width=400, watermark="PORTFOLIO")
    with Image.open(io.BytesIO(plain.jpeg)) as first, Image.open(io.BytesIO(marked.jpeg)) as second:
        assert max(ImageStat.Stat(ImageChops.difference(first, second)).mean) > 0.5


@pytest.mark.parametrize("data", [b"", b"no picture", _jpeg()[:200], b"GIF89a\x01\x00\x01\x00\x00\x00\x00"])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(NotRendered):
        render(data)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(NotRendered):
        embedded_jpeg(b"not DICOM" * 40)


def _small(mark: int) -> Rendition:
    return Rendition(bytes([mark]) * 100, 1, 1)


def test_the_shelf_keeps_what_was_used_last_and_no_more_than_it_may() -> None:
    shelf = Shelf(250)
    for number in (1, 2, 1, 3):
        shelf.get(str(number), "v", 320, "", lambda number=number: _small(number))  # type: ignore[misc]
    made: list[str] = []
    for number in (1, 3, 2):
        shelf.get(str(number), "v", 320, "", lambda number=number: made.append(str(number)) or _small(number))  # type: ignore[misc,func-returns-value]
    assert made == ["2"]


def test_what_nobody_was_shown_for_long_is_forgotten() -> None:
    now = [0.0]
    shelf = Shelf(most_seconds=600, clock=lambda: now[-1])
    shelf.get("a", "v", 320, "", lambda: _small(1))
    shelf.get("b", "v", 320, "", lambda: _small(2))
    now.append(500.0)
    assert shelf.get("a", "v", 320, "", lambda: _small(3)) == _small(1)
    now.append(700.0)
    assert shelf.get("b", "v", 320, "", lambda: _small(4)) == _small(4)
    assert shelf.get("a", "v", 320, "", lambda: _small(5)) == _small(1)


def test_another_version_size_or_mark_is_another_rendition() -> None:
    shelf = Shelf()
    first = shelf.get("a", "v", 320, "", lambda: _small(1))
    for key in (("a", "w", 320, ""), ("a", "v", 640, ""), ("a", "v", 320, "WEB"), ("b", "v", 320, "")):
        assert shelf.get(*key, lambda: _small(2)) != first
    shelf.drop("a")
    assert shelf.get("a", "v", 320, "", lambda: _small(3)) == _small(3)


def test_two_who_ask_at_once_make_it_once() -> None:
    shelf, made = Shelf(), []
    gate = threading.Barrier(2)

    def make() -> Rendition:
        made.append(1)
        return _small(1)

    def ask() -> None:
        gate.wait(5)
        shelf.get("a", "v", 320, "", make)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert made == [1]


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(b"\x28\x00\x10\x00US\x01\x00\x04", id="a number of one byte"),
        pytest.param(b"\x28\x00\x10\x00FD\x08\x00\x00\x00\x00\x00\x00\x00\xf0\x7f", id="a number without end"),
    ],
)
def test_what_is_odd_is_not_rendered_and_nothing_worse(odd: bytes) -> None:
    rows = b"\x28\x00\x10\x00US\x02\x00\x04\x00"
    plain = _plain(4, 4)
    assert plain.count(rows) == 1
    assert shown_picture(plain) is not None
    with pytest.raises(NotRendered):
        shown_picture(plain.replace(rows, odd))


@pytest.mark.filterwarnings("ignore:Invalid value for VR IS")
@pytest.mark.parametrize("frames", [b"\x02\x00x ", b"\x04\x001\\1 "], ids=["no number", "two numbers"])
def test_a_number_of_frames_that_is_odd_is_nothing_worse_either(frames: bytes) -> None:
    made = dcmread(io.BytesIO(_plain(4, 4)))
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.NumberOfFrames, made.PixelData = 1, encapsulate([_jpeg()])
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    element = b"\x28\x00\x08\x00IS"
    assert embedded_jpeg(out.getvalue()) is not None
    odd = out.getvalue().replace(element + b"\x02\x001 ", element + frames)
    assert odd != out.getvalue()
    with pytest.raises(NotRendered):
        shown_picture(odd)


def _plain(rows: int, columns: int) -> bytes:
    """A colour photo that is not compressed, of somebody else."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.3"
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PlanarConfiguration = 3, "RGB", 0
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored = rows, columns, 8, 8
    made.HighBit, made.PixelRepresentation, made.PixelData = 7, 0, bytes(3 * rows * columns)
    out = io.BytesIO()
    made.save_as(out, enforce_file_format=True)
    return out.getvalue()
