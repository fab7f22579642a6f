"""What the requester of a search may look at: the same that she may read, in every place that a search looks.

A refused photo neither matches nor is counted, chained through, sorted by or included; nor is a resource found by what
it says of one, as far as that is not shown of it (:mod:`fhir_mapping.api.cut`).
"""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from consent.identity.scopes import Scopes
from consent.service import DecisionPoint
from consent.sets import Permitted
from consent.store.tables import photo
from consent.store.versions import records
from consent.types import Obligation, Request
from fhir_mapping import photo_names
from fhir_mapping.api import access
from fhir_mapping.api.cut import EXEMPT
from fhir_mapping.errors import Forbidden, Issue
from fhir_mapping.resources.document_reference import DICOM_UID
from fhir_mapping.search.compared import beginning
from fhir_mapping.search.index import BY_INSTANCE
from fhir_mapping.search.parameters import Form, Parameter
from fhir_mapping.search.paths import targets_of
from fhir_mapping.search.sight import Row
from fhir_mapping.store.history import Narrowing
from fhir_mapping.tables import fhir_composite, fhir_reference, fhir_resource, fhir_token

#: A resource names the patient, so ``no-identifiers`` cannot be met here. It shows no pixels, so there is nothing
#: to put a watermark on.
FULFILS = frozenset({Obligation.WATERMARK})

DOCUMENT, STUDY, PROVENANCE, OBSERVATION = "DocumentReference", "ImagingStudy", "Provenance", "Observation"
PHOTOS = frozenset({DOCUMENT, STUDY})

_TARGET = fhir_reference.alias()
_RELATED = frozenset({"relatesto", "relation", "relationship"})
_SERIES = frozenset({*BY_INSTANCE, "instance", "series", "performer", "endpoint"})


def shown_in_part(kind: str, name: str) -> bool:
    """Whether a parameter reads elements of which a requester may be shown some and not others."""
    return name in {DOCUMENT: _RELATED, STUDY: _SERIES}.get(kind, frozenset())


@functools.cache
def _may_name_photos(kind: str, parameter: Parameter) -> bool:
    """Whether R4 lets an element of a reference parameter name photos."""
    return any(not (targets := targets_of(kind, way)) or targets & photo_names.PHOTOS for way in parameter.ways)


class RequestSight:
    """The sight of one request, in one snapshot.

    Parameters
    ----------
    scopes
        Of the token that it came with: other types are read by no way.
    """

    def __init__(
        self, connection: Connection, decisions: DecisionPoint, request: Request, scopes: Scopes | None = None
    ) -> None:
        self._connection, self._decisions, self._scopes = connection, decisions, scopes
        self.request = request
        self._may: Permitted | None = None

    def ask_for(self, request: Request) -> None:
        """Go on with this request: an emergency has found its patient."""
        if request != self.request:
            self.request, self._may = request, None

    @property
    def may(self) -> Permitted:
        """The photos that may be seen; asked once."""
        if self._may is None:
            self._may = self._decisions.permitted(self._connection, self.request, fulfils=FULFILS)
        return self._may

    @property
    def asked_for_photos(self) -> bool:
        """Whether photos were decided."""
        return self._may is not None

    def reads(self, kind: str) -> bool:
        """Whether anything of the type may be read."""
        try:
            self.require(kind)
        except Forbidden:
            return False
        return True

    def require(self, kind: str) -> None:
        """Let only those go on who read something of the type.

        Raises
        ------
        Forbidden
            It does not depend on what the record holds.
        """
        if self._scopes is not None and not self._scopes.may_read(kind):
            raise Forbidden(Issue("forbidden", f"The token's scopes do not cover reading {kind}."))
        if kind not in PHOTOS:
            access.condition(self.request, kind)

    def seen(self, kind: str, row: Row) -> ColumnElement[bool]:
        """The resources that may be read; of a study those that hold a photo that may be seen."""
        self.require(kind)
        if kind in PHOTOS:
            return self._photo(link(kind) == row.c.id)
        if kind == PROVENANCE:
            return self._provenance(row)
        may = access.condition(self.request, kind, row)
        return and_(may, not_(self._hidden(row))) if kind == OBSERVATION else may

    def versions(self, kind: str) -> Narrowing:
        """The versions and deletions that may be known of, of a resource that is no photo."""
        may = access.of_versions(self.request, kind)
        if kind != OBSERVATION:
            return may
        hidden = select(fhir_resource.c.id).where(fhir_resource.c.type == kind, self._hidden(fhir_resource))
        return lambda columns: and_(may(columns), columns.id.not_in(hidden))

    def begins(self, kind: str) -> Select[str] | None:
        """A query for the ids of all that may be seen of a type, where that is little; else None."""
        if kind in PHOTOS:
            if self.may.stored is None:
                return select(link(kind)).where(link(kind).is_not(None), self.may.clause(photo.c.photo))
            return None
        if access.reach(self.request, kind) is access.Reach.OWN and kind == PROVENANCE:
            return select(_TARGET.c.id).where(_TARGET.c.type == kind, _TARGET.c.path == "target", self._hers())
        if access.reach(self.request, kind) is access.Reach.OWN:
            return select(fhir_resource.c.id).where(fhir_resource.c.type == kind, self.seen(kind, fhir_resource))
        return None

    def element(self, kind: str, parameter: Parameter, rows: Any, *, uid: bool = False) -> ColumnElement[bool]:
        """Of a photo's document the copies that may be seen, of a study what is said of such photos.

        Of what else names photos, those that may be seen; Consents and Tasks are shown as they are.
        """
        name, columns = parameter.name, rows.c
        if not shown_in_part(kind, name):
            return true() if kind in EXEMPT else self._naming(kind, parameter, rows, uid=uid)
        if kind == DOCUMENT:
            return self._related(name, rows)
        if rows.element is fhir_reference:
            return or_(not_(columns.path.startswith("series.")), self._whole(columns.id))
        if rows.element is not fhir_token:
            return self._whole(columns.id)
        if name == "instance":
            return self._photo(photo.c.sop_uid == columns.value, photo.c.imaging_study == columns.id)
        if name == "series":
            return self._photo(photo.c.series_uid == columns.value, photo.c.imaging_study == columns.id)
        if name not in BY_INSTANCE:
            return self._whole(columns.id)
        differing = fhir_composite.alias()
        here = and_(differing.c.type == STUDY, differing.c.id == columns.id, differing.c.name == name)
        shown = and_(
            here,
            differing.c.system == columns.system,
            differing.c.value == columns.value,
            self._photo(photo.c.sop_uid == differing.c.part_value, photo.c.imaging_study == columns.id),
        )
        return or_(not_(_any(differing, here)), _any(differing, shown))

    def updated(self, kind: str, row: Row) -> ColumnElement[int]:
        """When it was written; of a study, when the newest document of a photo that may be seen was."""
        written = self.written(kind, opens=False)
        if written is None:
            column: ColumnElement[int] = row.c.updated
            return column
        return select(func.max(written.c.updated)).where(written.c.id == row.c.id).correlate(row).scalar_subquery()

    def written(self, kind: str, *, opens: bool = True) -> Subquery | None:
        """Of a study the documents of its photos that may be seen."""
        if kind != STUDY:
            return None
        # The photo under another name: by its own, the state of all photos would open an index of them, and not the
        # time or the study that is asked for.
        document, one = fhir_resource.alias(), photo.alias()
        here = and_(document.c.type == DOCUMENT, document.c.id == one.c.document)
        updated: ColumnElement[int] = document.c.updated
        source: Any = document.join(one, here)
        if not opens:  # looked up photo by photo: SQLite would join by walking all documents
            updated, source = select(document.c.updated).where(here).correlate(one).scalar_subquery(), one
        return (
            select(one.c.imaging_study.label("id"), updated.label("updated"), one.c.photo.label("part"))
            .select_from(source)
            .where(one.c.imaging_study.is_not(None), self.may.clause(one.c.photo))
            .subquery()
        )

    def _naming(self, kind: str, parameter: Parameter, rows: Any, *, uid: bool) -> ColumnElement[bool]:
        """The rows that name no photo, or one that may be seen; as what is shown of the resource names it."""
        if rows.element is fhir_reference and _may_name_photos(kind, parameter):
            target = rows.c.target
            return or_(
                *(
                    and_(beginning(target, each), self._photo(link(each[:-1]) == func.substr(target, len(each) + 1)))
                    for each in (photo_names.DOCUMENT, photo_names.STUDY)
                ),
                not_(or_(*(beginning(target, each) for each in photo_names.KINDS))),
            )
        logical = parameter.form is Form.REFERENCE
        if rows.element is not fhir_token or kind in PHOTOS or not (logical or uid):
            return true()
        columns = rows.c
        prefixed = beginning(columns.value, photo_names.UID)
        value = case((prefixed, func.substr(columns.value, len(photo_names.UID) + 1)), else_=columns.value)
        bearing = [column == value for column in (photo.c.sop_uid, photo.c.series_uid, photo.c.study_uid)]
        absent = not_(or_(*(select(photo.c.photo).where(each).correlate_except(photo).exists() for each in bearing)))
        if logical:  # one of our own that is not here is not shown either
            owned = and_(columns.system == DICOM_UID, beginning(value, photo_names.OWN_ROOT))
            absent = and_(absent, not_(owned))
        return or_(absent, *(self._photo(each) for each in bearing))

    def _provenance(self, row: Row) -> ColumnElement[bool]:
        """A Provenance of a photo that may be seen, or of something else that may be read."""
        columns = _TARGET.c

        def names(*where: ColumnElement[bool]) -> ColumnElement[bool]:
            here = (columns.type == PROVENANCE, columns.id == row.c.id, columns.path == "target")
            return select(literal(1)).select_from(_TARGET).where(*here, *where).correlate(row).exists()

        def photos(prefix: str) -> ColumnElement[bool]:
            found = self._photo(link(prefix[:-1]) == func.substr(columns.target, len(prefix) + 1))
            return names(beginning(columns.target, prefix), found)

        extent = access.reach(self.request, PROVENANCE)
        theirs = true() if extent is access.Reach.ALL else self._hers()
        others = not_(or_(*(beginning(columns.target, each) for each in photo_names.KINDS)))
        documents = names(beginning(columns.target, photo_names.DOCUMENT))
        return or_(
            photos(photo_names.DOCUMENT),
            names(others, theirs),
            and_(not_(documents), photos(photo_names.STUDY)),
        )

    def _hidden(self, row: Row) -> ColumnElement[bool]:
        """An Observation that tells of photos alone, and names one that may not be seen."""
        columns = _TARGET.c
        seen = self._photo(
            photo.c.document == func.substr(columns.target, len(photo_names.DOCUMENT) + 1),
            beginning(columns.target, photo_names.DOCUMENT),
        )
        unseen = select(literal(1)).where(
            columns.type == OBSERVATION,
            columns.id == row.c.id,
            or_(*(beginning(columns.target, each) for each in photo_names.KINDS)),
            not_(seen),
        )
        return and_(access.tells_of_photos(row), unseen.correlate(row).exists())

    def _hers(self) -> ColumnElement[bool]:
        """What a Provenance names is of the requester's own patient."""
        patients = sorted(access.own_patients(self.request.requester))
        hers = select(fhir_resource.c.type + literal("/") + fhir_resource.c.id)
        return _TARGET.c.target.in_(hers.where(fhir_resource.c.patient.in_(records(patients))))

    def _related(self, name: str, rows: Any) -> ColumnElement[bool]:
        """A photo's document names those alone of its sources and copies that may be seen."""
        columns, prefix = rows.c, f"{DOCUMENT}/"

        def shown(target: ColumnElement[str]) -> ColumnElement[bool]:
            return self._photo(photo.c.document == func.substr(target, len(prefix) + 1), beginning(target, prefix))

        if rows.element is fhir_reference:
            return shown(columns.target)
        if rows.element is fhir_composite:
            return shown(columns.part_value)
        if name != "relation":
            return false()
        pair = fhir_composite.alias()
        return _any(
            pair,
            and_(
                pair.c.type == DOCUMENT,
                pair.c.id == columns.id,
                pair.c.name == "relationship",
                pair.c.value == columns.value,
                shown(pair.c.part_value),
            ),
        )

    def _photo(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        """A photo of this kind that may be seen is there."""
        query = select(photo.c.photo).where(*where, self.may.clause(photo.c.photo))
        return query.correlate_except(photo).exists()

    def _whole(self, study: ColumnElement[str]) -> ColumnElement[bool]:
        """Every photo of a study may be seen."""
        return not_(
            select(photo.c.photo)
            .where(photo.c.imaging_study == study, not_(self.may.clause(photo.c.photo)))
            .correlate_except(photo)
            .exists()
        )


def link(kind: str) -> Any:
    """The column of ``photo`` that names the resource of this type."""
    return photo.c.document if kind == DOCUMENT else photo.c.imaging_study


def _any(table: Any, where: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(select(literal(1)).select_from(table).where(where).correlate_except(table))
