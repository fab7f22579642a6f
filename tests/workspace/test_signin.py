"""Signing in and out: the form's token, the cookie, wrong passwords, waiting."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.routing import Route

from consent.identity.throttle import Throttle
from orthanc_plugin.workspace.visitor import local_path
from tests.database import fresh
from tests.workspace.client import Client
from tests.workspace.clinic import Clinic, Sessions
from tests.workspace.page import application

pytestmark = pytest.mark.fast


def _client(*, secure: bool = False) -> Client:
    app = application(Clinic(), Sessions(), secure=secure)
    return Client(app, "https://testserver" if secure else "http://testserver")


def _form(client: Client, **changes: str) -> dict[str, str]:
    token = re.findall(r'name="csrf" value="([^"]+)"', client.get("/login").text)[0]
    return {"csrf": token, "name": "doctor", "password": "doctor-demo", "next": "/"} | changes


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    client = _client(secure=True)
    cookie = client.post("/login", data=_form(client)).headers["set-cookie"]
    assert cookie.startswith("__Host-photospine=")
    for word in ("HttpOnly", "SameSite=lax", "Secure", "Path=/"):
        assert word in cookie


def test_a_wrong_password_and_an_unknown_name_are_answered_alike() -> None:
    client = _client()
    wrong = client.post("/login", data=_form(client, password="wrong"))
    unknown = client.post("/login", data=_form(client, name="nobody"))
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace('value="doctor"', "") == unknown.text.replace('value="nobody"', "")


def test_these_are_all_forms_that_a_cookie_answers_for() -> None:
    """Each proves its token and its origin, below; a further one has to, too."""
    routes = [route for route in application(Clinic(), Sessions()).routes if isinstance(route, Route)]
    posted = {route.path for route in routes if route.methods and "POST" in route.methods}
    with_a_token = {"/login", "/logout", "/chart/compare/alignment", "/chart/compare/keep"}
    assert posted == {*with_a_token, "/language"}, "a language is no secret: its origin is proved, and no token"
    assert {method for route in routes for method in route.methods or ()} == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("path", ["/chart/compare/alignment", "/chart/compare/keep"])
@pytest.mark.parametrize("fault", ["token", "origin"])
def test_what_is_kept_proves_its_token_and_its_origin(path: str, fault: str) -> None:
    client = _client()
    client.post("/login", data=_form(client))
    page = client.get("/chart").text
    token = re.findall(r'action="/logout">\s*<input type="hidden" name="csrf" value="([^"]+)"', page)[0]
    headers = {"Origin": "https://elsewhere.example"} if fault == "origin" else {}
    answer = client.post(path, data={"csrf": "guessed" if fault == "token" else token}, headers=headers)
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize("token", ["", "guessed"])
def test_a_form_without_its_token_signs_nobody_in(token: str) -> None:
    client = _client()
    answer = client.post("/login", data=_form(client, csrf=token))
    assert answer.status_code == 400
    assert client.get("/chart").status_code == 303


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_from_another_site_signs_nobody_in(headers: dict[str, str]) -> None:
    client = _client()
    assert client.post("/login", data=_form(client), headers=headers).status_code == 400
    client.post("/login", data=_form(client))
    page = client.get("/chart").text
    token = re.findall(r'action="/logout">\s*<input type="hidden" name="csrf" value="([^"]+)"', page)[0]
    assert client.post("/logout", data={"csrf": token}, headers=headers).status_code == 404
    assert client.get("/chart").status_code == 200


def test_signing_out_needs_the_session_s_token_and_ends_the_session() -> None:
    client = _client()
    client.post("/login", data=_form(client))
    assert client.post("/logout", data={"csrf": "guessed"}).status_code == 404
    assert client.get("/chart").status_code == 200
    token = re.findall(
        r'action="/logout">\s*<input type="hidden" name="csrf" value="([^"]+)"', client.get("/chart").text
    )
    assert client.post("/logout", data={"csrf": token[0]}).status_code == 303
    assert client.get("/chart").status_code == 303


def test_guessing_has_to_wait_and_the_page_says_how_long(tmp_path: Path) -> None:
    client = Client(application(Clinic(), Sessions(), throttle=_throttle(tmp_path)))
    answers = [client.post("/login", data=_form(client, password="wrong")) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429]
    assert "Please wait" in answers[-1].text
    assert int(answers[-1].headers["retry-after"]) <= 15
    assert client.post("/login", data=_form(client)).status_code == 429


def _throttle(folder: Path) -> Throttle:
    return Throttle(fresh(f"sqlite:///{folder}/photospine.sqlite3"), record=lambda _: None, door="serve")


def test_of_many_guesses_at_once_no_more_are_looked_at_than_in_a_row(tmp_path: Path) -> None:
    sessions = _Slow()
    app = application(Clinic(), sessions, throttle=_throttle(tmp_path))
    form, cookies = _form(client := Client(app), password="wrong"), client.cookies

    def guess(_: int) -> int:
        one = Client(app)
        one.cookies = cookies
        return one.post("/login", data=form).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(guess, range(20)))
    assert answers == [401] * 6 + [429] * 14
    assert sessions.looked == 6


class _Slow(Sessions):
    """Looking at a password takes a while, as it does on purpose."""

    looked = 0

    def sign_in(self, name: str, password: str) -> str | None:
        self.looked += 1
        time.sleep(0.2)
        return super().sign_in(name, password)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "", "chart", "/a\nb"])
def test_sign_in_never_leads_elsewhere(target: str) -> None:
    assert local_path(target) == "/"


def test_sign_in_leads_back() -> None:
    client = _client()
    answer = client.post("/login", data=_form(client, next="/chart/patient/maria?area=x"))
    assert answer.headers["location"] == "/chart/patient/maria?area=x"


def test_a_large_form_is_refused() -> None:
    client = _client()
    assert client.post("/login", data=_form(client, password="x" * 20_000)).status_code == 400
