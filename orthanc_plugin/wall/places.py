"""Where a photo stands in Orthanc and in DICOM: ids and UIDs of paths, resolved by our own index."""

from __future__ import annotations

from sqlalchemy import Engine, bindparam, select

from consent.store.quick import Quick
from consent.store.tables import photo

_MOST = 200_000
_BY_ID = select(photo.c.sop_uid).where(photo.c.orthanc_id == bindparam("id"))
_BY_SOP = select(photo.c.orthanc_id, photo.c.series_uid, photo.c.study_uid).where(photo.c.sop_uid == bindparam("sop"))


class Places:
    """Resolves paths. An Orthanc id is a hash of the UIDs, so what it leads to never changes and may be remembered.

    Nothing here permits: what is found is put to the decision, which reads the photo anew.
    """

    def __init__(self, engine: Engine) -> None:
        self._by_id, self._by_sop = Quick(engine, _BY_ID, "id"), Quick(engine, _BY_SOP, "sop")
        self._sops: dict[str, str] = {}

    def sop_of(self, orthanc_id: str) -> str | None:
        """The SOP Instance UID of an instance; None where we know of none."""
        found = self._sops.get(orthanc_id)
        if found is None:
            rows = self._by_id.rows(orthanc_id)
            found = str(rows[0].sop_uid) if rows else None
            if found is not None:
                if len(self._sops) >= _MOST:
                    self._sops.clear()
                self._sops[orthanc_id] = found
        return found

    def stands(self, study: str, series: str, sop: str) -> str | None:
        """The Orthanc id of the photo with these three UIDs together; None where they do not belong together."""
        rows = self._by_sop.rows(sop)
        together = rows and (rows[0].study_uid, rows[0].series_uid) == (study, series)
        return str(rows[0].orthanc_id) if together else None
