"""Messages on the wire: cut as the peer wants them, whole when put together again; files and data sets."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config, dcmread
from pydicom.dataset import Dataset

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.gateway import status
from dicom_bridge.gateway.datasets import data_set, encoded, part10, read, written
from dicom_bridge.gateway.retrieve import Counts
from dicom_bridge.gateway.syntaxes import COMPRESSED, EXPLICIT, IMPLICIT, PLAIN, accepted_classes, offered
from dicom_bridge.gateway.wire import pdus
from dicom_bridge.query.selection import Selected

pytestmark = pytest.mark.fast

PHOTO = Selected(1, "1.2.3", "1.2.840.10008.5.1.4.1.1.77.1.4", "x")


@given(
    command=st.binary(min_size=1, max_size=300),
    data=st.binary(max_size=3000),
    most=st.one_of(st.just(0), st.integers(8, 700)),
)
def test_a_message_is_cut_as_agreed_and_whole_again(command: bytes, data: bytes, most: int) -> None:
    stream = b"".join(pdus(5, command, memoryview(data), most))
    got: dict[int, list[bytes]] = {1: [], 0: []}
    ended: list[int] = []
    at = 0
    while at < len(stream):
        kind, _, length, item, context, control = struct.unpack_from(">BBLLBB", stream, at)
        assert (kind, context, item) == (4, 5, length - 4)
        assert most == 0 or length <= most
        assert control & 1 not in ended, "nothing comes behind the last fragment"
        got[control & 1].append(stream[at + 12 : at + 6 + length])
        if control & 2:
            ended.append(control & 1)
        at += 6 + length
    assert at == len(stream)
    assert (b"".join(got[1]), b"".join(got[0])) == (command, data)
    assert ended == ([1, 0] if data else [1])


@given(st.binary(max_size=400), st.sampled_from([EXPLICIT, IMPLICIT, *COMPRESSED]))
def test_a_file_holds_the_data_set_as_it_came(data: bytes, syntax: str) -> None:
    file = part10("1.2.3", "1.2.3.4.5", syntax, b"\x08\x00" + data)
    found, kept = data_set(file)
    assert (found, bytes(kept)) == (syntax, b"\x08\x00" + data)


def test_pydicom_reads_the_file() -> None:
    made = Dataset()
    made.PatientID = "x"
    read_back = dcmread(io.BytesIO(part10("1.2.3", "1.2.3.4.5", EXPLICIT, encoded(made, EXPLICIT))))
    assert read_back.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert read_back.PatientID == "x"


@given(st.binary(max_size=300))
def test_what_is_no_file_is_refused(data: bytes) -> None:
    with pytest.raises(ObjectRefused):
        data_set(data)


@pytest.mark.parametrize("syntax", PLAIN)
def test_data_sets_come_and_go_in_utf_8(syntax: str) -> None:
    attributes = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Δήμου^Άννα"}]},
        "00201208": {"vr": "IS", "Value": [3]},
        "00400275": {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["a"]}}]},
    }
    assert read(written(attributes, syntax), syntax) == attributes | {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}


def test_a_key_that_cannot_be_read_is_not_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """An identifier without it would ask for more."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)  # as the gateway has it
    data = struct.pack("<HHL", 0x0020, 0x0013, 4) + b"1-x "
    with pytest.raises(ObjectRefused):
        read(data, IMPLICIT)


@pytest.mark.parametrize(
    ("outcomes", "total", "expected"),
    [
        ([0, 0], 2, status.SUCCESS),
        ([0, 0xA700], 2, status.SOME_FAILED),
        ([0xB007, 0], 2, status.SOME_FAILED),
        ([0x0107], 1, status.SOME_FAILED),
        ([0xC000, 0x0122], 2, status.CANNOT_SEND),
        ([0], 3, status.SOME_FAILED),
        ([], 3, status.CANNOT_SEND),
        ([], 0, status.SUCCESS),
    ],
)
def test_how_an_operation_ends(outcomes: list[int], total: int, expected: int) -> None:
    counts = Counts(total)
    for outcome in outcomes:
        counts.count(PHOTO, outcome)
    assert counts.status == expected
    assert counts.remaining + counts.completed + counts.failed + counts.warned == total


@given(st.sets(st.sampled_from(accepted_classes(others=True)), min_size=1))
def test_an_association_never_offers_more_than_it_can(classes: set[str]) -> None:
    contexts = offered(classes)
    assert len(contexts) <= 127
    plain = [each for each in contexts if EXPLICIT in each.transfer_syntax]
    assert {str(each.abstract_syntax) for each in plain} == classes or len(classes) > 63
