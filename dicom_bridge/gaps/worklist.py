"""Modality worklist entries (PS3.4 Annex K): what is to be photographed of whom today, as DICOM JSON.

One entry for each of today's visits and treatment. Its Scheduled Protocol Code Sequence names each photo that is
wanted; a camera that sends one of these codes back in Performed Protocol Code Sequence says what its photo shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dicom_bridge.errors import DescriptionRefused
from dicom_bridge.gaps.arrivals import Arrival, Presence
from dicom_bridge.gaps.gap import Gap, shot_name, time_name
from dicom_bridge.gaps.report import Report
from dicom_bridge.gaps.requests import request_id, shot_code
from dicom_bridge.objects import fitting
from dicom_bridge.objects.vocabulary import OWN_SCHEME
from fhir_mapping.resources.people import PatientFacts, VisitFacts

_LO, _SH = 64, 16


def entries(
    report: Report,
    patients: Mapping[str, PatientFacts],
    visits: Mapping[str, VisitFacts],
    study_uid: Callable[[str, str], str],
    zone: ZoneInfo,
    now: datetime,
) -> Iterator[dict[str, Any]]:
    """The entries, in the order of the report; without those whose identifiers DICOM cannot hold.

    Parameters
    ----------
    patients
        By id; who is not among them is left out.
    visits
        By ``Encounter/…``; an appointment has none.
    study_uid
        The Study Instance UID of a visit, ``Encounter/…`` or ``Appointment/…``, and a patient's id.
    """
    for hers in report.people:
        arrival = hers.arrival
        if arrival is None or hers.patient not in patients:
            continue
        by_protocol: dict[str, list[Gap]] = {}
        for gap in hers.open:
            by_protocol.setdefault(gap.protocol, []).append(gap)
        visit = visits.get(arrival.reference)
        try:  # cut or cleaned, they would name somebody else
            fitting.identifier("PatientID", patients[hers.patient].id)
            fitting.identifier("AccessionNumber", visit.accession_number if visit is not None else "", _SH)
            fitting.identifier("AdmissionID", visit.admission_id if visit is not None else "")
        except DescriptionRefused:
            continue
        for gaps in by_protocol.values():
            yield _entry(
                arrival,
                gaps,
                patients[hers.patient],
                visit,
                study_uid(arrival.reference, hers.patient),
                (arrival.at or now).astimezone(zone),
            )


def _entry(
    arrival: Arrival, gaps: list[Gap], patient: PatientFacts, visit: VisitFacts | None, study: str, at: datetime
) -> dict[str, Any]:
    number = request_id(arrival.reference)
    shots = list(dict.fromkeys(shot for gap in gaps for shot in gap.shots))
    times = ", ".join(dict.fromkeys(time_name(gap.time) for gap in gaps))
    protocol, treatment = gaps[0].protocol, gaps[0].treatment
    codes = [_code(shot_code(protocol, each.name), shot_name(each)) for each in shots]
    said = fitting.text(f"{treatment}, {times}: {len(shots)} photo{'s' if len(shots) != 1 else ''}")[:_LO]
    step = {
        "00080060": _of("CS", "XC"),
        "00400001": _of("AE"),
        "00400002": _of("DA", f"{at:%Y%m%d}"),
        "00400003": _of("TM", f"{at:%H%M%S}"),
        "00400006": _of("PN"),
        "00400007": _of("LO", said),
        "00400008": _of("SQ", *codes),
        "00400009": _of("SH", shot_code(protocol, number)),
        "00400010": _of("SH"),
        "00400011": _of("SH"),
        "00400020": _of("CS", "ARRIVED" if arrival.presence is Presence.HERE else "SCHEDULED"),
    }
    any(gap.until is not None and gap.until <= at.date() for gap in gaps)
    accession = visit.accession_number if visit is not None else ""
    return {
        "00080005": _of("CS", "ISO_IR 192"),
        "00080050": _of("SH", accession or number),
        "00080090": _of("PN"),
        "00081110": _of("SQ"),
        "00081120": _of("SQ"),
        "00100010": _of("PN", *([{"Alphabetic": patient.name}] if patient.name else [])),
        "00100020": _of("LO", patient.id),
        "00100021": _of("LO", *([patient.issuer] if patient.issuer else [])),
        "00100030": _of("DA", *([f"{patient.birth_date:%Y%m%d}"] if patient.birth_date else [])),
        "00100040": _of("CS", *([patient.sex] if patient.sex else [])),
        "00101030": _of("DS"),
        "00102000": _of("LO"),
        "00102110": _of("LO"),
        "001021C0": _of("US"),
        "0020000D": _of("UI", study),
        "00321032": _of("PN"),
        "00321060": _of("LO", fitting.text(f"Photographs: {treatment}")[:_LO]),
        "00321064": _of("SQ", _code(shot_code(protocol, ""), fitting.text(treatment)[:_LO] or protocol)),
        "00380010": _of("LO", *([visit.admission_id] if visit is not None else [])),
        "00380300": _of("LO"),
        "00380500": _of("LO"),
        "00400100": _of("SQ", step),
        "00401001": _of("SH", number),
        "00401003": _of(
            "SH", "HIGH" if any(gap.until is not None and gap.until <= at.date() for gap in gaps) else "ROUTINE"
        ),
        "00401004": _of("LO"),
    }


def _code(value: str, meaning: str) -> dict[str, Any]:
    return {
        "00080100": _of("SH", value),
        "00080102": _of("SH", OWN_SCHEME),
        "00080104": _of("LO", fitting.text(meaning)[:_LO]),
    }


def _of(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def codes_in(items: Iterable[Any]) -> Iterator[str]:
    """The codes of ours in a code sequence's items."""
    for item in items:
        if isinstance(item, Mapping) and _text(item, "00080102") == OWN_SCHEME:
            yield _text(item, "00080100")


def _text(item: Mapping[str, Any], tag: str) -> str:
    values = (item.get(tag) or {}).get("Value") or ()
    return str(values[0]).strip() if values else ""
