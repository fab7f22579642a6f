"""QIDO, C-FIND, FHIR and the workspace give the same photos, on generated clinics and questions.

What is expected is told by two models that share no code with the product: one of the decision (:mod:`tests.judges`),
one of attribute matching (:mod:`tests.doors.standard`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import Engine

from consent.audit.chain import open_chain
from consent.identity import accounts
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.engine import transaction
from consent.types import Request
from dicom_bridge.query.dictionary import Level
from dicom_bridge.query.identifier import Root
from fhir_mapping.api.node import Node
from fhir_mapping.store.record import RecordStore
from orthanc_plugin.workspace.stored import StoredRecord
from tests import counts
from tests.archive import Archive
from tests.database import fresh
from tests.doors import questions
from tests.doors.doors import Doors, of_documents, region_of, uids
from tests.doors.standard import matches
from tests.doors.world import ACCOUNTS, AREAS, BASE, NOW, SNOMED, World
from tests.judges import worlds as build
from tests.judges.product import Product
from tests.ports import free_port
from tests.store.world import clear

NAME = "QIDO, C-FIND, FHIR and gallery give the same photos"
SMALL, FULL = 200, 10_000
EACH = 20
"""Questions to one clinic."""

SEED = 20_261_125
_ASKING = (("clinician", "TREAT"), ("doctor", "TREAT"), ("anna", "PATRQT"), ("marketing", "PORTFOLIO"))


@pytest.fixture
def site() -> Site:
    return Product({"site": build.site(), "now": NOW.isoformat(), "consents": [], "patients": {}}).site


def open_doors(engine: Engine, site: Site, folder: Path) -> Doors:
    """The doors of a database."""
    chain = open_chain(str(engine.url.render_as_string(hide_password=False)), folder, "node1", "serve")
    point = DecisionPoint(engine, chain, "serve", now=lambda _: NOW)
    record = RecordStore(site, base=BASE)
    node = Node(engine, record, point, chain, lambda _, __: None, BASE, "0", datetime(2026, 6, 1, tzinfo=UTC))
    return Doors(engine, point, node, StoredRecord(engine, point, record))


@contextmanager
def emptied(engine: Engine, site: Site, folder: Path) -> Iterator[Doors]:
    """The doors of a database that holds no clinic any more."""
    with transaction(engine) as connection:
        clear(connection)
    doors = open_doors(engine, site, folder)
    try:
        yield doors
    finally:
        doors.node.chain.close()


def make_accounts(engine: Engine) -> None:
    with transaction(engine) as connection:
        for name, stated in ACCOUNTS.items():
            confined = stated["confined_to"]
            accounts.create(
                connection,
                name,
                password=f"{name}-demo",
                purposes=stated["purposes"],
                rights=(),
                reference=stated["reference"],
                confined_to=None if confined is None else confined[0],
                own_patient=stated["own_patient"],
            )


class Asking:
    """One clinic, and the same questions to every door."""

    def __init__(self, doors: Doors, world: World, random: Random) -> None:
        self.doors, self.world, self.random = doors, world, random
        judge = world.judge()
        self.account, self.purpose = "", ""
        self.request: Request = doors.request("clinician", "TREAT")
        self._permitted = {
            (account, purpose): {
                shot.sop
                for shot in world.shots
                if judge.answer(build.ask(ACCOUNTS[account], shot.name, purpose)).permit
            }
            for account, purpose in _ASKING
        }

    def ask(self, *, http: bool) -> Iterator[str]:
        """One question to every door that can be asked it; what they say differently of it."""
        self.account, self.purpose = self.random.choice(_ASKING)
        self.request = self.doors.request(self.account, self.purpose)
        kind: Callable[[], tuple[str, dict[str, Any], dict[str, set[str]]]] = self.random.choice(
            [self._patient, self._visit, self._days, self._area, self._by_keys, self._by_keys, self._studies]
        )
        text, asked, answers = kind()
        expected = {shot.sop for shot in self.world.shots if matches(shot.attributes, asked)} & self.permitted
        if http and "QIDO" in answers:
            answers["QIDO over HTTP"] = self.doors.qido_http(self.request, questions.flat(asked))
        for door, found in answers.items():
            # what publishing may show, it shows without identifiers: no door that answers in DICOM or FHIR does that
            right = set() if self.purpose == "PORTFOLIO" and door != "workspace" else expected
            if found != right:
                yield f"{self.account}, {text} {asked}: {door} gives {found - right} too much, not {right - found}"

    @property
    def permitted(self) -> set[str]:
        """What the model of the decision permits."""
        return self._permitted[self.account, self.purpose]

    def _qido(self, asked: dict[str, Any]) -> set[str]:
        return uids(self.doors.qido(self.request, Level.INSTANCE, questions.flat(asked)))

    def _shown(
        self, patient: str | None = None, area: str | None = None, days: tuple[str, str] | None = None
    ) -> set[str]:
        """What the workspace shows: the chart for treatment, the portfolio for publishing."""
        by_number = {shot.number: shot for shot in self.world.shots}
        code = None if area is None else f"{SNOMED}|{AREAS[area]}"
        if self.purpose == "PORTFOLIO":
            photos = self.doors.gallery(self.request, code)
        else:
            photos = self.doors.course(self.request, self.world, patient)
        return {
            by_number[photo.number].sop
            for photo in photos
            if patient in (None, photo.patient)
            and code in (None, photo.area.code)
            and (days is None or (photo.at is not None and days[0] <= f"{photo.at:%Y-%m-%d}" <= days[1]))
        }

    def _patient(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        patient = self.random.choice(list(self.world.patients))
        asked = {"PatientID": f"PID-{patient}"}
        return (
            "of a patient",
            asked,
            {
                "QIDO": self._qido(asked),
                "C-FIND": self.doors.walk(self.request, asked, {}),
                "DocumentReference": of_documents(self.doors.documents(self.request, patient=patient)),
                "ImagingStudy": self.doors.studies(self.request, ("patient", patient)),
                "workspace": self._shown(patient),
            },
        )

    def _visit(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        shot = self.random.choice(self.world.shots)
        asked = {"StudyInstanceUID": shot.attributes["StudyInstanceUID"]}
        by_number = {each.sop: each for each in self.world.shots}
        return (
            "of a visit",
            asked,
            {
                "QIDO": self._qido(asked),
                "C-FIND": self.doors.walk(self.request, asked, {}),
                "DocumentReference": of_documents(
                    self.doors.documents(self.request, encounter=f"Encounter/{shot.visit}")
                ),
                "ImagingStudy": self.doors.studies(self.request, ("encounter", f"Encounter/{shot.visit}")),
                "workspace": {sop for sop in self._shown(shot.patient) if by_number[sop].visit == shot.visit},
            },
        )

    def _days(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        first, last = questions.days(self.world, self.random)
        asked = {"StudyDate": f"{first.replace('-', '')}-{last.replace('-', '')}"}
        return (
            "of some days",
            asked,
            {
                "QIDO": self._qido(asked),
                "C-FIND": self.doors.walk(self.request, asked, {}),
                "ImagingStudy": self.doors.studies(self.request, ("started", f"ge{first}"), ("started", f"le{last}")),
                "workspace": self._shown(days=(first, last)),
            },
        )

    def _area(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        patient, area = self.random.choice(list(self.world.patients)), self.random.choice(list(AREAS))
        region = {"CodeValue": AREAS[area]}
        asked = {"PatientID": f"PID-{patient}", "AnatomicRegionSequence": region}
        documents = self.doors.documents(self.request, patient=patient)
        return (
            "of an area",
            asked,
            {
                "QIDO": self._qido(asked),
                "C-FIND": self.doors.walk(
                    self.request, {"PatientID": f"PID-{patient}"}, {"AnatomicRegionSequence": [region]}
                ),
                "DocumentReference": of_documents([each for each in documents if region_of(each) == AREAS[area]]),
                "workspace": self._shown(patient, area),
            },
        )

    def _by_keys(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        """Any attributes; QIDO and C-FIND alone have them."""
        above = questions.keys(self.world, self.random, questions.AT_STUDY, 2)
        below = questions.keys(self.world, self.random, questions.BELOW, 2)
        images = {name: value for name, value in below.items() if name != "SeriesInstanceUID"}
        asked = above | images
        return (
            "by keys",
            asked,
            {"QIDO": self._qido(asked), "C-FIND": self.doors.walk(self.request, above, questions.nested(images))},
        )

    def _studies(self) -> tuple[str, dict[str, Any], dict[str, set[str]]]:
        """Studies by a modality that one of their photos has: all their photos, also of other modalities."""
        modality = self.random.choice(["XC", "DMS", "XC\\DMS", "CT", "D*"])
        studies = {
            shot.attributes["StudyInstanceUID"]
            for shot in self.world.shots
            if matches(shot.attributes, {"Modality": modality})
            and shot.sop in self.permitted
            and self.purpose != "PORTFOLIO"
        }
        asked = {"StudyInstanceUID": "\\".join(sorted(studies)) or "1.2.3"}
        key = {"ModalitiesInStudy": modality}
        return (
            f"with modality {modality}",
            asked,
            {
                "QIDO of instances": uids(self.doors.qido(self.request, Level.INSTANCE, key)),
                "C-FIND": self.doors.walk(self.request, key, {}),
                "C-FIND by patients": self._from_patients(modality),
            },
        )

    def _from_patients(self, modality: str) -> set[str]:
        found: set[str] = set()
        for person in self.doors.dimse(self.request, Root.PATIENT, "PATIENT", PatientID=""):
            key = {"PatientID": person["00100020"]["Value"][0], "ModalitiesInStudy": modality}
            for study in self.doors.dimse(self.request, Root.PATIENT, "STUDY", **key):
                uid = study["0020000D"]["Value"][0]
                found |= self.doors.walk(self.request, {"StudyInstanceUID": uid}, {})
        return found


def _run(
    worlds: Callable[[int], AbstractContextManager[Doors]], site: Site, asked: int, *, http: bool = False
) -> Iterator[list[str]]:
    """For each question what the doors said differently of it.

    Parameters
    ----------
    worlds
        The doors, opened for the clinic of a seed. What they remember of the one before would be right by chance: its
        patients have the same names, and may have the same versions.
    """
    for seed in range(SEED, SEED + asked // EACH):
        world = World.draw(seed)
        with worlds(seed) as doors:
            with transaction(doors.engine) as connection:
                world.save(connection, doors.node.record, site)
            asking = Asking(doors, world, world.random)
            for number in range(EACH):
                yield [f"seed {seed}: {fault}" for fault in asking.ask(http=http and number % 5 == 0)]


def test_every_door_gives_the_same_photos(engine: Engine, site: Site, tmp_path: Path) -> None:
    started = time.monotonic()
    name = f"{NAME}, {engine.dialect.name}"
    make_accounts(engine)

    asked = counts.count(name, small=SMALL // 2, full=FULL // 2)
    answers = list(_run(lambda _: emptied(engine, site, tmp_path / "audit"), site, asked))
    faults = [fault for each in answers for fault in each]
    failures = sum(bool(each) for each in answers)
    counts.report(name, asked=asked, run=len(answers), failures=failures, seed=SEED, started=started)
    assert not faults, "\n".join(faults[:10])


@pytest.mark.orthanc
def test_orthanc_and_the_wall_give_them_too(site: Site, tmp_path: Path) -> None:
    """QIDO over HTTP, beside the others, from the same database."""
    started = time.monotonic()
    name = f"{NAME}, also through Orthanc"
    asked = counts.count(name, small=EACH, full=10 * EACH)

    @contextmanager
    def opened(seed: int) -> Iterator[Doors]:
        with Archive(tmp_path / str(seed), free_port(), site=site) as archive:
            make_accounts(archive.engine)
            doors = open_doors(archive.engine, site, tmp_path / str(seed) / "beside")

            def http(path: str, account: str, purpose: str) -> Any:
                answer = archive.ask(path, account, purpose)
                assert answer.status == 200, (path, answer)
                return answer.json()

            doors.http = http
            try:
                yield doors
            finally:
                doors.node.chain.close()

    answers = list(_run(opened, site, asked, http=True))
    faults = [fault for each in answers for fault in each]
    failures = sum(bool(each) for each in answers)
    counts.report(name, asked=asked, run=len(answers), failures=failures, seed=SEED, started=started)
    assert not faults, "\n".join(faults[:10])


def _whole(keyword: str, value: str) -> list[str]:
    return [value]


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        ("dicom_bridge.query.matching.date_range", lambda keyword, value: (value[:8], value[:8])),
        ("dicom_bridge.query.matching.name_patterns", _whole),
        ("dicom_bridge.query.matching.choices", _whole),
        ("consent.live.granted", lambda *_: ()),
    ],
)
def test_a_mistake_is_noticed(
    place: str, instead: Callable[..., Any], site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = fresh(f"sqlite:///{tmp_path}/photospine.sqlite3", site)
    make_accounts(engine)
    monkeypatch.setattr(place, instead)
    noticed = any(_run(lambda _: emptied(engine, site, tmp_path / "audit"), site, 5 * EACH))
    engine.dispose()
    assert noticed
