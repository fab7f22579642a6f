"""The certificate that ``serve`` shows: named by the settings, or made on the spot for the demo."""

from __future__ import annotations

import os
import ssl
import subprocess
from pathlib import Path

from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings

_DAYS = 30
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def files(settings: Settings) -> tuple[Path, Path] | None:
    """Certificate and private key, both PEM; None where ``serve`` speaks plain HTTP.

    Raises
    ------
    AssemblyError
        One of the two is not set, or they are no pair: the text names the setting.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "tls_certificate" if certificate is None else "tls_key"
        raise AssemblyError(f"setting {missing!r} is missing: TLS needs 'tls_certificate' and 'tls_key'")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        raise AssemblyError(
            f"settings 'tls_certificate' ({certificate}) and 'tls_key' ({key}) are no pair that can be read: {reason}; "
            "both are PEM, and the key has no password"
        ) from None
    return certificate, key


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine alone, and its key with mode 0600; made where it is not there yet.

    Raises
    ------
    AssemblyError
        ``openssl`` is missing or fails.
    """
    certificate, key = folder / "tls.crt", folder / "tls.key"
    if certificate.exists() and key.exists():
        return certificate, key
    os.close(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-days", str(_DAYS), "-subj", "/CN=Photospine demo", "-addext", _NAMES]
    words += ["-keyout", str(key), "-out", str(certificate)]
    try:
        done = subprocess.run(words, capture_output=True, check=False)
    except FileNotFoundError:
        raise AssemblyError("openssl is missing: install the package of that name") from None
    if done.returncode != 0:
        raise AssemblyError(f"openssl could not make a certificate: exit status {done.returncode}")
    return certificate, key


def trusting(certificate: Path) -> ssl.SSLContext:
    """Trusts this one certificate, whoever signed it and whatever name it bears: for asking our own ``serve``."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return context
