"""How deeply a DICOM file nests, seen as its bytes pass, before a careless parser meets them (PS3.5 section 7).

Orthanc's threads have stacks of 100 KiB, and its parser goes down into every sequence: 46 levels end the whole
process, in every version that was measured. So foreign bytes are looked at first, by everything that hands them to
Orthanc. What is no plain DICOM is refused too: two readings of one file must not differ in where a sequence begins.
Bytes are not kept, and nothing is called once more for a deeper level.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum

MAX_DEPTH = 16
"""Data sets within each other, the outermost included."""

MAX_ELEMENTS = 500_000
MAX_INFLATED = 64 * 2**20
"""Bytes of a deflated data set."""

IMPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_EXPLICIT = "1.2.840.10008.1.2.1"
_ENCAPSULATED = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")
_PREFIX, _PREAMBLE = b"DICM", 128
_SYNTAX, _GROUP_LENGTH, _PIXELS = 0x00020010, 0x00020000, 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS"}
    | {b"ST", b"TM", b"UI", b"UL", b"US"}
)
_UNDEFINED = 0xFFFFFFFF
_LONGEST_META = 2**20
_STEP = 2**18
"""Bytes that are looked at at once."""


class Unfit(ValueError):
    """Bytes that are not to be handed to Orthanc: too deep, too many elements, or no plain DICOM."""


class _Kind(Enum):
    DATA_SET = 0
    ITEMS = 1
    FRAGMENTS = 2


@dataclass(frozen=True, slots=True)
class _Coding:
    implicit: bool
    little: bool

    def number(self, data: bytes | bytearray) -> int:
        return int.from_bytes(data, "little" if self.little else "big")

    def tag(self, data: bytes | bytearray) -> int:
        return self.number(data[:2]) << 16 | self.number(data[2:4])


@dataclass(frozen=True, slots=True)
class _Frame:
    """A data set, a sequence or encapsulated pixels that has begun."""

    kind: _Kind
    coding: _Coding
    end: int | None
    """Offset; None: a delimiter ends it."""

    bound: int | None
    """The nearest end around it."""


_PLAIN = _Coding(implicit=False, little=True)
_UNKNOWN = _Coding(implicit=True, little=True)
"""PS3.5 6.2.2 note 2: what UN holds is implicit little endian."""


class Nesting:
    """Looks at one DICOM file as it passes: :meth:`feed` each chunk, then :meth:`close`.

    Both raise :class:`Unfit`, :meth:`feed` before the element that is too deep has ended.
    """

    def __init__(self, syntax: str | None = None) -> None:
        """Begin; ``syntax`` is the Transfer Syntax UID of a bare data set, None a file with meta information."""
        self._kept = bytearray()
        self._at = self._skip = self._elements = 0
        self._frames: list[_Frame] = []
        self._inflating: zlib._Decompress | None = None
        self._inflated = 0
        self._meta_end: int | None = None
        self._syntax: str | None = None
        self._first, self._padding = True, False
        if syntax is not None:
            self._begin(syntax)

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes."""
        if self._inflating is not None:
            self._inflate(chunk)
            return
        passed = min(self._skip, len(chunk)) if not self._kept else 0
        self._skip -= passed
        self._at += passed
        if passed == len(chunk):
            return
        self._kept += memoryview(chunk)[passed:]
        while self._step():
            pass

    def close(self) -> None:
        """The file ends here."""
        if not self._frames or self._skip or (self._inflating is not None and not self._inflating.eof):
            raise Unfit("the object is cut off, or is no DICOM file")
        self._leave()
        if len(self._frames) > 1 or self._first or self._kept.strip(b"\0"):
            raise Unfit("the object is cut off")

    # --- the file meta information (PS3.10 7.1) ---------------------------------------------------------------------

    def _begin(self, syntax: str) -> None:
        syntax = syntax.rstrip("\0 ")
        if syntax not in (IMPLICIT, _EXPLICIT, BIG_ENDIAN, DEFLATED) and not syntax.startswith(_ENCAPSULATED):
            raise Unfit("the object has a transfer syntax that is not known")
        coding = _Coding(syntax == IMPLICIT, syntax != BIG_ENDIAN)
        self._frames = [_Frame(_Kind.DATA_SET, coding, None, None)]
        if syntax == DEFLATED:
            self._inflating = zlib.decompressobj(-zlib.MAX_WBITS)

    def _meta(self) -> bool:
        if self._at == 0:
            if len(self._kept) < _PREAMBLE + len(_PREFIX):
                return False
            if self._kept[_PREAMBLE:][: len(_PREFIX)] != _PREFIX:
                raise Unfit("the object is no DICOM file")
            return self._consume(_PREAMBLE + len(_PREFIX))
        if len(self._kept) < 4:
            return False
        tag = _PLAIN.tag(self._kept)
        if tag >> 16 != 0x0002:
            if self._syntax is None or self._meta_end not in (None, self._at):
                raise Unfit("the object's meta information is damaged")
            rest = bytes(self._kept)
            self._kept.clear()
            self._begin(self._syntax)
            self.feed(rest)
            return False
        if len(self._kept) < 8:
            return False
        _, head, length = self._head(_PLAIN)
        if length > _LONGEST_META:
            raise Unfit("the object's meta information is damaged")
        if head == 0 or len(self._kept) < head + length:
            return False
        value = bytes(self._kept[head : head + length])
        if tag == _GROUP_LENGTH:
            self._meta_end = self._at + head + length + _PLAIN.number(value)
        elif tag == _SYNTAX:
            if self._syntax is not None:
                raise Unfit("the object has two transfer syntaxes")
            self._syntax = value.decode("ascii", "replace")
        self._count()
        return self._consume(head + length)

    # --- the data set -----------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """One head or one value; False where more bytes are needed."""
        if self._skip:
            return self._pass()
        if not self._frames:
            return self._meta()
        if self._padding:
            if self._kept.strip(b"\0"):
                raise Unfit("the object is damaged")
            self._kept.clear()
            return False
        self._leave()
        frame = self._frames[-1]
        if len(self._kept) < 8:
            return False
        tag = frame.coding.tag(self._kept)
        if frame.kind is not _Kind.DATA_SET:
            return self._item(frame, tag)
        if tag == _ITEM_END and len(self._frames) > 1 and frame.end is None:
            self._frames.pop()
            return self._consume(8)
        if tag == 0 and len(self._frames) == 1:  # zeros behind the last element
            self._padding = True
            return True
        if tag >> 16 == 0xFFFE:
            raise Unfit("the object is damaged")
        return self._element(frame, tag)

    def _element(self, frame: _Frame, tag: int) -> bool:
        vr, head, length = self._head(frame.coding)
        if head == 0:
            return False
        if len(self._frames) == 1:
            # Of a syntax that it does not know a parser guesses the byte order by the first element.
            if self._first and tag >> 16 != 0x0008:
                raise Unfit("the object does not begin with its identification")
            self._first = False
        self._count()
        start = self._at + head
        if length == _UNDEFINED:
            if vr in (b"OB", b"OW") and tag == _PIXELS:
                self._enter(_Kind.FRAGMENTS, frame.coding, None)
            elif vr in (b"SQ", b"UN", b""):
                self._enter(_Kind.ITEMS, _UNKNOWN if vr == b"UN" else frame.coding, None)
            else:
                raise Unfit("the object is damaged")
            return self._consume(head)
        if frame.bound is not None and start + length > frame.bound:
            raise Unfit("the object is damaged")
        if vr == b"" and length >= 8 and tag >> 16 != 0x7FE0:
            # Implicit VR leaves a parser to its dictionary: what could be a sequence is read as one. (What is UN with
            # a length of its own no Orthanc looks into.)
            if len(self._kept) < 12:
                return False
            if frame.coding.tag(self._kept[8:12]) == _ITEM:
                vr = b"SQ"
        if vr == b"SQ":
            self._enter(_Kind.ITEMS, frame.coding, start + length)
        else:
            self._skip = length
        return self._consume(head)

    def _item(self, frame: _Frame, tag: int) -> bool:
        length = frame.coding.number(self._kept[4:8])
        if tag == _SEQUENCE_END and frame.end is None:
            self._frames.pop()
            return self._consume(8)
        if tag != _ITEM:
            raise Unfit("the object is damaged")
        self._count()
        end = None if length == _UNDEFINED else self._at + 8 + length
        if end is not None and frame.bound is not None and end > frame.bound:
            raise Unfit("the object is damaged")
        if frame.kind is _Kind.ITEMS:
            self._enter(_Kind.DATA_SET, frame.coding, end)
            depth = sum(each.kind is _Kind.DATA_SET for each in self._frames)
            if depth > MAX_DEPTH:
                raise Unfit(f"the object nests deeper than {MAX_DEPTH} data sets")
        elif end is None:
            raise Unfit("the object is damaged")
        else:
            self._skip = length
        return self._consume(8)

    def _head(self, coding: _Coding) -> tuple[bytes, int, int]:
        """VR (empty where it is implicit), size of the head (0 where it is not there yet), length of the value."""
        if coding.implicit:
            return b"", 8, coding.number(self._kept[4:8])
        vr = bytes(self._kept[4:6])
        if vr in _LONG:
            return (vr, 12, coding.number(self._kept[8:12])) if len(self._kept) >= 12 else (vr, 0, 0)
        if vr in _SHORT:
            return vr, 8, coding.number(self._kept[6:8])
        raise Unfit("the object has a value representation that is not known")

    # --- the way through --------------------------------------------------------------------------------------------

    def _enter(self, kind: _Kind, coding: _Coding, end: int | None) -> None:
        self._frames.append(_Frame(kind, coding, end, self._frames[-1].bound if end is None else end))

    def _leave(self) -> None:
        """What ends here has ended."""
        while self._frames[-1].end is not None and self._frames[-1].end == self._at:
            self._frames.pop()
        bound = self._frames[-1].bound
        if bound is not None and self._at > bound:
            raise Unfit("the object is damaged")

    def _consume(self, count: int) -> bool:
        del self._kept[:count]
        self._at += count
        return True

    def _pass(self) -> bool:
        count = min(self._skip, len(self._kept))
        self._skip -= count
        self._consume(count)
        return self._skip == 0

    def _count(self) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise Unfit(f"the object has more than {MAX_ELEMENTS} elements")

    def _inflate(self, chunk: bytes) -> None:
        inflating = self._inflating
        assert inflating is not None
        try:
            while chunk:
                data = inflating.decompress(chunk, _STEP)
                chunk = inflating.unconsumed_tail
                self._inflated += len(data)
                if self._inflated > MAX_INFLATED:
                    raise Unfit(f"the object inflates to more than {MAX_INFLATED} bytes")
                self._inflating = None
                try:
                    self.feed(data)
                finally:
                    self._inflating = inflating
        except zlib.error as error:
            raise Unfit("the object is damaged") from error


def refuse_deep(data: bytes, syntax: str | None = None) -> None:
    """Look at a whole file; ``syntax``: it is a bare data set in this transfer syntax, as C-STORE carries it.

    Raises
    ------
    Unfit
        It must not be handed to Orthanc.
    """
    looking = Nesting(syntax)
    for start in range(0, len(data), _STEP):
        looking.feed(data[start : start + _STEP])
    looking.close()
