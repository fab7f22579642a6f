"""Required bindings of R4, computed from HL7's definitions: what ``fhir_mapping/bindings.json`` must hold.

``python -m tests.fhir.required_bindings`` writes the file anew, where the types that are kept have changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from fhir_mapping.store.kinds import KEPT
from tests.fhir.validators import defined

FILE = Path(__file__).parents[2] / "fhir_mapping" / "bindings.json"

#: Types that are served beside those that are kept, or come in and are read.
_BESIDE = frozenset({"AuditEvent", "Bundle", "CapabilityStatement", "OperationOutcome", "Parameters"})

#: Types that may be contained in what is kept, and have codes of their own.
_CONTAINED = frozenset({"Media", "Questionnaire", "QuestionnaireResponse", "Specimen", "Substance"})

#: Value sets that are no closed list: of another standard's codes.
_OPEN = ("mimetypes", "languages", "all-languages", "currencies", "ucum-units")


def computed() -> dict[str, Any]:
    """The table: elements with the name of their value set, and the codes of each."""
    sets = _value_sets()
    elements: dict[str, str] = {}
    codes: dict[str, list[str]] = {}
    concepts: dict[str, list[str]] = {}
    for definition in _definitions():
        classes = _classes(definition)
        for element in definition["snapshot"]["element"]:
            binding = element.get("binding", {})
            kinds = {each["code"] for each in element.get("type", ())}
            if binding.get("strength") != "required" or not kinds & {"code", "CodeableConcept"}:
                continue
            address = binding["valueSet"].partition("|")[0]
            name = address.rpartition("/")[2]
            listed = _codes(address, sets)
            owner, _, member = element["path"].rpartition(".")
            if name in _OPEN or not listed or owner not in classes:
                continue
            if "code" in kinds:
                elements[f"{classes[owner]}.{member}"] = name
                codes[name] = sorted({code for _, code in listed})
            else:
                concepts[f"{classes[owner]}.{member}"] = sorted(f"{system}|{code}" for system, code in listed)
    return {"elements": elements, "codes": codes, "concepts": concepts}


def _definitions() -> Iterator[Mapping[str, Any]]:
    for definition in defined("profiles-types"):
        if definition.get("kind") == "complex-type" and definition.get("derivation") != "constraint":
            yield definition
    for definition in defined("profiles-resources"):
        if definition.get("resourceType") == "StructureDefinition" and definition["name"] in (
            KEPT | _BESIDE | _CONTAINED
        ):
            yield definition


def _classes(definition: Mapping[str, Any]) -> dict[str, str]:
    """Path of each element that has members -> the name of its class in fhir.resources."""
    found: dict[str, str] = {}
    try:
        get_fhir_model_class(definition["name"])
    except (KeyError, ValueError):
        return {}
    for element in definition["snapshot"]["element"]:
        path = element["path"]
        kinds = {each["code"] for each in element.get("type", ())}
        if "." not in path or kinds & {"BackboneElement", "Element"}:
            found[path] = "".join(part[:1].upper() + part[1:] for part in path.split("."))
    return found


def _value_sets() -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for name in ("valuesets", "v3-codesystems", "v2-tables"):
        for resource in defined(name):
            if resource.get("resourceType") in ("ValueSet", "CodeSystem"):
                found[resource["url"]] = resource
    return found


def _codes(address: str, sets: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str]]:
    """System and code of all in a value set; none where it is not a closed list."""
    found: set[tuple[str, str]] = set()
    compose = sets.get(address, {}).get("compose", {})
    if compose.get("exclude"):
        return set()
    for part in compose.get("include", ()):
        if part.get("filter"):
            return set()
        if "concept" in part:
            found |= {(part["system"], each["code"]) for each in part["concept"]}
        elif "valueSet" in part:
            for other in part["valueSet"]:
                more = _codes(other, sets)
                if not more:
                    return set()
                found |= more
        else:
            system = sets.get(part.get("system", ""), {})
            if system.get("content") != "complete":
                return set()
            found |= {(part["system"], code) for code in _all(system.get("concept", ()))}
    return found


def _all(concepts: Any) -> Iterator[str]:
    for each in concepts:
        yield each["code"]
        yield from _all(each.get("concept", ()))


if __name__ == "__main__":
    FILE.write_text(json.dumps(computed(), sort_keys=True) + "\n", "utf-8")
