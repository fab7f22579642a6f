"""A third judge, for flat rules: each Consent as Cedar policies, decided by the Cedar engine.

Flat are Consents that count, with a root provision alone, of purposes, actors and data. What counts, when, and what
replaces what is the plain judge's; here somebody else's engine says what follows when permits and denials meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cedarpy

from tests.judges import vocabulary as words

SITE = (Path(__file__).parent / "policies" / "site.cedar").read_text("utf-8")
STEPS = {
    "purpose-not-held": 1,
    "other-permit": 2,
    "other-deny": 2,
    "not-linked": 2,
    "other-patient": 3,
    "site-rule": 4,
    "role-permit": 5,
    "break-glass": 6,
    "patient-denied": 8,
    "patient-permitted": 9,
    "default-permit": 11,
}
TREATMENT = ("Procedure", "Encounter", "EpisodeOfCare", "CarePlan")


class CedarJudge:
    """One world of flat Consents."""

    def __init__(self, world: Mapping[str, Any]) -> None:
        self.world, self.site = world, world["site"]
        self.purposes = words.Purposes(self.site)
        self.refused: list[bool] = []
        self.signed: dict[str, list[dict[str, Any]]] = {}
        for written in world["consents"]:
            body = written["body"]
            self.refused.append(self._is_refused(body["provision"]))
            if not self.refused[-1]:
                self.signed.setdefault(body["patient"]["reference"], []).append(body["provision"])

    def answer(self, request: Mapping[str, Any]) -> tuple[str, str]:
        """Effect and reason."""
        purpose = "BTG" if request["purpose"] == "ETREAT" else request["purpose"]
        photo = self.world["photos"][request["photo"]]
        signed = self.signed.get(_patient(photo), [])
        policies = [SITE, *(text for provision in signed for text in self._policies(provision))]
        spoke = any(one["type"] == "permit" and self._names(one, "TREAT", empty=True) for one in signed)
        emergencies = any(self._names(one, "BTG", empty=False) for one in signed)
        result = cedarpy.is_authorized(
            {
                "principal": _uid("Account", "account"),
                "action": _uid("Action", purpose),
                "resource": _uid("Photo", request["photo"]),
                "context": {
                    **({} if request["channel"] is None else {"channel": request["channel"]}),
                    **({} if request["project"] is None else {"project": request["project"]}),
                    **({} if request["reason"] is None else {"emergency": request["reason"]}),
                    "glass_is_never_broken": self.site["forbid_break_glass"],
                    "treatment_is_implied": self.site["treatment_default"] == "implied",
                    "portal_is_open": self.site["portal_default"] == "open",
                    "denials_are_not_followed": self.purposes.duty(purpose)
                    and purpose not in self.site["deniable_duties"],
                    "patient_spoke_of_treatment": spoke,
                    "patient_named_emergencies": emergencies,
                    "other_objects_are_clinical": self.site["other_objects"] == "clinical",
                },
            },
            "\n".join(policies),
            [*self._actions(), *self._groups(), self._principal(request["account"]), self._photo(request["photo"])],
        )
        assert not result.diagnostics.errors, result.diagnostics.errors
        stated = re.findall(r'@reason\("([a-z-]+)"\)', "\n".join(policies))
        reasons = [stated[int(name.removeprefix("policy"))] for name in result.diagnostics.reasons]
        if reasons:
            return "permit" if result.allowed else "deny", min(reasons, key=lambda reason: STEPS[reason])
        if purpose == "BTG":
            return "deny", "patient-denied"
        return "deny", "not-covered" if purpose == "TREAT" and spoke else "default-deny"

    # --- Policies ------------------------------------------------------------------------------------------------

    def _is_refused(self, provision: Mapping[str, Any]) -> bool:
        channels, projects, persons = _actors(provision)
        if provision["type"] == "permit":
            return self._names(provision, "SOCIAL", empty=False) and not channels
        return not provision.get("purpose") and bool(channels or projects) and not persons

    def _names(self, provision: Mapping[str, Any], purpose: str, *, empty: bool) -> bool:
        stated = provision.get("purpose", [])
        return any(self.purposes.read(one) == purpose for one in stated) if stated else empty

    def _policies(self, provision: Mapping[str, Any]) -> Iterator[str]:
        """The policies of one provision, one for each purpose."""
        stated = provision.get("purpose", [])
        codes = [code for one in stated if (code := self.purposes.read(one)) is not None]
        if provision["type"] == "permit":
            for code in codes if stated else ["TREAT"]:
                conditions = " && ".join(_permit_conditions(provision, code))
                yield (
                    f'@reason("patient-permitted")\npermit (principal, action == Action::"{code}", resource)\n'
                    f"when {{ {conditions} }};"
                )
            return
        for group in codes if stated else ["what-a-denial-of-all-reaches"]:
            conditions = " && ".join(_denial_conditions(provision))
            mine = "" if stated else f'unless {{ action == Action::"PATRQT" && {IS_HERSELF} }}'
            yield (
                f'@reason("patient-denied")\nforbid (principal, action in Action::"{group}", resource)\n'
                f"when {{ {conditions} }}\nunless {{ context.denials_are_not_followed }}\n{mine};"
            )

    # --- Entities ------------------------------------------------------------------------------------------------

    def _actions(self) -> Iterator[dict[str, Any]]:
        """Purposes below their parents, and below the groups that the policies speak of."""
        own = {one["code"]: one["parent"] for one in self.site["purposes"]}
        for code in (*words.HL7_PURPOSES, *words.OWN_PURPOSES, *own):
            parents = [_uid("Action", parent)] if (parent := own.get(code, words.PARENTS.get(code))) else []
            duty = self.purposes.duty(code)
            parents.append(_uid("Action", "any-purpose"))
            if duty:
                parents.append(_uid("Action", "any-duty"))
            elif code != "BTG":
                parents.append(_uid("Action", "what-a-denial-of-all-reaches"))
            yield {"uid": _uid("Action", code), "attrs": {}, "parents": parents}

    def _groups(self) -> Iterator[dict[str, Any]]:
        above: dict[str, list[str]] = {}
        for below, of in [*self.world["members"], *self.world["part_of"].items()]:
            above.setdefault(below, []).append(of)
        for name, of in above.items():
            yield {"uid": _uid("Actor", name), "attrs": {}, "parents": [_uid("Actor", one) for one in of]}

    def _principal(self, account: Mapping[str, Any]) -> dict[str, Any]:
        name = account["reference"]
        attributes: dict[str, Any] = {
            "purposes": [_entity("Action", purpose) for purpose in account["purposes"]],
            "known": name is not None,
            "archives": "archive" in account["rights"],
        }
        if account["confined_to"] is not None:
            attributes["confined"] = [f"Patient/{one}" for one in account["confined_to"]]
        if name is not None and name.startswith("Patient/"):
            attributes["herself"] = name
        return {
            "uid": _uid("Account", "account"),
            "attrs": attributes,
            "parents": [] if name is None else [_uid("Actor", name)],
        }

    def _photo(self, name: str) -> dict[str, Any]:
        photo = self.world["photos"][name]
        named = [photo["document"], photo["imaging_study"], photo["encounter"], *photo["links"]]
        assert photo["formerly"] == photo["formerly_hers"]  # these worlds know no photo that was another patient's
        named += photo["formerly"]
        makers = {"author": photo["author"], "photographer": photo["photographer"]}
        treated = any(link.startswith("Procedure/") for link in photo["links"])
        return {
            "uid": _uid("Photo", name),
            "attrs": {
                **{key: value for key, value in makers.items() if value is not None},
                "patient": _patient(photo),
                "placed": photo["other"] or photo["encounter"] is not None or treated,
                "is_no_photo": photo["other"],
            },
            "parents": [_uid("Data", one) for one in named if one is not None],
        }


def _patient(photo: Mapping[str, Any]) -> str:
    """Whom it shows; nobody's Consents bind what is no photo."""
    return "nobody" if photo["other"] else f"Patient/{photo['patients'][0]}"


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}


def _entity(kind: str, name: str) -> dict[str, Any]:
    return {"__entity": _uid(kind, name)}


def _actors(provision: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Channels, projects, persons and groups."""
    references = [actor["reference"] for actor in provision.get("actor", [])]
    places = [one["identifier"] for one in references if "identifier" in one]
    channels = [one["value"] for one in places if one["system"] == words.CHANNEL]
    projects = [one["value"] for one in places if one["system"] == words.PROJECT]
    return channels, projects, [one["reference"] for one in references if "reference" in one]


def _is_one_of(persons: list[str]) -> str:
    return "principal in [" + ", ".join(f'Actor::"{one}"' for one in persons) + "]"


def _permit_conditions(provision: Mapping[str, Any], code: str) -> Iterator[str]:
    channels, projects, persons = _actors(provision)
    if persons:
        yield _is_one_of(persons)
    elif code == "PATRQT":
        yield IS_HERSELF
    if channels or projects:
        kind, places = {"SOCIAL": ("channel", channels), "HRESCH": ("project", projects)}.get(code, ("", []))
        yield f"context has {kind} && {_set(places)}.contains(context.{kind})" if places else "false"
    if data := provision.get("data"):
        yield "(" + " || ".join(_permitted(one["meaning"], one["reference"]["reference"]) for one in data) + ")"
    yield "true"


def _denial_conditions(provision: Mapping[str, Any]) -> Iterator[str]:
    channels, projects, persons = _actors(provision)
    bound = [
        (f'action == Action::"{code}"', f"(!(context has {kind}) || {_set(places)}.contains(context.{kind}))")
        for code, kind, places in (("SOCIAL", "channel", channels), ("HRESCH", "project", projects))
        if places
    ]
    either = [f"({binds} && {meets})" for binds, meets in bound]
    if persons:
        either += ["!principal.known", _is_one_of(persons)]
    else:
        either.append(" && ".join(["true", *(f"!({binds})" for binds, _ in bound)]))
    yield "(" + " || ".join(either) + ")"
    if data := provision.get("data"):
        yield "(" + " || ".join(_denied(one["meaning"], one["reference"]["reference"]) for one in data) + ")"


def _permitted(meaning: str, name: str) -> str:
    kind = name.split("/")[0]
    if meaning == "authoredby":
        return f'(resource has author && resource.author == "{name}")'
    if kind in TREATMENT and meaning == "instance":
        return "false"
    return f'resource in Data::"{name}"'


def _denied(meaning: str, name: str) -> str:
    if meaning != "authoredby":
        return f'resource in Data::"{name}"'
    if name.split("/")[0] not in PERSONS:
        return "false"
    return " || ".join(f'(!(resource has {who}) || resource.{who} == "{name}")' for who in ("author", "photographer"))


def _set(values: list[str]) -> str:
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


PERSONS = (
    "Practitioner",
    "PractitionerRole",
    "Patient",
    "RelatedPerson",
    "Device",
    "Organization",
    "Group",
    "CareTeam",
)
IS_HERSELF = "principal has herself && principal.herself == resource.patient"
