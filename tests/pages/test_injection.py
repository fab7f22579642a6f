"""Script is tried in every text field of every form, and in the record: none runs, neither sent back nor kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page
from playwright.sync_api import Error as BrowserError

from tests import counts
from tests.pages.conftest import Standing
from tests.pages.marked import put
from tests.pages.places import PLACES, Place, open_place, sign_in

pytestmark = [pytest.mark.orthanc, pytest.mark.browser]

_TYPED = "pages: scripts typed into each form"
SCRIPTS = (
    """"><script>window.ran=1;alert(1)</script>""",
    """'"><img src=x onerror="window.ran=1;alert(1)">""",
    """</textarea></title></option></select><svg onload=alert(1)>""",
    """javascript:alert(1)//{{7*7}}${alert(1)}""",
)
_ADDRESSES = (
    "/{0}", "/login?next={0}", "/chart?q={0}", "/chart/patient/{0}", "/chart/compare?left={0}&right={0}",
    "/chart/patient/demo-anna?area={0}&lot={0}&from={0}&photo={0}", "/chart/patient/demo-anna/next?plan={0}",
    "/chart/basis/Procedure/{0}", "/chart/session/{0}", "/protocols/{0}", "/waiting/{0}?q={0}", "/portfolio/{0}",
)  # fmt: skip
_HOSTILE = ("/chart/patient/hostile-{}", "/chart/patient/hostile-{}/next", "/chart/session/hostile-{}",
            "/chart/basis/Procedure/hostile-{}")  # fmt: skip
_KINDS = "input:not([type]), input[type=text], input[type=search], input[type=url], input[type=password], textarea"
_ALIVE = """() => window.ran || document.querySelector('[onerror],[onload],a[href^="javascript:"]')?.outerHTML
  || [...document.scripts].find(s => !s.src && s.type !== 'application/json')?.outerHTML || ''"""


@dataclass(slots=True)
class Watch:
    """What a browser says that must not be said."""

    page: Page
    said: list[str] = field(default_factory=list)

    def look(self, where: str) -> None:
        """Whether anything of the script lives in the page that is open."""
        alive = self.page.evaluate(_ALIVE)
        if alive:
            self.said.append(f"{where}: {alive}")


def _watch(context: BrowserContext) -> Watch:
    watch = Watch(context.new_page())

    def dialog(shown: Dialog) -> None:
        watch.said.append(f"a dialog: {shown.message}")
        shown.dismiss()

    watch.page.on("dialog", dialog)

    def console(each: ConsoleMessage) -> None:
        if "policy:" in each.text:
            watch.said.append(each.text)

    watch.page.on("console", console)
    watch.page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('policy: ' + e.violatedDirective))"
    )
    return watch


@pytest.fixture
def watch(browser: Browser) -> Iterator[Watch]:
    context = browser.new_context(viewport={"width": 1280, "height": 1600})
    context.set_default_timeout(30_000)
    yield _watch(context)
    context.close()


def _forms() -> dict[tuple[str, str], Place]:
    """One place for each route and account."""
    return {(place.route, place.account or ""): place for place in reversed(PLACES)}


@pytest.mark.parametrize("place", _forms().values(), ids=lambda place: place.name)
def test_no_script_runs_that_is_typed_into_a_form_of_a_page(watch: Watch, standing: Standing, place: Place) -> None:
    page = watch.page
    _enter(page, standing, place)
    open_place(page, standing.address, place)
    forms = page.evaluate(
        "kinds => [...document.forms].map(f => [...f.elements].filter(e => e.name && e.matches(kinds)).length)", _KINDS
    )
    started, tried = time.monotonic(), 0
    most = counts.count(_TYPED, small=1, full=len(SCRIPTS))
    first = PLACES.index(place)  # another of them on each page
    scripts = [SCRIPTS[(first + number) % len(SCRIPTS)] for number in range(most)]
    for number, fields in enumerate(forms):
        for script in scripts if fields else ():
            if tried and place.apart:
                _enter(page, standing, place)
            if tried:
                open_place(page, standing.address, place)
            tried += _fill(page, number, script)
            page.wait_for_load_state("networkidle")
            watch.look(f"form {number} of {place.name}")
    counts.report(_TYPED, asked=most, run=most, failures=len(watch.said), started=started)
    assert tried == sum(forms) * most
    assert watch.said == []


def _enter(page: Page, standing: Standing, place: Place) -> None:
    """With a session of its own: from one that is turned no way leads to where the way to a page begins."""
    page.context.clear_cookies()
    if place.account is not None:
        sign_in(page, standing.address, place.account)


def _fill(page: Page, number: int, script: str) -> int:
    """Type it into every text field of a form, and send that; gives how many fields there were."""
    filled: int = page.evaluate(
        """([number, kinds, script]) => {
      const form = document.forms[number];
      form.noValidate = true;
      const fields = [...form.elements].filter(e => e.name && e.matches(kinds));
      for (const field of fields) {
        field.removeAttribute('maxlength');
        field.value = script;
        field.dispatchEvent(new Event('input', {bubbles: true}));
      }
      return fields.length;
    }""",
        [number, _KINDS, script],
    )
    try:
        with page.expect_navigation(timeout=1500):
            page.evaluate(
                """number => { const form = document.forms[number];
              form.requestSubmit(form.querySelector('button[type=submit]:not([formaction])') ?? undefined); }""",
                number,
            )
    except BrowserError:  # a script of the page takes it and stays where it is
        page.wait_for_timeout(300)
    return filled


def test_no_script_runs_that_stands_in_an_address(watch: Watch, standing: Standing) -> None:
    sign_in(watch.page, standing.address, "clinician")
    for script in SCRIPTS:
        text = quote(script, safe="")
        for path in _ADDRESSES:
            watch.page.goto(standing.address + path.format(text))
            watch.look(path)
    assert watch.said == []


def test_no_script_runs_that_the_record_holds(browser: Browser, standing: Standing) -> None:
    for number, script in enumerate(SCRIPTS):
        patient = f"hostile-{number}"
        put(standing.address, {
            "resourceType": "Patient", "id": patient, "name": [{"family": script, "given": [script]}],
            "identifier": [{"system": "urn:x", "value": re.sub(r"\s", "_", script)}], "birthDate": "1980-01-01",
            "telecom": [{"system": "phone", "value": script}],
        }, "integrator")  # fmt: skip
        put(standing.address, {
            "resourceType": "Medication", "id": patient, "code": {"text": script},
            "batch": {"lotNumber": f"HOSTILE {script}", "expirationDate": "2027-01-31"},
        }, "integrator")  # fmt: skip
        put(standing.address, {
            "resourceType": "Procedure", "id": patient, "status": "completed", "code": {"text": script},
            "subject": {"reference": f"Patient/{patient}"}, "performedDateTime": "2026-01-05T10:00:00+02:00",
            "bodySite": [{"text": script}], "note": [{"text": script}],
        }, "integrator")  # fmt: skip
        put(standing.address, {
            "resourceType": "MedicationAdministration", "id": patient, "status": "completed",
            "subject": {"reference": f"Patient/{patient}"},
            "medicationReference": {"reference": f"Medication/{patient}"},
            "effectiveDateTime": "2026-01-05T10:05:00+02:00", "partOf": [{"reference": f"Procedure/{patient}"}],
            "dosage": {"text": script, "dose": {"value": 1, "unit": "U"}},
        }, "integrator")  # fmt: skip
    context = browser.new_context()
    watch = _watch(context)
    sign_in(watch.page, standing.address, "clinician")
    for number in range(len(SCRIPTS)):
        for path in (*(each.format(number) for each in _HOSTILE), "/chart", "/chart/due"):
            answer = watch.page.goto(standing.address + path)
            assert answer is not None
            assert answer.status == 200, path
            watch.page.wait_for_load_state("networkidle")
            watch.look(path)
    context.close()
    assert watch.said == []


def test_nothing_that_was_typed_lives_on_any_page(browser: Browser, standing: Standing) -> None:
    """After the forms: every page once more, as each account."""
    said = []
    for account, alone in dict.fromkeys((place.account, place.name * place.apart) for place in PLACES):
        context = browser.new_context()
        watch = _watch(context)
        if account is not None:
            sign_in(watch.page, standing.address, account)
        for place in PLACES:
            if (place.account, place.name * place.apart) == (account, alone):
                open_place(watch.page, standing.address, place)
                watch.look(place.name)
        said += watch.said
        context.close()
    assert said == []


def test_the_watch_sees_a_script(watch: Watch, standing: Standing) -> None:
    watch.page.goto(f"{standing.address}/login")
    watch.page.evaluate("""document.body.insertAdjacentHTML('beforeend', `<img src=x onerror="window.ran=1">`)""")
    watch.page.wait_for_timeout(300)
    watch.look("here")
    assert any("onerror" in each for each in watch.said)
    assert any("policy: script-src" in each for each in watch.said)
