"""The judges' own reading of a FHIR Consent: statements, or the elements for which it is refused.

Written from the page on consent alone. It completes provisions as JSON first and reads them afterwards.
"""

from __future__ import annotations

import re
from typing import Any

from tests.judges import vocabulary as words
from tests.judges.agreement import Agreement, Read, Shelf, Statement
from tests.judges.moments import Stretch, stretch, window
from tests.judges.shape import malformed

PERSONS = frozenset(
    {"Practitioner", "PractitionerRole", "Patient", "RelatedPerson", "Device", "Organization", "Group", "CareTeam"}
)
ONE_PHOTO = frozenset({"DocumentReference", "Media"})
TREATMENT = frozenset({"Procedure", "Encounter", "EpisodeOfCare", "CarePlan"})
LISTED = PERSONS | ONE_PHOTO | TREATMENT | {"ImagingStudy"}
NO_RULES = frozenset({"treatment", "adr"})
ENDED = frozenset({"inactive", "entered-in-error", "rejected"})


def read(body: dict[str, Any], shelf: Shelf, was_active: bool) -> Read:
    """Read one Consent. Scopes ``treatment`` and ``adr`` give neither rules nor refusals."""
    result = Read()
    _read(body, shelf, was_active, result)
    if body["status"] in ENDED:
        # It says nothing any more, so nothing in it is accepted and ignored: a withdrawal is never refused.
        result.refused.clear()
    if result.refused:
        result.agreement = None
    return result


def _read(body: dict[str, Any], shelf: Shelf, was_active: bool, result: Read) -> None:
    scope = _code(body.get("scope"), words.SCOPES)
    if scope in NO_RULES:
        return
    root = body.get("provision")
    policy = _policy_rule(body)
    result.denies, reaching = _denials(root, policy, shelf)
    result.may_deny_treatment = reaching and scope != "research"
    refuse = result.refused.append

    if scope not in ("patient-privacy", "research"):
        refuse("scope")
    if "implicitRules" in body:
        refuse("implicitRules")
    if _has_modifier(body):
        refuse("modifierExtension")
    patient = local(body.get("patient")) or ""
    if not patient.startswith("Patient/"):
        refuse("patient")
        return

    if wrong := list(malformed(body, shelf.zone)):
        result.refused += wrong
        result.unreadable = True
        return
    signed = stretch(body["dateTime"], shelf.zone) if "dateTime" in body else None
    agreement = Agreement(
        id=body["id"],
        patient=patient.removeprefix("Patient/"),
        scope=scope or "",
        status=body["status"],
        was_active=was_active,
        signed=signed,
        signers=locals_of(body, "performer"),
        organizations=locals_of(body, "organization"),
        verified=all(one.get("verified") is not False for one in body.get("verification", [])),
        window=window((root or {}).get("period"), shelf.zone),
        opted_out=policy == "OPTOUT",
    )

    kind = (root or {}).get("type") or ("permit" if policy == "OPTIN" else None)
    if kind is None and policy != "OPTOUT":
        refuse("type")
    if kind == "permit" and any(_forbidding_policy(one.get("uri", "")) for one in body.get("policy", [])):
        refuse("policy")
    if root is not None:
        _stray(root, result)
    if kind is not None:
        agreement.root = _statement("provision", root or {}, kind == "permit", [agreement.window], shelf, result)
    elif root is not None:
        # No rule, but nothing may be accepted and ignored: its parts are read for what cannot be honoured.
        _statement("provision", root, True, [], shelf, result, rule=False)
    for number, inner in enumerate((root or {}).get("provision", [])):
        _stray(inner, result)
        if "provision" in inner:
            refuse("provision")
        if "type" not in inner:
            refuse("type")
            continue
        windows = [agreement.window, window(inner.get("period"), shelf.zone)]
        completed = _complete(inner, root or {})
        path = f"provision.provision[{number}]"
        agreement.nested.append(_statement(path, completed, inner["type"] == "permit", windows, shelf, result))

    _replacement(body, agreement, shelf, result)
    result.agreement = agreement


def _complete(inner: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """A nested provision takes what it leaves empty from the root, element by element; the two kinds of actor apart."""
    whole: dict[str, Any] = {}
    for name in ("purpose", "data", "dataPeriod", "securityLabel"):
        if value := inner.get(name) or root.get(name):
            whole[name] = value
    whole["extension"] = _regions(inner) or _regions(root)
    actors: list[Any] = []
    for is_place in (False, True):
        own = [one for one in inner.get("actor", []) if _is_place(one) == is_place]
        actors += own or [one for one in root.get("actor", []) if _is_place(one) == is_place]
    whole["actor"] = actors
    return whole


def _statement(
    path: str,
    provision: dict[str, Any],
    permits: bool,
    windows: list[Stretch],
    shelf: Shelf,
    result: Read,
    *,
    rule: bool = True,
) -> Statement:
    refuse = result.refused.append
    made = Statement(path, permits, windows=windows)

    if codings := provision.get("purpose"):
        made.purposes = set()
        for coding in codings:
            code = shelf.purposes.read(coding)
            if code is None:
                if not permits:
                    refuse("purpose")
                if permits and rule:
                    result.said.add("matches nothing")
                continue
            made.purposes.add(code)
            if rule and shelf.purposes.duty(code) and (permits or code not in shelf.deniable):
                result.said.add("recorded, not followed")
            if rule and permits and code in words.NEVER_REQUESTED:
                result.said.add("matches nothing")

    for actor in provision.get("actor", []):
        roles = {one.get("code") for one in actor["role"]["coding"] if one.get("system") == words.PARTICIPATION}
        if not roles or not roles <= {"IRCP", "PRCP"}:
            refuse("actor")
            continue
        reference = actor.get("reference", {})
        if _is_place(actor):
            system, value = reference["identifier"]["system"], reference["identifier"].get("value")
            if value not in (shelf.channels if system == words.CHANNEL else shelf.projects):
                refuse("actor")
                continue
            made.places = (made.places or set()) | {(system, value)}
            continue
        name = local(reference) or ""
        if name.split("/")[0] not in PERSONS or not shelf.exists(name):
            refuse("actor")
            continue
        made.persons = (made.persons or set()) | {name}

    for one in provision.get("data", []):
        found, here = _REFERENCE.fullmatch(one["reference"].get("reference", "")), local(one["reference"])
        if found is None or (found["kind"] in LISTED and (here is None or not shelf.exists(here))):
            refuse("data")
            continue
        made.data = [*(made.data or []), (one["meaning"], f"{found['kind']}/{found['id']}")]

    if "dataPeriod" in provision:
        made.taken = window(provision["dataPeriod"], shelf.zone)

    for extension in _regions(provision):
        parts = {part["url"]: part for part in extension.get("extension", [])}
        codings = parts.get("code", {}).get("valueCodeableConcept", {}).get("coding", [])
        region = words.known_region(codings)
        side = parts["laterality"].get("valueCode") if "laterality" in parts else "B"
        if region is None or side not in ("R", "L", "B"):
            refuse("extension")
            continue
        made.regions = [*(made.regions or []), (region, sides(side))]

    for coding in provision.get("securityLabel", []):
        label = words.known_label(coding)
        if label is None:
            refuse("securityLabel")
            continue
        made.labels = (made.labels or set()) | {label}

    if rule:
        channels = {name for system, name in made.places or set() if system == words.CHANNEL}
        if permits and made.purposes is not None and "SOCIAL" in made.purposes and not channels:
            refuse("actor")
        if not permits and made.purposes is None and made.places and not made.persons:
            refuse("purpose")
    return made


def local(reference: dict[str, Any] | None) -> str | None:
    """Type and id of what a Reference names in this record; one that names a version names the thing all the same."""
    found = _REFERENCE.fullmatch((reference or {}).get("reference", ""))
    return None if found is None or found["elsewhere"] else f"{found['kind']}/{found['id']}"


_REFERENCE = re.compile(
    r"(?P<elsewhere>https?://\S+/)?(?P<kind>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(/_history/\d+)?"
)


def locals_of(body: dict[str, Any], name: str) -> set[str]:
    """What a repeating element names in this record."""
    return {found for one in body.get(name, []) if (found := local(one)) is not None}


def sides(side: str | None) -> frozenset[str]:
    """R, L, or both where it is B or not stated."""
    return frozenset("RL" if side in (None, "B") else side)


def _replacement(body: dict[str, Any], agreement: Agreement, shelf: Shelf, result: Read) -> None:
    for extension in body.get("extension", []):
        if extension.get("url") != words.REPLACES_EXTENSION:
            continue
        name = local(extension.get("valueReference")) or ""
        other = shelf.earlier(name.removeprefix("Consent/")) if name.startswith("Consent/") else None
        if (
            other is None
            or agreement.patient not in other.records
            or agreement.signed is None
            or (other.signed is not None and agreement.signed.first <= other.signed.first)
            or (other.by_patient_as_adult and not any(f"Patient/{one}" in agreement.signers for one in other.records))
        ):
            result.refused.append("replaces")
            continue
        agreement.replaces.append(name.removeprefix("Consent/"))


def _stray(provision: dict[str, Any], result: Read) -> None:
    for name in ("action", "class", "code"):
        if provision.get(name):
            result.refused.append(name)


def _has_modifier(node: Any) -> bool:
    if isinstance(node, dict):
        return "modifierExtension" in node or any(_has_modifier(value) for value in node.values())
    return isinstance(node, list) and any(_has_modifier(value) for value in node)


def _denials(root: Any, policy: str | None, shelf: Shelf) -> tuple[bool, bool]:
    """Whether anything in it denies, and whether a denial in it could reach TREAT."""
    found = [policy == "OPTOUT"]
    reaching = [policy == "OPTOUT"]

    def walk(provision: dict[str, Any], above: list[Any]) -> None:
        purposes = provision.get("purpose") or above
        if provision.get("type") == "deny":
            found.append(True)
            codes = [shelf.purposes.read(coding) for coding in purposes if isinstance(coding, dict)]
            reaching.append(not codes or None in codes or "TREAT" in codes)
        inner = provision.get("provision", [])
        for one in inner if isinstance(inner, list) else []:
            walk(one, purposes)

    if isinstance(root, dict):
        walk(root, [])
    return any(found), any(reaching)


def _policy_rule(body: dict[str, Any]) -> str | None:
    for code in ("OPTOUT", "OPTIN"):
        for coding in body.get("policyRule", {}).get("coding", []):
            if coding.get("system") == words.ACT_CODE and coding.get("code") == code:
                return code
    return None


def _forbidding_policy(uri: str) -> bool:
    return uri.partition("|")[0].rstrip("/").endswith(("Policy-deny", "Policy-break-glass-only"))


def _regions(provision: dict[str, Any]) -> list[Any]:
    return [one for one in provision.get("extension", []) if one.get("url") == words.REGION_EXTENSION]


def _is_place(actor: dict[str, Any]) -> bool:
    return actor.get("reference", {}).get("identifier", {}).get("system") in (words.CHANNEL, words.PROJECT)


def _code(concept: dict[str, Any] | None, system: str) -> str | None:
    for coding in (concept or {}).get("coding", []):
        if coding.get("system") == system:
            code = coding.get("code")
            return code if isinstance(code, str) else None
    return None
