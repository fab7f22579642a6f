"""A chart of 24 patches in twelve encodings: what Orthanc renders and the workspace shows, held against the source."""

from __future__ import annotations

import io
import json
import time

import pi_heif
import pytest
from PIL import Image

from consent.store.engine import glancing
from dicom_bridge import ledger
from dicom_bridge.compare.renditions import embedded_jpeg, render
from dicom_bridge.intake.profiles import adobe_rgb
from orthanc_plugin.assembly.intake import open_archive
from tests.chart import ENCODINGS, adobe, chart, patches, target
from tests.colours import apart, lab
from tests.counts import report
from tests.formats import HEIC_SAMPLES, saved
from tests.pipeline.commands import ingest
from tests.pipeline.world import World

pytestmark = [pytest.mark.orthanc]


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
            for where, data in shown.items():
                seen = patches(Image.open(io.BytesIO(data)).convert("RGB"))
                found.setdefault(where, {})[name] = [
                    apart(lab(patch), colour) for patch, colour in zip(seen, target(name), strict=True)
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


def test_a_picture_of_a_phone_has_the_colours_that_its_decoder_gives(world: World) -> None:
    """HEIC has no encoder here, so its source is what libheif reads of a file by another maker."""
    started = time.monotonic()
    data = (HEIC_SAMPLES / "heif" / "RGB_8__128x128.heif").read_bytes()
    (said,) = json.loads(ingest(world, world.visit(sent={"phone.heic": data}), "--json").stdout)
    with glancing(world.engine) as connection:
        entry = ledger.entry(connection, said["sop_uid"])
    assert entry is not None
    shown = world.archive.ask(f"/instances/{entry.orthanc_id}/rendered", "clinician", "TREAT").body
    source, seen = pi_heif.open_heif(data).to_pillow(), Image.open(io.BytesIO(shown)).convert("RGB")
    assert len(set(patches(source))) == 24
    found = [apart(lab(one), lab(other)) for one, other in zip(patches(source), patches(seen), strict=True)]
    mean, most = sum(found) / 24, max(found)
    report(
        "colours of a HEIC, Orthanc",
        asked=24,
        run=len(found),
        failures=int(most > 2 or mean > 0.5),
        started=started,
        measured=f"CIEDE2000 mean {mean:.2f}, at most {most:.2f}",
    )
    assert most <= 2, found
    assert mean <= 0.5, found


def test_what_lies_outside_srgb_is_clipped_and_told(world: World) -> None:
    green = Image.new("RGB", (64, 64), (0, 255, 0))
    green.paste((128, 128, 128), (0, 0, 64, 32))
    data = saved(green, "JPEG", quality=95, subsampling=0, icc_profile=adobe_rgb())
    inside = saved(chart(adobe), "JPEG", quality=93, subsampling=0, icc_profile=adobe_rgb())
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
