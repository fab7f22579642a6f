"""Where one photo lies on another, kept as an Observation: valid, read as written, and told to who sees both photos."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consent.identity.bearer import Caller
from consent.types import Request
from dicom_bridge.archive import ArchiveUnavailable
from dicom_bridge.objects import registration as objects
from fhir_mapping import text
from fhir_mapping.errors import Forbidden, NotFound
from fhir_mapping.outcome.outcome import is_outcome
from fhir_mapping.resources.alignment import SYSTEM, Kept, Side, Transform, alignment_id, observation, read
from fhir_mapping.resources.document_reference import ORIGINAL_HASH
from orthanc_plugin.workspace.aligning import Laid
from orthanc_plugin.workspace.stored_alignments import StoredAlignments
from tests.fhir.clinic import BASE, Clinic, requesters, uid_of
from tests.fhir.refused_pair import Pair, answer_of
from tests.fhir.validators import Medplum, Pyrofile, needs_definitions

NOW = datetime(2026, 5, 9, 8, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
TURNED = Transform(0.98, 0.17, 41.5, -12.25, 0.21)
LAID = Laid(TURNED, (1024.0, 1365.0), (768.0, 1024.0))


def kept(fixed: str, moved: str) -> Kept:
    sides = [
        Side(f"DocumentReference/{each}", uid_of(each), f"{at:064x}", 1024.0 - at, 1365.0 - at)
        for at, each in enumerate((fixed, moved))
    ]
    return Kept(sides[0], sides[1], TURNED, "1", "Dr Eleni", reference="Practitioner/d")


def made(fixed: str, moved: str) -> dict[str, Any]:
    return observation(kept(fixed, moved), "Patient/anna", NOW)


def asks(account: str, purpose: str = "TREAT") -> Request:
    caller = Caller(requesters()[account])
    return Request(requester=caller.requester, purpose=purpose)


class Registered:
    """What the archive was given."""

    def __init__(self) -> None:
        self.laid: list[tuple[objects.Laid, str]] = []

    def register(self, request: Request, laid: objects.Laid, route: str) -> None:
        self.laid.append((laid, route))


class Absent:
    """An archive that is not to be had."""

    def register(self, request: Request, laid: objects.Laid, route: str) -> None:
        raise ArchiveUnavailable("Orthanc does not answer")


def hashed(clinic: Clinic, *photos: str) -> None:
    """Their documents tell the hash of the original, as those of photos that were taken in do."""
    for at, each in enumerate(photos):
        document = json.loads(clinic.get("clinician", f"/DocumentReference/{each}").text)
        document.pop("meta", None)
        document["identifier"] = [
            *(said for said in document["identifier"] if said["system"] != ORIGINAL_HASH),
            {"system": ORIGINAL_HASH, "value": f"{at + 1:064x}"},
        ]
        clinic.put(document)


@needs_definitions
def test_it_holds_before_both_validators(medplum: Medplum, pyrofile: Pyrofile) -> None:
    nobody = replace(kept("f1", "f2"), reference=None)
    back = observation(nobody, "Patient/anna", NOW, taken_back=True)
    for resource in (made("f1", "f2"), back):
        assert medplum.faults(resource) == []
        assert pyrofile.faults(resource) == []


def test_what_is_written_is_read_again() -> None:
    resource = json.loads(text.dump(made("f1", "f2")))
    found = read(resource, BASE, 3)
    assert found == replace(kept("f1", "f2"), at="2026-05-09T08:00:00.000Z", version=3)
    assert read(resource | {"status": "entered-in-error"}, BASE) is None
    assert read({"resourceType": "Observation", "code": {"text": "volume"}}, BASE) is None


@pytest.mark.parametrize("lost", range(13))
def test_what_is_not_whole_is_none(lost: int) -> None:
    resource = json.loads(text.dump(made("f1", "f2")))
    assert len(resource["component"]) == 13
    del resource["component"][lost]
    assert read(resource, BASE) is None
    resource = json.loads(text.dump(made("f1", "f2")))
    resource["derivedFrom"].pop()
    assert read(resource, BASE) is None


def test_swapped_twice_it_is_the_same() -> None:
    once = kept("f1", "f2").swapped
    assert (once.fixed.document, once.moved.document) == ("DocumentReference/f2", "DocumentReference/f1")
    x, y = 300.0, 500.0
    there = (TURNED.a * x - TURNED.b * y + TURNED.dx, TURNED.b * x + TURNED.a * y + TURNED.dy)
    t = once.transform
    assert t.a * there[0] - t.b * there[1] + t.dx == pytest.approx(x)
    assert t.b * there[0] + t.a * there[1] + t.dy == pytest.approx(y)
    again = once.swapped.transform
    assert (again.a, again.b, again.dx, again.dy, again.error) == pytest.approx(
        (TURNED.a, TURNED.b, TURNED.dx, TURNED.dy, TURNED.error)
    )


def test_it_is_no_outcome_and_nothing_rests_on_it(clinic: Clinic) -> None:
    assert not is_outcome(made("f1", "f2"))
    before = clinic.get("clinician", "/DocumentReference/$photos?_summary=count").text
    clinic.put(made("f1", "f2"))
    assert clinic.get("clinician", "/DocumentReference/$photos?_summary=count").text == before
    basis = clinic.get("clinician", "/DocumentReference/f1/$basis").text
    assert alignment_id("DocumentReference/f1", "DocumentReference/f2") not in basis


@pytest.mark.parametrize("account", ["clinician", "doctor", "integrator", "anna"])
def test_a_refused_photo_is_told_of_by_none(pair: Pair, account: str) -> None:
    """Refused and absent are alike, whichever of the two photos it is."""
    resources = {each: made(*each) for each in (("f3", "f1"), ("f2", "f3"), ("f2", "f1"))}
    for clinic in (pair.refusing, pair.without):
        clinic.record.clock = lambda _: LATER
        for resource in resources.values():
            clinic.put(resource)
            clinic.put(resource)  # a history of two versions
    hidden = [resources["f3", "f1"]["id"], resources["f2", "f3"]["id"]]
    shown = resources["f2", "f1"]["id"]
    paths = [f"/Observation/{each}{more}" for each in (*hidden, shown) for more in ("", "/_history", "/_history/1")]
    paths += [f"/Observation/{each}/$basis" for each in (*hidden, shown)]
    paths += ["/Observation", "/Observation/_history", "/Observation?_summary=count", f"/Observation?code={SYSTEM}|"]
    paths += ["/Observation?component-code=error&_total=accurate", "/DocumentReference?_revinclude=Observation:focus"]
    paths += ["/DocumentReference?_revinclude=Observation:derived-from", "/DocumentReference/f1/$basis"]
    paths += [f"/Observation?component-value-quantity={value}" for value in ("0.21", "1024")]
    paths += ["/Patient?_has:Observation:subject:code=photographs", "/DocumentReference/f1/$treatment"]
    for path in paths:
        refused, absent = (answer_of(each, account, "GET", path) for each in (pair.refusing, pair.without))
        assert refused == absent, path
        for identity in hidden:
            assert path.count(identity) or identity not in refused[1], path
    read_it = answer_of(pair.refusing, account, "GET", f"/Observation/{shown}")
    assert read_it[0] == 200
    assert "0.21" in read_it[1]


def test_it_is_kept_used_from_either_side_and_taken_back(clinic: Clinic) -> None:
    hashed(clinic, "f1", "f2")
    book = StoredAlignments(clinic.node, Registered(), lambda _: NOW)
    question = asks("integrator")
    assert book.kept(question, "f1", "f2") is None
    made = book.keep(question, "f1", "f2", LAID, "Dr Eleni", "/chart/compare/alignment")
    assert made.by == "Dr Eleni"
    assert (made.fixed.instance, made.moved.instance) == (uid_of("f1"), uid_of("f2"))
    assert (made.fixed.sha256, made.moved.sha256) == (f"{1:064x}", f"{2:064x}")
    found = book.kept(asks("clinician"), "f1", "f2")
    assert found == made
    assert book.kept(question, "f2", "f1") == made.swapped
    intents = [each for each in clinic.records() if each.get("subject", "").startswith("Observation/")]
    assert intents
    assert intents[0]["account"] == "integrator"
    book.take_back(question, "f2", "f1", "Dr Eleni", "/chart/compare/alignment")
    assert book.kept(question, "f1", "f2") is None
    again = book.keep(question, "f2", "f1", LAID, "Dr Eleni", "/chart/compare/alignment")
    assert again.version == 3


def test_of_another_instance_of_a_photo_it_is_not_used(clinic: Clinic) -> None:
    hashed(clinic, "f1", "f2")
    book = StoredAlignments(clinic.node, Registered(), lambda _: NOW)
    book.keep(asks("integrator"), "f1", "f2", LAID, "Dr Eleni", "/chart/compare/alignment")
    hashed(clinic, "f2", "f1")  # the originals are others now
    assert book.kept(asks("clinician"), "f1", "f2") is None


def test_a_photo_without_hash_a_pair_of_one_and_an_unknown_one_are_not_kept(clinic: Clinic) -> None:
    book = StoredAlignments(clinic.node, Registered(), lambda _: NOW)
    question = asks("integrator")
    for left, right in (("f1", "f1"), ("f1", "nobody")):
        with pytest.raises(NotFound):
            book.keep(question, left, right, LAID, "x", "/chart/compare/alignment")
    assert book.kept(question, "f1", "nobody") is None


def test_who_may_not_write_keeps_nothing(clinic: Clinic) -> None:
    hashed(clinic, "f1", "f2")
    book = StoredAlignments(clinic.node, Registered(), lambda _: NOW)
    assert book.may_keep(asks("integrator"))
    for account, purpose in (("clinician", "TREAT"), ("anna", "PATRQT")):
        question = asks(account, purpose)
        assert not book.may_keep(question)
        with pytest.raises(Forbidden):
            book.keep(question, "f1", "f2", LAID, "x", "/chart/compare/alignment")


@pytest.mark.parametrize("sides", [("f3", "f1"), ("f1", "f3")])
def test_of_a_refused_photo_nothing_is_kept_or_told(pair: Pair, sides: tuple[str, str]) -> None:
    clinic = pair.refusing
    clinic.put(made(*sides))
    book = StoredAlignments(clinic.node, Registered(), lambda _: NOW)
    assert book.kept(asks("clinician"), *sides) is None
    with pytest.raises(NotFound):
        book.keep(asks("integrator"), *sides, LAID, "x", "/chart/compare/alignment")


def test_the_archive_is_given_it_first_and_without_it_nothing_is_kept(clinic: Clinic) -> None:
    hashed(clinic, "f1", "f2")
    registered = Registered()
    book = StoredAlignments(clinic.node, registered, lambda _: NOW)
    book.keep(asks("integrator"), "f1", "f2", LAID, "Dr Eleni", "/chart/compare/alignment")
    ((laid, route),) = registered.laid
    assert (laid.fixed, laid.moved, laid.by) == (uid_of("f1"), uid_of("f2"), "Dr Eleni")
    assert (laid.a, laid.dx, laid.fixed_size, laid.error) == (TURNED.a, TURNED.dx, LAID.left, TURNED.error)
    assert route == "/chart/compare/alignment"
    book.take_back(asks("integrator"), "f1", "f2", "Dr Eleni", "/chart/compare/alignment")
    without = StoredAlignments(clinic.node, Absent(), lambda _: NOW)
    with pytest.raises(ArchiveUnavailable):
        without.keep(asks("integrator"), "f1", "f2", LAID, "Dr Eleni", "/chart/compare/alignment")
    assert without.kept(asks("clinician"), "f1", "f2") is None
