"""A chart of 24 patches in twelve encodings: what Orthanc renders and the workspace shows, held against the source."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable

import pytest
from PIL import Image, ImageStat

from consent.store.engine import glancing
from dicom_bridge import ledger
from dicom_bridge.compare.renditions import embedded_jpeg, render
from dicom_bridge.intake.profiles import adobe_rgb
from orthanc_plugin.assembly.intake import open_archive
from tests.colours import apart, lab, xyz
from tests.counts import report
from tests.formats import png16_of, saved
from tests.photos import wide_profile
from tests.pipeline.commands import ingest
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]

Rgb = tuple[int, ...]

CHART: tuple[Rgb, ...] = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    *((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    *((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (60, 133, 161)),
    *((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""sRGB numbers, near those of the chart that photographers hold up; all inside sRGB."""

_SIDE = 64
_XYZ_TO_ADOBE = (
    (2.0413690, -0.5649464, -0.3446944),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0134474, -0.1183897, 1.0154096),
)
_XYZ_TO_P3 = (
    (2.4934969, -0.9313836, -0.4027108),
    (-0.8294890, 1.7626641, 0.0236247),
    (0.0358458, -0.0761724, 0.9568845),
)
"""D65, as published with the spaces."""


def _times(matrix: tuple[tuple[float, ...], ...], vector: tuple[float, ...]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _adobe(colour: Rgb) -> Rgb:
    return tuple(round(255 * max(0.0, value) ** (1 / 2.19921875)) for value in _times(_XYZ_TO_ADOBE, xyz(colour)))


def _p3(colour: Rgb) -> Rgb:
    linear = [max(0.0, value) for value in _times(_XYZ_TO_P3, xyz(colour))]
    return tuple(round(255 * (12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055)) for v in linear)


def _grey(colour: Rgb) -> Rgb:
    return (round(0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]),) * 3


def _chart(into: Callable[[Rgb], Rgb] = lambda colour: colour) -> Image.Image:
    made = Image.new("RGB", (6 * _SIDE, 4 * _SIDE))
    for place, colour in enumerate(CHART):
        red, green, blue = into(colour)
        left, top = place % 6 * _SIDE, place // 6 * _SIDE
        made.paste((red, green, blue), (left, top, left + _SIDE, top + _SIDE))
    return made


def _by_name() -> bytes:
    exif = Image.Exif()
    detail = exif.get_ifd(0x8769)
    detail[0xA001], detail[0xA005] = 65535, {1: "R03"}
    return saved(_chart(_adobe), "JPEG", quality=95, subsampling=0, exif=exif)


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 3
    return saved(_chart().rotate(180), "JPEG", quality=95, subsampling=0, exif=exif)


ENCODINGS: dict[str, tuple[Callable[[], bytes], str]] = {
    "JPEG 4:4:4": (lambda: saved(_chart(), "JPEG", quality=95, subsampling=0), ".jpg"),
    "JPEG 4:2:0": (lambda: saved(_chart(), "JPEG", quality=92, subsampling=2), ".jpg"),
    "progressive": (lambda: saved(_chart(), "JPEG", quality=95, subsampling=0, progressive=True), ".jpg"),
    "Adobe RGB": (lambda: saved(_chart(_adobe), "JPEG", quality=95, subsampling=0, icc_profile=adobe_rgb()), ".jpg"),
    "Adobe RGB by name": (_by_name, ".jpg"),
    "Display P3": (lambda: saved(_chart(_p3), "JPEG", quality=95, subsampling=0, icc_profile=wide_profile()), ".jpg"),
    "grey": (lambda: saved(_chart(_grey).convert("L"), "JPEG", quality=95), ".jpg"),
    "turned": (_turned, ".jpg"),
    "PNG": (lambda: saved(_chart(), "PNG"), ".png"),
    "PNG of 16 bits": (lambda: png16_of(_chart()), ".png"),
    "TIFF": (lambda: saved(_chart(), "TIFF", compression="tiff_lzw"), ".tif"),
    "WebP": (lambda: saved(_chart(), "WEBP", quality=95), ".webp"),
}


def _patches(picture: Image.Image) -> list[tuple[float, ...]]:
    """The mean of each patch's middle."""
    across, down = picture.width / 6, picture.height / 4
    middles = []
    for place in range(24):
        x, y = (place % 6 + 0.5) * across, (place // 6 + 0.5) * down
        box = (round(x - across / 4), round(y - down / 4), round(x + across / 4), round(y + down / 4))
        middles.append(tuple(ImageStat.Stat(picture.crop(box)).mean))
    return middles


def test_the_colours_of_a_chart_are_those_of_its_file_wherever_it_is_shown(world: World) -> None:
    started = time.monotonic()
    visit = world.visit(sent={f"{number}{end}": make() for number, (make, end) in enumerate(ENCODINGS.values())})
    said = json.loads(ingest(world, visit, "--json").stdout)
    found: dict[str, dict[str, list[float]]] = {}
    with world.node() as node, open_archive(node) as archive:
        for name, each in zip(ENCODINGS, said, strict=True):
            with glancing(world.engine) as connection:
                entry = ledger.entry(connection, each["sop_uid"])
            assert entry is not None
            by_orthanc = world.archive.ask(f"/instances/{entry.orthanc_id}/rendered", "clinician", "TREAT").body
            stored = embedded_jpeg(archive.file("test", entry.orthanc_id) or b"")
            assert stored is not None
            shown = {
                "Orthanc": by_orthanc,
                "workspace": render(stored).jpeg,
                "workspace, small": render(stored, width=240).jpeg,
            }
            target = [lab(_grey(colour) if name == "grey" else colour) for colour in CHART]
            for where, data in shown.items():
                patches = _patches(Image.open(io.BytesIO(data)).convert("RGB"))
                found.setdefault(where, {})[name] = [
                    apart(lab(patch), colour) for patch, colour in zip(patches, target, strict=True)
                ]
    for where, encodings in found.items():
        everything = [value for values in encodings.values() for value in values]
        mean, most = sum(everything) / len(everything), max(everything)
        wrong = [name for name, values in encodings.items() if max(values) > 2 or sum(values) / 24 > 0.5]
        report(
            f"colours of a chart, {where}",
            asked=24 * len(ENCODINGS),
            run=len(everything),
            failures=len(wrong),
            started=started,
            measured=f"CIEDE2000 mean {mean:.2f}, at most {most:.2f}",
        )
        worst = {name: (sum(values) / 24, max(values)) for name, values in encodings.items()}
        assert not wrong, (where, worst)


def test_what_lies_outside_srgb_is_clipped_and_told(world: World) -> None:
    green = Image.new("RGB", (64, 64), (0, 255, 0))
    green.paste((128, 128, 128), (0, 0, 64, 32))
    data = saved(green, "JPEG", quality=95, subsampling=0, icc_profile=adobe_rgb())
    inside = saved(_chart(_adobe), "JPEG", quality=93, subsampling=0, icc_profile=adobe_rgb())
    visit = world.visit(sent={"outside.jpg": data, "inside.jpg": inside})
    result = ingest(world, visit, "--json")
    outside, within = json.loads(result.stdout)
    assert "converted to sRGB (clipped: 50.0% of the pixels are outside sRGB)" in outside["derivation"]
    assert "clipped" not in within["derivation"]


def test_the_measure_is_that_of_the_published_pairs() -> None:
    # Sharma, Wu and Dalal 2005, Table 1: pairs 1, 7, 13, 17, 20 and 25
    pairs = (
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    )
    for one, other, expected in pairs:
        assert apart(one, other) == pytest.approx(expected, abs=1e-4)
