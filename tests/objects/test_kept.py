"""A comparison as DICOM, judged by programs that share no code with us: dciodvfy, dsrdump and dcmpschk."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_bridge.errors import ObjectRefused
from dicom_bridge.objects.anew import MadeObject
from dicom_bridge.objects.description import PatientModule
from dicom_bridge.objects.kept import Area, Named, Shown, presentation, presentation_class, selection
from dicom_bridge.query.classes import COLOUR_PRESENTATION, GREY_PRESENTATION
from tests.objects.test_photo import ANNA, KINDS, VISIT, _wrap

AT = datetime(2026, 5, 3, 12, 30, tzinfo=UTC)
AREA = Area(-3, 2, 4000, 4400)


def _photo(kind: str, study: str, patient: PatientModule = ANNA) -> bytes:
    return _wrap(KINDS[kind], visit=replace(VISIT, study_instance_uid=study), patient=patient)[1].file()


def _seen(photo: bytes, number: int) -> Shown:
    read = dcmread(io.BytesIO(photo))
    named = Named(f"2.25.7{number}", f"2.25.8{number}", number)
    return Shown(
        str(read.StudyInstanceUID), str(read.SeriesInstanceUID), str(read.SOPClassUID), str(read.SOPInstanceUID),
        presentation_class(int(read.SamplesPerPixel)), named,
    )  # fmt: skip


def _errors(folder: Path, made: MadeObject) -> list[str]:
    file = folder / "made.dcm"
    file.write_bytes(made.file)
    done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False)
    return [line for line in done.stderr.splitlines() if line.startswith("Error")]


def _said(folder: Path, program: str, made: MadeObject) -> str:
    file = folder / "asked.dcm"
    file.write_bytes(made.file)
    done = subprocess.run([program, str(file)], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"one pixel"}))  # dciodvfy wants two corners that differ
def test_a_presentation_state_says_which_part_of_a_photo_was_seen(tmp_path: Path, kind: str) -> None:
    photo = _photo(kind, "2.25.1")
    made = presentation(photo, Named("2.25.71", "2.25.81", 1), AREA, "LEFT", AT)
    assert _errors(tmp_path, made) == []
    read, before = dcmread(io.BytesIO(made.file)), dcmread(io.BytesIO(photo))
    assert read.SOPClassUID == (COLOUR_PRESENTATION if before.SamplesPerPixel == 3 else GREY_PRESENTATION)
    assert read.StudyInstanceUID == before.StudyInstanceUID
    assert str(read.PatientName) == str(before.PatientName)
    seen = read.DisplayedAreaSelectionSequence[0]
    assert seen.DisplayedAreaTopLeftHandCorner == [1, min(2, before.Rows)]
    assert seen.DisplayedAreaBottomRightHandCorner == [before.Columns, before.Rows]
    reference = read.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == before.SOPInstanceUID
    if before.SamplesPerPixel == 3:
        assert read.ICCProfile[12:20] == b"scnrRGB "


def test_dcmtk_checks_and_reads_both(tmp_path: Path) -> None:
    # dcmpschk knows no names but such in ASCII, whatever the character set says.
    named = replace(ANNA, name="Demou^Anna")
    photos = [_photo("upright sRGB", f"2.25.{study}", named) for study in (1, 2)]
    shown = [_seen(photo, number) for number, photo in enumerate(photos, 1)]
    state = presentation(photos[0], shown[0].seen, AREA, "LEFT", AT)
    assert "Test passed" in _said(tmp_path, "dcmpschk", state)
    made = _selected(photos, shown)
    told = _said(tmp_path, "dsrdump", made)
    assert "Key Object Selection Document" in told
    assert "Key Object Description" in told
    assert "Comparison: slider" in told
    assert told.count("contains IMAGE") == 2


def _selected(photos: list[bytes], shown: list[Shown]) -> MadeObject:
    mine, other = Named("2.25.91", "2.25.95", 1), Named("2.25.92", "2.25.96", 1)
    return selection(photos[0], mine, shown, [(shown[1].study, other)], "Comparison: slider", AT)


def test_the_document_names_both_photos_as_they_were_seen_wherever_they_are(tmp_path: Path) -> None:
    kind = sorted(KINDS)[0]
    photos = [_photo(kind, "2.25.1"), _photo(kind, "2.25.2")]
    shown = [_seen(photo, number) for number, photo in enumerate(photos, 1)]
    made = _selected(photos, shown)
    assert _errors(tmp_path, made) == []
    read = dcmread(io.BytesIO(made.file))
    images = [item for item in read.ContentSequence if item.ValueType == "IMAGE"]
    assert [item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for item in images] == [each.sop for each in shown]
    states = [item.ReferencedSOPSequence[0].ReferencedSOPSequence[0] for item in images]
    assert [item.ReferencedSOPInstanceUID for item in states] == [each.seen.sop_instance_uid for each in shown]
    assert _named_in(read.CurrentRequestedProcedureEvidenceSequence) == {
        each.study: {each.sop, each.seen.sop_instance_uid} for each in shown
    }
    assert _named_in(read.IdenticalDocumentsSequence) == {"2.25.2": {"2.25.92"}}


def _named_in(studies: list[Dataset]) -> dict[str, set[str]]:
    return {
        study.StudyInstanceUID: {
            item.ReferencedSOPInstanceUID
            for series in study.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        }
        for study in studies
    }


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(ObjectRefused):
        presentation(b"no object", Named("2.25.71", "2.25.81", 1), AREA, "LEFT", AT)
