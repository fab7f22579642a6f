"""Settings: ``photospine.toml``, then ``PHOTOSPINE_…`` variables, into frozen dataclasses.

Every field of :class:`Settings` is a key of the file's top level, and ``PHOTOSPINE_`` with the key in capitals sets it
from the environment. The table ``[site]`` holds what binds decisions (:class:`consent.site.Site`); ``photospine db``
writes it to the database, which is where every node reads it, and with it the tables ``[[issuers]]`` and ``[lock_out]``
(:mod:`consent.identity.policy`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from consent.identity.policy import Issuer, LockOut, Policy, PolicyRefused, issuer_of, lock_out_of
from consent.site import CareTeamScope, OtherObjects, PortalDefault, Site, SitePurpose, TreatmentDefault
from dicom_bridge.intake import Identifying
from orthanc_plugin.assembly.errors import SettingsError

FILE_NAME = "photospine.toml"
PREFIX = "PHOTOSPINE_"
_TABLES = ("folder", "site", "issuers", "lock_out")
"""What no variable of the environment sets."""

BASELINE = ("asked", "required")
"""Values of the setting ``baseline``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the processes of one node find each other. Paths are absolute, or relative to the settings file."""

    folder: Path
    """Folder of the settings file; relative paths start here."""

    database: str = "sqlite:///photospine.sqlite3"
    """SQLAlchemy address: ``sqlite:///FILE`` or ``postgresql+psycopg://…``."""

    audit_folder: Path = Path("audit")
    """Where the audit chains lie (SQLite), and the locks of their slots."""

    spool: Path = Path("spool")
    """Where originals lie while they are on their way into Orthanc."""

    keys: Path = Path("keys.json")
    """The node's keys (tickets, UIDs), made by ``photospine db upgrade`` with mode 0600."""

    checkpoint_key: Path = Path("checkpoint.key")
    """The key that signs the audit's checkpoints, made by ``photospine db upgrade`` with mode 0600."""

    checkpoint_folder: Path = Path("checkpoints")
    """Second place of the audit's checkpoints: a mounted share, best one where nothing can be changed or removed."""

    node: str = "node1"
    """Name of this node in audit chains."""

    orthanc: str = "http://127.0.0.1:8042"
    """Address of Orthanc, as the node's own processes reach it."""

    host: str = "127.0.0.1"
    """Address that ``serve`` listens on."""

    port: int = 8080
    """Port that ``serve`` listens on."""

    public_url: str = "http://127.0.0.1:8080"
    """How browsers reach ``serve``; with ``https`` the session cookie is Secure."""

    tls_certificate: Path | None = None
    """Certificate that ``serve`` shows, PEM, with those that lead to its root; none: plain HTTP, behind a proxy."""

    tls_key: Path | None = None
    """Private key of the certificate, PEM, without a password."""

    dimse_host: str = "127.0.0.1"
    """Address that ``gateway`` listens on."""

    dimse_port: int = 11112
    """Port that ``gateway`` listens on."""

    dimse_ae_title: str = "PHOTOSPINE"
    """AE title of ``gateway``; who calls another is not let in."""

    dimse_tls_certificate: Path | None = None
    """Certificate that ``gateway`` shows, PEM, with those that lead to its root; none: it takes no TLS."""

    dimse_tls_key: Path | None = None
    """Private key of that certificate, PEM, without a password."""

    dimse_tls_ca: Path | None = None
    """Certificates, PEM, that peers' certificates lead to, or are; none: no caller is known by its certificate."""

    dimse_associations: int = 20
    """Associations of callers that ``gateway`` serves at a time."""

    dimse_pdu_bytes: int = 131_072
    """Longest PDU that ``gateway`` takes."""

    dimse_idle_seconds: int = 60
    """An association ends where its peer says nothing, or takes nothing, for so long."""

    dimse_most_objects: int = 10_000
    """Objects that one C-MOVE or C-GET sends, and answers that one C-FIND gives, at most."""

    ohif: Path | None = None
    """Folder of the installed OHIF viewer, prepared for ``/ohif/``; none: no such page."""

    assets: Path = Path("assets")
    """Folder of the browser packages installed from npm (``node_modules``)."""

    wall: Path | None = None
    """Folder of the packages that the wall needs inside Orthanc; none: that of the checkout. Filled where it is not."""

    protocols: Path | None = None
    """Folder of the clinic's own protocols of photography, NAME.toml; none: those that come with Photospine."""

    baseline: str = "asked"
    """``required``: no session is closed whose set of photos before the first treatment is not whole."""

    session_minutes: int = 60
    """A workspace session ends after so many minutes without a request."""

    max_file_megabytes: int = 200
    """Largest file that intake reads."""

    max_pixels: int = 150_000_000
    """Largest picture that intake decodes, in pixels."""

    keep_exif: tuple[Identifying, ...] = ()
    """What of EXIF that identifies is written into objects: ``owner``, ``serial``, ``location``, ``maker-note``."""
    watched: Path | None = None
    """Folder into which files are dropped that ``worker`` takes in; none: there is none."""

    watched_account: str = ""
    """Account in whose name it takes them in; it has the rights ``capture`` and ``record``."""

    watched_pattern: str = ""
    """How their paths below the folder are read, as ``photospine import --pattern`` does."""

    ca_file: Path | None = None
    """Certificates, PEM, by which OpenID providers are recognised; none: those that every browser knows."""

    client_secrets: Path | None = None
    """JSON file of mode 0600: our secret at each issuer, by its name; none: we are public clients, with PKCE alone."""

    issuers: tuple[Issuer, ...] = ()
    lock_out: LockOut = field(default_factory=LockOut)
    site: Site = field(default_factory=Site)

    @property
    def policy(self) -> Policy:
        """Whose tokens are believed, and when guessing has to wait."""
        return Policy(self.issuers, self.lock_out)

    @property
    def strict_baseline(self) -> bool:
        """Whether no session is closed without its baseline set."""
        return self.baseline == BASELINE[1]

    @property
    def fhir_base(self) -> str:
        """Public address of ``/fhir``, without a final slash."""
        return self.public_url.rstrip("/") + "/fhir"


def load(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Parameters
    ----------
    file
        The settings file; None looks at ``PHOTOSPINE_SETTINGS``, then for ``photospine.toml`` in the working folder.

    Raises
    ------
    SettingsError
        For an unknown key or a value of the wrong kind; the text names the key. For a file that is named and not there.
    """
    environment = os.environ if environment is None else environment
    if file is None and environment.get(PREFIX + "SETTINGS"):
        file = Path(environment[PREFIX + "SETTINGS"])
    named, file = file is not None, Path(FILE_NAME) if file is None else file
    values: dict[str, Any] = {}
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None
    except FileNotFoundError:
        if named:  # else all its settings would be the defaults, and a clinic made of them
            raise SettingsError(f"{file}: there is no such settings file") from None
    except OSError as error:
        raise SettingsError(f"{file}: it cannot be read: {error.strerror}") from None
    site = _site(values.pop("site", {}), file)
    try:
        policy = _policy(values.pop("issuers", []), values.pop("lock_out", {}))
    except PolicyRefused as error:
        raise SettingsError(f"{file}: {error}") from None
    known = {f.name: f for f in fields(Settings) if f.name not in _TABLES}
    for key in known:
        text = environment.get(PREFIX + key.upper())
        if text is not None:
            values[key] = text
    for key in values:
        if key not in known:
            raise SettingsError(
                f"{file}: unknown setting {key!r}; known are {', '.join(sorted(known))}, [site], [[issuers]] "
                "and [lock_out]"
            )
    folder = file.resolve().parent
    made: dict[str, Any] = {}
    for key, value in values.items():
        default = known[key].default
        if key == "keep_exif":
            made[key] = _kept_exif(value)
        elif isinstance(default, int):
            try:
                made[key] = int(value)
            except (TypeError, ValueError):
                raise SettingsError(f"setting {key!r} must be a whole number, not {value!r}") from None
        elif isinstance(default, Path) or "Path" in str(known[key].type):
            made[key] = Path(str(value))
        else:
            made[key] = str(value)
    if made.get("baseline", BASELINE[0]) not in BASELINE:
        raise SettingsError(f"setting 'baseline' is one of {', '.join(BASELINE)}, not {made['baseline']!r}")
    try:
        make_url(made.get("database", "sqlite://"))
    except (ArgumentError, ValueError):
        raise SettingsError("setting 'database' is an address, such as sqlite:///photospine.sqlite3") from None
    settings = Settings(folder=folder, site=site, issuers=policy.issuers, lock_out=policy.lock_out, **made)
    return _absolute(settings)


def _absolute(settings: Settings) -> Settings:
    """The same settings, every path absolute, so that the working folder no longer matters."""
    database = settings.database
    prefix = "sqlite:///"
    if database.startswith(prefix) and not database.startswith(prefix + "/"):
        database = prefix + str(settings.folder / database.removeprefix(prefix))
    changes: dict[str, Any] = {"database": database}
    for entry in fields(Settings):
        value = getattr(settings, entry.name)
        if isinstance(value, Path) and entry.name != "folder":
            changes[entry.name] = settings.folder / value
    return Settings(**{f.name: changes.get(f.name, getattr(settings, f.name)) for f in fields(Settings)})


def _kept_exif(value: Any) -> tuple[Identifying, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    try:
        return tuple(Identifying(str(word)) for word in words)
    except (TypeError, ValueError):
        known = ", ".join(each.value for each in Identifying)
        raise SettingsError(f"setting 'keep_exif' must be a list of these, not {value!r}: {known}") from None


def _policy(issuers: Any, lock_out: Any) -> Policy:
    if not isinstance(issuers, list) or not all(isinstance(each, Mapping) for each in issuers):
        raise PolicyRefused("issuers are written as tables: [[issuers]]")
    if not isinstance(lock_out, Mapping):
        raise PolicyRefused("lock_out is written as a table: [lock_out]")
    return Policy(tuple(issuer_of(each) for each in issuers), lock_out_of(lock_out))


def _site(values: Mapping[str, Any], file: Path) -> Site:
    known = {f.name: f for f in fields(Site) if f.init}
    made: dict[str, Any] = {}
    enums: dict[str, type[StrEnum]] = {
        "treatment_default": TreatmentDefault,
        "portal_default": PortalDefault,
        "care_team": CareTeamScope,
        "other_objects": OtherObjects,
    }
    for key, value in values.items():
        if key not in known:
            raise SettingsError(f"{file}: unknown setting [site] {key!r}; known are {', '.join(sorted(known))}")
        try:
            if key in enums:
                made[key] = enums[key](value)
            elif key == "purposes":
                made[key] = tuple(SitePurpose(**entry) for entry in value)
            elif isinstance(value, list):
                made[key] = frozenset(str(entry) for entry in value)
            else:
                made[key] = value
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{file}: [site] {key}: {error}") from None
    try:
        return Site(**made)
    except (KeyError, ValueError, OSError) as error:
        raise SettingsError(f"{file}: [site] time_zone: {error}") from None
