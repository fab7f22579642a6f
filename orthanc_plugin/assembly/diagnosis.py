"""What is wrong with a running node, and how to mend it: each part is tried as it is used, not looked up.

Nothing is changed by looking: what is written is removed again, and a database that is not there is not made.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from consent.audit import signing
from consent.audit.checkpoint import read as read_checkpoint
from consent.audit.notary import newest
from consent.audit.places import DatabasePlace
from consent.audit.read import Archive, ailing
from consent.audit.signing import SigningKey
from consent.errors import ConsentError
from consent.identity import peers
from consent.identity.keys import load as load_keys
from consent.identity.tickets import TicketKeys, TicketMint
from consent.store.clock import micros
from consent.store.engine import open_engine, reading, transaction
from consent.store.schema import WrongSchema, require_schema
from consent.store.sites import NoSite, load_site
from dicom_bridge.protocols.reading import all_protocols
from orthanc_plugin.assembly import issuers
from orthanc_plugin.assembly.archive_process import WallDown, prove
from orthanc_plugin.assembly.clock import CLOCK_REMEDY, clock_finding
from orthanc_plugin.assembly.finding import LEAST_FREE, Finding, untried
from orthanc_plugin.assembly.knocking import Heard, knock
from orthanc_plugin.assembly.neighbours import plugins, sending, storage
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.wall.answers.work import STATE
from orthanc_plugin.wall.canary import CORE

LOCK_SECONDS = 2.0
LATE_SECONDS = 180
"""So long a record may wait for a checkpoint, and that for its copy."""

_CHECKPOINT_REMEDY = (
    "see that 'photospine worker' runs and what its log says, that 'checkpoint_folder' can be written, and what "
    "'photospine audit verify' says"
)
_READ_ONLY = "let the node write: the file's owner and mode, or on PostgreSQL the user's rights and the server's role"
_STOW = "/dicom-web/studies"
_STATE_REMEDIES = {
    "database": "stop Orthanc, serve and worker; see that the setting 'database' names the right file; start them anew",
    "audit": "see to the chains in the folder 'audit_folder'; until then, refused",
    "clock": CLOCK_REMEDY,
}
_PROBE = bytes(4096)
_SIOCGIFADDR = 0x8915


def examine(settings: Settings) -> list[Finding]:
    """Try everything; one finding for each thing tried."""
    parts = [_keys(settings), _database(settings), *_folders(settings)]
    well = all(part.ok for part in parts)
    parts.append(clock_finding(settings) if well else untried("clock"))
    well = well and parts[-1].ok
    if well:
        parts += [_checkpoints(settings), *_issuers(settings)]
    wall = _wall(settings)
    beside: list[Finding] = []
    if wall.ok and well:  # else the fault is named already
        wall, beside = _working(settings, wall)
    return [*parts, wall, *beside, _loopback(settings), *_gateway(settings), *_protocols(settings)]


# --- the wall ---------------------------------------------------------------------------------------------------------


def _wall(settings: Settings) -> Finding:
    """Canary, refusals, rows and the order of plugins."""
    try:
        standing = prove(settings.orthanc, settings)
    except WallDown as error:
        return _unwalled(settings.orthanc) or Finding("wall", False, str(error), error.remedy)
    except (OSError, HTTPException) as error:
        return Finding(
            "wall",
            False,
            f"nobody answers at {settings.orthanc}: {type(error).__name__}",
            "start Orthanc; where it refuses to start, its log names the reason: the wall's script, its packages or "
            "its keys are missing, or a plugin's path is wrong. Elsewhere? See the setting 'orthanc'",
        )
    return Finding("wall", True, f"stands at {settings.orthanc}, {len(standing.rows)} rows")


def _working(settings: Settings, wall: Finding) -> tuple[Finding, list[Finding]]:
    """What keeps a wall that stands from letting anybody in, and what is found beside it in Orthanc."""
    mint = TicketMint(TicketKeys(load_keys(settings.keys).tickets), settings.node)
    try:
        status, body = _get(settings.orthanc, STATE, mint.mint_task("GET", STATE, job="doctor", kind="doctor"))
        state: dict[str, Any] = json.loads(body) if status == 200 else {"fault": "", "says": f"it answers {status}"}
        ticket = mint.mint_task("POST", _STOW, job="doctor", kind="store", bodies=(b"",))
        stored, _ = _ask("POST", settings.orthanc, _STOW, ticket)
    except (OSError, HTTPException, ValueError) as error:
        status, state, stored = 0, {"fault": "", "says": type(error).__name__}, 0
    beside = [*plugins(state.get("plugins")), *storage(state.get("free")), *sending(state.get("holds_up"))]
    if status == 403:
        remedy = (
            "'node' must be the same in the settings and in the section Photospine of Orthanc's configuration; where "
            "it is, the clock was put back since Orthanc was started: start it anew"
        )
        wall = Finding("wall", False, "stands, and refuses this node's tickets", remedy)
    elif state["fault"] is not None:
        remedy = _STATE_REMEDIES.get(state["fault"], "look into Orthanc's log, then start Orthanc anew")
        wall = Finding("wall", False, f"stands, and refuses everybody: {state['says']}", remedy)
    elif not state.get("proves_tokens"):
        remedy = "install python3-cryptography for the Python that Orthanc loads, then start Orthanc anew"
        wall = Finding("wall", False, "stands, and refuses all bearer tokens: it can prove no signature", remedy)
    elif stored in (403, 404):  # our own answer, or none: the plugin would find fault with the empty body
        remedy = "name libOrthancDicomWeb.so in 'Plugins', behind the Python plugin, with 'Root' /dicom-web/"
        wall = Finding("wall", False, "stands before an Orthanc without DICOMweb: no photo comes in", remedy)
    return wall, beside


def _unwalled(url: str) -> Finding | None:
    """What an Orthanc that nobody guards says of itself; None where it says nothing."""
    try:
        status, body = _get(url, "/plugins")
        plugins = json.loads(body) if status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    if not isinstance(plugins, list):
        return None
    if "python" not in plugins:
        why, remedy = "its Python plugin is not loaded", "mend the path of libOrthancPython.so in 'Plugins'"
    else:
        why, remedy = "its Python plugin runs without the wall", "name orthanc_plugin/wall/plugin.py in 'PythonScript'"
    return Finding("wall", False, f"Orthanc at {url} is OPEN TO ALL: {why}", f"stop Orthanc now; then {remedy}")


def _loopback(settings: Settings) -> Finding:
    """Orthanc binds every interface whatever it is told: it must refuse who comes from elsewhere."""
    what, parts = "loopback", urlsplit(settings.orthanc)
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        if host != "localhost" and not ip_address(host).is_loopback:
            return Finding(what, True, f"not tried: {host} is another machine's")
    for address in own_addresses():
        url = f"http://{address}:{parts.port or 80}"
        with contextlib.suppress(OSError, HTTPException):
            status, _ = _get(url, f"{CORE}?nonce={secrets.token_hex(16)}")
            if status not in (401, 403):
                return Finding(
                    what,
                    False,
                    f"Orthanc answers other machines, at {url}",
                    "set 'RemoteAccessAllowed' to false in Orthanc's configuration; others come in through serve",
                )
    return Finding(what, True, "Orthanc answers this machine alone")


def own_addresses() -> Iterator[str]:
    """The IPv4 addresses of this machine's interfaces, but the loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # an interface without an address
                found = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                address = socket.inet_ntoa(found[20:24])
                if not ip_address(address).is_loopback:
                    yield address


def _get(url: str, path: str, ticket: str | None = None) -> tuple[int, bytes]:
    return _ask("GET", url, path, ticket)


def _ask(method: str, url: str, path: str, ticket: str | None) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=3)
    try:
        connection.request(method, path, headers={} if ticket is None else {"Authorization": ticket})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# --- keys, database, folders ------------------------------------------------------------------------------------------


def _keys(settings: Settings) -> Finding:
    try:
        load_keys(settings.keys)
    except ConsentError as error:
        return Finding(
            "keys",
            False,
            str(error),
            "put the keys file back from the backup; only a new node has new ones made by 'photospine db upgrade'",
        )
    return Finding("keys", True, "there, and closed to others")


def _gateway(settings: Settings) -> Iterator[Finding]:
    """The DIMSE door, where a peer is written down that might come: a stranger must be refused there."""
    with contextlib.suppress(ConsentError, SQLAlchemyError):  # the database's fault is named already
        engine = open_engine(settings.database)
        try:
            with reading(engine) as connection:
                known = peers.everyone(connection)
        finally:
            engine.dispose()
        heard = knock(settings) if known else None
        where = f"{settings.dimse_ae_title} at {settings.dimse_host}:{settings.dimse_port}"
        if heard is Heard.REFUSED:
            yield Finding("gateway", True, f"{where} stands, and refuses strangers; {len(known)} peers are known")
        elif heard is not None:
            remedy = "start 'photospine gateway'; its log names what is wrong. Elsewhere? See the settings 'dimse_…'"
            yield Finding("gateway", False, f"{where}: {heard.value}", remedy)


def _database(settings: Settings) -> Finding:
    """Reached, of this version, and open to writers."""
    what, url = "database", make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        return Finding(
            what,
            False,
            f"{url.database} is not there",
            "see the setting 'database'; put it back from the backup, or make a new one with 'photospine db upgrade'",
        )
    engine = open_engine(settings.database)
    try:
        with reading(engine) as connection:
            require_schema(connection)
            load_site(connection)
        with transaction(engine, wait=LOCK_SECONDS) as connection:
            if engine.dialect.name != "sqlite":  # there, beginning takes the lock already
                connection.exec_driver_sql("LOCK TABLE alembic_version IN ROW EXCLUSIVE MODE")
    except (WrongSchema, NoSite) as error:
        return Finding(what, False, str(error), "keep a copy, then run 'photospine db upgrade' of this version")
    except SQLAlchemyError as error:
        return _refused(error, url.database or "")
    finally:
        engine.dispose()
    return Finding(what, True, "of this version, and open to writers")


def _issuers(settings: Settings) -> Iterator[Finding]:
    """Keys of OpenID providers: without them, whoever comes with a token is refused."""
    engine = open_engine(settings.database)
    try:
        for issuer, fault in issuers.ailing(engine):
            remedy = "see that 'serve' or 'worker' runs and reaches it, by 'ca_file' where its certificate is your own"
            yield Finding(
                "issuer", fault is None, f"{issuer}: {fault or 'its keys are there'}", remedy if fault else ""
            )
    finally:
        engine.dispose()


def _refused(error: SQLAlchemyError, name: str) -> Finding:
    """What a database's own words mean. Of PostgreSQL's only the kind is shown: they may name people and places."""
    words = str(error.orig) if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error) else ""
    kind = type(error.orig).__name__ if isinstance(error, DBAPIError) else type(error).__name__
    says, remedy = f"cannot be used: {words or kind}", "see that it runs, and that the setting 'database' names it"
    if "lock" in words or kind == "LockNotAvailable":
        remedy = f"another process holds it: find that (fuser {name}, or pg_stat_activity) and end it"
    elif "no such" in words or kind in ("UndefinedTable", "UndefinedColumn"):
        remedy = "it is not whole: put it back from the backup, or run 'photospine db upgrade' of this version"
    elif "malformed" in words or "not a database" in words:
        remedy = f"{name} is damaged: stop the node and put it back from the backup"
    elif "readonly" in words or kind in ("InsufficientPrivilege", "ReadOnlySqlTransaction"):
        remedy = _READ_ONLY
    return Finding("database", False, says, remedy)


def _folders(settings: Settings) -> Iterator[Finding]:
    """What has to be written before anything may be shown or taken in."""
    places = {"audit": settings.audit_folder, "spool": settings.spool}
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite" and url.database:
        places["database folder"] = Path(url.database).parent
    for what, folder in places.items():
        found = _written(what, folder)
        yield (_chains(folder) or found) if what == "audit" and found.ok else found


def _chains(folder: Path) -> Finding | None:
    """A chain that is lost or damaged: its process records nothing any more, and so lets nobody in."""
    fault = next(ailing(folder), None)
    if fault is None:
        return None
    remedy = (
        "put it back from the backup; where its loss is known, remove its .sqlite3 and .lock files to begin a new one, "
        "then start the node's processes anew"
    )
    return Finding("audit", False, fault, f"{remedy}; until then, refused")


def _protocols(settings: Settings) -> list[Finding]:
    """The clinic's own protocols: one that cannot be used is not missed by chance."""
    if settings.protocols is None:
        return []
    known = all_protocols(settings.protocols)
    own = sum(each.own for each in known)
    remedy = "mend the line, or take the file away; until then, what it replaces holds ('photospine protocol check')"
    if known.refused:
        return [Finding("protocols", False, each, remedy) for each in known.refused]
    return [
        Finding("protocols", True, f"{own} of the clinic's own in {settings.protocols}, {len(known.by_name)} in all")
    ]


# --- checkpoints ------------------------------------------------------------------------------------------------------


def _checkpoints(settings: Settings) -> Finding:
    """The chains' heads are signed, and the signed heads copied."""
    what, folder = "checkpoints", settings.checkpoint_folder
    try:
        key = signing.load(settings.checkpoint_key)
    except ConsentError as error:
        remedy = (
            "put it back from the backup; or have 'photospine db upgrade' make a new one, and trust the former public "
            "key ('photospine audit key --trust'); until then, unsigned"
        )
        return Finding(what, False, str(error), remedy)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        remedy = "mount it, or see to its owner and mode: the node's user has to write there"
        return Finding(what, False, f"{folder} cannot be written", remedy)
    engine = open_engine(settings.database)
    try:
        archive, database = Archive(engine, settings.audit_folder), DatabasePlace(engine)
        late = time.time_ns() // 1000 - LATE_SECONDS * 1_000_000
        fault = _unsigned(archive, database, key, late) or _not_copied(database, key, late)
    except (ConsentError, SQLAlchemyError) as error:
        fault = str(error) if isinstance(error, ConsentError) else "the database cannot be asked"
    finally:
        engine.dispose()
    if fault is not None:
        return Finding(what, False, fault, _CHECKPOINT_REMEDY)
    if there.stat().st_dev == next(at for at in (settings.audit_folder, *there.parents) if at.exists()).stat().st_dev:
        return Finding(what, True, f"signed; no second place: 'checkpoint_folder' {folder} is on the audit's own disk")
    return Finding(what, True, f"signed, and copied to {folder}")


def _unsigned(archive: Archive, database: DatabasePlace, key: SigningKey, late: int) -> str | None:
    """A chain that is not what was signed, or that has been waiting to be signed since before ``late``."""
    for chain in archive.chains():
        last = newest(database, chain, key.public)
        if last is not None:
            row = archive.row(chain, last.size)
            if row is None or row.hash != last.hash:
                return f"the audit chain {chain} is not what was signed"
        following = next(archive.rows(chain, 0 if last is None else last.size), None)
        if following is not None and following.recorded < late:
            return f"the audit chain {chain} has not been signed since its record {following.sequence}"
    return None


def _not_copied(database: DatabasePlace, key: SigningKey, late: int) -> str | None:
    for chain, size, note in database.not_copied()[:1]:
        if micros(read_checkpoint(note, key.public).at) < late:
            return f"checkpoint {size} of {chain} has not been copied to the second place"
    return None


def _written(what: str, folder: Path) -> Finding:
    there = next(place for place in (folder, *folder.parents) if place.exists())  # a new node makes it when needed
    probe = there / f".doctor-{secrets.token_hex(8)}"
    try:
        with probe.open("xb") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(there).free
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space there" if full else "see to its owner and mode: the node's user has to write there"
        return Finding(what, False, f"{folder} cannot be written: {error.strerror}", f"{remedy}; until then, refused")
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    if free < LEAST_FREE:
        return Finding(
            what,
            False,
            f"{folder} has {free // 2**20} MB left",
            f"free some space there: {LEAST_FREE // 2**20} MB at least",
        )
    return Finding(what, True, f"{folder} can be written")
