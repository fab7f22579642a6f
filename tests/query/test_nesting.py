"""What is handed to Orthanc is looked at first: it goes down into every sequence, on a stack of 100 KiB."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicom_bridge.query.nesting import MAX_DEPTH, MAX_ELEMENTS, MAX_INFLATED, Nesting, Unfit, refuse_deep

pytestmark = pytest.mark.fast

SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
)


def _nested(depth: int, *, undefined: bool) -> Dataset:
    inner = Dataset()
    inner.CodeValue = "x"
    for _ in range(depth):
        outer = Dataset()
        inner.is_undefined_length_sequence_item = undefined
        outer.ConceptCodeSequence = [inner, Dataset()]
        outer["ConceptCodeSequence"].is_undefined_length = undefined
        inner = outer
    return inner


def made(depth: int = 0, syntax: UID = ExplicitVRLittleEndian, *, undefined: bool = False) -> bytes:
    """An object with pixels; the sequences stand in front of these and behind them."""
    dataset = _nested(depth, undefined=undefined)
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.77.1.4"), UID("2.25.1")
    dataset.PatientID = "P1"
    dataset.BitsAllocated, dataset.PixelRepresentation = 8, 0
    if syntax == JPEGBaseline8Bit:
        dataset.PixelData = encapsulate([b"\xff\xd8 pixels \xff\xd9", b"second"])
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.add_new(0x7FE00010, "OB", b"\xfe\xff\x00\xe0 pixels that look like an item")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    out = io.BytesIO()
    dataset.save_as(
        out,
        enforce_file_format=True,
        little_endian=syntax != ExplicitVRBigEndian,
        implicit_vr=syntax == ImplicitVRLittleEndian,
    )
    return out.getvalue()


@pytest.mark.parametrize("undefined", [False, True], ids=["lengths", "delimiters"])
@pytest.mark.parametrize("syntax", SYNTAXES, ids=[syntax.name for syntax in SYNTAXES])
def test_the_limit_on_depth(syntax: UID, *, undefined: bool) -> None:
    refuse_deep(made(MAX_DEPTH - 1, syntax, undefined=undefined))
    with pytest.raises(Unfit, match="deeper"):
        refuse_deep(made(MAX_DEPTH, syntax, undefined=undefined))


@given(
    depth=st.integers(0, MAX_DEPTH + 3),
    syntax=st.sampled_from(SYNTAXES),
    undefined=st.booleans(),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_pieces_of_any_size_are_looked_at_alike(depth: int, syntax: UID, sizes: list[int], *, undefined: bool) -> None:
    data = made(depth, syntax, undefined=undefined)

    def in_pieces() -> bool:
        looking, at, turn = Nesting(), 0, 0
        try:
            while at < len(data):
                size = sizes[turn % len(sizes)]
                looking.feed(data[at : at + size])
                at, turn = at + size, turn + 1
            looking.close()
        except Unfit:
            return False
        return True

    assert in_pieces() is (depth < MAX_DEPTH)


def _depth(dataset: Dataset) -> int:
    return 1 + max(
        (_depth(item) for element in dataset for item in (element.value if element.VR == "SQ" else ())), default=0
    )


@given(
    depth=st.integers(MAX_DEPTH - 1, MAX_DEPTH + 4),
    undefined=st.booleans(),
    flips=st.lists(st.tuples(st.integers(132, 1500), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_no_damage_hides_a_depth(depth: int, flips: list[tuple[int, int]], *, undefined: bool) -> None:
    """What is let through nests no deeper for another reader either."""
    data = bytearray(made(depth, undefined=undefined))
    for at, by in flips:
        data[at % len(data)] ^= by
    try:
        refuse_deep(bytes(data))
    except Unfit:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = _depth(dcmread(io.BytesIO(bytes(data)), force=True))
        except Exception:  # noqa: BLE001  # pydicom may refuse what it likes
            return
    assert found <= MAX_DEPTH


def test_what_stands_behind_the_pixels_counts() -> None:
    deep = b""
    for _ in range(MAX_DEPTH):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(deep)) + deep
        deep = struct.pack("<HH2sHI", 0x7FE1, 0x1010, b"SQ", 0, len(item)) + item
    refuse_deep(made() + deep[20:])
    with pytest.raises(Unfit, match="deeper"):
        refuse_deep(made() + deep)


def test_a_bare_data_set_in_a_syntax_that_is_told() -> None:
    for depth, fits in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
        file = made(depth, ImplicitVRLittleEndian)
        bare = file[file.index(b"\x08\x00\x16\x00") :]
        if fits:
            refuse_deep(bare, ImplicitVRLittleEndian)
        else:
            with pytest.raises(Unfit, match="deeper"):
                refuse_deep(bare, ImplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cut off"),
        (b"x" * 200, "no DICOM"),
        (made()[:-3], "cut off"),
        (made()[:200], "cut off"),
        (made().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"), "transfer syntax"),
        (made().replace(b"\x08\x00\x16\x00UI", b"\x08\x00\x16\x00ZZ"), "value representation"),
        (made().replace(b"\x08\x00\x16\x00UI", b"\x00\x08\x16\x00UI"), "begin"),
        (made() + b"\xfe\xff\x0d\xe0\0\0\0\0", "damaged"),
        (made() + bytes(20) + b"x", "damaged"),
    ],
)
def test_what_is_no_plain_dicom_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Unfit, match=said):
        refuse_deep(data)


def test_zeros_behind_the_last_element_are_padding() -> None:
    refuse_deep(made() + bytes(37))


def test_a_flood_of_elements_is_refused() -> None:
    element = struct.pack("<HH2sH", 0x0009, 0x1001, b"CS", 0)
    looking = Nesting()
    looking.feed(made())
    with pytest.raises(Unfit, match="elements"):
        looking.feed(element * (MAX_ELEMENTS + 1))


def test_what_inflates_without_end_is_refused() -> None:
    file = made(0, DeflatedExplicitVRLittleEndian)
    head = file[: 144 + int.from_bytes(file[140:144], "little")]
    size = 2 * MAX_INFLATED
    value = struct.pack("<HH2sHI", 0x0008, 0x1001, b"OB", 0, size) + bytes(size)
    squeezing = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    with pytest.raises(Unfit, match="inflates"):
        refuse_deep(head + squeezing.compress(value) + squeezing.flush())
