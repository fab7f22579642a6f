"""A ZIP archive made while it is sent: members as they are (``stored``), each with its size and checksum before it.

PKWARE APPNOTE 6.3.9. A member's head tells its size and CRC-32, which is known since a photo is read whole before it
is sent; so no data descriptor is needed, which many programs cannot read after a stored member. What is cut off before
:meth:`ZipStream.end` has no central directory and opens as damaged, never as complete.
"""

from __future__ import annotations

import struct
import zlib

from orthanc_plugin.wall.host import Buffer

_DATE = 0x0021  # 1980-01-01: when a photo was archived is nobody's business, and equal requests give equal bytes
_UTF8 = 0x0800
_PLAIN, _ZIP64 = 20, 45
_FULL32, _FULL16 = 0xFFFFFFFF, 0xFFFF


class ZipStream:
    """One archive. The caller sends what each method gives, in the order of the calls."""

    def __init__(self) -> None:
        self._central: list[bytes] = []
        self._offset = 0

    def member(self, name: str, body: Buffer) -> bytes:
        """The head of a member; ``body`` follows it.

        Raises
        ------
        ValueError
            The member has 4 GiB or more.
        """
        if len(body) >= _FULL32:
            raise ValueError("a member of 4 GiB or more")
        encoded = name.encode()
        flags = 0 if name.isascii() else _UTF8
        crc, size, offset = zlib.crc32(body), len(body), self._offset
        about = struct.pack("<HHHHIIIH", flags, 0, 0, _DATE, crc, size, size, len(encoded))
        head = b"PK\x03\x04" + struct.pack("<H", _PLAIN) + about + b"\0\0" + encoded
        extra = b"" if offset < _FULL32 else struct.pack("<HHQ", 1, 8, offset)
        version = _ZIP64 if extra else _PLAIN
        self._central.append(
            b"PK\x01\x02"
            + struct.pack("<HH", version, version)
            + about
            + struct.pack("<HHHHII", len(extra), 0, 0, 0, 0, min(offset, _FULL32))
            + encoded
            + extra
        )
        self._offset += len(head) + size
        return head

    def end(self) -> bytes:
        """The central directory: the archive is complete."""
        directory, count, start = b"".join(self._central), len(self._central), self._offset
        large = b""
        if start + len(directory) >= _FULL32 or count >= _FULL16:
            record = struct.pack("<QHHIIQQQQ", 44, _ZIP64, _ZIP64, 0, 0, count, count, len(directory), start)
            locator = struct.pack("<IQI", 0, start + len(directory), 1)
            large = b"PK\x06\x06" + record + b"PK\x06\x07" + locator
        few = min(count, _FULL16)
        last = struct.pack("<HHHHIIH", 0, 0, few, few, min(len(directory), _FULL32), min(start, _FULL32), 0)
        return directory + large + b"PK\x05\x06" + last
