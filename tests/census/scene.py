"""A walled archive with three photos, and everybody who may send it a request."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace

from consent.store import people
from consent.store.engine import transaction
from consent.store.photos import save_photo
from consent.types import Right
from dicom_bridge.objects.attributes import attributes_json
from dicom_bridge.query.index import save_instance
from tests.archive import ADULT, Archive, basic
from tests.census.routes import Route, pattern
from tests.matrix.marks import Finder, Planted, dataset, plant
from tests.store.world import consent

SHOWN, HIDDEN, WAITING = 1, 2, 3
"""Photos: permitted; denied by the patient; not linked to anybody yet."""

EMERGENCY = "clinician"
"""Who may see, for a reason that is given, what the patient denies."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    name: str
    headers: tuple[tuple[str, str], ...]
    account: bool = True
    hidden: frozenset[int] = frozenset({SHOWN, HIDDEN, WAITING})


_DENIED = frozenset({HIDDEN, WAITING})
_HIDDEN = {"compliance": frozenset({WAITING}), "admin": frozenset({SHOWN, HIDDEN, WAITING})}
"""What duties see, and what somebody without a purpose does."""


class Scene:
    """A walled archive with three photos, and who asks for them."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.photos = {number: plant(number, number, number, number) for number in (SHOWN, HIDDEN, WAITING)}
        self.finder = Finder(self.photos.values())
        for number, one in self.photos.items():
            assert archive.store(one.dicom).status == 200
            self._know(number, one)
        archive.consent(consent("no", "deny", None, f"p{HIDDEN}"))
        archive.consent(consent("yes", "permit", "WEB", f"p{SHOWN}"))
        archive.consent(consent("mine", "permit", "PATRQT", f"p{SHOWN}"))
        self.callers = list(self._callers())
        self.rows = rows_of(archive)

    def _know(self, number: int, one: Planted) -> None:
        patient = f"p{number}"
        facts = replace(self.archive.describe(patient, number).facts, photo=one.sop)
        with transaction(self.archive.engine) as connection:
            people.save_patient(connection, patient, ADULT)
            stored = save_photo(
                connection,
                facts,
                series_uid=one.series,
                study_uid=one.study,
                orthanc_id=one.ids.instance,
                state="examined" if number == WAITING else "linked",
                area=facts.regions[0].code,
                view=None,
                procedure=None,
            )
            save_instance(connection, stored, one.sop, attributes_json(dataset(one)))

    def _callers(self) -> Iterator[Caller]:
        yield Caller("nobody", (), account=False)
        yield Caller("a wrong password", (("Authorization", "Basic Y2xpbmljaWFuOndyb25n"),), account=False)
        yield Caller("a bearer", (("Authorization", "Bearer x.y.z"),), account=False)
        yield Caller("a ticket of nobody", (("Authorization", "Ticket x.y"),), account=False)
        every = tuple(right for right in Right if right not in (Right.ADMIN, Right.STORE))
        for name, purposes, rights in (
            (EMERGENCY, ("TREAT", "BTG"), ()),
            ("integrator", ("TREAT",), every),
            ("marketing", ("WEB", "PORTFOLIO", "SOCIAL"), ()),
            ("compliance", ("HCOMPL", "PATSFTY"), ()),
            ("admin", (), (Right.ADMIN,)),
        ):
            self.archive.account(name, *purposes, rights=rights)
            yield Caller(name, (("Authorization", basic(name)),), hidden=_HIDDEN.get(name, _DENIED))
        self.archive.account("herself", "PATRQT", confined_to=f"p{SHOWN}")
        yield Caller("herself", (("Authorization", basic("herself")),), hidden=_DENIED)

    def allowed(self, route: Route, verb: str, path: str, caller: Caller) -> bool:
        """Whether a request may be answered at all: classified as open by the verb, and a row that stands.

        A verb that is faked beside it may be disregarded; that it was not obeyed is seen in what the archive holds.
        """
        if not caller.account or (route.kind == "system" and caller.name != "admin"):
            return False
        if verb not in route.open or f"{verb} {route.path}" not in self.rows:
            return False
        if "/attachments/" in path:
            return "/attachments/dicom/" in path or ("/original/data" in path and caller.name == "compliance")
        return True


def rows_of(archive: Archive) -> frozenset[str]:
    """Verb and route of everything that the wall answers."""
    answer = archive.ask(f"/photospine/canary?nonce={secrets.token_hex(16)}").json()
    assert isinstance(answer, dict)
    return frozenset(f"{verb} {pattern(path)}" for verb, _, path in (row.partition(" ") for row in answer["rows"]))


def pid_of(archive: Archive) -> str:
    """Of the Orthanc that runs."""
    return (archive.folder / "orthanc" / "orthanc.pid").read_text("utf-8").split()[0]
