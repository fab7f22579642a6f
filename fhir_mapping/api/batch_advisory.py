"""``$batch-advisory``: from a lot, a UDI or a product to every patient, treatment and photo, for patient safety.

In: ``lot`` (also several) with ``expiry``, ``udi``, ``product``, ``since`` and ``until``, or ``advisory``, the id of
one that is kept. Out: R4 Parameters, a ``patient`` each with its set (``fit``), ``treatment`` and ``photo`` parts.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_mapping.advisory.asked import question
from fhir_mapping.advisory.keeping import Advisories
from fhir_mapping.advisory.parameters import parameters
from fhir_mapping.advisory.question import require
from fhir_mapping.api import reply
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.reply import Reply
from fhir_mapping.errors import Issue, Malformed
from fhir_mapping.references import ID

NAME = "batch-advisory"
DEFINITION = "urn:photospine:operation:batch-advisory"
PARAMETERS = ("lot", "expiry", "udi", "product", "since", "until", "advisory")


def batch_advisory(node: Node, asked: Asked, pairs: Sequence[tuple[str, str]]) -> Reply:
    """The answer for these parameters.

    Raises
    ------
    Forbidden, Malformed, Invalid, NotFound
    """
    require(asked.request)
    wanted = _wanted(pairs)
    advisories = Advisories(node)
    if "advisory" in wanted:
        if len(wanted) > 1 or not ID.fullmatch(wanted["advisory"][0]):
            raise Malformed(Issue("value", "'advisory' is the id of one that is kept, and stands alone."))
        opened = advisories.show(asked.request, wanted["advisory"][0])
        return reply.resource(parameters(opened.answer, opened))
    one = {name: values[0] for name, values in wanted.items() if name != "lot"}
    expiry = one.pop("expiry", None)
    made = question([(each, expiry) for each in wanted.get("lot", ())], **one)
    return reply.resource(parameters(advisories.ask(asked.request, made), None))


def _wanted(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name == "_format":
            continue
        if name not in PARAMETERS or not value or len(value) > 500 or (name in found and name != "lot"):
            known = ", ".join(PARAMETERS)
            raise Malformed(Issue("not-supported", f"Parameters here, each with a value, are {known}; 'lot' repeats."))
        found.setdefault(name, []).append(value)
    return found
