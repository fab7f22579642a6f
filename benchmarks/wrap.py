"""Wrapping a 12-megapixel photo, beside dcmtk's ``img2dcm`` called for each file. One process, one thread, in turns."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from PIL import Image

from consent.types import Laterality
from dicom_bridge.intake import Limits, read_photo
from dicom_bridge.objects import uids
from dicom_bridge.objects.description import PatientModule, PhotoDescription, VisitModule
from dicom_bridge.objects.photo import wrap
from dicom_bridge.objects.vocabulary import find_region, find_view
from dicom_bridge.objects.write import write_parts
from tests import photos

ROUNDS = 20
_ZONE = ZoneInfo("Europe/Athens")
_KEY = bytes(32)


def main() -> int:
    """Print the ratio; 1 where the peer is missing."""
    if shutil.which("img2dcm") is None:
        print("img2dcm (dcmtk) is missing", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [_file(folder, number) for number in range(4)]
        ours, theirs = [], []
        for number in range(ROUNDS):
            file = files[number % len(files)]
            for side, times in ((_ours, ours), (_theirs, theirs)):
                target = folder / f"{number}-{len(times)}-{side.__name__}"  # new files: truncating dirty ones waits
                target.mkdir()
                started = time.perf_counter()
                side(file, target)
                times.append(time.perf_counter() - started)
                shutil.rmtree(target)
        size = statistics.mean(file.stat().st_size for file in files) / 1e6
    fast, slow = statistics.median(ours), statistics.median(theirs)
    print("## Wrapping a photo\n")
    print(f"12 megapixels, {size:.1f} MB, original hashed and kept, EXIF mapped, object written; {ROUNDS} rounds.\n")
    print("| | a photo | a second |\n|---|---:|---:|")
    print(f"| Photospine | {fast * 1e3:.1f} ms | {1 / fast:.0f} |")
    print(f"| dcmtk img2dcm, called per file | {slow * 1e3:.1f} ms | {1 / slow:.0f} |")
    print(f"\n**{slow / fast:.1f} times as many a second** (to reach: 3).")
    return 0


def _file(folder: Path, number: int) -> Path:
    shot = photos.Shot(width=4000, height=3000, seed=number, quality=93)
    data = photos.jpeg(shot)
    noise = Image.frombytes("L", (4000, 3000), random.Random(number).randbytes(12_000_000))
    picture = Image.blend(photos.picture(shot), Image.merge("RGB", (noise, noise, noise)), 0.13)
    exif = Image.open(folder / _save(folder, "exif.jpg", data)).getexif()
    file = folder / f"photo{number}.jpg"
    picture.save(file, "JPEG", quality=90, subsampling="4:2:0", exif=exif)
    return file


def _save(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return name


def _ours(file: Path, folder: Path) -> None:
    data = file.read_bytes()
    photo = read_photo(data, Limits(), _ZONE)
    wrapped = wrap(
        photo,
        patient=PatientModule("p", "urn:x", "Name^Given"),
        visit=VisitModule(uids.study_instance_uid(_KEY, "v"), datetime(2026, 5, 3, tzinfo=_ZONE)),
        description=PhotoDescription(
            uids.sop_instance_uid(_KEY, "p", photo.sha256),
            uids.series_instance_uid(_KEY, "v", uids.SeriesView("face", "B", "frontal")),
            find_region("face"),
            Laterality.BOTH,
            find_view("frontal"),
            taken=photo.camera.taken_local,
            instance_number=1,
        ),
    )
    write_parts(folder / "ours.dcm", wrapped.parts)
    write_parts(folder / "ours.original", (data,))


def _theirs(file: Path, folder: Path) -> None:
    subprocess.run(
        ["img2dcm", "-vlp", str(file), str(folder / "theirs.dcm"), "-k", "PatientID=p", "-k", "Modality=XC"],
        check=True,
        capture_output=True,
    )
    # The peer keeps and hashes nothing; what our side does besides, it is spared.


if __name__ == "__main__":
    raise SystemExit(main())
