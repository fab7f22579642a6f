"""An alignment that is kept stands in the archive as a Spatial Registration, and is decided as both of its photos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dicom_bridge.compare.keeping import Keeper, NotKept
from dicom_bridge.objects.registration import Laid
from dicom_bridge.objects.uids import fhir_id
from dicom_bridge.query.classes import SPATIAL_REGISTRATION
from orthanc_plugin.assembly.intake import open_archive
from tests.fhir.clinic import consent_of
from tests.links.test_kept import CLINICIAN, _asked_of_a_batch, _kept, _pair, _seen, _total
from tests.links.world import Links, Row, read

pytestmark = [pytest.mark.orthanc]
LIES = Laid("", "", 0.98, 0.17, 4.5, -1.25, (1024, 768), (1024, 768), 0.21, "Dr Eleni", "2")


def _registered(clinic: Links, fixed: Row, moved: Row, laid: Laid = LIES) -> Row:
    with clinic.node() as node, open_archive(node) as archive:
        keeper = Keeper(
            node.engine, node.chain, node.point, clinic.store, node.keys.uid, door="serve", public_url="http://clinic"
        )
        said = replace(laid, fixed=fixed.sop, moved=moved.sop)
        return clinic.row(keeper.register(archive, CLINICIAN, said, "/chart/compare/alignment"))


def test_it_is_in_the_archive_as_others_read_it(clinic: Links, tmp_path: Path) -> None:
    fixed, moved = _pair(clinic)
    total, asked = _total(clinic, "anna"), _asked_of_a_batch(clinic, "anna")
    row = _registered(clinic, fixed, moved)
    made = read(clinic.file_of(row))
    assert (made.SOPClassUID, made.Modality, row.study) == (SPATIAL_REGISTRATION, "REG", moved.study)
    assert clinic.faults(clinic.file_of(row), tmp_path) == []
    named = [each.ReferencedImageSequence[0].ReferencedSOPInstanceUID for each in made.RegistrationSequence]
    assert named == [fixed.sop, moved.sop]
    assert _seen(clinic, row)
    # It is no photo, and no comparison: no count and no list of either changes.
    assert (_total(clinic, "anna"), _asked_of_a_batch(clinic, "anna")) == (total, asked)
    assert fhir_id(row.sop) not in {each.id for each in _kept(clinic)}


def test_kept_twice_it_is_one_and_another_one_is_another(clinic: Links) -> None:
    fixed, moved = _pair(clinic)
    first = _registered(clinic, fixed, moved)
    assert _registered(clinic, fixed, moved).sop == first.sop
    assert _registered(clinic, moved, fixed).sop != first.sop
    assert _registered(clinic, fixed, moved, replace(LIES, dx=4.6)).sop != first.sop


@pytest.mark.parametrize("which", [0, 1])
def test_of_a_refused_photo_it_tells_nothing(clinic: Links, which: int) -> None:
    name = f"edda{which}"
    clinic.person(name)
    pair = _pair(clinic, name)
    row = _registered(clinic, *pair)
    assert _seen(clinic, row)
    provision = {"data": [{"meaning": "instance", "reference": {"reference": clinic.reference_of(pair[which])}}]}
    clinic.put(consent_of(f"no-{name}", "deny", None, name, provision=provision))
    assert not _seen(clinic, row)
    objects = clinic.instances()
    with pytest.raises(NotKept):
        _registered(clinic, *pair, replace(LIES, dx=9.5))
    assert clinic.instances() == objects
