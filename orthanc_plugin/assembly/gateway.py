"""``photospine gateway``: the DIMSE door of a node, put together from its parts."""

from __future__ import annotations

import re
import ssl
import threading
from pathlib import Path

from sqlalchemy import Connection

from consent.site import OtherObjects
from consent.store.engine import glancing
from consent.store.sites import load_site
from dicom_bridge.archive import OrthancArchive
from dicom_bridge.belonging import study_of
from dicom_bridge.gateway.gateway import Gateway, Place, quiet
from dicom_bridge.gateway.limits import Limits
from dicom_bridge.gateway.worklist import Worklist
from dicom_bridge.plan import Plan
from dicom_bridge.protocols.reading import all_protocols
from orthanc_plugin.assembly.errors import AssemblyError, SettingsError
from orthanc_plugin.assembly.open import Node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import Settings

ROLE = "gateway"
_AE_TITLE = re.compile(r"[A-Za-z0-9_.\-]{1,16}")


def run(node: Node, stopped: threading.Event) -> None:
    """Serve until ``stopped`` is set.

    Raises
    ------
    AssemblyError
        A setting is wrong, or the address cannot be listened on.
    """
    quiet()
    gateway = build(node)
    settings = node.settings
    try:
        gateway.start()
    except OSError as error:
        raise AssemblyError(
            f"gateway cannot listen on {settings.dimse_host}:{settings.dimse_port}: {error.strerror}"
        ) from error
    try:
        stopped.wait()
    finally:
        gateway.stop()


def build(node: Node) -> Gateway:
    """Put the gateway of a node together.

    Raises
    ------
    SettingsError
        The text names the setting.
    """
    settings = node.settings
    return Gateway(
        Place(
            settings.dimse_host, settings.dimse_port, _ae_title(settings), server_tls(settings), client_tls(settings)
        ),
        node.engine,
        node.chain,
        node.point,
        node.mint,
        settings.orthanc,
        lambda: OrthancArchive(settings.orthanc, node.mint),
        worklist(node),
        limits=limits(settings),
        door=ROLE,
        others=node.site.other_objects is not OtherObjects.REFUSE,
        takes_others=lambda: _takes_others(node),
    )


def worklist(node: Node) -> Worklist:
    """Whom to photograph today, by the node's record and protocols."""
    store, folder = record_store(node), node.settings.protocols

    def study_uid(connection: Connection, visit: str, patient: str) -> str:
        name = visit.removeprefix("Encounter/")
        plan = Plan("", "", patient, name, region="", laterality="", view="")
        return study_of(connection, store, node.keys.uid, plan)

    return Worklist(
        node.engine,
        node.point,
        store,
        lambda: tuple(all_protocols(folder)),
        study_uid,
        most=node.settings.dimse_most_objects,
    )


def _takes_others(node: Node) -> bool:
    with glancing(node.engine) as connection:
        return load_site(connection).other_objects is not OtherObjects.REFUSE


def limits(settings: Settings) -> Limits:
    """What the settings allow.

    Raises
    ------
    SettingsError
        One of them is out of range.
    """
    ranges = {
        "dimse_associations": (1, 200),
        "dimse_pdu_bytes": (4096, 2**20),
        "dimse_idle_seconds": (1, 3600),
        "dimse_most_objects": (1, 1_000_000),
    }
    for name, (low, high) in ranges.items():
        if not low <= getattr(settings, name) <= high:
            raise SettingsError(f"setting {name!r} must be from {low} to {high}")
    return Limits(
        associations=settings.dimse_associations,
        pdu=settings.dimse_pdu_bytes,
        idle=settings.dimse_idle_seconds,
        objects=settings.dimse_most_objects,
        object_bytes=settings.max_file_megabytes * 2**20,
    )


def _ae_title(settings: Settings) -> str:
    if not _AE_TITLE.fullmatch(settings.dimse_ae_title):
        raise SettingsError("setting 'dimse_ae_title' has 1 to 16 letters, digits, '_', '.', '-'")
    return settings.dimse_ae_title


def server_tls(settings: Settings) -> ssl.SSLContext | None:
    """How callers are met: with our certificate, and asked for theirs where some are known by it.

    Raises
    ------
    SettingsError
        A file is missing or cannot be read.
    """
    certificate, key = settings.dimse_tls_certificate, settings.dimse_tls_key
    if certificate is None and key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _show(context, certificate, key)
    if settings.dimse_tls_ca is not None:
        _trust(context, settings.dimse_tls_ca)
        context.verify_mode = ssl.CERT_OPTIONAL  # a peer that is known by its address alone has none
    return context


def client_tls(settings: Settings) -> ssl.SSLContext:
    """How destinations are called: their certificates lead to ``dimse_tls_ca``, else to the system's roots.

    Raises
    ------
    SettingsError
        A file is missing or cannot be read.
    """
    context = ssl.create_default_context()
    if settings.dimse_tls_ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _trust(context, settings.dimse_tls_ca)
    if settings.dimse_tls_certificate is not None or settings.dimse_tls_key is not None:
        _show(context, settings.dimse_tls_certificate, settings.dimse_tls_key)
    return context


def _show(context: ssl.SSLContext, certificate: Path | None, key: Path | None) -> None:
    if certificate is None or key is None:
        missing = "dimse_tls_certificate" if certificate is None else "dimse_tls_key"
        raise SettingsError(f"setting {missing!r} is missing: TLS needs 'dimse_tls_certificate' and 'dimse_tls_key'")
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # PS3.15 B.9
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"settings 'dimse_tls_certificate' and 'dimse_tls_key' are no pair that can be read: "
            f"{error.strerror or type(error).__name__}; both are PEM, and the key has no password"
        ) from None


def _trust(context: ssl.SSLContext, certificates: Path) -> None:
    try:
        context.load_verify_locations(certificates)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"setting 'dimse_tls_ca' cannot be read: {error.strerror or type(error).__name__}"
        ) from None
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # a peer's own certificate may stand there
