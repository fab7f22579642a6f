"""Files of released photos, from Orthanc by one ticket each: the next one is fetched while one is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from consent.identity.tickets import TicketMint
from dicom_bridge.query.selection import Selected

_TIMEOUT = 30.0
_OK = 200


class Files:
    """Fetches files; safe for any number of threads."""

    def __init__(self, address: str, mint: TicketMint, *, most: int) -> None:
        """Name the archive.

        Parameters
        ----------
        address
            Of Orthanc.
        most
            Bytes of the largest file that is fetched.
        """
        parts = urlsplit(address)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._mint, self._most = mint, most

    def fetch(self, photo: Selected) -> bytes | None:
        """The file of one photo that was decided and recorded; None where the archive does not give it."""
        path = f"/instances/{photo.orthanc_id}/file"
        ticket = self._mint.mint_pass("GET", path, sop_uid=photo.sop_uid)
        # Orthanc ends idle connections after a second; a new one costs a fraction of a millisecond.
        connection = HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            connection.request("GET", path, headers={"Authorization": ticket, "Connection": "close"})
            response = connection.getresponse()
            length = response.length
            if response.status != _OK or length is None or length > self._most:
                return None
            body = response.read()
            return body if len(body) == length else None
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def each(self, photos: Sequence[Selected]) -> Iterator[tuple[Selected, bytes | None]]:
        """Every photo with its file, in order. Two files at most are held."""
        with ThreadPoolExecutor(1, "fetch") as ahead:
            coming = ahead.submit(self.fetch, photos[0]) if photos else None
            for place, photo in enumerate(photos):
                assert coming is not None
                file = coming.result()
                if place + 1 < len(photos):
                    coming = ahead.submit(self.fetch, photos[place + 1])
                yield photo, file
