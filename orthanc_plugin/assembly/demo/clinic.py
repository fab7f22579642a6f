"""The made-up clinic as data: who, what was done, what was photographed. Nothing here touches a file.

All people, lots and devices are invented. Dates lie in the past and are fixed, so that loading it twice is loading it
once; those of one patient alone are about the day of the loading (:mod:`orthanc_plugin.assembly.demo.today`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Europe/Athens")
KNOWN_SINCE = datetime(2025, 11, 20, tzinfo=ZONE)
"""The day that the import's manifest states: from its end on the patients could have known of their photos."""


@dataclass(frozen=True, slots=True)
class Person:
    """A patient who does not exist."""

    key: str
    given: str
    family: str
    gender: str
    born: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product in one lot."""

    key: str
    name: str
    lot: str
    expires: str


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph to be made and taken in."""

    patient: str
    visit: str
    session: int
    region: str
    laterality: str
    view: str
    expression: str | None
    taken: datetime
    marks: str
    """``face`` or a kind of :func:`orthanc_plugin.assembly.demo.pictures.skin`."""

    severity: float
    tone: tuple[int, int, int]
    seed: int
    procedure: str | None

    @property
    def name(self) -> str:
        """A file name that is new for each shot."""
        return f"{self.visit}-{self.region}-{self.laterality}-{self.view}-{self.expression or 'rest'}.jpg"


@dataclass(frozen=True, slots=True)
class View:
    """One photograph of a course's protocol."""

    region: str
    laterality: str
    view: str
    expression: str | None
    marks: str


@dataclass(frozen=True, slots=True)
class Course:
    """A treatment course: sessions at an interval, the same views each time."""

    patient: str
    treatment: str
    title: str
    body_site: str
    start: datetime
    interval: timedelta
    severities: tuple[float, ...]
    """Severity of the finding before each session; one more than there are sessions: the last is the follow-up."""

    views: tuple[View, ...]
    tone: tuple[int, int, int]
    product: Product | None = None
    dose: tuple[float, str] | None = None
    """Value and UCUM unit."""

    settings: tuple[tuple[str, str, float, str], ...] = ()
    """Name, code, value and UCUM unit of each setting of the machine."""

    device: str | None = None


TOXIN = Product("toxin", "Botulinum toxin type A, 100 U", "PS-2407A", "2026-06-30")
TOXIN_OTHER = Product("toxin-2", "Botulinum toxin type A, 100 U", "PS-2409C", "2026-08-31")
NUMBING = Product("lidocaine", "Lidocaine cream 4 %", "LC-1181", "2026-03-31")
PLATELETS = Product("activator", "Calcium chloride activator 10 %", "CA-0712", "2026-01-31")

PEOPLE = (
    Person("anna", "Anna", "Demou", "female", "1984-03-12"),
    Person("maria", "Maria", "Demou", "female", "1990-07-02"),
    Person("eleni", "Eleni", "Paradeigma", "female", "1979-11-23"),
    Person("dimitra", "Dimitra", "Paradeigma", "female", "2001-01-30"),
    Person("katerina", "Katerina", "Dokimou", "female", "1968-05-17"),
    Person("nikos", "Nikos", "Dokimos", "male", "1975-09-08"),
)

_FACE = View("face", "B", "frontal", "smile", "face")
_CHEEK_R = View("cheek", "R", "right-lateral", None, "spots")
_CHEEK_L = View("cheek", "L", "left-lateral", None, "spots")
_LASER = (
    ("Wavelength", "wavelength", 532.0, "nm"),
    ("Fluence", "fluence", 2.4, "J/cm2"),
    ("Spot size", "spot-size", 3.0, "mm"),
    ("Pulse duration", "pulse-duration", 6.0, "ns"),
)


def _day(year: int, month: int, day: int, hour: int = 10) -> datetime:
    return datetime(year, month, day, hour, tzinfo=ZONE)


COURSES = (
    Course(
        "anna",
        "laser-pigment",
        "Laser of facial pigment",
        "face",
        _day(2025, 2, 3),
        timedelta(days=35),
        (1.0, 0.86, 0.7, 0.52, 0.36, 0.22, 0.1),
        (_FACE, _CHEEK_R, _CHEEK_L),
        (214, 170, 144),
        product=NUMBING,
        dose=(2.0, "g"),
        settings=_LASER,
        device="laser",
    ),
    Course(
        "maria",
        "toxin",
        "Botulinum toxin, forehead",
        "forehead",
        _day(2025, 3, 10, 11),
        timedelta(days=120),
        (1.0, 0.55, 0.15),
        (
            View("forehead", "B", "frontal", "brow-raise", "lines"),
            View("forehead", "B", "frontal", None, "lines"),
        ),
        (210, 164, 138),
        product=TOXIN,
        dose=(20.0, "[arb'U]"),
    ),
    Course(
        "eleni",
        "toxin",
        "Botulinum toxin, glabella",
        "glabella",
        _day(2025, 3, 12, 12),
        timedelta(days=130),
        (0.9, 0.2),
        (View("glabella", "B", "frontal", "frown", "lines"),),
        (222, 180, 158),
        product=TOXIN,
        dose=(20.0, "[arb'U]"),
    ),
    Course(
        "dimitra",
        "microneedling",
        "Microneedling of acne scars",
        "cheek",
        _day(2025, 4, 7, 16),
        timedelta(days=42),
        (1.0, 0.7, 0.45, 0.25),
        (
            View("cheek", "R", "right-lateral", None, "scars"),
            View("cheek", "L", "left-lateral", None, "redness"),
        ),
        (198, 150, 122),
        settings=(("Needle length", "needle-length", 1.5, "mm"), ("Passes", "passes", 3.0, "1")),
        device="needling",
    ),
    Course(
        "katerina",
        "laser-pigment",
        "Laser of age spots, hands",
        "hand",
        _day(2025, 5, 19, 9),
        timedelta(days=49),
        (1.0, 0.5, 0.12),
        (View("hand", "L", "frontal", None, "spots"), View("hand", "R", "frontal", None, "spots")),
        (206, 162, 136),
        settings=_LASER,
        device="laser",
    ),
    Course(
        "nikos",
        "platelet-rich-plasma",
        "Platelet-rich plasma, scalp",
        "scalp",
        _day(2025, 2, 20, 17),
        timedelta(days=30),
        (1.0, 0.8, 0.55, 0.35, 0.2),
        (View("scalp", "B", "vertex", None, "hair"),),
        (214, 176, 150),
        product=PLATELETS,
        dose=(0.5, "mL"),
    ),
)


def shots() -> list[Shot]:
    """Every photograph of the clinic, in the order in which they were taken."""
    made = []
    for course in COURSES:
        for number, severity in enumerate(course.severities, start=1):
            treated = number < len(course.severities)
            visit = visit_id(course, number)
            for index, view in enumerate(course.views):
                made.append(
                    Shot(
                        patient=f"demo-{course.patient}",
                        visit=visit,
                        session=number,
                        region=view.region,
                        laterality=view.laterality,
                        view=view.view,
                        expression=view.expression,
                        taken=course.start + course.interval * (number - 1) + timedelta(minutes=4 * index),
                        marks=view.marks,
                        severity=severity,
                        tone=course.tone,
                        seed=_seed(course.patient, view),
                        procedure=procedure_id(course, number) if treated else None,
                    )
                )
    return sorted(made, key=lambda shot: (shot.taken, shot.name))


def visit_id(course: Course, number: int) -> str:
    """Of the Encounter of a course's session, or of its follow-up."""
    return f"demo-{course.patient}-v{number}"


def procedure_id(course: Course, number: int) -> str:
    """Of the Procedure of a course's session."""
    return f"demo-{course.patient}-p{number}"


def _seed(patient: str, view: View) -> int:
    return sum(ord(letter) for letter in patient + view.region + view.laterality)
