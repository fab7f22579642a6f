"""Worlds of every kind that the page on consent names, from a seed: the same seed gives the same world.

A world has a theme of a few purposes, so that Consents and requests meet often; everything else is drawn freely.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.judges import vocabulary as words
from tests.judges import worlds as build

CLINICIANS = ("Practitioner/d", "Practitioner/e", "Practitioner/m")
GROUPS = ("PractitionerRole/rd", "Group/g", "CareTeam/t", "Organization/ward", "Organization/clinic", "Device/app")
KIN = ("RelatedPerson/mother", "RelatedPerson/uncle")
PATIENTS = ("p", "q", "r")
PHOTOS = ("f1", "f2", "f3", "x1", "x2")
VISITS = ("v1", "v2")
LINKS = ("Procedure/pr1", "Procedure/pr2", "EpisodeOfCare/ep1", "CarePlan/cp1")
UNKNOWN = ("Practitioner/nobody", "Group/nobody", "Organization/nobody")
EXISTING = [
    *(*CLINICIANS, *GROUPS, *KIN, *LINKS, "Organization/holding", "Organization/other", "Media/m1"),
    *(f"Patient/{one}" for one in PATIENTS),
    *(f"DocumentReference/{one}" for one in PHOTOS),
    *(f"{kind}/{one}" for kind in ("ImagingStudy", "Encounter") for one in VISITS),
]
SITE_PURPOSES = (
    ("FooBar", "HRESCH"),
    ("FLYER", "HMARKT"),
    ("REELS", "SOCIAL"),
    ("POSTER", "FLYER"),
    ("LECTURE", "CONF"),
    ("DRILL", "TRAIN"),
    ("LAWSUIT", "HLEGAL"),
    ("WARD", "TREAT"),
)
SITE_SYSTEM = "urn:example:purpose"
THEMES = (
    ("TREAT",),
    ("TREAT",),
    ("TREAT", "BTG"),
    ("TREAT", "BTG"),
    ("TREAT", "WEB"),
    ("WEB", "PORTFOLIO"),
    ("SOCIAL", "WEB"),
    ("PATRQT",),
    ("PATRQT", "TREAT"),
    ("TEACH", "CONF"),
    ("HRESCH",),
    ("HLEGAL", "HCOMPL"),
    ("HPAYMT", "HOPERAT"),
    ("PATSFTY", "TREAT"),
    ("TREAT", "HRESCH"),
)
REGIONS = tuple(words.REGIONS)
SPELLINGS = (*REGIONS, *words.SAME_REGION)
ENDED = ("inactive", "entered-in-error", "rejected")
LATER = "2026-06-15T12:00:00+03:00"


def generate(seed: int) -> dict[str, Any]:
    """The world of a seed."""
    return _Maker(Random(seed)).world()


class _Maker:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.theme: tuple[str, ...] = ()

    # --- Dice ----------------------------------------------------------------------------------------------------

    def chance(self, percent: float) -> bool:
        return self.random.random() * 100 < percent

    def one(self, *options: Any) -> Any:
        return self.random.choice(options)

    def word(self, *options: str) -> str:
        return self.random.choice(options)

    def words(self, *options: list[str]) -> list[str]:
        return self.random.choice(options)

    def entry(self, *options: dict[str, Any]) -> dict[str, Any]:
        return self.random.choice(options)

    def some(self, options: tuple[Any, ...], most: int) -> list[Any]:
        return self.random.sample(options, self.random.randint(1, min(most, len(options))))

    # --- The world -----------------------------------------------------------------------------------------------

    def world(self) -> dict[str, Any]:
        self.theme = self.one(*THEMES)
        site = self.site()
        own = [purpose["code"] for purpose in site["purposes"]]
        if own and self.chance(25):
            self.theme = (self.one(*own), *self.theme)
        world: dict[str, Any] = {
            "site": site,
            "now": LATER if self.chance(80) else self.one("2026-06-20T00:00:00+03:00", "2026-07-01T09:30:00Z"),
            "patients": {name: self.patient() for name in PATIENTS},
            "merged": [self.one(["p", "r"], ["p", "q"], ["q", "r"])] if self.chance(25) else [],
            "exists": EXISTING,
            "members": [pair for pair in self.memberships() if self.chance(60)],
            "part_of": {"Organization/ward": "Organization/clinic", "Organization/clinic": "Organization/holding"},
            "consents": [],
            "photos": {},
            "requests": [],
        }
        for name in PHOTOS:
            world["photos"][name] = self.photo(name, list(world["photos"]), world)
        self.consents(world)
        world["requests"] = [self.request(world) for _ in range(6)]
        return world

    def memberships(self) -> list[list[str]]:
        return [
            ["Practitioner/d", "PractitionerRole/rd"],
            ["PractitionerRole/rd", "Organization/ward"],
            ["Practitioner/d", "Group/g"],
            ["Practitioner/e", "CareTeam/t"],
            ["Practitioner/e", "Organization/clinic"],
            ["Practitioner/m", "Organization/ward"],
            ["Patient/p", "Group/g"],
            ["RelatedPerson/uncle", "Group/g"],
        ]

    def site(self) -> dict[str, Any]:
        rules = ["no-publishing-of-minors", "own-record-as-patient"]
        purposes = [
            {"code": code, "system": SITE_SYSTEM, "parent": parent} for code, parent in SITE_PURPOSES if self.chance(40)
        ]
        codes = {purpose["code"] for purpose in purposes}
        purposes = [one for one in purposes if one["parent"] != "FLYER" or "FLYER" in codes]
        duties = ("HLEGAL", "HCOMPL", "PATSFTY", *(["LAWSUIT"] if "LAWSUIT" in codes else []))
        return build.site(
            time_zone=self.one("Europe/Athens", "Europe/Athens", "UTC", "Asia/Tokyo", "America/New_York"),
            treatment_default=self.one("implied", "implied", "implied", "implied", "opt-in"),
            portal_default=self.one("consent", "consent", "open"),
            care_team=self.one("organization", "organization", "organization", "organization", "record"),
            deniable_duties=self.some(duties, 3) if self.chance(50) else [],
            purposes=purposes,
            rules_on=rules if self.chance(85) else self.some(tuple(rules), 1),
            forbid_break_glass=self.chance(8),
        )

    def patient(self) -> dict[str, Any]:
        birth: str | None = "1990-03-03"
        if self.chance(22):
            birth = self.one(
                *(None, "2016-01-01", "2012", "2008", "2008-06", "2008-06-14", "2008-06-15", "2008-06-16"),
                *("2008-02-29", "2008-05", "2007-05-04", "1971", "1984-02"),
            )
        periods: tuple[dict[str, str], ...] = (
            {},
            {"start": "2010-01-01"},
            {"end": "2026-05-04"},
            {"start": "2026-05-05"},
        )
        return build.patient(
            birth=birth,
            representatives=[
                {"person": person, "period": self.one(*periods[:2], *periods)} for person in KIN if self.chance(60)
            ],
            care_team=[one for one in (*CLINICIANS, "Group/g") if self.chance(85)],
        )

    # --- Photos --------------------------------------------------------------------------------------------------

    def photo(self, name: str, others: list[str], world: dict[str, Any]) -> dict[str, Any]:
        patients = ["p"]
        if self.chance(25):
            patients = self.one(["p", "q"], ["p", "q"], ["p", "q"], ["q"], ["r"], ["p", "r"], ["p", "q"])
            if self.chance(12):
                patients = self.one(["ghost"], [], [], [])
        visit: str | None = self.one(*VISITS)
        if self.chance(6):
            visit = None
        taken: str | None = self.one("2026-05-03T10:00:00+03:00", "2026-05-03T10:00:00+03:00", "2026-05-20T08:15:30Z")
        if self.chance(20):
            taken = self.one(None, "2026", "2026-05", "2026-05-03", "2026-05-03T10:00:00", "2025-12-31T23:59:59Z")
        since = self.one("2026-05-03T12:00:00+03:00", "2026-05-03T12:00:00+03:00", "2026-05-04T10:00:00+03:00", LATER)
        links = [] if visit is None else [f"Encounter/{visit}"]
        links += [link for link in LINKS if self.chance(25)]
        photo = build.photo(
            name,
            patients=patients,
            known_since={one: since for one in patients if self.chance(97)},
            imaging_study=None if visit is None else f"ImagingStudy/{visit}",
            encounter=None if visit is None else f"Encounter/{visit}",
            links=links,
            author=None if self.chance(5) else self.one(*CLINICIANS[:2], "Practitioner/d"),
            photographer=None if self.chance(10) else self.one(*CLINICIANS[:2], "Device/app"),
            custodian=self.one(
                *["Organization/clinic"] * 10, "Organization/ward", "Organization/ward", "Organization/other", None
            ),
            taken=taken,
            regions=[] if self.chance(8) else [self.shown() for _ in range(self.one(1, 1, 2))],
            labels=self.worn(),
        )
        if others and name.startswith("x") and self.chance(60):
            sources = self.some(tuple(others), 2)
            shown: dict[str, None] = {}
            for source in sources:
                shown |= dict.fromkeys(world["photos"][source]["patients"])
            photo |= {"sources": sources, "own_description": self.chance(40), "patients": list(shown)}
            photo["known_since"] = dict.fromkeys(shown, since)
            photo["links"] = photo["links"] or ["Procedure/pr1"]
        return photo

    def shown(self) -> dict[str, Any]:
        code = self.one(*SPELLINGS) if self.chance(50) else build.REGION["face"]
        return {"code": code, "laterality": self.one(None, None, "R", "L", "B")}

    def worn(self) -> list[list[str]]:
        found = []
        if self.chance(35):
            found.append([words.CONFIDENTIALITY, self.one(*words.LADDER)])
        if self.chance(15):
            found.append([words.ACT_CODE, self.one(*words.SENSITIVITIES[:3])])
        if self.chance(4):
            found.append([words.CONFIDENTIALITY, self.one(*words.LADDER)])
        return found

    # --- Consents ------------------------------------------------------------------------------------------------

    def consents(self, world: dict[str, Any]) -> None:
        number = self.one(0, 1, 1, 2, 2, 3, 4)
        dates = sorted(self.date() for _ in range(number))
        for index in range(number):
            world["consents"].append(self.consent(f"c{index}", dates[index], world["consents"]))

    def date(self) -> str:
        if self.chance(70):
            return f"2026-05-{self.random.randint(4, 28):02d}T10:00:00+03:00"
        return self.word(
            *("2026-05-04", "2026-05", "2026", "2025-01-01", "2026-06-14T23:59:59.5Z", "2026-06-15", "2026-06-16"),
            *("2026-05-04T10:00:00", "2026-05-04T07:00:00Z", "2026-06-15T12:00:00+03:00", "2027", "2023-05-01"),
        )

    def consent(self, name: str, date: str, before: list[dict[str, Any]]) -> dict[str, Any]:
        patient = "p" if self.chance(86) else self.one("q", "r")
        same = [one["body"]["id"] for one in before if one["body"]["patient"]["reference"] == f"Patient/{patient}"]
        earlier = same if self.chance(93) else [one["body"]["id"] for one in before]
        body = build.consent(
            name,
            patient={"reference": f"Patient/{patient}"},
            dateTime=None if self.chance(4) else date,
            performer=[{"reference": one} for one in self.signers(patient)],
            organization=[{"reference": one} for one in self.organizations()],
        )
        if self.chance(10):
            body["scope"]["coding"][0]["code"] = self.one("research", "research", "treatment", "adr")
        if self.chance(4):
            body["verification"] = [{"verified": True}, {"verified": self.one(True, False)}]
        if self.chance(6):
            body["verification"] = [{"verified": False}]
        rule = self.one(*[None] * 8, "OPTIN", "OPTOUT", "OPTOUT", "EMRGONLY")
        if rule is not None:
            body["policyRule"] = {"coding": [{"system": words.ACT_CODE, "code": rule}]}
        if rule not in ("OPTIN", "OPTOUT") or self.chance(70):
            body["provision"] = self.root(may_lack_type=rule in ("OPTIN", "OPTOUT"))
        if earlier and self.chance(35):
            body["extension"] = [
                {"url": words.REPLACES_EXTENSION, "valueReference": {"reference": f"Consent/{other}"}}
                for other in (self.some(tuple(earlier), 2) if self.chance(97) else ["nothing"])
            ]
        history = []
        if self.chance(16):
            body["status"] = self.one("inactive", "inactive", "entered-in-error", "proposed", "draft", "rejected")
            history = self.one(["active"], ["active"], ["active"], ["draft"], [])
        if body["status"] in ENDED and "extension" in body:
            # What has ended is not refused any more; what it replaces was accepted while it was active.
            before_ = {one["body"]["id"]: one["body"] for one in before}
            body["performer"] = [body["patient"]]
            replaced = [one["valueReference"]["reference"].removeprefix("Consent/") for one in body["extension"]]
            if any(before_.get(each, {}).get("patient") != body["patient"] for each in replaced):
                del body["extension"]
        if self.chance(9) and not (body["status"] in ENDED and "extension" in body):
            self.spoil(body)
        return build.written(body, *history, synchronised=body["status"] == "active" and self.chance(35))

    def signers(self, patient: str) -> list[str]:
        if self.chance(82):
            return [f"Patient/{patient}"]
        return self.words(
            ["RelatedPerson/mother"],
            ["RelatedPerson/mother"],
            ["RelatedPerson/uncle"],
            ["RelatedPerson/mother", f"Patient/{patient}"],
            ["Practitioner/d"],
            ["Practitioner/d", "RelatedPerson/mother"],
            ["Organization/clinic"],
            ["Patient/r"],
            [],
        )

    def organizations(self) -> list[str]:
        if self.chance(88):
            return ["Organization/clinic"]
        return self.words(
            ["Organization/holding"], ["Organization/ward"], ["Organization/other", "Organization/clinic"], []
        )

    def root(self, *, may_lack_type: bool) -> dict[str, Any]:
        kind = "permit" if self.chance(74) else "deny"
        root = self.provision(kind, {}, rich=14 if kind == "permit" else 28)
        if may_lack_type and self.chance(50):
            del root["type"]
        if self.chance(30):
            root["provision"] = [
                self.provision(self.one("permit", "deny"), root, rich=45) for _ in range(self.one(1, 1, 2))
            ]
        return root

    def provision(self, kind: str, root: dict[str, Any], *, rich: int) -> dict[str, Any]:
        made: dict[str, Any] = {"type": kind}
        if self.chance(50 if root else 85):
            made["purpose"] = self.purposes(kind)
        if self.chance(rich / 2):
            made["actor"] = self.actors()
        if self.chance(rich):
            made["data"] = [self.data() for _ in range(self.one(1, 1, 2, 3))]
        if self.chance(rich / 3):
            made["dataPeriod"] = self.one(
                *({"start": "2026-05-01"}, {"end": "2026-05-31"}, {"start": "2026-05-03", "end": "2026-05-03"}),
                *({"start": "2026", "end": "2026"}, {"start": "2026-05-03T07:00:00Z"}, {"end": "2026-05-03T10:00"}),
            )
        if self.chance(rich / 2.5):
            made["extension"] = [
                build.region_code(
                    self.one(*SPELLINGS, *[build.REGION["face"]] * 6), self.one(None, None, "R", "L", "B")
                )
                for _ in range(self.one(1, 1, 2, 3))
            ]
        if self.chance(rich / 3):
            made["securityLabel"] = [build.label(code) for code in self.some((*"NNRRVM", *words.SENSITIVITIES[:2]), 3)]
        if self.chance(rich / 2):
            made["period"] = self.one(
                *({"start": "2026-05-01"}, {"end": "2026-05-31"}, {"start": "2026-06-01", "end": "2026-06-30"}),
                *({"end": "2026-06-15"}, {"end": "2026-06-15T09:00:00Z"}, {"start": "2026-06-15T12:00:00+03:00"}),
                *({"start": "2026-06-16"}, {"end": "2026"}, {"end": "2026-06-14"}, {"start": "2026-06"}),
            )
        # A permit for SOCIAL needs a channel, and a denial without a purpose may not name channels alone.
        actors = [*made.get("actor", []), *root.get("actor", [])]
        purposes = made.get("purpose") or root.get("purpose") or []
        social = any(coding["code"] == "SOCIAL" for coding in purposes)
        if kind == "permit" and social and not any(_is_channel(one) for one in actors) and self.chance(95):
            made["actor"] = [*made.get("actor", []), build.channel(self.one("instagram", "tiktok"))]
        if kind == "deny" and not purposes and self.chance(90):
            made["actor"] = [one for one in made.get("actor", []) if "reference" in one["reference"]]
        return {name: value for name, value in made.items() if value != []}

    def purposes(self, kind: str) -> list[dict[str, Any]]:
        found = []
        for _ in range(self.one(1, 1, 1, 2)):
            code = self.one(*self.theme) if self.chance(85) else self.one(*words.HL7_PURPOSES, *words.OWN_PURPOSES)
            if kind == "deny" and self.chance(15):
                code = self.one("HMARKT", "TRAIN", "TREAT")
            if code == "BTG" and self.chance(30):
                code = "ETREAT"
            found.append(self.coding(code))
        if kind == "permit" and self.chance(5):
            found[0] = self.one(build.purpose("HQUALIMP"), build.purpose("TREAT", "urn:x"), {"code": "WEB"})
        return found

    def coding(self, code: str) -> dict[str, Any]:
        return build.purpose(code, SITE_SYSTEM if code in dict(SITE_PURPOSES) else None)

    def actors(self) -> list[dict[str, Any]]:
        found = []
        for _ in range(self.one(1, 1, 2)):
            found.append(
                self.one(
                    build.actor(self.one(*CLINICIANS)),
                    build.actor(self.one(*CLINICIANS)),
                    build.actor(self.one(*GROUPS)),
                    build.actor(self.one("Patient/p", "Patient/p", "Patient/q", *KIN)),
                    build.channel(self.one("instagram", "tiktok")),
                    build.project(self.one("scars", "peels")),
                )
            )
        return found

    def data(self) -> dict[str, Any]:
        meaning = self.one("instance", "related", "dependents")
        return self.entry(
            build.data(f"DocumentReference/{self.one(*PHOTOS)}", meaning),
            build.data(f"DocumentReference/{self.one(*PHOTOS)}", "instance"),
            build.data(f"ImagingStudy/{self.one(*VISITS)}", meaning),
            build.data(f"Encounter/{self.one(*VISITS)}", self.one("related", meaning)),
            build.data(self.one(*LINKS), meaning),
            build.data(self.one(*CLINICIANS, "Device/app"), "authoredby"),
            build.data(
                self.one("Observation/x", "Media/m1", "Practitioner/d", "ImagingStudy/v1"),
                self.one("related", "authoredby"),
            ),
        )

    def spoil(self, body: dict[str, Any]) -> None:
        """Something in it that cannot be honoured."""
        root = body.setdefault("provision", {"type": "permit"})
        inner = root.setdefault("provision", [self.provision("permit", root, rich=20)]) if self.chance(30) else [root]
        target = inner[0]
        odd = [{"url": "urn:example:strange", "valueBoolean": True}]
        stranger = build.actor("Practitioner/d")
        stranger["role"]["coding"][0]["code"] = "CST"
        match self.one(*range(19)):
            case 0:
                body["modifierExtension"] = odd
            case 1:
                target["modifierExtension"] = odd
            case 2:
                body["implicitRules"] = "urn:example:rules"
            case 3:
                target["action"] = [{"text": "disclose"}]
            case 4:
                target["class"] = [build.purpose("WEB")]
            case 5:
                target["code"] = [{"text": "laser"}]
            case 6:
                nested = self.provision("deny", root, rich=0) | {"provision": [{"type": "permit"}]}
                root["provision"] = [*root.get("provision", []), nested]
            case 7:
                root["provision"] = [*root.get("provision", []), {"purpose": [build.purpose("WEB")]}]
            case 8:
                target["actor"] = [*target.get("actor", []), build.actor(self.one(*UNKNOWN))]
            case 9:
                target["actor"] = [*target.get("actor", []), stranger]
            case 10:
                target["actor"] = [self.one(build.channel("myspace"), build.project("secret"))]
            case 11:
                target["actor"] = [build.actor("Location/room")]
            case 12:
                target["data"] = [
                    *target.get("data", []),
                    build.data(self.one("Encounter/none", "Media/none"), "related"),
                ]
            case 13:
                target |= {
                    "type": "deny",
                    "purpose": [self.one(build.purpose("HQUALIMP"), build.purpose("TREAT", "urn:x"))],
                }
            case 14:
                target["securityLabel"] = [self.one(build.label("XYZ"), {"system": "urn:x", "code": "N"})]
            case 15:
                target["extension"] = [self.one(build.region_code("urn:x|tongue"), build.region_code(REGIONS[2], "U"))]
            case 16:
                target |= {"type": "permit", "purpose": [build.purpose("SOCIAL")]}
                target.pop("actor", None)
                root.pop("actor", None)
            case 17:
                root |= {"type": "deny", "actor": [self.one(build.channel("tiktok"), build.project("peels"))]}
                root.pop("purpose", None)
            case 18:
                root["type"] = "permit"
                name = self.one("Policy-deny", "Policy-break-glass-only")
                body["policy"] = [{"uri": f"https://profiles.ihe.net/ITI/PCF/{name}"}]

    # --- Requests ------------------------------------------------------------------------------------------------

    def request(self, world: dict[str, Any]) -> dict[str, Any]:
        own = [one["code"] for one in world["site"]["purposes"]]
        if world["consents"] and self.chance(55):
            return self.aimed(world, self.one(*world["consents"])["body"])
        purpose = self.one(*self.theme)
        if self.chance(20):
            purpose = self.one(*words.HL7_PURPOSES, *words.OWN_PURPOSES, *own, "BTG", "BTG", "TREAT", "HQUALIMP")
        photo = self.one(*PHOTOS) if self.chance(98) else "unknown"
        return self.asking(purpose, photo, self.account(purpose))

    def aimed(self, world: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """A request that one Consent is likely to speak about: its purpose, its photos, its people, its channel."""
        root = body.get("provision", {})
        provision = self.one(root, *root.get("provision", []))
        codes = [coding["code"] for coding in provision.get("purpose") or root.get("purpose") or [{"code": "TREAT"}]]
        purpose = self.one(*codes)
        if purpose in words.NEVER_REQUESTED:
            purpose = self.one(*[child for child, parent in words.PARENTS.items() if parent == purpose])
        actors = provision.get("actor") or root.get("actor") or []
        people = [one["reference"]["reference"] for one in actors if "reference" in one["reference"]]
        places = [one["reference"]["identifier"]["value"] for one in actors if "identifier" in one["reference"]]
        named = [
            one["reference"]["reference"].split("/")[-1] for one in provision.get("data") or root.get("data") or []
        ]
        patient = body["patient"]["reference"].removeprefix("Patient/")
        hers = [name for name, photo in world["photos"].items() if patient in photo["patients"]]
        photo = self.one(*([one for one in named if one in PHOTOS] or hers or PHOTOS))
        account = self.account(purpose)
        person = self.one(*people) if people else None
        if person is not None and person.startswith(("Practitioner/", "Device/")) and purpose != "PATRQT":
            account["reference"] = person
        request = self.asking(purpose, photo, account)
        for name, key, options in (
            ("SOCIAL", "channel", ("instagram", "tiktok")),
            ("HRESCH", "project", ("scars", "peels")),
        ):
            fitting = [place for place in places if place in options]
            if purpose == name and fitting and self.chance(90):
                request[key] = self.one(*fitting)
        return request

    def asking(self, purpose: str, photo: str, account: dict[str, Any]) -> dict[str, Any]:
        emergency = purpose in ("BTG", "ETREAT")
        return build.ask(
            account,
            photo,
            purpose,
            channel=self.one("instagram", "tiktok", "tiktok", "instagram", "tiktok", "instagram", None)
            if purpose == "SOCIAL"
            else None,
            project=self.one("scars", "peels", None) if purpose == "HRESCH" else None,
            reason=self.one(*["no pulse"] * 10, None, " ") if emergency else None,
            emergency_patient=self.one(None, "p", "p", "q", "r") if emergency else None,
            stale=self.chance(1),
        )

    def account(self, purpose: str) -> dict[str, Any]:
        held = {"BTG" if purpose == "ETREAT" else purpose} if self.chance(96) else {"PORTFOLIO"}
        if self.chance(40):
            held.add("TREAT")
        reference: str | None = None if self.chance(4) else self.one(*CLINICIANS, "Practitioner/d", "Device/app")
        account = build.account(*sorted(held), reference=reference)
        if purpose == "PATRQT" and self.chance(94):
            who = self.one("p", "p", "p", "p", "q", "mother", "mother", "uncle")
            if who in PATIENTS:
                account |= {"reference": f"Patient/{who}", "confined_to": [who]}
            else:
                account |= {
                    "reference": f"RelatedPerson/{who}",
                    "confined_to": self.one(["p"], ["p"], ["p", "q"], ["q"]),
                }
        elif self.chance(4):
            account["confined_to"] = self.one(["p"], ["q"], ["r"], [])
        if not (account["reference"] or "").startswith(("Patient/", "RelatedPerson/")) and self.chance(5):
            account["own_patient"] = self.one("p", "q", "r")
        return account


def _is_channel(actor: dict[str, Any]) -> bool:
    return bool(actor["reference"].get("identifier", {}).get("system") == words.CHANNEL)


def size(world: dict[str, Any]) -> int:
    """How large a world is, to find the smallest among those that disagree."""
    return len(str(world["consents"])) + 400 * len(world["merged"])
