"""What Orthanc's answers mean to our own work."""

from __future__ import annotations

import httpx
import pytest

from consent.identity.tickets import TicketKeys, TicketMint
from dicom_bridge.archive import ArchiveUnavailable, ObjectUnreadable, OrthancArchive, file_at_hand

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("status", [200, 403, 404, 500, 400, 429, 502, 503])
def test_one_object_that_cannot_be_given_is_passed_over_and_an_archive_that_is_away_is_not(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([httpx.Response(status, content=b"object"), httpx.Response(200)])  # the file, and what is attached
    monkeypatch.setattr(OrthancArchive, "_ask", lambda *_: next(answers))
    archive = OrthancArchive("http://127.0.0.1:9", TicketMint(TicketKeys((b"k" * 32,)), "node1"))
    if status in (429, 502, 503):
        with pytest.raises(ArchiveUnavailable) as caught:
            file_at_hand(archive, "job", "an-id")
        assert not isinstance(caught.value, ObjectUnreadable)
    else:
        assert file_at_hand(archive, "job", "an-id") == (b"object" if status == 200 else None)


def test_an_archive_that_can_tell_of_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OrthancArchive, "_ask", lambda *_: httpx.Response(500))
    archive = OrthancArchive("http://127.0.0.1:9", TicketMint(TicketKeys((b"k" * 32,)), "node1"))
    with pytest.raises(ArchiveUnavailable):
        file_at_hand(archive, "job", "an-id")
