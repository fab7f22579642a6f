"""What single resources say of the facets, read tolerantly: whatever is not there, or not of its type, says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fhir_mapping.question.facets import Facet, Value, name_of, value
from fhir_mapping.resources.session import session_of
from fhir_mapping.search.index import lots_of
from fhir_mapping.search.paths import listed
from fhir_mapping.treatment.elements import VOID

Json = Mapping[str, Any]

_LOT_CODE = "lot-number"
"""Code of an Observation whose value is the lot of what was given; the system does not matter."""


def is_void(resource: Json) -> bool:
    """Whether the record says that it did not take place."""
    return resource.get("status") in VOID


def concept(facet: str, node: Any, *, named: bool = True) -> Iterator[Value]:
    """The codes of a CodeableConcept; its text, where it has no code, as a code without a system, else as a name.

    Parameters
    ----------
    named
        Whether the name beside a code is wanted, too.
    """
    if not isinstance(node, Mapping):
        return
    coded = False
    for coding in listed(node.get("coding")):
        if isinstance(coding, Mapping) and isinstance(coding.get("code"), str) and coding["code"].strip():
            system = coding.get("system")
            yield value(facet, system if isinstance(system, str) else "", coding["code"].strip())
            coded = True
    if named or not coded:
        yield from _called(facet, node.get("text"), coded)


def _called(facet: str, said: Any, coded: bool) -> Iterator[Value]:
    if isinstance(said, str) and said.strip():
        yield value(name_of(facet) if coded else facet, "", said.strip())


def procedure(resource: Json) -> Iterator[Value]:
    """Treatment type and session of a Procedure."""
    yield from concept(Facet.TREATMENT, resource.get("code"))
    number = session_of(resource)
    if number is not None:
        yield value(Facet.SESSION, "", str(number))


def product(resource: Json) -> Iterator[Value]:
    """Code, names and lots of a Medication or Device."""
    coded = [each for member in ("code", "type") for each in concept(Facet.PRODUCT, resource.get(member))]
    yield from coded
    for name in listed(resource.get("deviceName")):
        yield from _called(Facet.PRODUCT, name.get("name") if isinstance(name, Mapping) else None, bool(coded))
    for carrier in listed(resource.get("udiCarrier")):
        if isinstance(carrier, Mapping) and isinstance(carrier.get("deviceIdentifier"), str):
            yield value(Facet.PRODUCT, "", carrier["deviceIdentifier"].strip())
    for lot, _ in lots_of(resource):
        if lot is not None and lot.strip():
            yield value(Facet.LOT, "", lot.strip())


def observed(resource: Json) -> Iterator[Value]:
    """Settings of a machine, and a lot that was noted down: of an Observation and its components."""
    for part in (resource, *listed(resource.get("component"))):
        if not isinstance(part, Mapping):
            continue
        quantity = part.get("valueQuantity")
        amount = _amount(quantity)
        for each in concept(Facet.SETTING, part.get("code")):
            said = part.get("valueString")
            if each.code == _LOT_CODE and isinstance(said, str) and said.strip():
                yield value(Facet.LOT, "", said.strip())
            elif amount is not None and isinstance(quantity, Mapping):
                unit = quantity.get("code", quantity.get("unit", "1"))
                number = f"{amount.normalize() + 0:f}"
                yield value(each.facet, each.text, f"{number} {unit}", float(amount))


def named_products(resource: Json) -> list[Any]:
    """The references to what was given, handed over, implanted or used: Reference elements."""
    found = [resource.get("medicationReference")]
    found += listed(resource.get("device")) if resource.get("resourceType") != "Observation" else []
    found += listed(resource.get("usedReference"))
    found += [each.get("manipulated") for each in listed(resource.get("focalDevice")) if isinstance(each, Mapping)]
    found += [each.get("itemReference") for each in listed(resource.get("ingredient")) if isinstance(each, Mapping)]
    return [each for each in found if isinstance(each, Mapping)]


def contained(resource: Json) -> dict[str, Json]:
    """The resources that one holds, by the reference that names them: ``#m``."""
    return {
        f"#{each['id']}": each
        for each in listed(resource.get("contained"))
        if isinstance(each, Mapping) and isinstance(each.get("id"), str)
    }


def _amount(quantity: Any) -> Decimal | None:
    found = quantity.get("value") if isinstance(quantity, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, (int, float, Decimal)):
        return None
    number = Decimal(str(found))
    return number if number.is_finite() and abs(number.adjusted()) < 30 else None
