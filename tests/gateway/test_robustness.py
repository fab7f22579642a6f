"""What peers may do wrong: the gateway refuses, goes on for all others, and says nothing of what was sent."""

from __future__ import annotations

import io
import random
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import encode

from tests.counts import count, report
from tests.gateway.peers import STUDY_FIND, STUDY_MOVE, Pause, receiver, statuses
from tests.gateway.world import TITLE, Gate, gate, identifier

pytestmark = pytest.mark.orthanc

ECHO = "1.2.840.10008.1.1"
_FUZZED = count("dimse-identifiers", small=60, full=5_000)


@pytest.fixture(autouse=True)
def _goes_on(door: Gate) -> Iterator[None]:
    """After whatever a test does, a well-behaved peer is served, and the log is silent about what was sent."""
    yield
    door.run("echoscu")
    log = door.log.read_text()
    assert "Traceback" not in log, log
    assert not any(word in log for word in ("PID-", "Family", "2.25.", "SECRET")), log


@contextmanager
def wire(door: Gate, title: str = "VIEWER") -> Iterator[socket.socket]:
    """A connection on which an association for C-ECHO (1) and Study Root FIND (3) stands."""
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as made:
        contexts = b"".join(
            _item(0x20, bytes((number, 0, 0, 0)) + _item(0x30, name) + _item(0x40, b"1.2.840.10008.1.2"))
            for number, name in ((1, ECHO.encode()), (3, STUDY_FIND.encode()))
        )
        user = _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"2.25.1")
        body = struct.pack(">HH", 1, 0) + TITLE.encode().ljust(16) + title.encode().ljust(16) + bytes(32)
        body += _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user)
        made.sendall(struct.pack(">BBL", 1, 0, len(body)) + body)
        assert made.recv(1) == b"\x02"
        made.recv(65536)
        yield made


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(value)) + value


def _p_data(context: int, control: int, data: bytes) -> bytes:
    return struct.pack(">BBLLBB", 4, 0, len(data) + 6, len(data) + 2, context, control) + data


def _ends(made: socket.socket) -> bool:
    """Whether the gateway ends the connection."""
    try:
        while made.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def _find_command() -> bytes:
    command = Dataset()
    command.AffectedSOPClassUID, command.CommandField, command.MessageID = STUDY_FIND, 0x0020, 1
    command.Priority, command.CommandDataSetType = 0, 1
    body = encode(command, True, True)
    assert body is not None
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def test_noise_before_and_after_the_association(door: Gate) -> None:
    chance = random.Random(7)
    for start in (b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\xff\xff\xff\xff", b"\x04\x00\x00\x00\x00\x01\x00", b"\x01\x00"):
        with socket.create_connection(("127.0.0.1", door.port), timeout=10) as made:
            made.sendall(start + chance.randbytes(200))
            made.shutdown(socket.SHUT_WR)
            assert _ends(made)
    for _ in range(10):
        with wire(door) as made:
            made.sendall(bytes([chance.choice((1, 2, 3, 4, 5, 7, 99))]) + b"\0" + struct.pack(">L", 64))
            made.sendall(chance.randbytes(64))
            made.shutdown(socket.SHUT_WR)
            assert _ends(made)


_STAR = struct.pack("<HHL", 0x0008, 0x0052, 6) + b"STUDY "


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (struct.pack(">BBL", 4, 0, 2**31), "a PDU that is longer than was agreed on"),
        (_p_data(1, 0x03, b"\xff" * 100), "a command that is none"),
        (_p_data(99, 0x03, _find_command()) + _p_data(99, 0x02, b"\0" * 8), "a presentation context that is none"),
        (_p_data(1, 0x03, _find_command()) + _p_data(1, 0x02, b"\0" * 8), "a query by the context of C-ECHO"),
        (_p_data(3, 0x01, b"\0" * 60_000) * 2, "a command without end"),
        (_p_data(3, 0x03, _find_command()) + _p_data(3, 0x00, b"\0" * 60_000) * 6, "an identifier without end"),
        ((_p_data(3, 0x03, _find_command()) + _p_data(3, 0x02, _STAR)) * 40, "requests that wait for no answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_breaks_the_protocol_ends_the_association(door: Gate, data: bytes, why: str) -> None:
    with wire(door) as made:
        try:
            made.sendall(data)
        except ConnectionError:
            return
        assert _ends(made), why


def test_a_deeply_nested_identifier_is_refused(door: Gate) -> None:
    deep = b"\x08\x00\x40\x11\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 3000
    assert _answered(door, deep) == 0xA900
    assert _answered(door, b"\xff" * 64) == 0xA900


def _answered(door: Gate, data: bytes) -> int:
    """The status of a C-FIND whose identifier is these bytes."""
    with door.association(STUDY_FIND) as association:
        (context,) = association.accepted_contexts
        request = C_FIND()
        request.MessageID, request.AffectedSOPClassUID, request.Priority = 1, context.abstract_syntax, 2
        request.Identifier = io.BytesIO(data)
        association._reactor_checkpoint.clear()
        assert context.context_id is not None
        association.dimse.send_msg(request, context.context_id)
        while True:
            _, answer = association.dimse.get_msg(block=True)
            assert answer is not None, "no answer"
            status: Any = getattr(answer, "Status", None)
            if status not in (0xFF00, 0xFF01):
                association._reactor_checkpoint.set()
                return int(status)


def test_identifiers_of_any_kind_are_answered(door: Gate) -> None:
    """One association for many: what cannot be read is refused, and the next is answered all the same."""
    started = time.monotonic()
    keyword = st.sampled_from(
        [
            "PatientName",
            "PatientID",
            "StudyDate",
            "StudyTime",
            "StudyInstanceUID",
            "ModalitiesInStudy",
            "Rows",
            "NotOne",
        ]
    )
    value = st.one_of(
        st.text(alphabet=st.characters(codec="utf-8"), max_size=70),
        st.sampled_from(["*", "?", "[", "%", "\\", "-", '""', "20260501-", "1.2\\3", "'; DROP TABLE photo; --"]),
    )
    level = st.sampled_from(["STUDY", "SERIES", "IMAGE", "PATIENT", "", "x"])
    elements = st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.binary(max_size=40)), max_size=6)
    ran = 0
    with door.association(STUDY_FIND) as association:
        (context,) = association.accepted_contexts
        association._reactor_checkpoint.clear()

        @settings(max_examples=_FUZZED, deadline=None, suppress_health_check=list(HealthCheck))
        @given(level=level, keys=st.dictionaries(keyword, value, max_size=5), odd=elements, explicit=st.booleans())
        def ask(level: str, keys: dict[str, str], odd: list[tuple[int, bytes]], explicit: bool) -> None:
            nonlocal ran
            ran += 1
            data = _raw({"QueryRetrieveLevel": level, **keys}) + b"".join(
                struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(body) + explicit) + body for tag, body in odd
            )
            request = C_FIND()
            request.MessageID, request.AffectedSOPClassUID, request.Priority = 1, context.abstract_syntax, 2
            request.Identifier = io.BytesIO(data)
            assert context.context_id is not None
            association.dimse.send_msg(request, context.context_id)
            while True:
                _, answer = association.dimse.get_msg(block=True)
                assert answer is not None, "the association has ended"
                status: Any = getattr(answer, "Status", None)
                if status not in (0xFF00, 0xFF01):
                    assert status in (0, 0xA900), hex(status)
                    return

        ask()
        association._reactor_checkpoint.set()
    report("dimse-identifiers", asked=_FUZZED, run=ran, failures=0, started=started)


def _raw(keys: dict[str, str]) -> bytes:
    """Elements in Implicit VR Little Endian, whatever their values."""
    made = []
    for keyword, text in keys.items():
        tag = tag_for_keyword(keyword) or 0x00091001
        body = text.encode("utf-8", "replace")
        body += b" " * (len(body) % 2)
        made.append((tag, struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(body)) + body))
    return b"".join(part for _, part in sorted(made))


def test_many_connections_that_say_nothing_are_bounded_and_keep_nobody_else_out(door: Gate) -> None:
    with ExitStack() as open_ones:
        elsewhere = ("127.0.0.2", 0)
        idle = [
            open_ones.enter_context(socket.create_connection(("127.0.0.1", door.port), 20, elsewhere))
            for _ in range(120)
        ]
        assert sum(map(_closed, idle)) >= 120 - (20 + 16)
        door.run("echoscu")


def _closed(made: socket.socket) -> bool:
    made.settimeout(0.05)
    try:
        return made.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_peer_that_reads_nothing_does_not_hold_the_others(door: Gate) -> None:
    photo = door.archive.photo("anna")
    with gate(door.archive, dimse_idle_seconds=2) as impatient:
        pause = Pause(1)
        with receiver(pause) as received:
            impatient.destination("STUCK", "clinician", received.port)
            with impatient.association(STUDY_MOVE) as association:
                wanted = identifier("STUDY", StudyInstanceUID=photo.study)
                started = time.monotonic()
                answers = association.send_c_move(wanted, "STUCK", STUDY_MOVE)
                impatient.run("echoscu")
                last = statuses(answers)[-1]
                assert last[0] in (0xA702, 0xB000)
                assert time.monotonic() - started < 15
            pause.go.set()


def test_an_aborted_caller_leaves_nothing_behind(door: Gate) -> None:
    photo = door.archive.photo("anna")
    pause = Pause(1)
    with receiver(pause) as received:
        door.destination("ABORTED", "clinician", received.port)
        with door.association(STUDY_MOVE) as association:
            wanted = identifier("STUDY", StudyInstanceUID=photo.study)
            association.send_c_move(wanted, "ABORTED", STUDY_MOVE)
            assert pause.reached.wait(20)
            association.abort()
        pause.go.set()
        time.sleep(0.5)
        assert received.sops
