"""A comparison that is kept stands in the archive, and is decided at every door as the photos that it names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from consent.store.engine import glancing, reading
from consent.store.tables import photo, photo_source
from consent.types import Request, Requester, Right
from dicom_bridge.compare.held import Held, Mode
from dicom_bridge.compare.keeping import Half, Keeper, NotKept
from dicom_bridge.compare.kept import KeptComparison, kept
from dicom_bridge.objects.kept import Area
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.query.classes import COLOUR_PRESENTATION, KEY_OBJECT_SELECTION
from fhir_mapping.advisory.photos import _numbers
from fhir_mapping.errors import Forbidden
from fhir_mapping.projections.written import Setting
from fhir_mapping.question.answer import Portion
from fhir_mapping.question.asking import ask
from fhir_mapping.question.question import Question
from orthanc_plugin.assembly.intake import open_archive
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.workspace.stored import CHART_FULFILS
from orthanc_plugin.workspace.stored_kept import StoredKept
from tests.fhir.clinic import consent_of
from tests.links.doors import Doors
from tests.links.world import Links, Row, read

pytestmark = [pytest.mark.orthanc]
CLINICIAN = Request(Requester("clinician", ("TREAT",)), "TREAT")
ROUTE = "/chart/compare/keep"
AREA = Area(1, 1, 30, 40)
SLIDER = Held(Mode.SLIDER)
FILES = ("file", "tags", "wado", "metadata", "archive", "qido", "qido study", "study metadata", "instances", "instance")
"""Doors of Orthanc that show what has no picture."""


def _pair(clinic: Links, patient: str = "anna") -> tuple[Row, Row]:
    rows = []
    for _ in range(2):
        visit = clinic.visit(patient)
        clinic.take(visit)
        rows.append(clinic.one(visit))
    return rows[0], rows[1]


def _keeper(clinic: Links, node: Node) -> Keeper:
    return Keeper(
        node.engine, node.chain, node.point, clinic.store, node.keys.uid, door="serve", public_url="http://clinic"
    )


def _keep(clinic: Links, left: Row, right: Row, held: Held = SLIDER, area: Area = AREA) -> str:
    with clinic.node() as node, open_archive(node) as archive:
        keeper = _keeper(clinic, node)
        halves = [Half(left.sop, area), Half(right.sop, area)]
        return keeper.keep(archive, CLINICIAN, halves, held, ROUTE)


def _kept(clinic: Links, patient: str = "anna") -> list[KeptComparison]:
    with clinic.node() as node, reading(node.engine) as connection:
        return kept(connection, node.point, CLINICIAN, [patient], "/chart/patient/kept", fulfils=CHART_FULFILS)


def _made(clinic: Links, left: Row, right: Row) -> list[Row]:
    """The objects that name one of the two."""
    with glancing(clinic.engine) as connection:
        named = select(photo_source.c.photo).where(photo_source.c.source_uid.in_([left.sop, right.sop]))
        uids = connection.execute(select(photo.c.sop_uid).where(photo.c.photo.in_(named))).scalars().all()
    return [clinic.row(uid) for uid in uids]


def _seen(clinic: Links, row: Row) -> bool:
    doors = clinic.doors(row)
    found = {name: doors[name] for name in FILES}
    assert len(set(found.values())) == 1, found
    return found["file"]


def _total(clinic: Links, patient: str) -> int:
    with clinic.node() as node, reading(node.engine) as connection:
        setting = Setting(clinic.store.site, clinic.store.base)
        question = Question(patient=frozenset({patient}))
        return ask(
            node.point, connection, setting, CLINICIAN, question, Portion(100), route="test", fulfils=CHART_FULFILS
        ).total


def _asked_of_a_batch(clinic: Links, patient: str) -> dict[str, list[int]]:
    with glancing(clinic.engine) as connection:
        return _numbers(connection, {patient: [patient]})


def test_it_is_in_the_archive_as_others_read_it_and_opens_again(clinic: Links, tmp_path: Path) -> None:
    left, right = _pair(clinic)
    total, asked = _total(clinic, "anna"), _asked_of_a_batch(clinic, "anna")
    sop = _keep(clinic, left, right)
    made = _made(clinic, left, right)
    objects = [read(clinic.file_of(each)) for each in made]
    assert sorted(each.SOPClassUID for each in objects) == sorted(
        [COLOUR_PRESENTATION] * 2 + [KEY_OBJECT_SELECTION] * 2
    )
    assert [clinic.faults(clinic.file_of(each), tmp_path) for each in made] == [[]] * 4
    assert {each.study for each in made} == {left.study, right.study}
    assert all(_seen(clinic, each) for each in made)
    (found,) = [each for each in _kept(clinic) if each.id == fhir_id(sop)]
    assert (found.left.photo, found.right.photo) == (fhir_id(left.sop), fhir_id(right.sop))
    assert (found.left.area, found.held) == (AREA, SLIDER)
    # It is no photo: no count, no rendition and no list of photos changes.
    assert (_total(clinic, "anna"), _asked_of_a_batch(clinic, "anna")) == (total, asked)
    answer = clinic.archive.ask(f"/dicom-web/studies/{right.study}/rendered", "clinician")
    assert (answer.status, answer.header("content-type")) == (200, "image/jpeg")
    rows = json.loads(clinic.archive.ask(f"/dicom-web/studies/{right.study}/series", "clinician").body)
    assert {row["00080060"]["Value"][0] for row in rows} >= {"KO", "PR", "XC"}


@pytest.mark.parametrize(
    ("purpose", "rights", "own", "may"),
    [
        ("TREAT", {Right.RECORD}, None, True),
        ("TREAT", {Right.CAPTURE, Right.LINK, Right.CONSENT, Right.STORE, Right.RECONCILE}, None, False),
        ("TREAT", {Right.RECORD}, "anna", False),
        ("PORTFOLIO", {Right.RECORD}, None, False),
        ("PATRQT", set(), "anna", False),
    ],
)
def test_who_writes_the_record_keeps_comparisons_and_nobody_else(
    clinic: Links, purpose: str, rights: set[Right], own: str | None, may: bool
) -> None:
    confined = None if own is None else frozenset({own})
    request = Request(Requester("somebody", (purpose,), frozenset(rights), confined_to=confined), purpose)
    left, right = _pair(clinic)
    halves = [Half(left.sop, AREA), Half(right.sop, AREA)]
    objects = clinic.instances()
    with clinic.node() as node:
        book = StoredKept(node.engine, node.point, _keeper(clinic, node), lambda: open_archive(node))
        assert book.may_keep(request) == may
        if may:
            kept = book.keep(request, halves, SLIDER, ROUTE)
            assert kept in {each.id for each in book.kept(request, "anna", ROUTE)}
        else:
            with pytest.raises(Forbidden):
                book.keep(request, halves, SLIDER, ROUTE)
            assert clinic.instances() == objects


def test_kept_twice_it_is_one(clinic: Links) -> None:
    left, right = _pair(clinic)
    first = _keep(clinic, left, right)
    objects = clinic.instances()
    assert _keep(clinic, left, right) == first
    assert clinic.instances() == objects
    assert _keep(clinic, left, right, Held(Mode.BLINK)) != first
    laid = Held(Mode.SLIDER, aligned=True, stops=-0.4)
    second = _keep(clinic, left, right, laid)
    assert second != first
    assert next(each.held for each in _kept(clinic) if each.id == fhir_id(second)) == laid


def test_a_refused_photo_takes_with_it_all_that_names_it_and_nothing_else(clinic: Links, door: Doors) -> None:
    clinic.person("cora")
    left, right = _pair(clinic, "cora")
    _keep(clinic, left, right)
    made = _made(clinic, left, right)
    page = door.page("/chart/patient/cora", "clinician")
    assert "Kept comparisons" in page
    provision = {"data": [{"meaning": "instance", "reference": {"reference": clinic.reference_of(left)}}]}
    clinic.put(consent_of("no-left", "deny", None, "cora", provision=provision))
    with glancing(clinic.engine) as connection:
        named = select(photo_source.c.photo).where(photo_source.c.source_uid == left.sop)
        gone = set(connection.execute(select(photo.c.sop_uid).where(photo.c.photo.in_(named))).scalars())
    assert len(gone) == 3  # its presentation state, and the document in both studies
    assert {each.sop: _seen(clinic, each) for each in made} == {each.sop: each.sop not in gone for each in made}
    assert _kept(clinic, "cora") == []
    assert "Kept comparisons" not in door.page("/chart/patient/cora", "clinician")
    for each in made:
        assert clinic.file_of(each).find(left.sop.encode()) < 0 or not _seen(clinic, each)
        answer = door.fhir(f"/DocumentReference/{fhir_id(each.sop)}", "clinician")
        assert (answer.status_code == 200) == (each.sop not in gone)


def test_a_photo_that_is_corrected_takes_its_comparisons_with_it(clinic: Links) -> None:
    left, right = _pair(clinic)
    sop = _keep(clinic, left, right)
    clinic.corrected(right.sop, region="cheek", laterality="L")
    assert clinic.row(sop).state == "rejected"
    assert fhir_id(sop) not in {each.id for each in _kept(clinic)}


def test_who_may_not_see_a_photo_keeps_nothing_of_it(clinic: Links) -> None:
    clinic.person("dora")
    (left, right), other = _pair(clinic, "dora"), _pair(clinic)[0]
    clinic.put(consent_of("none-of-dora", "deny", None, "dora"))
    objects = clinic.instances()
    for one, two in ((left, right), (other, right)):
        with pytest.raises(NotKept):
            _keep(clinic, one, two)
    assert clinic.instances() == objects


def test_photos_of_two_patients_are_no_comparison(clinic: Links) -> None:
    with pytest.raises(NotKept):
        _keep(clinic, _pair(clinic)[0], _pair(clinic, "ben")[0])


def test_what_a_dead_process_left_is_seen_by_nobody_and_taken_up(
    clinic: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = _pair(clinic)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Keeper, "_write", dies)
    before = clinic.instances()
    with pytest.raises(KeyboardInterrupt):
        _keep(clinic, left, right)
    left_behind = clinic.instances() - before
    assert len(left_behind) == 4
    clinic.work(everything=True)  # nobody else's business: no row, no task
    with glancing(clinic.engine) as connection:
        rows = select(photo.c.orthanc_id).where(photo.c.orthanc_id.in_(left_behind))
        assert connection.execute(rows).all() == []
    for each in left_behind:
        assert clinic.archive.ask(f"/instances/{each}/file", "clinician").status == 403
    monkeypatch.undo()
    sop = _keep(clinic, left, right)
    assert clinic.instances() - before == left_behind
    assert {clinic.at(each).state for each in left_behind} == {"linked"}
    assert fhir_id(sop) in {each.id for each in _kept(clinic)}
    clinic.work(everything=True)
    assert {clinic.at(each).state for each in left_behind} == {"linked"}
