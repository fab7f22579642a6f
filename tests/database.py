"""Databases for tests: every table made from the metadata, marked with the current version, with a site."""

from __future__ import annotations

import importlib
import importlib.util

from sqlalchemy import Engine

from consent.decided import stored_purposes
from consent.site import Site
from consent.store.engine import open_engine, transaction
from consent.store.metadata import METADATA
from consent.store.schema import stamp
from consent.store.sites import save_site

_TABLES = (
    "consent.store.tables",
    "fhir_mapping.tables",
    "fhir_mapping.outcome.tables",
    "fhir_mapping.advisory.tables",
    "fhir_mapping.question.tables",
    "dicom_bridge.tables",
    "dicom_bridge.query.tables",
    "dicom_bridge.gateway.tables",
)


def fresh(url: str, site: Site | None = None) -> Engine:
    """An engine on a new database at ``url``, with the schema and the settings of a site."""
    for name in _TABLES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    engine = open_engine(url, make=True)
    with transaction(engine) as connection:
        METADATA.create_all(connection)
        stamp(connection)
        chosen = site or Site()
        save_site(connection, chosen, stored_purposes(chosen))
    return engine
