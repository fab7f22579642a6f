"""The section ``Photospine`` of Orthanc's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthanc_plugin.wall.errors import ConfigurationError

NAME = "Photospine"

#: Doors of Orthanc that no filter of this wall sees, and what Orthanc does where its configuration is silent.
_DOORS = {
    "DicomServerEnabled": True,  # C-FIND, C-MOVE and C-GET by Orthanc itself ask for nobody's consent
    "WebDavEnabled": True,  # its answers cannot be given by a plugin
    "ExecuteLuaEnabled": False,
    "RestApiWriteToFileSystemEnabled": False,
    "OverwriteInstances": False,  # a photo that is known would be lost under one that was sent with its UID
}


@dataclass(frozen=True, slots=True)
class Section:
    """What the launcher tells the wall."""

    database: str
    """SQLAlchemy address."""

    audit_folder: Path
    keys: Path
    node: str
    public_url: str | None = None
    """How clients reach Orthanc, for addresses in answers; None: as the request's Host header says."""

    script: Path | None = None
    """The site's own script, loaded after the wall (:mod:`orthanc_plugin.wall.script`)."""

    script_account: str | None = None
    """The account that is asked for what the script sends elsewhere."""

    script_routes: tuple[str, ...] = ()
    """``METHOD /path``: what the script answers, to accounts with the right ``admin``."""

    script_calls: tuple[str, ...] = ()
    """``METHOD /path``: what the script may have Orthanc do, beside reading."""

    @staticmethod
    def read(configuration: Mapping[str, Any]) -> Section:
        """Raises :class:`ConfigurationError`, which makes Orthanc refuse to start."""
        found = configuration.get(NAME)
        if not isinstance(found, Mapping):
            raise ConfigurationError(f"Orthanc's configuration has no section {NAME}")
        python = configuration.get("Python")
        if not isinstance(python, Mapping) or python.get("AllowThreads") is not True:
            # Else one object that is received while another is stored would stop Orthanc for good.
            raise ConfigurationError('Orthanc\'s configuration needs "Python": {"AllowThreads": true}')
        opened = [door for door, silent in _DOORS.items() if configuration.get(door, silent) is not False]
        if opened:
            wanted = ", ".join(f'"{door}": false' for door in opened)
            raise ConfigurationError(f"Orthanc's configuration opens what the wall does not guard; it needs {wanted}")
        if configuration.get("LuaScripts"):
            raise ConfigurationError('Orthanc\'s configuration runs Lua beside the wall; it needs "LuaScripts": []')
        tenants = configuration.get("MultitenantDicom")
        if isinstance(tenants, Mapping) and tenants.get("Servers"):
            raise ConfigurationError(
                "Orthanc's configuration opens DICOM ports beside the wall; it needs "
                '"MultitenantDicom": {"Servers": []}'
            )
        try:
            return Section(
                database=str(found["Database"]),
                audit_folder=Path(found["AuditFolder"]),
                keys=Path(found["Keys"]),
                node=str(found["Node"]),
                script=None if found.get("Script") is None else Path(str(found["Script"])),
                script_account=None if found.get("ScriptAccount") is None else str(found["ScriptAccount"]),
                script_routes=_texts(found, "ScriptRoutes"),
                script_calls=_texts(found, "ScriptCalls"),
                public_url=None if found.get("PublicUrl") is None else str(found["PublicUrl"]).rstrip("/"),
            )
        except KeyError as error:
            raise ConfigurationError(f"section {NAME} has no {error.args[0]}") from None


def _texts(section: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = section.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ConfigurationError(f"{name} in section {NAME} is no list of texts")
    return tuple(found)
