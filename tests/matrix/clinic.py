"""The matrix's clinic: every case with its photos in a real Orthanc, known to the wall's database; and who asks."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update

from consent.decided import stored_purposes
from consent.directive import Span
from consent.facts import PhotoFacts
from consent.identity import accounts
from consent.store import people, tables
from consent.store.engine import transaction
from consent.store.photos import save_photo
from consent.store.sites import save_site
from consent.types import Right
from dicom_bridge.objects.attributes import attributes_json
from dicom_bridge.query.index import save_instance
from fhir_mapping import dates
from tests.archive import Archive
from tests.judges import worlds as build
from tests.judges.plain import PlainJudge
from tests.judges.product import Product, site_of
from tests.matrix.case import MEMBERS, PARTS, Case
from tests.matrix.marks import Finder, Planted, dataset, plant
from tests.matrix.states import STATES, drawn

PASSWORD = "matrix-demo"
_SALT = bytes(16)
_HASH = "$".join(
    (
        *("scrypt", "16", "8", "1", base64.b64encode(_SALT).decode()),
        base64.b64encode(hashlib.scrypt(PASSWORD.encode(), salt=_SALT, n=16, r=8, p=1, dklen=32)).decode(),
    )
)
"""A hash that is quickly compared: the product's own takes 60 ms for each of more than a hundred accounts."""

_OWN = "urn:photospine:purpose"
_SITE_PURPOSES = [
    {"code": "FooBar", "system": _OWN, "parent": "HRESCH"},
    {"code": "FLYER", "system": _OWN, "parent": "HMARKT"},
]
SITES: tuple[dict[str, Any], ...] = (
    build.site(purposes=_SITE_PURPOSES),
    build.site(
        purposes=_SITE_PURPOSES,
        treatment_default="opt-in",
        portal_default="open",
        care_team="record",
        deniable_duties=["HCOMPL"],
        watermark=["CONF"],
    ),
    build.site(purposes=_SITE_PURPOSES, forbid_break_glass=True, majority_age=21, rules_on=[], portal_default="open"),
)
"""What the site has set: what holds for who said nothing, who is the care team, which duties can be denied."""


@dataclass(frozen=True, slots=True)
class Asker:
    """An account with one way to ask."""

    name: str
    """For reports."""

    headers: Mapping[str, str] = field(repr=False)
    account: Mapping[str, Any] | None = None
    """As the judges describe it; None: nobody whom the wall knows."""

    purpose: str = ""
    channel: str | None = None
    project: str | None = None
    reason: str | None = None
    understood: bool = True
    """Whether the headers name one purpose that the account holds; else everything is refused."""

    admin: bool = False
    home: int | None = None
    """The case that the account belongs to."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A photo, planted, in its case."""

    planted: Planted
    case: int
    name: str
    unlinked: bool


class Clinic:
    """The cases, their photos and accounts, in one archive."""

    def __init__(self, archive: Archive, seed: int, states: Sequence[str], *, by_lot: int) -> None:
        self.archive, self.now = archive, datetime.now(UTC)
        self.cases = [Case(state, f"m{number:03d}", self.now) for number, state in enumerate(states)]
        for case in self.cases:
            STATES[case.state](case)
        for number in range(by_lot):
            case = Case("by lot", f"l{number:03d}", self.now)
            drawn(case, seed + number)
            self.cases.append(case)
        self.photos: dict[int, Placed] = {}
        self.finder = Finder(self._store())
        self.askers = list(self._accounts())
        self.judges: list[PlainJudge] = []

    def settle(self, site: dict[str, Any]) -> None:
        """The site has these settings now, on both sides."""
        settings = site_of(site)
        with transaction(self.archive.engine) as connection:
            save_site(connection, settings, stored_purposes(settings))
        everybody = {name: stated for case in self.cases for name, stated in case.patients.items()}
        merged = [group for case in self.cases for group in case.merged]
        worlds = (case.world(site) for case in self.cases)
        self.judges = [PlainJudge(world | {"patients": everybody, "merged": merged}) for world in worlds]

    def _store(self) -> Iterator[Planted]:
        number = 0
        with transaction(self.archive.engine) as connection:
            people.save_members(connection, "Group/all", [(one, of, Span()) for one, of in MEMBERS])
            for organization, parent in PARTS.items():
                people.save_organization_parent(connection, organization, parent)
        for index, case in enumerate(self.cases):
            product = Product(case.world(SITES[0]))
            planted: dict[str, Planted] = {}
            for name, (visit, series) in case.series.items():
                number += 1
                study = 10 * index + int(visit)
                planted[name] = plant(number, index, study, 10 * study + int(series))
                stored = self.archive.store(planted[name].dicom)
                assert stored.status == 200, stored
                self._attach(planted[name])
                self.photos[number] = Placed(planted[name], index, name, name in case.unlinked)
            self._know(case, product, planted)
            yield from planted.values()

    def _attach(self, one: Planted) -> None:
        """The file as it came, with a mark of its own."""
        path, original = f"/instances/{one.ids.instance}/attachments/original", f"{one.text} as it came".encode()
        attached = self.archive.task("PUT", path, kind="store", body=original)
        assert attached.status == 200, attached

    def _know(self, case: Case, product: Product, planted: Mapping[str, Planted]) -> None:
        """All that decisions read of the case, in the wall's database."""
        uids = {f"2.25.{name}": one.sop for name, one in planted.items()}
        with transaction(self.archive.engine) as connection:
            for name, stated in case.patients.items():
                people.save_patient(connection, name, product.patient_birth(name))
                for one in stated["representatives"]:
                    period = dates.period(one["period"], product.site.zone)
                    people.save_representation(connection, one["person"], name, period)
                people.save_care_members(connection, f"CareTeam/{name}", name, stated["care_team"])
            for group in case.merged:
                for other in group[1:]:
                    people.merge(connection, other, group[0])
            for written, reading in zip(case.consents, product.readings, strict=True):
                body = written["body"]
                patient = body["patient"]["reference"].removeprefix("Patient/")
                if reading.refusals and written["synchronised"]:
                    people.hold(connection, body["id"], patient, reading.denial_reaches_treatment)
                elif not reading.refusals and reading.directive is not None:
                    people.save_directive(connection, reading.directive)
            for name, one in planted.items():
                facts = product.photo(name)
                assert facts is not None
                stored = save_photo(
                    connection,
                    _named(facts, uids),
                    series_uid=one.series,
                    study_uid=one.study,
                    orthanc_id=one.ids.instance,
                    state=case.unlinked.get(name, "linked"),
                    area=facts.regions[0].code if facts.regions else None,
                    view=None,
                    procedure=None,
                )
                save_instance(connection, stored, one.sop, attributes_json(dataset(one)))

    # --- who asks ----------------------------------------------------------------------------------------------------

    def _accounts(self) -> Iterator[Asker]:
        yield Asker("nobody", {})
        yield Asker("a wrong password", {"Authorization": _basic("clinician", "wrong")})
        yield Asker("an unknown account", {"Authorization": _basic("stranger", PASSWORD)})
        yield Asker("a bearer of nothing", {"Authorization": "Bearer x"})
        yield from self._account("clinician", "TREAT", "BTG", reference="Practitioner/d", odd=True)
        yield from self._account("nurse", "TREAT", reference="Practitioner/e")
        yield from self._account("doctor", "TREAT", "PORTFOLIO", "WEB", "SOCIAL", "FLYER", reference="Practitioner/m")
        yield from self._account("marketing", "PORTFOLIO", "WEB", "SOCIAL", reference="Practitioner/m")
        yield from self._account("lecturer", "CONF", "TEACH", reference="Practitioner/e")
        yield from self._account("scientist", "HRESCH", "FooBar", reference="Practitioner/m")
        yield from self._account("clerk", "HPAYMT", "HOPERAT", reference="Practitioner/e")
        yield from self._account("compliance", "HCOMPL", "PATSFTY", reference="Practitioner/m")
        yield from self._account("lawyer", "HLEGAL", reference="Practitioner/m")
        yield from self._account("rescue", "BTG", reference="Practitioner/d")
        yield from self._account("admin", reference="Practitioner/m", rights=(Right.ADMIN,))
        for index, case in enumerate(self.cases):
            if index % 3 == 0 or case.patients[case.patient]["representatives"] or len(case.patients) > 1:
                reference = f"Patient/{case.patient}"
                yield from self._account(
                    f"{case.patient}-herself", "PATRQT", reference=reference, confined=case.patient, home=index
                )
            if case.patients[case.patient]["representatives"]:
                reference = f"RelatedPerson/{case.patient}-mother"
                yield from self._account(
                    f"{case.patient}-mother", "PATRQT", reference=reference, confined=case.patient, home=index
                )
            if index % 8 == 1:
                yield from self._account(
                    f"{case.patient}-staff", "TREAT", "PATRQT", reference="Practitioner/d", own=case.patient, home=index
                )
            if index % 8 == 2:
                yield from self._account(
                    f"{case.patient}-launch",
                    "TREAT",
                    "WEB",
                    reference="Practitioner/d",
                    confined=case.patient,
                    home=index,
                )

    def _account(
        self,
        name: str,
        *purposes: str,
        reference: str,
        rights: tuple[Right, ...] = (),
        confined: str | None = None,
        own: str | None = None,
        home: int | None = None,
        odd: bool = False,
    ) -> Iterator[Asker]:
        with transaction(self.archive.engine) as connection:
            accounts.create(
                connection,
                name,
                password=None,
                purposes=purposes,
                rights=rights,
                reference=reference,
                confined_to=confined,
                own_patient=own,
            )
            connection.execute(update(tables.account).where(tables.account.c.name == name).values(password=_HASH))
        account = build.account(
            *purposes, reference=reference, confined_to=None if confined is None else [confined], own_patient=own
        )
        for purpose in purposes or ("",):
            for header, channel, project in _ways(purpose, odd=odd):
                yield self._asker(name, account, purpose, header, channel, project, home=home, admin=bool(rights))
        yield self._asker(name, account, purposes[0] if purposes else "", None, home=home, admin=bool(rights))
        for strange in ("HPAYMT" if "HPAYMT" not in purposes else "TREAT", "TREAT, WEB", "HMARKT", "TREAT; channel=x"):
            if home is None:
                yield self._asker(name, account, strange, strange, understood=False)

    def _asker(
        self,
        name: str,
        account: dict[str, Any],
        purpose: str,
        header: str | None,
        channel: str | None = None,
        project: str | None = None,
        *,
        understood: bool = True,
        home: int | None = None,
        admin: bool = False,
    ) -> Asker:
        headers = {"Authorization": _basic(name, PASSWORD)}
        if header is not None:
            headers["X-Purpose-Of-Use"] = header
        reason = "no pulse" if purpose == "BTG" and header != "BTG" else None
        if reason is not None:
            headers["X-Emergency-Reason"] = "no%20pulse"
        shown = f"{name} for {header or 'what comes first'}"
        return Asker(shown, headers, account, purpose, channel, project, reason, understood, admin, home)


def _ways(purpose: str, *, odd: bool) -> Iterator[tuple[str | None, str | None, str | None]]:
    """Headers that name the purpose."""
    match purpose:
        case "":
            return
        case "SOCIAL":
            yield "SOCIAL", None, None
            for channel in ("instagram", "tiktok", "myspace"):
                yield f"SOCIAL; channel={channel}", channel, None
        case "HRESCH":
            yield "HRESCH", None, None
            for project in ("scars", "peels"):
                yield f"HRESCH;project={project}", None, project
        case "BTG":
            yield "BTG", None, None  # without a reason
            yield "ETREAT", None, None  # with one
        case _:
            yield purpose, None, None


def _named(facts: PhotoFacts, uids: Mapping[str, str]) -> PhotoFacts:
    """The facts under the UIDs that Orthanc holds."""
    return replace(facts, photo=uids[facts.photo], sources=tuple(_named(one, uids) for one in facts.sources))


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
