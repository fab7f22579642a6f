"""Kept comparisons over the record of the database and the archive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Engine

from consent.service import DecisionPoint
from consent.store.engine import reading
from consent.store.versions import group
from consent.types import Request
from dicom_bridge.archive import Archive
from dicom_bridge.compare.held import Held
from dicom_bridge.compare.keeping import Half, Keeper
from dicom_bridge.compare.kept import KeptComparison, kept
from dicom_bridge.objects.registration import Laid
from dicom_bridge.objects.uids import fhir_id
from fhir_mapping.api import access
from fhir_mapping.errors import Forbidden, Issue
from orthanc_plugin.workspace.stored import CHART_FULFILS


class StoredKept:
    """Reads by the decision point; writes by the keeper, recorded before and after."""

    def __init__(
        self,
        engine: Engine,
        point: DecisionPoint,
        keeper: Keeper,
        archive: Callable[[], AbstractContextManager[Archive]],
    ) -> None:
        self._engine, self._point, self._keeper, self._archive = engine, point, keeper, archive

    def may_keep(self, request: Request) -> bool:
        """Whoever may write what was seen, for the treatment that it is kept for."""
        return request.purpose == "TREAT" and "Observation" in access.writable(request.requester)

    def keep(self, request: Request, halves: Sequence[Half], held: Held, route: str) -> str:
        """Keep one."""
        if not self.may_keep(request):
            raise Forbidden(Issue("forbidden", "Comparisons are kept for treatment, by who writes the record."))
        with self._archive() as archive:
            return fhir_id(self._keeper.keep(archive, request, halves, held, route))

    def register(self, request: Request, laid: Laid, route: str) -> None:
        """Keep where one photo lies on another."""
        access.require_write(request.requester, "Observation")
        with self._archive() as archive:
            self._keeper.register(archive, request, laid, route)

    def kept(self, request: Request, patient: str, route: str) -> Sequence[KeptComparison]:
        """Those of a patient."""
        with reading(self._engine) as connection:
            everyone = group(connection, [patient])
            return kept(connection, self._point, request, everyone, route, fulfils=CHART_FULFILS)
