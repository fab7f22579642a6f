"""StructureDefinition of an extension (R4, 5.3): what a validator judges those by that stand in our resources."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_mapping.definitions.extensions import Extension

_R4 = "http://hl7.org/fhir/StructureDefinition/"
_PRIMITIVE = "http://hl7.org/fhirpath/System.String"
_REFERENCE = re.compile(r"Reference\((\w+)\)")

Element = dict[str, Any]


def structure(extension: Extension, version: str) -> dict[str, Any]:
    """The StructureDefinition, with snapshot and differential; its id is the extension's name.

    Parameters
    ----------
    version
        Of this product.
    """
    elements = list(_elements(extension))
    return {
        "resourceType": "StructureDefinition",
        "id": extension.name,
        "url": extension.url,
        "version": version,
        "name": "".join(word.capitalize() for word in extension.name.split("-")),
        "title": extension.name.replace("-", " ").capitalize(),
        "status": "active",
        "publisher": "Photospine",
        "description": extension.what,
        "fhirVersion": "4.0.1",
        "kind": "complex-type",
        "abstract": False,
        "context": [{"type": "element", "expression": each} for each in extension.on],
        "type": "Extension",
        "baseDefinition": f"{_R4}Extension",
        "derivation": "constraint",
        "snapshot": {"element": elements},
        "differential": {"element": [_without_base(each) for each in elements]},
    }


def _elements(extension: Extension) -> Iterator[Element]:
    most = "*" if extension.repeats else "1"
    yield _element("Extension", 0, most, ("Extension", 0, "*"), extension.what)
    yield _identity("Extension")
    if extension.parts:
        fewest = sum(each.required for each in extension.parts)
        yield _sliced("Extension", fewest, "*")
        for part in extension.parts:
            path = "Extension.extension"
            made = _element(path, int(part.required), "1", ("Element.extension", 0, "*"), f"Its part {part.name}.")
            yield _of(made, part.name) | {"sliceName": part.name, "type": [{"code": "Extension"}]}
            yield _of(_identity(path), part.name)
            yield _of(_sliced(path, 0, "0"), part.name)
            yield _of(_named(path, part.name), part.name)
            yield _of(_valued(path, part.type, 1, "1"), part.name)
        yield _named("Extension", extension.url)
        yield _valued("Extension", "", 0, "0")
    else:
        yield _sliced("Extension", 0, "0")
        yield _named("Extension", extension.url)
        yield _valued("Extension", extension.value, 1, "1")


def _element(path: str, fewest: int, most: str, base: tuple[str, int, str], what: str) -> Element:
    return {
        "id": path,
        "path": path,
        "short": what,
        "definition": what,
        "min": fewest,
        "max": most,
        "base": {"path": base[0], "min": base[1], "max": base[2]},
        "isModifier": False,
    }


def _of(element: Element, part: str) -> Element:
    """The same as an element of a part (slice), which its id tells."""
    return element | {"id": element["id"].replace("Extension.extension", f"Extension.extension:{part}", 1)}


def _identity(under: str) -> Element:
    made = _element(f"{under}.id", 0, "1", ("Element.id", 0, "1"), "An id within the resource.")
    return made | {"representation": ["xmlAttr"], "type": [_primitive("string")]}


def _sliced(under: str, fewest: int, most: str) -> Element:
    made = _element(f"{under}.extension", fewest, most, ("Element.extension", 0, "*"), "Further extensions.")
    by_url = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
    return made | {"slicing": by_url, "type": [{"code": "Extension"}]}


def _named(under: str, url: str) -> Element:
    made = _element(f"{under}.url", 1, "1", ("Extension.url", 1, "1"), "Which extension it is.")
    return made | {"representation": ["xmlAttr"], "type": [_primitive("uri")], "fixedUri": url}


def _valued(under: str, kind: str, fewest: int, most: str) -> Element:
    made = _element(f"{under}.value[x]", fewest, most, ("Extension.value[x]", 0, "1"), "Its value.")
    if not kind:
        return made
    target = _REFERENCE.fullmatch(kind)
    typed = {"code": "Reference", "targetProfile": [f"{_R4}{target[1]}"]} if target else {"code": kind}
    return made | {"type": [typed]}


def _primitive(kind: str) -> Element:
    """The type of what XML has as an attribute, as R4 states it."""
    return {"extension": [{"url": f"{_R4}structuredefinition-fhir-type", "valueUrl": kind}], "code": _PRIMITIVE}


def _without_base(element: Element) -> Element:
    return {key: value for key, value in element.items() if key not in ("base", "isModifier")}
