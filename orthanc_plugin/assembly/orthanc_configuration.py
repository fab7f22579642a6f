"""Orthanc's configuration: what the wall needs in it, and an existing one as it must be behind the wall."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import Settings
from orthanc_plugin.wall.section import NAME

PLUGINS = ("libOrthancPython.so*", "libOrthancDicomWeb.so*")
"""In this order: the first that claims a route answers it."""

_STORES = re.compile(r"libOrthanc(?:(?:PostgreSQL|MySQL|Odbc)(?:Index|Storage)|Gdcm)\.so[0-9.]*")
"""Other plugins that an Orthanc keeps: where its index and its objects are, and a decoder. They open no door."""

ORIGINAL_ATTACHMENT = 1024
"""Orthanc's number for our attachment ``original``; it must never change."""

_WALL = "import orthanc_plugin.wall.plugin"
_COMMENTS = re.compile(r'("(?:[^"\\]|\\.)*")|/\*.*?\*/|//[^\n]*', re.DOTALL)


class ConfigurationUnfit(AssemblyError):
    """An existing configuration cannot be read, or contradicts the node's settings. The text names what and where."""


def needs(settings: Settings, plugins: Path, script: Path) -> dict[str, Any]:
    """What the wall needs: every door that it does not guard is off.

    Parameters
    ----------
    plugins
        The folder of Orthanc's plugins.
    script
        The wall's own script (``orthanc_plugin/wall/plugin.py``), or one that loads it.

    Raises
    ------
    ConfigurationUnfit
        A plugin is missing.
    """
    return {
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,  # with it, Bearer is refused before the filter
        "DicomServerEnabled": False,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomAlwaysAllowFind": False,
        "DicomAlwaysAllowGet": False,
        "DicomAlwaysAllowMove": False,
        "WebDavEnabled": False,
        "WebDavDeleteAllowed": False,
        "WebDavUploadAllowed": False,
        "OrthancExplorerEnabled": False,
        "ExecuteLuaEnabled": False,
        "RestApiWriteToFileSystemEnabled": False,
        "LuaScripts": [],
        "HttpDescribeErrors": False,
        "OverwriteInstances": False,
        "StoreDicom": True,
        "UserContentType": {"original": ORIGINAL_ATTACHMENT},
        "Plugins": [_plugin(plugins, pattern) for pattern in PLUGINS],
        "PythonScript": str(script),
        "PythonVerbose": False,
        "Python": {"AllowThreads": True},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False, "Servers": {}},
        NAME: {
            "Database": settings.database,
            "AuditFolder": str(settings.audit_folder),
            "Keys": str(settings.keys),
            "Node": settings.node,
        },
    }


def _plugin(folder: Path, pattern: str) -> str:
    found = sorted(str(path) for path in folder.glob(pattern))
    if not found:
        raise ConfigurationUnfit(f"{folder}/{pattern} is missing: install orthanc-python and orthanc-dicomweb")
    return found[-1]


def loader(wall: Path, packages: Path) -> str:
    """A script for an Orthanc that somebody else starts: it needs no variable of the environment."""
    folders = [str(wall.absolute()), str(packages.absolute())]
    return f"import sys\n\nsys.path[:0] = {folders!r}\n\n{_WALL}  # the wall stands up\n"


@dataclass(frozen=True, slots=True)
class Walled:
    """An existing configuration, with the wall."""

    configuration: Mapping[str, Any]
    changed: tuple[str, ...]
    """What it said otherwise, in words."""


def read(place: Path) -> dict[str, Any]:
    """A configuration as Orthanc reads it: one file, or all of a folder, with comments.

    Raises
    ------
    ConfigurationUnfit
        It is none.
    """
    files = sorted(place.glob("*.json")) if place.is_dir() else [place]
    found: dict[str, Any] = {}
    for file in files:
        try:
            value = json.loads(_COMMENTS.sub(lambda match: match[1] or " ", file.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigurationUnfit(f"{file} cannot be read as Orthanc's configuration: {error}") from None
        if not isinstance(value, dict):
            raise ConfigurationUnfit(f"{file} is no configuration of Orthanc's")
        twice = sorted(found.keys() & value.keys())
        if twice:
            raise ConfigurationUnfit(f"{file} says once more what another file says: {', '.join(twice)}")
        found |= value
    if not files:
        raise ConfigurationUnfit(f"{place} holds no configuration")
    return found


def spare(place: Path, former: Mapping[str, Any], output: Path, script: Path) -> None:
    """See that nothing is written over that was there before the wall.

    Raises
    ------
    ConfigurationUnfit
        The output is the configuration that is read, or in its folder, or the script beside it is somebody else's.
    """
    if place.is_dir() and output.resolve().parent == place.resolve():
        raise ConfigurationUnfit(f"{output} is in the folder that is read: give another place to --output")
    if output.resolve() == place.resolve() and NAME not in former:
        raise ConfigurationUnfit(f"{output} is the configuration that is read: give another file to --output")
    if script.exists() and _WALL not in script.read_text("utf-8", "replace"):
        raise ConfigurationUnfit(f"{script} is there already, and not ours: give another name to --output")


def behind_the_wall(former: Mapping[str, Any], needed: Mapping[str, Any], settings: Settings) -> Walled:
    """An existing configuration as it must be behind the wall. Its own script goes on, after the wall's.

    Raises
    ------
    ConfigurationUnfit
        Its port is not the one of the setting ``orthanc``.
    """
    port, wanted = int(former.get("HttpPort", 8042)), urlsplit(settings.orthanc).port or 80
    if port != wanted:
        raise ConfigurationUnfit(f"Orthanc's HttpPort is {port}, and the setting 'orthanc' says {wanted}")
    found, changed = dict(former), []
    kept, left_out = _others(former.get("Plugins"))
    changed += [f"Plugins: {name} is left out: the wall does not know what it opens" for name in left_out]
    for name, value in needed.items():
        merged = _merged(former.get(name), value) if name != NAME else dict(former.get(name) or {}) | value
        if name == "Plugins":
            found[name] = [*value, *kept]
            continue
        if name in former and former[name] != merged:
            changed.append(f"{name}: {_said(former[name])} -> {_said(merged)}")
        found[name] = merged
    script = former.get("PythonScript")
    if script and script != needed["PythonScript"]:
        found[NAME].setdefault("Script", script)
        changed.append(f"{NAME}.Script: {script} is loaded after the wall")
    return Walled(found, tuple(changed))


def _others(plugins: Any) -> tuple[list[str], list[str]]:
    """Of the plugins that an existing Orthanc loads beside the wall's: those that it keeps, and the names of the rest.

    Orthanc takes files, and folders of them.
    """
    places = [Path(str(each)) for each in ([plugins] if isinstance(plugins, str) else plugins or ())]
    files = [file for place in places for file in (sorted(place.glob("*.so*")) if place.is_dir() else [place])]
    ours = [file for pattern in PLUGINS for file in files if file.match(pattern)]
    others = list(dict.fromkeys(file for file in files if file not in ours and ".so" in file.name))  # no missing folder
    kept = [file for file in others if _STORES.fullmatch(file.name)]
    return [str(file) for file in kept], [file.name for file in others if file not in kept]


def _merged(former: Any, value: Any) -> Any:
    return former | value if isinstance(former, dict) and isinstance(value, dict) else value


def _said(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
