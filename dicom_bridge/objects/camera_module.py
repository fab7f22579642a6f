"""EXIF in group 0016: VL Photographic Equipment, Acquisition and Geolocation (PS3.3 C.8.12.10 to C.8.12.12; PS3.17
Annex NNNN), written and read back.

Not mapped: orientation, since pixels are upright; white point and chromaticities, of which DICOM holds fewer values
than EXIF; what points at a place in the picture, where the picture was turned. GPS, owner, serial numbers and maker
note are written where the site keeps them.
"""

from __future__ import annotations

import re
from fractions import Fraction

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from dicom_bridge.intake.camera import CameraFacts
from dicom_bridge.intake.identities import Gps, Identities

ExifValue = int | str | bytes | Fraction | tuple[int, ...] | tuple[Fraction, ...]
"""Whole numbers, text, undefined bytes, and fractions where EXIF has rationals."""

_MOST_DENOMINATOR = 2**20

EXIF = (
    (0x829A, "ExposureTimeInSeconds", "exposure_time"),
    (0x829D, "FNumber", "f_number"),
    (0x8822, "ExposureProgram", "exposure_program"),
    (0x8824, "SpectralSensitivity", "spectral_sensitivity"),
    (0x8827, "PhotographicSensitivity", "iso"),
    (0x8830, "SensitivityType", "sensitivity_type"),
    (0x8831, "StandardOutputSensitivity", "standard_output_sensitivity"),
    (0x8832, "RecommendedExposureIndex", "recommended_exposure_index"),
    (0x8833, "ISOSpeed", "iso_speed"),
    (0x9000, "EXIFVersion", "exif_version"),
    (0x9201, "ShutterSpeedValue", "shutter_speed"),
    (0x9202, "ApertureValue", "aperture"),
    (0x9203, "BrightnessValue", "brightness"),
    (0x9204, "ExposureBiasValue", "exposure_bias"),
    (0x9205, "MaxApertureValue", "max_aperture"),
    (0x9206, "SubjectDistance", "subject_distance"),
    (0x9207, "MeteringMode", "metering_mode"),
    (0x9208, "LightSource", "light_source"),
    (0x920A, "FocalLength", "focal_length"),
    (0x9214, "SubjectArea", "subject_area"),
    (0xA20B, "FlashEnergy", "flash_energy"),
    (0xA215, "PhotographicExposureIndex", "exposure_index"),
    (0xA217, "SensingMethod", "sensing_method"),
    (0xA300, "FileSource", "file_source"),
    (0xA301, "SceneType", "scene_type"),
    (0xA401, "CustomRendered", "custom_rendered"),
    (0xA402, "ExposureMode", "exposure_mode"),
    (0xA403, "WhiteBalance", "white_balance"),
    (0xA404, "DigitalZoomRatio", "digital_zoom"),
    (0xA405, "FocalLengthIn35mmFilm", "focal_length_35mm"),
    (0xA406, "SceneCaptureType", "scene_capture_type"),
    (0xA407, "GainControl", "gain_control"),
    (0xA408, "Contrast", "contrast"),
    (0xA409, "Saturation", "saturation"),
    (0xA40A, "Sharpness", "sharpness"),
    (0xA40C, "SubjectDistanceRange", "distance_range"),
    (0xA432, "LensSpecification", "lens_specification"),
    (0xA433, "LensMake", "lens_make"),
    (0xA434, "LensModel", "lens_model"),
)
"""Tag of EXIF, keyword of DICOM, the fact that it holds."""

_PLACED = frozenset({"subject_area"})
_FLASH, _UNDEFINED = 0x9209, frozenset({0xA300, 0xA301, 0x9000})
_MAKE, _MODEL, _SOFTWARE, _TAKEN, _OFFSET, _FRACTION = 0x010F, 0x0110, 0x0131, 0x9003, 0x9011, 0x9291
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(\d\d))?", re.ASCII)

_GPS = (
    (Gps.LATITUDE_REF, "GPSLatitudeRef"),
    (Gps.LATITUDE, "GPSLatitude"),
    (Gps.LONGITUDE_REF, "GPSLongitudeRef"),
    (Gps.LONGITUDE, "GPSLongitude"),
    (Gps.ALTITUDE_REF, "GPSAltitudeRef"),
    (Gps.ALTITUDE, "GPSAltitude"),
    (Gps.SATELLITES, "GPSSatellites"),
    (Gps.STATUS, "GPSStatus"),
    (Gps.MEASURE_MODE, "GPSMeasureMode"),
    (Gps.DOP, "GPSDOP"),
    (Gps.SPEED_REF, "GPSSpeedRef"),
    (Gps.SPEED, "GPSSpeed"),
    (Gps.TRACK_REF, "GPSTrackRef"),
    (Gps.TRACK, "GPSTrack"),
    (Gps.DIRECTION_REF, "GPSImgDirectionRef"),
    (Gps.DIRECTION, "GPSImgDirection"),
    (Gps.DATUM, "GPSMapDatum"),
)
_THREE = ("GPSLatitude", "GPSLongitude")
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}", re.ASCII)


def camera_modules(dataset: Dataset, camera: CameraFacts, identities: Identities) -> None:
    """Write what is known."""
    for _, keyword, name in EXIF:
        value = getattr(camera, name)
        if value is not None and not (name in _PLACED and camera.orientation != 1):
            setattr(dataset, keyword, _element(value))
    if camera.flash is not None:
        # EXIF Flash: bit 0 fired, 1-2 return, 3-4 mode, 5 no flash function, 6 red-eye
        dataset.FlashFiringStatus = camera.flash & 1
        dataset.FlashReturnStatus = camera.flash >> 1 & 3
        dataset.FlashMode = camera.flash >> 3 & 3
        dataset.FlashFunctionPresent = camera.flash >> 5 & 1
        dataset.FlashRedEyeMode = camera.flash >> 6 & 1
    if identities.owner:
        dataset.CameraOwnerName = identities.owner
    if identities.serial:
        dataset.DeviceSerialNumber = identities.serial
    if identities.lens_serial:
        dataset.LensSerialNumber = identities.lens_serial
    if identities.maker_note:
        dataset.MakerNote = identities.maker_note + b"\0" * (len(identities.maker_note) % 2)
    _location(dataset, identities)


def _element(value: object) -> object:
    """DS holds 16 characters."""
    if isinstance(value, tuple):
        return [_element(each) for each in value]
    return format_number_as_ds(value) if isinstance(value, float) else value


def _location(dataset: Dataset, identities: Identities) -> None:
    said = identities.location
    for tag, keyword in _GPS:
        value = said.get(tag)
        if isinstance(value, str):
            if keyword in ("GPSSatellites", "GPSMapDatum") or _CODE.fullmatch(value):
                setattr(dataset, keyword, value)
        elif isinstance(value, tuple) and len(value) == (3 if keyword in _THREE else 1):
            numbers = [_element(float(each)) if keyword != "GPSAltitudeRef" else int(each) for each in value]
            setattr(dataset, keyword, numbers if keyword in _THREE else numbers[0])
    version = said.get(Gps.VERSION)
    if isinstance(version, tuple) and len(version) == 4 and all(isinstance(each, int) for each in version):
        dataset.GPSVersionID = bytes(int(each) for each in version)
    day, clock = said.get(Gps.DATE), said.get(Gps.TIME)
    if isinstance(day, str) and re.fullmatch(r"\d{4}:[01]\d:[0-3]\d", day):
        dataset.GPSDateStamp = day.replace(":", "")
        if isinstance(clock, tuple) and len(clock) == 3 and all(0 <= each < 60 for each in clock) and clock[0] < 24:
            second = f"{clock[2]:09.6f}".removesuffix(".000000")
            dataset.GPSTimeStamp = f"{dataset.GPSDateStamp}{int(clock[0]):02d}{int(clock[1]):02d}{second}+0000"


def exif_of(dataset: Dataset) -> dict[int, ExifValue]:
    """EXIF tags that an object of ours tells, without those of the GPS directory.

    Fractions are the simplest that give the object's decimals, which have at least 13 digits: a camera's own, reduced,
    where its denominator is below a million.
    """
    found: dict[int, ExifValue] = {}
    for tag, keyword, _ in EXIF:
        value = dataset.get(keyword)
        if value is not None and value != "":
            found[tag] = _value(tag, dataset, keyword)
    if "FlashFiringStatus" in dataset:
        found[_FLASH] = (
            int(dataset.FlashFiringStatus)
            | int(dataset.FlashReturnStatus) << 1
            | int(dataset.FlashMode) << 3
            | int(dataset.FlashFunctionPresent) << 5
            | int(dataset.FlashRedEyeMode) << 6
        )
    for tag, keyword in ((_MAKE, "Manufacturer"), (_MODEL, "ManufacturerModelName"), (_SOFTWARE, "SoftwareVersions")):
        if text := str(dataset.get(keyword) or ""):
            found[tag] = text
    found |= _moment(str(dataset.get("AcquisitionDateTime") or ""))
    return found


def _value(tag: int, dataset: Dataset, keyword: str) -> ExifValue:
    element = dataset[keyword]
    values = element.value if element.VM > 1 else [element.value]
    if element.VR == "DS":
        fractions = tuple(_fraction(str(each)) for each in values)
        return fractions if element.VM > 1 else fractions[0]
    if element.VR == "UT":
        return str(element.value).encode("ascii", "replace") if tag in _UNDEFINED else str(element.value)
    numbers = tuple(int(each) for each in values)
    if tag in _UNDEFINED:
        return bytes(numbers)
    return numbers if element.VM > 1 else numbers[0]


def _fraction(text: str) -> Fraction:
    exact = Fraction(text.strip())
    simple = exact.limit_denominator(_MOST_DENOMINATOR)
    return simple if format_number_as_ds(float(simple)) == text.strip() else exact


def _moment(text: str) -> dict[int, ExifValue]:
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        return {}
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    found: dict[int, ExifValue] = {_TAKEN: f"{year}:{month}:{day} {hour}:{minute}:{second}"}
    if fraction and fraction.strip("0"):
        found[_FRACTION] = fraction.rstrip("0")
    if sign:
        found[_OFFSET] = f"{sign}{hours}:{minutes}"
    return found
