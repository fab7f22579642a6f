"""What the record and the protocols say of areas and views, in the words and the language of the pages."""

from __future__ import annotations

from consent.regions import BodyRegion, regions
from consent.types import Laterality
from dicom_bridge.objects.vocabulary import terms
from dicom_bridge.protocols.protocol import Shot
from fhir_mapping.course.views import View
from fhir_mapping.treatment import elements
from fhir_mapping.treatment.session import Place
from orthanc_plugin.workspace.language import gettext as _
from orthanc_plugin.workspace.record import sided, within_sentence
from orthanc_plugin.workspace.vocabularies import title, words


def region_name(where: Place) -> str:
    """``Right cheek``; what the tree does not know, as it stands."""
    return tree_name(where.region.code or "", where.side) or elements.region_name(where)


def tree_name(code: str, side: Laterality | None) -> str | None:
    """A region of the tree with its side; None for one that the tree does not know."""
    known = regions().by_code(code)
    if known is None:
        return None
    return sided(_(title(known.name)), side.value if side is not None else None)


def area_name(region: BodyRegion) -> str:
    """``lower eyelid``, as within a sentence."""
    return within_sentence(_(title(region.name)))


def shot_name(shot: Shot) -> str:
    """``Right cheek, right lateral, face at rest``: a photo that a protocol asks for."""
    seen = (_(each.meaning) for each in (shot.view, shot.expression) if each is not None)
    return ", ".join([tree_name(shot.region.code, shot.side) or shot.region.display, *seen])


def view_name(view: View) -> str:
    """``Right cheek, right lateral``, as the chart calls a photo."""
    area = region_name(view.place) if view.place is not None else _("Area not stated")
    said = (_term("view", view.key[2], view.view), _term("expression", view.key[3], view.expression))
    return ", ".join(filter(None, (area, *said)))


def _term(kind: str, code: str, said: str) -> str:
    name = next((each.name for each in terms(kind) if each.code == code), None)
    return _(said.lower() if name is None else words(name))
