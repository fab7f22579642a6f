"""A batch question's answer as R4 Parameters: a ``patient`` each with her set (``fit``), treatments and photos."""

from __future__ import annotations

from typing import Any

from fhir_mapping import dates
from fhir_mapping.advisory.batch import Advisory, Patient, Product
from fhir_mapping.advisory.opened import Opened

_Part = dict[str, Any]


def parameters(answer: Advisory, opened: Opened | None = None) -> dict[str, Any]:
    """The answer, with what was done about each patient where it was opened."""
    products = {each.reference: each for each in answer.products}
    parts: list[_Part] = [{"name": "question", "valueString": answer.question.title}]
    if opened is not None:
        parts += [
            {"name": "advisory", "valueReference": {"reference": f"Task/{opened.kept.id}"}},
            {"name": "status", "valueCode": "completed" if opened.kept.closed else "in-progress"},
            *(_string("added", f"{each.treatment} {each.product} {each.fit}") for each in opened.changes.added),
            *(_string("gone", f"{each.treatment} {each.product} {each.fit}") for each in opened.changes.gone),
        ]
    parts += [{"name": "product", "part": _product(each)} for each in answer.products]
    parts += [{"name": "patient", "part": _patient(each, products, opened)} for each in answer.patients]
    parts += [{"name": "without-patient", "valueReference": {"reference": each}} for each in answer.unplaced]
    for each in answer.astray:
        named = (("photo", each.document), ("treatment", each.treatment), ("patient", f"Patient/{each.patient}"))
        part = [{"name": name, "valueReference": {"reference": reference}} for name, reference in named]
        parts.append({"name": "astray", "part": part})
    return {"resourceType": "Parameters", "parameter": parts}


def _product(product: Product) -> list[_Part]:
    reference = product.reference.partition("#")[0]
    made: list[_Part] = [
        {"name": "product", "valueReference": {"reference": reference}},
        {"name": "fit", "valueCode": product.fit.value},
    ]
    for name, value in (("name", product.name), ("lot", product.lot), ("expiry", product.expiry), ("why", product.why)):
        if value:
            made.append(_string(name, value))
    return made


def _patient(patient: Patient, products: dict[str, Product], opened: Opened | None) -> list[_Part]:
    made: list[_Part] = [
        {"name": "patient", "valueReference": {"reference": f"Patient/{patient.id}"}},
        {"name": "fit", "valueCode": patient.fit.value},
    ]
    made += [_string("name", patient.name)] if patient.name else []
    for contact in patient.contacts:
        said = ", ".join((*contact.telecom, *contact.address))
        if said:
            made.append(_string("contact", f"{contact.who}: {said}" if contact.who else said))
    for each in patient.treatments:
        parts: list[_Part] = [
            {"name": "treatment", "valueReference": {"reference": each.reference}},
            {"name": "product", "valueReference": {"reference": each.product.partition("#")[0]}},
            {"name": "fit", "valueCode": each.fit.value},
        ]
        parts += [{"name": "time", "valueDateTime": dates.instant(each.at)}] if each.at is not None else []
        parts += [_string("site", site) for site in each.sites]
        parts += [_string("dose", dose) for dose in each.doses]
        parts += [{"name": "through", "valueReference": {"reference": use}} for use in each.through]
        parts += [_string("not-done", each.void)] if each.void else []
        why = each.why or products[each.product].why
        parts += [_string("why", why)] if why else []
        made.append({"name": "treatment", "part": parts})
    for photo in patient.photos:
        made.append(
            {
                "name": "photo",
                "part": [
                    {"name": "photo", "valueReference": {"reference": photo.document}},
                    {"name": "when", "valueCode": photo.when.value},
                    {"name": "linked", "valueBoolean": photo.linked},
                    *({"name": "may-be-shown-for", "valueCode": purpose} for purpose in photo.allowed),
                ],
            }
        )
    if opened is not None:
        for taken in opened.taken(patient):
            made.append(
                {
                    "name": "done",
                    "part": [
                        {"name": "step", "valueCode": taken.step.value},
                        _string("by", taken.by),
                        {"name": "time", "valueInstant": dates.instant(taken.at)},
                        _string("text", taken.text),
                    ],
                }
            )
    return made


def _string(name: str, value: str) -> _Part:
    return {"name": name, "valueString": value.strip() or "-"}
