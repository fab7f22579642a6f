"""The machines that a session can be done with: Devices of the house, of no patient and of no lot."""

from __future__ import annotations

from sqlalchemy import Connection, exists, select

from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_resource, fhir_token
from fhir_mapping.treatment.devices import device_name, is_left_in
from fhir_mapping.treatment.session import Machine

MOST = 60
_GONE = ("inactive", "entered-in-error")


def machines(connection: Connection, reader: RecordReader) -> tuple[tuple[Machine, ...], bool]:
    """By name, and whether there are more than are told: those written last are."""
    of_a_lot = exists().where(
        fhir_token.c.type == "Device", fhir_token.c.id == fhir_resource.c.id, fhir_token.c.name == "lot-number"
    )
    ids = connection.execute(
        select(fhir_resource.c.id)
        .where(
            fhir_resource.c.type == "Device",
            fhir_resource.c.patient.is_(None),
            fhir_resource.c.status.is_(None) | fhir_resource.c.status.not_in(_GONE),
            ~of_a_lot,
        )
        .order_by(fhir_resource.c.updated.desc(), fhir_resource.c.id)
        .limit(MOST + 1)
    ).scalars()
    listed = list(ids)
    made = [
        Machine(device_name(body) or stored.id, stored.reference)
        for stored in reader.read_many(connection, "Device", listed[:MOST])
        if not is_left_in(body := stored.json())
    ]
    return tuple(sorted(made, key=lambda each: (each.name.casefold(), each.reference))), len(listed) > MOST
