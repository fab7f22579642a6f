"""The tables and scan headers of a JPEG (ITU-T T.81 B.2.3, B.2.4), and how many bits its pixels need at least.

Entropy-coded data is not decoded here. What can be known without decoding is checked: that every table a scan uses was
defined before it, that no scan is shorter than the shortest code allows for its blocks, and that no restart interval is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dicom_bridge.errors import FileRefused

_ALL_COEFFICIENTS = (0, 63, 0)
_MOST_BLOCKS = 10
"""Blocks of an interleaved unit (B.2.3)."""


@dataclass(frozen=True, slots=True)
class Component:
    """One colour component of the frame."""

    identifier: int
    horizontal: int
    """Sampling factor, 1 to 4."""

    vertical: int
    table: int = 0
    """Its quantization table."""


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan's header."""

    components: tuple[Component, ...]
    codes: tuple[tuple[int, int], ...]
    """For each component its DC and AC Huffman table."""

    band: tuple[int, int, int]
    """First and last coefficient, successive approximation."""


@dataclass(slots=True)
class Tables:
    """What DQT, DHT and DRI have defined so far."""

    quantization: dict[int, int] = field(default_factory=dict)
    """Number of the table -> bytes of a value, 1 or 2."""

    shortest: dict[tuple[int, int], int] = field(default_factory=dict)
    """Class (0 DC, 1 AC) and number of a Huffman table -> bits of its shortest code."""

    interval: int = 0
    """Restart interval in units; 0: none."""

    def quantize(self, body: bytes) -> None:
        """Read DQT (B.2.4.1)."""
        at = 0
        while at < len(body):
            size, number = (body[at] >> 4) + 1, body[at] & 15
            at += 1 + 64 * size
            if size > 2 or number > 3 or at > len(body):
                raise FileRefused("segments", "a quantization table is damaged; send the file again")
            self.quantization[number] = size

    def code(self, body: bytes) -> None:
        """Read DHT (B.2.4.2)."""
        at = 0
        while at < len(body):
            kind, number, counts = body[at] >> 4, body[at] & 15, body[at + 1 : at + 17]
            at += 17 + sum(counts)
            if kind > 1 or number > 3 or len(counts) < 16 or not any(counts) or sum(counts) > 256 or at > len(body):
                raise FileRefused("segments", "a Huffman table is damaged; send the file again")
            self.shortest[kind, number] = next(length for length, count in enumerate(counts, 1) if count)

    def restart(self, body: bytes) -> None:
        """Read DRI (B.2.4.4)."""
        if len(body) != 2:
            raise FileRefused("segments", "its restart interval is damaged; send the file again")
        self.interval = int.from_bytes(body, "big")

    def require(self, scan: Scan, *, sequential: bool) -> None:
        """Every table that a scan uses is there, or the file is refused."""
        known = all(component.table in self.quantization for component in scan.components)
        if sequential and known:
            known = all((0, dc) in self.shortest and (1, ac) in self.shortest for dc, ac in scan.codes)
        if not known:
            raise FileRefused("segments", "a table that its picture needs is missing; export it as an ordinary JPEG")

    def least_bits(self, scan: Scan, blocks: tuple[int, ...]) -> int:
        """The fewest bits that a sequential scan of so many blocks can have: a DC and an AC code for each."""
        return sum(
            count * (self.shortest[0, dc] + self.shortest[1, ac])
            for count, (dc, ac) in zip(blocks, scan.codes, strict=True)
        )


def read_scan(body: bytes, frame: tuple[Component, ...], *, sequential: bool) -> Scan:
    """Read SOS (B.2.3).

    Raises
    ------
    FileRefused
        It names a component that the frame does not have, or a band that no decoder reads.
    """
    count = body[0] if body else 0
    if not 1 <= count <= len(frame) or len(body) != 4 + 2 * count:
        raise FileRefused("picture", "the header of a scan is damaged; send the file again")
    known = {component.identifier: component for component in frame}
    named = [body[1 + 2 * place] for place in range(count)]
    if len(set(named)) != count or not known.keys() >= set(named) or len(known) != len(frame):
        raise FileRefused("picture", "a scan names components that its frame does not; send the file again")
    components = tuple(known[identifier] for identifier in named)
    if count > 1 and sum(each.horizontal * each.vertical for each in components) > _MOST_BLOCKS:
        raise FileRefused("picture", "its sampling is of a kind that decoders do not read; export it anew")
    codes = tuple((body[2 + 2 * place] >> 4, body[2 + 2 * place] & 15) for place in range(count))
    band = (body[-3], body[-2], body[-1])
    if sequential and band != _ALL_COEFFICIENTS:
        raise FileRefused("picture", "the header of a scan is damaged; send the file again")
    return Scan(components, codes, band)


def blocks_of(scan: Scan, frame: tuple[Component, ...], rows: int, columns: int) -> tuple[int, tuple[int, ...]]:
    """Units of a scan (A.2), and the blocks of each of its components."""
    widest, highest = max(each.horizontal for each in frame), max(each.vertical for each in frame)
    if len(scan.components) > 1:
        units = _parts(columns, 8 * widest) * _parts(rows, 8 * highest)
        return units, tuple(units * each.horizontal * each.vertical for each in scan.components)
    only = scan.components[0]
    across = _parts(_parts(columns * only.horizontal, widest), 8)
    down = _parts(_parts(rows * only.vertical, highest), 8)
    return across * down, (across * down,)


def _parts(whole: int, size: int) -> int:
    return -(-whole // size)
