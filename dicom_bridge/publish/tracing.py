"""From a picture or a file that left back to the photo, the Consent version behind it, and who exported it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, or_, select

from consent.store.clock import instant
from consent.store.tables import photo
from consent.types import DirectiveRef
from dicom_bridge.publish.tables import export, export_item


@dataclass(frozen=True, slots=True)
class Traced:
    """One picture of one export."""

    export: str
    purpose: str
    channel: str
    at: datetime
    by: str
    """Account."""

    name: str
    """Of the picture in the file."""

    sha256: str
    document: str | None
    """Id of the photo's DocumentReference."""

    sop_uid: str
    consents: tuple[DirectiveRef, ...]


def trace(connection: Connection, sha256: str) -> list[Traced]:
    """The picture with this hash, or every picture of the file with this hash, in each export that held it."""
    query = (
        select(export, export_item, photo.c.document, photo.c.sop_uid)
        .join(export_item, export_item.c.export == export.c.id)
        .join(photo, photo.c.photo == export_item.c.photo)
        .where(or_(export.c.sha256 == sha256, export_item.c.sha256 == sha256))
        .order_by(export.c.made, export.c.id, export_item.c.name)
    )
    return [
        Traced(
            row[export.c.id],
            row[export.c.purpose],
            row[export.c.channel],
            instant(row[export.c.made]),
            row[export.c.made_by],
            row[export_item.c.name],
            row[export_item.c.sha256],
            row[photo.c.document],
            row[photo.c.sop_uid],
            tuple(DirectiveRef(*each) for each in json.loads(row[export_item.c.consents])),
        )
        for row in connection.execute(query).mappings().all()
    ]
