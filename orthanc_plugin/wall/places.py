"""Where a photo stands in Orthanc and in DICOM: ids and UIDs of paths, resolved by our own index."""

from __future__ import annotations

from sqlalchemy import Engine, bindparam, select

from consent.store.engine import glancing
from consent.store.tables import photo

_MOST = 200_000
_BY_ID = select(photo.c.sop_uid).where(photo.c.orthanc_id == bindparam("id"))
_BY_UIDS = select(photo.c.orthanc_id).where(
    photo.c.sop_uid == bindparam("sop"),
    photo.c.series_uid == bindparam("series"),
    photo.c.study_uid == bindparam("study"),
)


class Places:
    """Resolves paths. An Orthanc id is a hash of the UIDs, so what it leads to never changes and may be remembered.

    Nothing here permits: what is found is put to the decision, which reads the photo anew.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sops: dict[str, str] = {}

    def sop_of(self, orthanc_id: str) -> str | None:
        """The SOP Instance UID of an instance; None where we know of none."""
        found = self._sops.get(orthanc_id)
        if found is None:
            with glancing(self._engine) as connection:
                found = connection.execute(_BY_ID, {"id": orthanc_id}).scalar_one_or_none()
            if found is not None:
                if len(self._sops) >= _MOST:
                    self._sops.clear()
                self._sops[orthanc_id] = found
        return found

    def stands(self, study: str, series: str, sop: str) -> str | None:
        """The Orthanc id of the photo with these three UIDs together; None where they do not belong together."""
        with glancing(self._engine) as connection:
            return connection.execute(_BY_UIDS, {"study": study, "series": series, "sop": sop}).scalar_one_or_none()
