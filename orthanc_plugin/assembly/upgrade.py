"""Bringing a node up: schema, keys, and the settings that bind decisions."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, make_url

from consent.audit import signing
from consent.audit.chain import open_chain
from consent.audit.record import AuditRecord, Kind
from consent.codec import site_to_json
from consent.decided import EVERYBODY, stored_purposes
from consent.identity import issuer_keys, keys, policy
from consent.site import Site
from consent.store import jobs, schema
from consent.store.engine import open_engine, reading, transaction
from consent.store.sites import NoSite, load_site, save_site
from fhir_mapping.projections.project import index_anew, rebuild_in_steps
from fhir_mapping.projections.written import Setting
from fhir_mapping.question import projection as facets
from orthanc_plugin.assembly import migrations
from orthanc_plugin.assembly.open import CLI
from orthanc_plugin.assembly.settings import Settings

_INDEXED_SINCE = "0003"
"""The revision from which on the index holds what it does now; what was indexed before is read anew."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What was done."""

    before: str | None
    after: str
    keys_made: bool
    site_changed: bool
    policy_changed: bool = False
    rebuilt: int = 0
    """Resources that were read anew, because the settings that they are read by are others, or the index is."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the database stands at, and what this software needs."""

    found: str | None
    needed: str

    @property
    def fits(self) -> bool:
        """Whether processes will start."""
        return self.found == self.needed


def status(settings: Settings) -> Status:
    """Compare the schema. A SQLite file that is not there yet is not made by asking."""
    file = _file(settings)
    if file is not None and not file.exists():
        return Status(None, schema.REVISION)
    engine = open_engine(settings.database)
    try:
        with reading(engine) as connection:
            return Status(schema.revision(connection), schema.REVISION)
    finally:
        engine.dispose()


def upgrade(settings: Settings, *, os_user: str) -> Upgraded:
    """Bring schema, keys and settings to what this software and the settings file say. Safe to run again.

    The change of settings is recorded: its digest before the commit, its outcome after it.
    """
    file = _file(settings)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    keys_made = keys.make(settings.keys)
    keys.load(settings.keys)
    keys_made = signing.make(settings.checkpoint_key, settings.node) or keys_made
    signing.load(settings.checkpoint_key)
    engine = open_engine(settings.database, make=True)
    try:
        with reading(engine) as connection:
            before = schema.revision(connection)
        rebuilt = 0
        if before != schema.REVISION:
            with transaction(engine) as connection:
                migrations.upgrade(connection)
                # With the schema or not at all: what the index lacks, searches would pass over in silence.
                if before is not None and before < _INDEXED_SINCE:
                    rebuilt = index_anew(connection, _setting(settings, settings.site))
        with reading(engine) as connection:
            schema.require_schema(connection)
        chain = open_chain(settings.database, settings.audit_folder, settings.node, CLI, brief=True)
        intent = AuditRecord(
            Kind.INTENT,
            CLI,
            "db upgrade",
            os_user=os_user,
            subject="site",
            digest=hashlib.sha256((site_to_json(settings.site) + policy.to_json(settings.policy)).encode()).hexdigest(),
            details={"schema_before": before or "", "schema_after": schema.REVISION},
        )
        with chain.written(intent):
            # First, so that an upgrade that is stopped half-way finds the settings changed still.
            if _is_read_otherwise(engine, settings.site):
                rebuilt = rebuild_in_steps(engine, _setting(settings, settings.site))
            if before != schema.REVISION:  # photos that were there before they could be asked for by their facets
                facets.work(engine, _setting(settings, settings.site))
            with transaction(engine) as connection:
                changed = save_site(connection, settings.site, stored_purposes(settings.site))
                believed = policy.save(connection, settings.policy)
                issuer_keys.forget_others(connection, settings.issuers)
                if changed:
                    jobs.put(connection, jobs.REDECIDE, EVERYBODY)
    finally:
        engine.dispose()
    return Upgraded(before, schema.REVISION, keys_made, changed, believed, rebuilt)


def rebuild(settings: Settings, *, os_user: str) -> int:
    """Make what decisions, lists and searches read anew from the record; tells how many resources were read."""
    engine = open_engine(settings.database)
    try:
        with reading(engine) as connection:
            schema.require_schema(connection)
            site = load_site(connection)
        chain = open_chain(settings.database, settings.audit_folder, settings.node, CLI, brief=True)
        with chain.written(AuditRecord(Kind.INTENT, CLI, "db rebuild", os_user=os_user, subject="record")):
            return rebuild_in_steps(engine, _setting(settings, site))
    finally:
        engine.dispose()


def _is_read_otherwise(engine: Engine, site: Site) -> bool:
    """Whether the record means something else by these settings: dates without an offset, and who is a minor."""
    with reading(engine) as connection:
        try:
            former = load_site(connection)
        except NoSite:
            return False
    return (former.time_zone, former.majority_age) != (site.time_zone, site.majority_age)


def _setting(settings: Settings, site: Site) -> Setting:
    return Setting(site, f"{settings.public_url.rstrip('/')}/fhir")


def _file(settings: Settings) -> Path | None:
    """The file of a SQLite database."""
    url = make_url(settings.database)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
