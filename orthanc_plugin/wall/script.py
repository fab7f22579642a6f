# SPDX-License-Identifier: AGPL-3.0-or-later
"""The script that an Orthanc ran before its wall came: loaded after it, with what is left of Orthanc's SDK.

Orthanc runs one script and takes one callback of each kind, so the wall's come first and stay. A script is still told
of changes and of stored objects, reads, and logs. What would open a door beside the wall is refused by name, and where
the script asks for it as it is loaded, Orthanc does not start. It is a
guard against mistakes: a script is code that runs within Orthanc, and its author can do what Orthanc can.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from consent.types import Right
from orthanc_plugin.wall.calls import Calls
from orthanc_plugin.wall.errors import ConfigurationError
from orthanc_plugin.wall.foundation import Foundation
from orthanc_plugin.wall.host import Method
from orthanc_plugin.wall.pool import Pool
from orthanc_plugin.wall.routes import Row, Table, Touches
from orthanc_plugin.wall.section import Section

MODULE = "photospine_script"

#: Registrations that stay with the script, or are passed on by the wall's own.
_REGISTERS = frozenset(
    {
        "RegisterOnChangeCallback",
        "RegisterOnStoredInstanceCallback",
        "RegisterRestCallback",
        "RegisterDictionaryTag",
        "RegisterPrivateDictionaryTag",
        "RegisterErrorCode",
    }
)
_REFUSED = frozenset({"GenerateRestApiAuthorizationToken", "ExtendOrthancExplorer", "ExtendOrthancExplorer2"})
_CHANGES = {"RestApiPost": "POST", "RestApiPut": "PUT", "RestApiDelete": "DELETE"}
_ROUTE = re.compile(r"(GET|POST|PUT|DELETE) (/[A-Za-z0-9_.-]+(?:/(?:[A-Za-z0-9_.-]+|\{any\}))*)")
_SAMPLES = {
    "id": "0123abcd-0123abcd-0123abcd-0123abcd-0123abcd",
    "study": "1.2.3",
    "series": "1.2.4",
    "sop": "1.2.5",
    "frame": "0",
    "frames": "1",
    "tag": "00100010",
    "any": "any",
}
_ROOTS = frozenset(
    {"app", "changes", "dicom-web", "exports", "instances", "jobs", "modalities", "patients", "peers", "photospine"}
    | {"plugins", "queries", "series", "statistics", "storage-commitment", "studies", "system", "tools", "wado"}
    | {"webdav", "web-viewer"}
)
"""First segments that are Orthanc's, or ours."""


class ScriptRefused(ConfigurationError):
    """The script asks for what would open a door beside the wall. The text names it."""


def rows(section: Section) -> tuple[Row, ...]:
    """The routes that a script may answer: for accounts with the right ``admin``.

    Raises
    ------
    ConfigurationError
        One is none, or is Orthanc's own.
    """
    found = []
    for text in section.script_routes:
        shape = _ROUTE.fullmatch(text)
        if shape is None:
            raise ConfigurationError(f"ScriptRoutes: {text!r} is no 'METHOD /path/{{any}}'")
        if shape[2].split("/")[1].lower() in _ROOTS:
            raise ConfigurationError(f"ScriptRoutes: {text} is Orthanc's own; only new routes can be a script's")
        found.append(Row(Method[shape[1]], shape[2], Touches.NOTHING, query=None, right=Right.ADMIN))
    return tuple(found)


def load(
    foundation: Foundation, module: Any, on_stored: Callable[[Callable[[Any, str], None]], None], own: Iterable[Row]
) -> None:
    """Run the section's script, if it names one; any exception makes Orthanc refuse to start.

    Parameters
    ----------
    module
        Orthanc's SDK. What a script must not have of it is taken out of it, so the wall keeps its own.
    on_stored
        Has one more callback told of stored objects, after the wall's.
    own
        The wall's rows: a script answers none of them.
    """
    path = foundation.section.script
    if path is None:
        return
    restrict(foundation, module, on_stored, own)
    sys.path.append(str(path.parent))  # behind everything: a file there must not take the place of one of ours
    spec = importlib.util.spec_from_file_location(MODULE, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigurationError(f"Script: {path} is no Python file")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = loaded
    spec.loader.exec_module(loaded)


def restrict(
    foundation: Foundation, module: Any, on_stored: Callable[[Callable[[Any, str], None]], None], own: Iterable[Row]
) -> None:
    """Take out of the SDK what a script must not have.

    In the module itself, which stays in its place: the plugin finds its own state by it, and ends where it is gone.
    """
    calls, pool = Calls(foundation), foundation.pool
    routes = Routes(foundation.table, tuple(own), module.RegisterRestCallback, pool)
    for name in dir(module):
        changes = _CHANGES.get(name.removesuffix("AfterPlugins"))
        if changes is not None:
            setattr(module, name, calls.guarded(changes, getattr(module, name)))
        elif name in _REFUSED or (name.startswith("Register") and name not in _REGISTERS):
            setattr(module, name, _refusing(name))
    module.RegisterOnStoredInstanceCallback = lambda tell: on_stored(
        lambda instance, orthanc_id: _apart(pool, lambda: tell(instance, orthanc_id))
    )
    module.RegisterRestCallback = routes.register


class Routes:
    """Registers the routes of a script."""

    def __init__(
        self, table: Table, own: tuple[Row, ...], registers: Callable[[str, Callable[..., None]], None], pool: Pool
    ) -> None:
        self._table, self._own, self._registers, self._pool = table, own, registers, pool

    def register(self, pattern: str, answer: Callable[..., None]) -> None:
        """As Orthanc's ``RegisterRestCallback``.

        Raises
        ------
        ScriptRefused
            The pattern would answer in the wall's or in Orthanc's stead.
        """
        for path in self._samples():
            if re.fullmatch(pattern, path):
                raise ScriptRefused(f"the script would answer {path} in Orthanc's stead: its pattern is too wide")

        def answered(output: Any, uri: str, **request: Any) -> None:
            match = self._table.match(Method[request["method"]], uri)
            if match is None or match.row in self._own:
                output.SendHttpStatusCode(403)
            else:
                _apart(self._pool, lambda: answer(output, uri, **request))

        self._registers(pattern, answered)

    def _samples(self) -> Iterator[str]:
        for row in self._own:
            yield re.sub(r"\{(\w+)\}", lambda place: _SAMPLES[place[1]], row.path)
        for root in sorted(_ROOTS):
            yield f"/{root}"
            yield f"/{root}/any"


def _apart(pool: Pool, work: Callable[[], None]) -> None:
    """Do a script's work on a large stack, and wait: on Orthanc's own, what is done for it could end the process."""
    ended, faults = threading.Event(), list[BaseException]()

    def whole() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # it is raised again where the script was called
            faults.append(error)
        finally:
            ended.set()

    pool.aside(whole)
    ended.wait()
    if faults:
        raise faults[0]


def _refusing(name: str) -> Callable[..., None]:
    def refused(*_: Any, **__: Any) -> None:
        raise ScriptRefused(f"the script asks for {name}, which behind the wall is the wall's alone")

    return refused
