"""Files that are no JPEG: what is read shows the same picture, what is refused says why, and nothing takes for ever."""

from __future__ import annotations

import io
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pi_heif
import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps, ImageStat

from dicom_bridge.errors import FileRefused
from dicom_bridge.intake import IncomingPhoto, Kind, Limits, decoding, kind_of, read_photo, require_name
from dicom_bridge.intake.picture import Picture
from dicom_bridge.objects.viewing import ViewingCopy, viewing_copy
from tests import colours, formats
from tests.counts import count, report
from tests.formats import FORMATS
from tests.photos import Shot, jpeg, picture, srgb_profile, wide_profile

pytestmark = pytest.mark.fast

ZONE = ZoneInfo("Europe/Athens")
SHOT = Shot(width=120, height=80)


def _read(data: bytes, limits: Limits | None = None) -> tuple[IncomingPhoto, ViewingCopy]:
    photo = read_photo(data, limits or Limits(), ZONE)
    return photo, viewing_copy(photo)


def _shown(copy: ViewingCopy) -> Image.Image:
    return Image.open(io.BytesIO(b"".join(copy.stream))).convert("RGB")


def _apart(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of a sample, in 8-bit steps."""
    assert one.size == other.size
    return float(sum(ImageStat.Stat(ImageChops.difference(one, other)).mean) / 3)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("size", [(120, 80), (61, 93), (1, 1)], ids=str)
def test_every_format_shows_its_picture(name: str, size: tuple[int, int]) -> None:
    shot = Shot(width=size[0], height=size[1])
    data = FORMATS[name](shot)
    photo, copy = _read(data)
    assert photo.data == data
    assert (copy.columns, copy.rows) == size
    assert _apart(_shown(copy), picture(shot)) < (12 if "palette" in name else 4)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "TIFF, LZW", "WebP", "WebP, lossless", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_upright(name: str, orientation: int) -> None:
    shot = Shot(width=120, height=80, orientation=orientation)
    _, copy = _read(FORMATS[name](shot))
    upright = Image.open(io.BytesIO(formats.saved(picture(shot), "PNG", exif=formats.exif(orientation))))
    assert _apart(_shown(copy), ImageOps.exif_transpose(upright).convert("RGB")) < 3


@pytest.mark.parametrize("name", ["PNG", "TIFF", "WebP", "MPO"])
def test_nothing_beside_the_picture_is_in_the_viewing_copy(name: str) -> None:
    data = FORMATS[name](SHOT)
    assert b"Secretname" in data
    assert b"Secretname" not in b"".join(_read(data)[1].stream)


@pytest.mark.parametrize("name", ["PNG", "WebP"])
def test_what_exif_says_is_read_of_every_format(name: str) -> None:
    camera = _read(FORMATS[name](SHOT))[0].camera
    assert (camera.make, camera.iso) == ("Phonemaker", 125)
    assert camera.exposure_time == pytest.approx(1 / 60)


@pytest.mark.parametrize(
    ("name", "methods", "words"),
    [
        ("PNG", ["ISO_10918_1"], "Original lossless PNG decoded, encoded as baseline JPEG"),
        ("PNG of 16 bits", ["ISO_10918_1"], "reduced from 16 to 8 bits"),
        ("TIFF, LZW", ["ISO_10918_1"], "Original lossless TIFF"),
        ("TIFF, JPEG", ["ISO_10918_1", "ISO_10918_1"], "Original lossy TIFF"),
        ("WebP", ["RFC_6386", "ISO_10918_1"], "Original lossy WebP"),
        ("WebP, lossless", ["ISO_10918_1"], "Original lossless WebP"),
    ],
)
def test_the_copy_says_what_was_lost_and_how(name: str, methods: list[str], words: str) -> None:
    _, copy = _read(FORMATS[name](SHOT))
    assert [step.method for step in copy.steps] == methods
    assert copy.derived
    assert words in (copy.derivation or "")
    assert copy.steps[-1].ratio == pytest.approx(120 * 80 * 3 / copy.length)


def test_of_an_mpo_the_first_picture_is_kept_bit_for_bit() -> None:
    data = formats.mpo(SHOT)
    photo, copy = _read(data)
    assert not copy.derived
    assert photo.data == data
    assert copy.length < len(data) / 2


def test_a_wide_png_or_webp_becomes_srgb() -> None:
    for make in (formats.png, formats.tiff, formats.webp):
        wide = _read(make(Shot(profile=wide_profile())))[1]
        assert "converted to sRGB" in (wide.derivation or "")
        assert "converted" not in (_read(make(Shot(profile=srgb_profile())))[1].derivation or "")


def test_what_png_measures_of_its_colours_is_followed() -> None:
    plain = formats.saved(picture(SHOT), "PNG")
    same = formats.png_with(plain, b"gAMA", (45_455).to_bytes(4, "big"))
    linear = formats.png_with(plain, b"gAMA", (100_000).to_bytes(4, "big"))
    assert "converted" not in (_read(same)[1].derivation or "")
    assert "converted" in (_read(linear)[1].derivation or "")
    p3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
    measured = b"".join(round(value * 100_000).to_bytes(4, "big") for value in p3)
    by_measure = _shown(_read(formats.png_with(plain, b"cHRM", measured))[1])
    by_code = _shown(_read(formats.png_with(plain, b"cICP", bytes((12, 13, 0, 1))))[1])
    by_profile = _shown(_read(formats.saved(picture(SHOT), "PNG", icc_profile=wide_profile()))[1])
    assert _apart(by_measure, by_profile) < 1
    assert _apart(by_code, by_profile) < 1
    with pytest.raises(FileRefused, match="HDR"):
        _read(formats.png_with(plain, b"cICP", bytes((9, 16, 0, 1))))


def _pages() -> bytes:
    return formats.saved(picture(SHOT), "TIFF", save_all=True, append_images=[picture(Shot(seed=2))])


def _animated(form: str) -> bytes:
    return formats.saved(picture(SHOT), form, save_all=True, append_images=[picture(Shot(120, 80, seed=2))])


def _see_through(form: str, low: int) -> bytes:
    made = picture(SHOT).convert("RGBA")
    made.putpixel((5, 5), (10, 20, 30, low))
    return formats.saved(made, form, **({"lossless": True, "exact": True} if form == "WEBP" else {}))


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("program.js", "alert(1)")
    return out.getvalue()


def _header(data: bytes, columns: int, rows: int) -> bytes:
    body = columns.to_bytes(4, "big") + rows.to_bytes(4, "big") + data[24:29]
    return data[:8] + formats.png_chunk(b"IHDR", body) + data[33:]


def _commented(text: bytes) -> bytes:
    data = jpeg()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


_PNG = formats.png(SHOT)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "pages": (_pages, "several pages"),
    "an animated WebP": (lambda: _animated("WEBP"), "animated"),
    "an animated PNG": (lambda: _animated("PNG"), "animated"),
    "a PNG one can see through": (lambda: _see_through("PNG", 254), "transparent"),
    "a WebP one can see through": (lambda: _see_through("WEBP", 0), "transparent"),
    "a TIFF one can see through": (lambda: _see_through("TIFF", 0), "transparent"),
    "a colour that means nothing": (
        lambda: formats.saved(picture(SHOT), "PNG", transparency=picture(SHOT).getpixel((3, 3))),
        "transparent",
    ),
    "CMYK": (lambda: formats.saved(picture(Shot(mode="CMYK")), "TIFF"), "CMYK, made for print"),
    "Lab": (lambda: formats.saved(Image.new("LAB", (9, 9)), "TIFF"), "colours"),
    "one bit": (lambda: formats.saved(picture(Shot(mode="1")), "TIFF"), "black and white"),
    "one bit, as PNG": (lambda: formats.saved(picture(Shot(mode="1")), "PNG"), "black and white"),
    "floating point": (lambda: formats.saved(picture(Shot(mode="F")), "TIFF"), "32 bits"),
    "a PNG of too many pixels": (lambda: _header(_PNG, 60_000, 60_000), "max_pixels"),
    "a PNG too long": (lambda: _header(_PNG, 70_000, 1), "65500"),
    "a PNG of no pixels": (lambda: _header(_PNG, 0, 80), "no height"),
    "a PNG that says more than it has": (lambda: _header(_PNG, 8_000, 8_000), "cannot be decoded"),
    "a damaged checksum": (lambda: _PNG[:-20] + b"\0" + _PNG[-19:], "checksum"),
    "a JPEG and a ZIP": (lambda: jpeg() + _zip(), "an archive at once"),
    "a PNG and a ZIP": (lambda: _PNG + _zip(), "an archive at once"),
    "a JPEG and a PDF": (lambda: _commented(b"%PDF-1.4 1 0 obj"), "a PDF document at once"),
    "a JPEG and a page": (lambda: _commented(b"<script>alert(1)</script>"), "a web page or program at once"),
    "a TIFF and a DICOM object": (lambda: b"II*\0" + bytes(124) + b"DICM" + bytes(200), "a DICOM object at once"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_photo_is_refused_with_the_reason(what: str) -> None:
    make, word = REFUSED[what]
    with pytest.raises(FileRefused, match=word):
        _read(make())


def test_a_smaller_copy_beside_the_photo_is_no_second_page() -> None:
    data = bytearray(_pages())
    at = int.from_bytes(data[4:8], "little")
    at += 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    second = int.from_bytes(data[at : at + 4], "little")
    entry = second + 2  # ImageWidth: it becomes NewSubfileType, a reduced picture
    data[entry : entry + 12] = b"\xfe\0\x04\0\x01\0\0\0\x01\0\0\0"
    assert _read(bytes(data))[1].columns == 120


def test_what_phones_append_is_no_other_thing() -> None:
    film = b"\0\0\0\x18ftypmp42" + random.Random(1).randbytes(5000)
    for tail in (b"\0" * 100, film, jpeg(Shot(seed=9)), b"SEFH" + bytes(60) + b"SEFT", b"PK\x05\x06"):
        assert not _read(jpeg() + tail)[1].derived


@pytest.mark.parametrize(
    ("name", "refused"),
    [("a.jpg", True), ("a.PNG", False), ("a", False), ("a.bin", False), ("a.b/c.png", False), ("x.tiff", True)],
)
def test_a_name_that_says_another_format_is_refused(name: str, refused: bool) -> None:
    if not refused:
        require_name(name, Kind.PNG)
        return
    with pytest.raises(FileRefused, match="and it is PNG; give it the name"):
        require_name(name, Kind.PNG)


@pytest.mark.parametrize("name", ["PNG", "TIFF", "TIFF, LZW", "WebP", "WebP, lossless", "PNG of 16 bits"])
def test_a_file_that_is_cut_off_is_refused_wherever_it_ends(name: str) -> None:
    data = FORMATS[name](SHOT)
    for part in range(1, 20):
        with pytest.raises(FileRefused):
            _read(data[: len(data) * part // 20])


def test_damaged_files_are_read_or_refused_in_bounded_time() -> None:
    started, chance = time.monotonic(), random.Random(20_261)
    asked = count("damaged files of other formats", small=40, full=4_000)
    made = [make(SHOT) for name, make in FORMATS.items() if not name.startswith(("JPEG", "MPO"))]
    samples = sorted(formats.HEIC_SAMPLES.glob("heif/*.heif"))
    assert samples, "`make` fetches them"
    made += [sample.read_bytes() for sample in samples]
    slowest, failures = 0.0, 0
    for _ in range(asked):
        data = bytearray(chance.choice(made))
        for _ in range(chance.randrange(1, 9)):
            at, length = chance.randrange(len(data)), chance.randrange(1, 9)
            data[at : at + length] = chance.randbytes(length)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        if chance.random() < 0.7 and data[:4] == b"\x89PNG":
            data = bytearray(_mended(bytes(data)))
        before = time.monotonic()
        try:
            _, copy = _read(bytes(data), Limits(pixels=2_000_000))
            failures += copy.length <= 0
        except FileRefused:
            pass
        slowest = max(slowest, time.monotonic() - before)
    report(
        "damaged files of other formats: read or refused",
        asked=asked,
        run=asked,
        failures=failures,
        seed=20_261,
        started=started,
        measured=f"slowest {slowest:.1f} s",
    )
    assert failures == 0
    assert slowest < 30


def _mended(data: bytes) -> bytes:
    """The file with right checksums, so that the damage reaches the decoder."""
    at, out = 8, data[:8]
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + size > len(data):
            break
        out += formats.png_chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + size])
        at += 12 + size
    return out + data[at:]


def test_a_decoder_that_crashes_takes_nobody_with_it() -> None:
    crashing = formats.HEIC_SAMPLES / "heif_special" / "invalid_metadata_type.heic"
    with pytest.raises(FileRefused, match="cannot be decoded"):
        _read(crashing.read_bytes())


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("heif_other/arrow.heic", (3024, 4032)),
        ("heif_other/cat.hif", (4240, 2832)),
        ("heif_special/xiaomi.heic", (2592, 1944)),
        ("heif_other/nokia/stereo_1200x800.heic", (1200, 800)),
        ("heif/L_10__29x100.heif", (29, 100)),
        ("heif/RGB_12__128x128.heif", (128, 128)),
    ],
)
def test_heic_of_phones_and_cameras_is_read(name: str, size: tuple[int, int]) -> None:
    photo, copy = _read((formats.HEIC_SAMPLES / name).read_bytes())
    assert isinstance(photo.source, Picture)
    assert (copy.columns, copy.rows) == size
    assert copy.steps[0].method == "ISO_23008_2"
    assert "Original lossy HEIC decoded" in (copy.derivation or "")


@pytest.mark.parametrize("name", ["heif_other/arrow.heic", "heif_special/xiaomi.heic", "heif_other/cat.hif"])
def test_the_colours_of_heic_are_those_that_its_library_and_profile_give(name: str) -> None:
    """Wide gamut, sRGB by a profile, and 10 bits by numbers; means of 16 x 12 fields."""
    data = (formats.HEIC_SAMPLES / name).read_bytes()
    source = pi_heif.open_heif(io.BytesIO(data)).to_pillow()
    icc = source.info.get("icc_profile")
    if icc:
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        made = ImageCms.profileToProfile(source, ImageCms.ImageCmsProfile(io.BytesIO(icc)), srgb, outputMode="RGB")
        assert made is not None
        source = made
    fields = [
        list(picture.resize((16, 12), Image.Resampling.BOX).convert("RGB").get_flattened_data())
        for picture in (source, _shown(_read(data)[1]))
    ]
    apart = [colours.apart(colours.lab(one), colours.lab(two)) for one, two in zip(*fields, strict=True)]
    started = time.monotonic()
    mean = sum(apart) / len(apart)
    wrong = int(mean > 0.5 or max(apart) > 2)
    report(
        f"colours of {name}",
        asked=len(apart),
        run=len(apart),
        failures=wrong,
        started=started,
        measured=f"CIEDE2000 mean {mean:.2f}, at most {max(apart):.2f}",
    )
    assert not wrong


def test_heic_tells_its_camera() -> None:
    photo = read_photo((formats.HEIC_SAMPLES / "heif_other/arrow.heic").read_bytes(), Limits(), ZONE)
    assert photo.camera.make == "Apple"
    assert photo.camera.taken is not None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("heif_truncated/truncated.heic", "cut off"),
        ("heif_corrupted/corrupted.heic", "cut off|cannot be decoded"),
        ("heif_corrupted/corrupted.hif", "cut off|cannot be decoded"),
        ("heif_corrupted/empty.heic", "empty"),
        ("heif_special/200MP.heic", "max_pixels"),
        ("heif_other/nokia/bird_burst.heic", "several pictures"),
    ],
)
def test_heic_that_is_no_whole_photo_is_refused(name: str, word: str) -> None:
    with pytest.raises(FileRefused, match=word):
        _read((formats.HEIC_SAMPLES / name).read_bytes())


def test_a_decoder_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    endless = tmp_path / "decoder.py"
    endless.write_text("while True:\n    pass\n", encoding="utf-8")
    monkeypatch.setattr(decoding, "PROGRAM", endless)
    monkeypatch.setattr(decoding, "_SECONDS", 1)
    started = time.monotonic()
    with pytest.raises(FileRefused, match="does not end"):
        _read(FORMATS["PNG"](SHOT))
    assert time.monotonic() - started < 20


def test_a_decoder_that_wants_more_memory_than_its_picture_needs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = formats.saved(Image.new("RGB", (4000, 3000), (190, 150, 130)), "PNG")
    assert _read(data)[1].columns == 4000
    monkeypatch.setattr(decoding, "_MEMORY", 0)
    monkeypatch.setattr(decoding, "_PER_PIXEL", 0)
    with pytest.raises(FileRefused, match="cannot be decoded"):
        _read(data)


def test_where_heic_is_not_installed_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "decoder.py"
    without = "import sys\nsys.modules['pi_heif'] = None\nimport runpy\n"
    bare.write_text(f"{without}runpy.run_path({str(decoding.PROGRAM)!r}, run_name='__main__')\n", encoding="utf-8")
    monkeypatch.setattr(decoding, "PROGRAM", bare)
    with pytest.raises(FileRefused, match=r"photospine\[heic\]"):
        _read((formats.HEIC_SAMPLES / "heif/L_8__29x100.heif").read_bytes())


def test_the_first_bytes_tell_the_format() -> None:
    for name, make in FORMATS.items():
        said = name.replace(",", " ").split()[0].replace("MPO", "JPEG")
        assert kind_of(make(SHOT)) is Kind(said)
