"""One opened node: what every command and process needs before it can do anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from consent.audit import signing
from consent.audit.chain import Chain, open_chain
from consent.audit.notary import Notary
from consent.audit.places import DatabasePlace, FolderPlace
from consent.audit.read import Archive
from consent.identity.keys import Keys
from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.service import DecisionPoint
from consent.site import Site
from consent.store.engine import open_engine, reading
from consent.store.schema import require_schema
from consent.store.sites import load_site
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings

CLI = "cli"


class DatabaseUnreachable(AssemblyError):
    """The database does not answer. See that it runs, and that ``database`` in the settings names it."""


@dataclass(frozen=True, slots=True)
class Node:
    """The database, the audit chain and the keys of this process."""

    settings: Settings
    role: str
    engine: Engine
    chain: Chain
    keys: Keys
    site: Site
    """The settings that bind decisions, as the database has them."""

    @property
    def point(self) -> DecisionPoint:
        """A decision point of this process's own door."""
        return DecisionPoint(self.engine, self.chain, self.role)

    @property
    def mint(self) -> TicketMint:
        """Makes tickets for Orthanc."""
        return TicketMint(TicketKeys(self.keys.tickets), self.settings.node)

    @property
    def archive(self) -> Archive:
        """All audit chains that can be reached from here."""
        return Archive(self.engine, self.settings.audit_folder)

    @property
    def notary(self) -> Notary:
        """Signs the heads of the chains."""
        places = DatabasePlace(self.engine), FolderPlace(self.settings.checkpoint_folder)
        return Notary(self.archive, *places, lambda: signing.load(self.settings.checkpoint_key))


@contextmanager
def open_node(settings: Settings, role: str = CLI) -> Iterator[Node]:
    """Open the node for a command (role ``cli``: its chain is held for each record alone) or a process.

    Raises
    ------
    consent.errors.ConsentError
        Another schema, no settings, no keys, no audit: the text names the remedy.
    DatabaseUnreachable
        The database does not answer.
    """
    engine = open_engine(settings.database)
    try:
        try:
            with reading(engine) as connection:
                require_schema(connection)
                site = load_site(connection)
        except OperationalError as error:
            raise DatabaseUnreachable(f"the database does not answer: {type(error.orig).__name__}") from error
        keys = load_keys(settings.keys)
        chain = open_chain(settings.database, settings.audit_folder, settings.node, role, brief=role == CLI)
        try:
            yield Node(settings, role, engine, chain, keys, site)
        finally:
            chain.close()
    finally:
        engine.dispose()
