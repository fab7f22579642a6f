"""Objects of generated inputs, judged by programs that share no code with us: dciodvfy each, dcentvfy all together."""

from __future__ import annotations

import io
import random
import subprocess
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from consent.regions import regions
from consent.types import Laterality
from dicom_bridge.intake import Identifying, Limits, read_photo
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.vocabulary import find_region, terms
from dicom_bridge.objects.write import write_parts
from tests import formats
from tests.counts import count, report
from tests.formats import FORMATS, HEIC_SAMPLES
from tests.headers import header
from tests.photos import Shot, jpeg, picture, srgb_profile, wide_profile

ZONE = ZoneInfo("Europe/Athens")
KEY = b"site key of a test, 32 bytes long"
_SEED = 9_009
_HUGE = ((12_000, 9_000), (65_500, 1), (1, 65_500), (20_001, 333), (8_192, 5_464))


def _size(chance: random.Random, number: int) -> tuple[int, int]:
    if number % 50 == 7:
        return _HUGE[number // 50 % len(_HUGE)]
    return chance.choice(((1, 1), (1, 7), (3, 2), (chance.randrange(1, 700), chance.randrange(1, 700)), (640, 480)))


def _with_header(number: int, size: tuple[int, int], orientation: int) -> bytes:
    _, exif = header(number)
    exif[0x0112] = orientation
    out = io.BytesIO()
    picture(Shot(width=size[0], height=size[1], seed=number)).save(out, "JPEG", exif=exif, quality=90)
    return out.getvalue()


def _input(chance: random.Random, number: int) -> bytes:
    """A file: of any format, size, orientation, colours and header."""
    columns, rows = _size(chance, number)
    orientation = chance.choice((1, 1, 2, 3, 4, 5, 6, 7, 8))
    if number % 50 == 7:  # of plain colour, so that what is huge is also fast
        return formats.saved(Image.new("RGB", (columns, rows), (190, 150, 130)), chance.choice(("JPEG", "PNG")))
    kind = chance.randrange(4)
    if kind == 0:
        return _with_header(number, (columns, rows), orientation)
    if kind == 1:
        shot = Shot(
            width=columns,
            height=rows,
            orientation=orientation,
            subsampling=chance.choice(("4:4:4", "4:2:2", "4:2:0")),
            progressive=chance.random() < 0.3,
            mode=chance.choice(("RGB", "RGB", "L")),
            profile=chance.choice((None, None, srgb_profile(), wide_profile())),
            taken=chance.choice((None, "2026:05:03 10:00:00")),
            seed=number,
        )
        return jpeg(shot)
    if kind == 2 and number % 3 == 0:
        return chance.choice(sorted(HEIC_SAMPLES.glob("heif/RGB_*.heif"))).read_bytes()
    name = chance.choice([name for name in FORMATS if name != "TIFF, JPEG" or min(columns, rows) > 8])
    return FORMATS[name](Shot(width=columns, height=rows, orientation=orientation, seed=number))


def test_no_object_of_any_input_has_an_error(tmp_path: Path) -> None:
    asked = count("objects judged by dciodvfy and dcentvfy", small=24, full=320)
    started, chance = time.monotonic(), random.Random(_SEED)
    patient = PatientModule("P-1", "urn:demo", "Δήμου^Άννα", datetime(1984, 3, 12, tzinfo=ZONE).date(), "F")
    visit = VisitModule(uids.study_instance_uid(KEY, "v1"), datetime(2026, 5, 3, 10, tzinfo=ZONE), study_id="1")
    views, expressions, places = terms("view"), (None, *terms("expression")), list(regions())
    errors: list[str] = []
    made: list[Path] = []
    for number in range(asked):
        data = _input(chance, number)
        kept = tuple(each for each in Identifying if chance.random() < 0.2)
        photo = read_photo(data, Limits(), ZONE, kept)
        region, view, expression = chance.choice(places), chance.choice(views), chance.choice(expressions)
        side = chance.choice((Laterality.LEFT, Laterality.RIGHT)) if region.paired else Laterality.BOTH
        seen = uids.SeriesView(region.name, side.value, view.name, expression.name if expression else None)
        wrapped = wrap(
            photo,
            patient=patient,
            visit=visit,
            description=PhotoDescription(
                sop_instance_uid=uids.sop_instance_uid(KEY, str(number), photo.sha256),
                series_instance_uid=uids.series_instance_uid(KEY, "v1", seen),
                region=region,
                laterality=side,
                view=view,
                expression=expression,
                session=chance.choice((None, 3)),
                days_since_baseline=chance.choice((None, 30.0)),
                taken=photo.camera.taken_local,
                instance_number=number + 1,
            ),
        )
        file = tmp_path / f"{number}.dcm"
        write_parts(file, wrapped.parts)
        made.append(file)
        done = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True, check=False, errors="replace")
        assert "VLPhotographicImage" in done.stderr
        errors += [f"{number}: {line}" for line in done.stderr.splitlines() if line.startswith("Error")]
        if file.stat().st_size > 2**24:
            made.remove(file)
            file.unlink()
    whole = subprocess.run(["dcentvfy", *map(str, made)], capture_output=True, text=True, check=False, errors="replace")
    errors += [line for line in (whole.stdout + whole.stderr).splitlines() if line.startswith("Error")]
    report(
        "objects of generated inputs: errors of dciodvfy and dcentvfy",
        asked=asked,
        run=asked,
        failures=len(errors),
        seed=_SEED,
        started=started,
    )
    assert errors == []


def test_dcentvfy_tells_what_does_not_fit(tmp_path: Path) -> None:
    """The judge of the set must be one that finds something: one study, two patients' names."""
    files = []
    for number, name in enumerate(("Eins^Anna", "Zwei^Anna")):
        photo = read_photo(jpeg(Shot(seed=number)), Limits(), ZONE)
        described = PhotoDescription(
            f"2.25.1{number}", "2.25.2", find_region("face"), Laterality.BOTH, terms("view")[0], instance_number=number
        )
        wrapped = wrap(photo, patient=PatientModule("P", name=name), visit=VisitModule("2.25.3"), description=described)
        files.append(tmp_path / f"{number}.dcm")
        write_parts(files[-1], wrapped.parts)
    done = subprocess.run(["dcentvfy", *map(str, files)], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("size", _HUGE, ids=str)
def test_a_huge_picture_is_taken_in(size: tuple[int, int]) -> None:
    data = formats.saved(Image.new("RGB", size, (190, 150, 130)), "PNG")
    photo = read_photo(data, Limits(), ZONE)
    assert (photo.source.columns, photo.source.rows) == size
