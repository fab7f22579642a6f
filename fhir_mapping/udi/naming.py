"""What the record calls a product, by the device identifier on its pack."""

from __future__ import annotations

from sqlalchemy import Connection, select

from fhir_mapping.search.values import folded, indexed
from fhir_mapping.store.reader import RecordReader
from fhir_mapping.tables import fhir_resource, fhir_string, fhir_token
from fhir_mapping.treatment.devices import device_name
from fhir_mapping.treatment.elements import named
from fhir_mapping.treatment.session import UNNAMED, Named
from fhir_mapping.udi.identifier import Udi

_DEVICE = "udi-di"


def product_of(connection: Connection, reader: RecordReader, udi: Udi) -> Named | None:
    """As the Medication or Device that was written last names it; None where none bears the identifier."""
    if udi.device is None:
        return None
    token = fhir_token.c
    medication = (
        select(token.id)
        .join(fhir_resource, (fhir_resource.c.type == token.type) & (fhir_resource.c.id == token.id))
        .where(
            token.type == "Medication",
            token.name == "identifier",
            token.system == indexed(udi.issuer.value),
            token.value == indexed(udi.device),
        )
        .order_by(fhir_resource.c.updated.desc())
        .limit(1)
    )
    for identity in connection.execute(medication).scalars():
        name = named(reader.read(connection, "Medication", identity).json().get("code"))
        if name != UNNAMED:
            return name
    string = fhir_string.c
    device = (
        select(string.id)
        .join(fhir_resource, (fhir_resource.c.type == string.type) & (fhir_resource.c.id == string.id))
        .where(string.type == "Device", string.name == _DEVICE, string.value == folded(udi.device))
        .order_by(fhir_resource.c.updated.desc())
        .limit(1)
    )
    for identity in connection.execute(device).scalars():
        body = reader.read(connection, "Device", identity).json()
        kind = named(body.get("type"))
        name = kind if kind.code is not None else Named(device_name(body))
        if name.text:
            return name
    return None
