"""Databases for tests: every table made from the metadata, marked with the current version, with a site."""

from __future__ import annotations

from sqlalchemy import Engine

from consent.decided import stored_purposes
from consent.site import Site
from consent.store.engine import open_engine, transaction
from consent.store.schema import stamp
from consent.store.sites import save_site
from orthanc_plugin.assembly.migrations import metadata


def fresh(url: str, site: Site | None = None) -> Engine:
    """An engine on a new database at ``url``, with the schema and the settings of a site."""
    engine = open_engine(url, make=True)
    with transaction(engine) as connection:
        metadata().create_all(connection)
        stamp(connection)
        chosen = site or Site()
        save_site(connection, chosen, stored_purposes(chosen))
    return engine
