"""Who did it."""

from __future__ import annotations

from collections.abc import Mapping

from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.elements import Json, parts, text
from fhir_mapping.treatment.session import Person
from fhir_mapping.treatment.surroundings import Surroundings


def performers(found: Surroundings, resource: Json) -> tuple[Person, ...]:
    """The performers of a Procedure or an administration, each once."""
    made = []
    for each in parts(resource, "performer"):
        actor = each.get("actor")
        actor = actor if isinstance(actor, Mapping) else {}
        reference = found.target(actor)
        known = found.get(actor, resource)
        if reference is not None or text(actor, "display") or known:
            made.append(Person(reference, (known and person_name(known)) or text(actor, "display")))
    return tuple(dict.fromkeys(made))


def person_name(resource: Json) -> str:
    """A person's name as it is spoken: the official or usual one, else the first."""
    names = list(parts(resource, "name"))
    if not names:
        return ""
    name = min(names, key=lambda each: {"official": 0, "usual": 1, "": 2}.get(text(each, "use"), 3))
    if text(name, "text"):
        return text(name, "text")
    # A part may be null beside an extension that says why.
    words = [*listed(name.get("prefix")), *listed(name.get("given")), name.get("family")]
    return " ".join(word for word in words if isinstance(word, str) and word)
