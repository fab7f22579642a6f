"""C-FIND: answered from our index and from permitted photos alone, like QIDO-RS (PS3.4 C.4.1; PS3.7 9.1.2)."""

from __future__ import annotations

from dataclasses import replace

from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.presentation import PresentationContext
from sqlalchemy import Engine

from consent.identity.peers import Known
from consent.service import DecisionPoint
from consent.store.engine import reading
from dicom_bridge.errors import ObjectRefused
from dicom_bridge.gateway import status
from dicom_bridge.gateway.answering import Answering
from dicom_bridge.gateway.association import Association
from dicom_bridge.query.identifier import BadIdentifier, Root, find_identifier, responses
from dicom_bridge.query.search import find

ROOTS = {"1.2.840.10008.5.1.4.1.2.1": Root.PATIENT, "1.2.840.10008.5.1.4.1.2.2": Root.STUDY}
"""The information models (PS3.4 C.6); FIND, MOVE and GET are .1, .2 and .3 of each."""


def root(context: PresentationContext) -> Root:
    """The information model that a presentation context is for."""
    return ROOTS[str(context.abstract_syntax).rpartition(".")[0]]


class Finding:
    """The service of one gateway."""

    def __init__(self, engine: Engine, point: DecisionPoint, ae_title: str, *, most: int) -> None:
        """Begin.

        Parameters
        ----------
        ae_title
            Whom to ask for the photos: ourselves.
        most
            Answers to one query. Where there are more, these come, and the status says so.
        """
        self._engine, self._point, self._ae_title, self._most = engine, point, ae_title, most

    def find(self, association: Association, request: C_FIND, context: PresentationContext, caller: Known) -> None:
        """Answer a C-FIND."""
        answering = Answering(association, request, context)
        try:
            wanted = find_identifier(answering.identifier(), root(context))
        except (ObjectRefused, BadIdentifier) as error:
            answering.refuse(status.IDENTIFIER_MISMATCH, str(error))
            return
        with reading(self._engine) as connection:
            may = self._point.permitted(connection, caller.request, fulfils=frozenset())
            found = find(connection, replace(wanted.question, limit=self._most), may.clause)
        self._point.record_set(caller.request, f"C-FIND {wanted.question.level.name}", found.photos, found.refused)
        answers = responses(found, wanted, self._ae_title)
        answering.answer(answers, ignored=bool(wanted.ignored), more=found.more)
