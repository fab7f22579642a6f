"""Required bindings of R4: which codes an element may hold.

``bindings.json`` beside this module was made from HL7's R4 definitions (4.0.1): every element of type ``code`` or
CodeableConcept with a required binding whose value set is a closed list, for the resource types that the record keeps
and for the data types. fhir.resources knows the elements but accepts any code in them; this table is what refuses. A
test computes it anew from the definitions.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Bindings:
    """Elements and the codes that they may hold. Elements are named by class and member: ``ConsentProvision.type``."""

    elements: Mapping[str, str]
    """Element -> name of its value set."""

    codes: Mapping[str, frozenset[str]]
    """Name of a value set -> its codes."""

    concepts: Mapping[str, frozenset[str]]
    """Element that is a CodeableConcept -> the codings, ``system|code``, of which it needs one."""

    def allowed(self, owner: str, member: str) -> frozenset[str] | None:
        """The codes allowed in a member of a class; None: no closed list."""
        name = self.elements.get(f"{owner}.{member}")
        return None if name is None else self.codes[name]


@functools.cache
def bindings() -> Bindings:
    """The table, read once."""
    data = json.loads(resources.files("fhir_mapping").joinpath("bindings.json").read_text("utf-8"))
    return Bindings(
        data["elements"],
        {name: frozenset(codes) for name, codes in data["codes"].items()},
        {name: frozenset(codings) for name, codings in data["concepts"].items()},
    )
