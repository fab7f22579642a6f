"""Every door of two nodes, asked for one photo by somebody of the care team."""

from __future__ import annotations

from tests.withdrawal.nodes import PATIENT, READERS, Two


def doors(both: Two) -> list[tuple[str, bool]]:
    """Whether each door of each node shows the first photo."""
    photo, reader = both.photos[0], READERS[4]
    found = []
    for node in both.nodes:
        study = f"/dicom-web/studies/{photo.study}"
        for path in (f"{photo.rest}/file", f"{photo.rest}/tags", photo.wado, f"{photo.wado}/metadata", study):
            answer = node.archive.ask(path, reader)
            assert answer.status in (200, 403, 404), path
            found.append((f"{node.name} {path}", photo.sop.encode() in answer.everything or _is_jpeg(answer.body)))
        for path in (f"/dicom-web/studies?StudyInstanceUID={photo.study}", "/instances?expand", "/studies"):
            answer = node.archive.ask(path, reader)
            assert answer.status == 200, path
            found.append((f"{node.name} {path}", photo.study.encode() in answer.body or len(answer.body) > 40))
        key = str(photo.facts.document).rpartition("/")[2]
        for path in (f"/chart/photo/{key}?width=320", f"/chart/patient/{PATIENT}"):
            page = node.page(path)
            assert page.status_code in (200, 404), path
            found.append((f"{node.name} {path}", _is_jpeg(page.content) or f"/photo/{key}".encode() in page.content))
    return found


def _is_jpeg(body: bytes) -> bool:
    return body.startswith(b"\xff\xd8") or b"\xff\xd8\xff" in body


def shown(both: Two) -> None:
    """Every door of both nodes shows it."""
    assert [door for door, seen in doors(both) if not seen] == []


def refused(both: Two) -> None:
    """None does."""
    assert [door for door, seen in doors(both) if seen] == []
