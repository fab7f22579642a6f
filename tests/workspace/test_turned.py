"""The screen turned to a patient: the session is narrowed on the server, and its owner alone takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

import pytest
from sqlalchemy import select, update
from starlette.routing import Route

from consent.audit.record import Kind
from consent.identity import accounts, pins, sessions, shown
from consent.identity.pins import PinRefused
from consent.identity.shown import MOST_ATTEMPTS, Mode, Shown
from consent.store.engine import reading, transaction
from consent.store.tables import account, account_pin, login_session
from consent.types import Requester, Right
from orthanc_plugin.workspace.language_choice import LANGUAGE
from tests.database import fresh
from tests.workspace.client import Client
from tests.workspace.clinic import Clinic
from tests.workspace.turned import DOCTOR, PASSWORD, Turnable, csrf, turnable

pytestmark = pytest.mark.fast


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Turnable]:
    engine = fresh(f"sqlite:///{tmp_path / 'turned.db'}")
    yield turnable(engine, Clinic())
    engine.dispose()


def _take_back(client: Client, secret: str, headers: dict[str, str] | None = None) -> int:
    page = client.get("/unlock")
    token = csrf(page.text) if page.status_code == 200 else ""
    return client.post("/unlock", data={"csrf": token, "secret": secret}, headers=headers or {}).status_code


def test_the_patient_sees_her_photos_and_no_other_name(place: Turnable) -> None:
    client = place.turned()
    page = client.get("/shown")
    assert page.status_code == 200
    assert "Maria Papadaki" in page.text
    for word in ("Jonas", "Aiko", "/chart", "Dr. Markou", "MRN", "Lot", "TR-22", "1981", "/portfolio", "/logout"):
        assert word not in page.text
    assert client.get("/shown/photo/maria-p1").headers["content-type"] == "image/jpeg"
    pair = client.get("/shown/compare?left=maria-p1&right=maria-p4")
    assert pair.status_code == 200
    assert "TR-22" not in pair.text
    assert {(route, purpose) for route, purpose, _ in place.clinic.asked} == {("/shown/photo", "TREAT")}


def test_every_other_address_gives_one_and_the_same_answer(place: Turnable) -> None:
    """Also of what no page leads to, of other doors, of what does not exist, by every verb and in disguise."""
    client = place.turned()
    constant = client.get("/there-is-no-such-page")
    assert constant.status_code == 404
    assert "Jonas" not in constant.text
    routes = [route for route in place.app.routes if isinstance(route, Route)]
    filled = [
        route.path.replace("{patient}", "jonas").replace("{key}", "jonas-p101").replace("{purpose}", "PORTFOLIO")
        for route in routes
        if not route.path.startswith(("/shown", "/static", "/unlock", "/logout", "/healthz"))
    ]
    assert len(filled) > 10
    others = [
        "/", "/chart?q=jonas", "/chart/patient/maria", "/chart/photo/maria-p1", "/chart/compare?left=maria-p1",
        "/fhir/Patient", "/dicom-web/studies", "/ohif/viewer", "/login", "/login?next=/chart", "/me", "//chart",
        "/shown/../chart", "/shownchart", "/%63hart", "/unlock/../chart", "/static/../chart", "/pin",
        "/shown%2f..%2fchart",
    ]  # fmt: skip
    for path in [*filled, *others]:
        for verb in ("GET", "POST", "PUT", "DELETE"):
            answer = client.request(verb, path)
            if (verb, path) == ("POST", LANGUAGE):  # open to her: it takes a language, and tells nothing
                assert (answer.status_code, answer.content) == (400, b"")
                continue
            assert answer.status_code == 404, (verb, path)
            assert answer.text == constant.text or path.startswith(("/static", "/shown")), (verb, path)
            assert "Jonas" not in answer.text


def test_another_patient_s_photo_and_one_with_somebody_else_are_as_absent(place: Turnable) -> None:
    place.clinic.also["maria-p2"] = "jonas"
    client = place.turned()
    absent = client.get("/shown/photo/nothing")
    for key in ("jonas-p101", "maria-p2"):
        answer = client.get(f"/shown/photo/{key}")
        assert (answer.status_code, answer.content) == (absent.status_code, absent.content)
        page, none = client.get(f"/shown/compare?left={key}"), client.get("/shown/compare?left=nothing")
        assert (page.status_code, page.text) == (404, none.text)
        assert client.get(f"/shown/compare/alignment?left=maria-p1&right={key}").status_code == 404
    assert "maria-p2" not in client.get("/shown").text


def test_a_refused_photo_is_not_shown_to_her(place: Turnable) -> None:
    place.clinic.refused.add(1)
    client = place.turned()
    assert "maria-p1&" not in client.get("/shown").text
    assert client.get("/shown/photo/maria-p1").status_code == 404


def test_the_session_asks_for_nothing_else(place: Turnable) -> None:
    """Not the pages hold it: whoever looks up the session finds a requester who may do nothing else."""
    client = place.turned()
    with reading(place.engine) as connection:
        found = sessions.find(connection, client.cookies["photospine"], 30)
    assert found is not None
    assert found.requester == Requester(DOCTOR, ("TREAT",), frozenset(), "Practitioner/d", frozenset({"maria"}), None)
    with transaction(place.engine) as connection:
        connection.execute(update(login_session).values(shown="a way of a newer version"))
    with reading(place.engine) as connection:
        assert sessions.find(connection, client.cookies["photospine"], 30) is None


def test_an_account_without_the_purpose_gains_nothing_by_turning() -> None:
    nobody = Requester("n", ("WEB",), frozenset({Right.ADMIN}), confined_to=frozenset({"jonas"}))
    assert Shown(Mode.PATIENT, "maria").narrow(nobody) == Requester("n", confined_to=frozenset())


def test_what_was_open_before_is_dead(place: Turnable) -> None:
    client = place.signed_in()
    former = client.cookies["photospine"]
    token = csrf(client.get("/chart/patient/maria").text)
    client.post("/chart/patient/maria/show", data={"csrf": token})
    assert client.cookies["photospine"] != former
    other = Client(place.app)
    other.cookies.set("photospine", former, domain="testserver.local", path="/")
    assert other.get("/chart").status_code == 303
    assert client.post("/chart/patient/maria/show", data={"csrf": token}).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_turning_wants_the_page_s_own_form(place: Turnable, headers: dict[str, str]) -> None:
    client = place.signed_in()
    token = csrf(client.get("/chart/patient/maria").text) if headers else "guessed"
    assert client.post("/chart/patient/maria/show", data={"csrf": token}, headers=headers).status_code == 404
    assert client.get("/chart").status_code == 200


def test_who_may_not_treat_turns_nothing(place: Turnable) -> None:
    client = place.signed_in("maria")
    token = csrf(client.get("/me/patient/maria").text)
    assert client.post("/chart/patient/maria/show", data={"csrf": token}).status_code == 404
    assert client.get("/shown").status_code == 404
    assert place.signed_in().get("/shown").status_code == 404
    assert Client(place.app).get("/shown").status_code == 303


def test_a_pin_or_the_password_takes_it_back_to_where_it_was(place: Turnable) -> None:
    with transaction(place.engine) as connection:
        pins.save(connection, DOCTOR, "9041")
    for secret in ("9041", PASSWORD):
        client = place.turned()
        page = client.get("/unlock")
        answer = client.post("/unlock", data={"csrf": csrf(page.text), "secret": secret})
        assert (answer.status_code, answer.headers["location"]) == (303, "/chart/patient/maria")
        assert client.get("/chart?q=jonas").status_code == 200
        assert client.get("/shown").status_code == 404


def test_a_wrong_pin_opens_nothing_and_after_five_the_session_is_gone(place: Turnable) -> None:
    with transaction(place.engine) as connection:
        pins.save(connection, DOCTOR, "9041")
    client = place.turned()
    for left in reversed(range(1, MOST_ATTEMPTS)):
        assert _take_back(client, "9042") == 401, left
        assert client.get("/chart").status_code == 404
    cookie = client.cookies["photospine"]
    assert _take_back(client, "9042") == 303
    with reading(place.engine) as connection:
        assert sessions.find(connection, cookie, 30) is None
    assert client.get("/chart").headers["location"].startswith("/login")


def test_many_guesses_at_once_are_no_more_than_in_a_row(place: Turnable) -> None:
    client = place.turned()
    cookie = client.cookies["photospine"]

    def guess(_: int) -> int | None:
        with transaction(place.engine, wait=10) as connection:
            return shown.attempt(connection, cookie)

    with ThreadPoolExecutor(8) as threads:
        looked_at = [left for left in threads.map(guess, range(20)) if left is not None]
    assert sorted(looked_at) == list(range(MOST_ATTEMPTS))
    assert client.get("/shown").status_code == 303


@pytest.mark.parametrize("secret", ["", "x" * 5000, "doctor", "0"])
def test_other_words_are_not_the_owner_s(place: Turnable, secret: str) -> None:
    assert _take_back(place.turned(), secret) in (400, 401)


def test_taking_back_wants_the_page_s_own_form(place: Turnable) -> None:
    client = place.turned()
    assert client.post("/unlock", data={"csrf": "guessed", "secret": PASSWORD}).status_code == 400
    assert _take_back(client, PASSWORD, {"Origin": "https://elsewhere.example"}) == 400
    assert client.get("/chart").status_code == 404


def test_another_account_s_pin_takes_nothing_back(place: Turnable) -> None:
    with transaction(place.engine) as connection:
        accounts.create(connection, "other", password="other", purposes=("TREAT",))
        pins.save(connection, "other", "7390")
    assert _take_back(place.turned(), "7390") == 401


def test_an_account_without_pin_and_password_signs_in_anew(place: Turnable) -> None:
    client = place.turned()
    with transaction(place.engine) as connection:
        connection.execute(update(account).where(account.c.name == DOCTOR).values(password=None))
    page = client.get("/unlock")
    assert 'name="secret"' not in page.text
    assert client.post("/unlock", data={"csrf": csrf(page.text), "secret": ""}).status_code == 401
    assert client.post("/logout", data={"csrf": csrf(page.text)}).headers["location"] == "/login?left"
    assert client.get("/chart").status_code == 303


def test_the_session_still_ends_by_itself(place: Turnable) -> None:
    client = place.turned()
    with transaction(place.engine) as connection:
        connection.execute(update(login_session).values(last_seen=0))
    assert client.get("/shown").headers["location"].startswith("/login")
    assert client.get("/chart").status_code == 303


def test_turning_and_taking_back_are_on_record(place: Turnable) -> None:
    client = place.turned()
    _take_back(client, "wrong")
    _take_back(client, PASSWORD)
    told = [(each.route, each.effect, dict(each.details)) for each in place.records if each.kind is Kind.SIGN_IN][1:]
    assert told == [
        ("turn", "permit", {"shown": "patient", "patient": "maria"}),
        ("take-back", "deny", {}),
        ("take-back", "permit", {}),
    ]
    assert "wrong" not in repr(place.records)


def test_a_pin_is_set_with_the_password_and_kept_as_its_hash(place: Turnable) -> None:
    client = place.signed_in()
    form = {"csrf": csrf(client.get("/pin").text), "password": PASSWORD, "pin": "5820", "again": "5820"}
    assert client.post("/pin", data=form | {"password": "wrong"}).status_code == 401
    assert client.post("/pin", data=form | {"again": "5821"}).status_code == 422
    assert client.post("/pin", data=form | {"pin": "1234", "again": "1234"}).status_code == 422
    assert client.post("/pin", data=form | {"csrf": "guessed"}).status_code == 404
    with reading(place.engine) as connection:
        assert connection.execute(select(account_pin)).all() == []
    assert client.post("/pin", data=form).status_code == 200
    with reading(place.engine) as connection:
        kept = connection.execute(select(account_pin.c.pin)).scalar_one()
    assert kept.startswith("scrypt$")
    assert _take_back(place.turned(), "5820") == 303


@pytest.mark.parametrize(
    ("language", "pin", "said"),
    [
        ("en", "123", "A PIN has 4 to 12 digits."),
        ("en", "1111", "A PIN of one digit, or of digits in a row, is the first that anybody tries"),
        ("de", "123", "Eine PIN hat 4 bis 12 Ziffern."),
        ("de", "4567", "Eine PIN aus einer einzigen Ziffer oder aufeinanderfolgenden Ziffern"),
    ],
)
def test_what_is_no_pin_is_said_in_the_readers_language(place: Turnable, language: str, pin: str, said: str) -> None:
    client = place.signed_in()
    page = client.get("/pin", headers={"Accept-Language": language})
    sent = {"csrf": csrf(page.text), "password": PASSWORD, "pin": pin, "again": pin}
    answer = client.post("/pin", data=sent, headers={"Accept-Language": language, "Origin": "http://testserver"})
    assert (answer.status_code, said in unescape(answer.text)) == (422, True)


@pytest.mark.parametrize("pin", ["", "123", "1111", "4567", "9876", "12a4", "1" * 13, "٤٣٩١", " 5820"])
def test_what_is_no_pin(place: Turnable, pin: str) -> None:
    with transaction(place.engine) as connection, pytest.raises(PinRefused):
        pins.save(connection, DOCTOR, pin)


def test_a_pin_signs_nobody_in(place: Turnable) -> None:
    with transaction(place.engine) as connection:
        pins.save(connection, DOCTOR, "9041")
    client = Client(place.app)
    token = csrf(client.get("/login").text)
    answer = client.post("/login", data={"csrf": token, "name": DOCTOR, "password": "9041", "next": "/"})
    assert answer.status_code == 401
