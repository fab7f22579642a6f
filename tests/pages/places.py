"""Every page of the workspace and the way to it in the demo clinic: photographed, judged and walked through."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page

WIDTHS = {"desktop": (1280, 860), "tablet": (820, 1180), "phone": (390, 844)}
"""Width and height of a window, in CSS pixels."""


@dataclass(frozen=True, slots=True)
class Place:
    """A page, or a page in a state of its own."""

    name: str
    """What its picture is called."""

    route: str
    """The route that answers, as the routes table has it; empty: what is answered where there is no page."""

    account: str | None
    """Who opens it; None: nobody is signed in."""

    start: str
    """The address where the way begins."""

    steps: tuple[str, ...] = ()
    """What is pressed from there, one after the other, as selectors; ``key:`` and the name of a key is typed, ``fill:``
    with a selector, ``=`` and words is written."""

    apart: bool = False
    """Whether the way leaves the session in another state than it was: it has one of its own."""

    @property
    def words(self) -> str:
        """The name as people read it."""
        return self.name.replace("-", " ").capitalize()


_ANNA = "/chart/patient/demo-anna"
_DIMITRA = "/chart/patient/demo-dimitra"
_PAIR = "a.pair"
_TURN = "form.turn button"
_HAND_OVER = "form[action$='/consent/sign'] button"
_SHOW = "form[action$='/PORTFOLIO/show'] button"
_ANSWERED = (".for-yes", ".signing button.primary")
_SIGNED = ("details summary", "fill:#name=Anna Demou", "fill:#witness=Demo Doctor", "#go")
_OPENED = ("fill:#reason=Swelling after a treatment elsewhere", "form.emergency-form button.primary")

PLACES = (
    Place("sign-in", "/login", None, "/login"),
    Place("patients", "/chart", "clinician", "/chart"),
    Place("patients-none-found", "/chart", "clinician", "/chart?q=nobody"),
    Place("patient", "/chart/patient/{patient}", "clinician", _ANNA),
    Place("patient-by-area", "/chart/patient/{patient}", "clinician", f"{_ANNA}?group=area&area=cheek"),
    Place("compare", "/chart/compare", "clinician", _ANNA, (_PAIR,)),
    Place("compare-slider", "/chart/compare", "clinician", _ANNA, (_PAIR, "key:2")),
    Place("compare-blend", "/chart/compare", "clinician", _ANNA, (_PAIR, "key:3")),
    Place("compare-series", "/chart/compare/series", "clinician", _ANNA, ("a[href*='/compare/series']",)),
    Place("consent", "/chart/patient/{patient}/consent", "clinician", f"{_ANNA}/consent"),
    Place("sign", "/sign", "clinician", f"{_ANNA}/consent", (_HAND_OVER,), apart=True),
    Place("sign-check", "/sign", "clinician", f"{_ANNA}/consent", (_HAND_OVER, *_ANSWERED), apart=True),
    Place(
        "sign-thanks", "/sign/thanks", "clinician", f"{_ANNA}/consent", (_HAND_OVER, *_ANSWERED, *_SIGNED), apart=True
    ),
    Place("shown", "/shown", "clinician", _ANNA, (_TURN,), apart=True),
    Place("shown-compare", "/shown/compare", "clinician", _ANNA, (_TURN, "a[href*='/shown/compare']"), apart=True),
    Place("unlock", "/unlock", "clinician", _ANNA, (_TURN, "a[href='/unlock']"), apart=True),
    Place("pin", "/pin", "clinician", "/pin"),
    Place("emergency-ask", "/chart/patient/{patient}/emergency", "clinician", f"{_DIMITRA}/emergency"),
    Place("emergency", "/emergency/patient/{patient}", "clinician", f"{_DIMITRA}/emergency", _OPENED, apart=True),
    Place(
        "emergency-compare", "/emergency/compare", "clinician", f"{_DIMITRA}/emergency", (*_OPENED, _PAIR), apart=True
    ),
    Place(
        "emergency-series",
        "/emergency/compare/series",
        "clinician",
        f"{_DIMITRA}/emergency",
        (*_OPENED, "a[href*='/compare/series']"),
        apart=True,
    ),
    Place("due", "/chart/due", "clinician", "/chart/due"),
    Place("next-session", "/chart/patient/{patient}/next", "clinician", f"{_ANNA}/next"),
    Place("next-session-points", "/chart/patient/{patient}/next", "clinician", "/chart/patient/demo-maria/next"),
    Place("session", "/chart/session/{procedure}", "clinician", "/chart/session/demo-maria-p1"),
    Place("basis", "/chart/basis/{kind}/{identity}", "clinician", "/chart/basis/Procedure/demo-anna-p2"),
    Place("protocols", "/protocols", "clinician", "/protocols"),
    Place("protocol", "/protocols/{name}", "clinician", "/protocols", (".protocols a",)),
    Place("waiting", "/waiting", "clinician", "/waiting"),
    Place("waiting-photo", "/waiting/{sop}", "clinician", "/waiting", (".perhaps a:last-child",)),
    Place("advisory", "/advisory", "compliance", "/advisory"),
    Place("advisory-found", "/advisory/found", "compliance", "/advisory/found?lot=PS-2407A"),
    Place("advisory-open", "/advisory/{advisory}", "compliance", "/advisory", (".advisories a",)),
    Place("portfolio", "/portfolio/{purpose}", "marketing", "/portfolio/PORTFOLIO"),
    Place("portfolio-channels", "/portfolio/{purpose}", "marketing", "/portfolio/SOCIAL"),
    Place("portfolio-compare", "/portfolio/{purpose}/compare", "marketing", "/portfolio/PORTFOLIO", ("a.outcome",)),
    Place(
        "portfolio-saved",
        "/portfolio/{purpose}/saved/{id}",
        "marketing",
        "/portfolio/PORTFOLIO",
        (".kept a[href*=saved]",),
    ),
    Place("photos", "/chart/photos", "clinician", "/chart/photos"),
    Place("prospect", "/prospect", "marketing", "/portfolio/PORTFOLIO", (_SHOW,), apart=True),
    Place("prospect-pair", "/prospect/pair", "marketing", "/portfolio/PORTFOLIO", (_SHOW, ".results a"), apart=True),
    Place("review", "/review", "compliance", "/review"),
    Place("own-consent", "/me/patient/{patient}/consent", "anna", "/me/patient/demo-anna/consent"),
    Place("own-seen", "/me/patient/{patient}/seen", "anna", "/me/patient/demo-anna/seen"),
    Place("own-series", "/me/compare/series", "anna", "/me", ("a[href*='/compare/series']",)),
    Place("own-photos", "/me/patient/{patient}", "anna", "/me"),
    Place("own-compare", "/me/compare", "anna", "/me", (_PAIR,)),
    Place("no-page", "/", "admin", "/"),
    Place("nothing-here", "", "clinician", "/nothing"),
)

NOT_PAGES = {
    "/healthz": "two words for a machine",
    "/login/with/{offer}": "leads to another provider",
    "/login/return": "leads back from it",
    "/static/{name}": "styles, scripts and fonts",
    "/chart/compare/alignment": "numbers for a script",
    "/chart/photo/{key}": "a picture",
    "/me": "leads to the one page of the patient's own",
    "/me/compare/alignment": "numbers for a script",
    "/me/photo/{key}": "a picture",
    "/me/patient/{patient}/consent/{consent}/paper": "a file",
    "/chart/patient/{patient}/consent/{consent}/paper": "a file",
    "/chart/compare/export": "a file",
    "/sign/photo/{key}": "a picture",
    "/shown/photo/{key}": "a picture",
    "/shown/compare/alignment": "numbers for a script",
    "/emergency/photo/{key}": "a picture",
    "/emergency/compare/alignment": "numbers for a script",
    "/portfolio/{purpose}/photo/{name}": "a picture",
    "/prospect/photo/{name}": "a picture",
    "/portfolio/{purpose}/basis/{name}": "leads to the chart",
    "/waiting/{sop}/picture": "a picture",
    "/advisory/photo/{key}": "a picture",
    "/advisory/{advisory}/report.{form}": "a file",
    "/protocols/{name}/card.pdf": "a file",
    "/ohif": "leads to the viewer",
    "/ohif/{path:path}": "another program",
    "/dicom-web/{path:path}": "DICOMweb",
}
"""Routes that answer GET with something other than a page of the workspace, and with what. FHIR is left out as one."""


def sign_in(page: Page, address: str, account: str) -> None:
    """Through the form, as a person would."""
    page.goto(f"{address}/login")
    page.fill("[name=name]", account)
    page.fill("[name=password]", f"{account}-demo")
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda at: "/login" not in at)


def open_place(page: Page, address: str, place: Place) -> None:
    """Go the way to a page, and let it settle."""
    page.goto(address + place.start)
    for step in place.steps:
        page.wait_for_load_state("networkidle")
        if step.startswith("key:"):
            page.keyboard.press(step.removeprefix("key:"))
        elif step.startswith("fill:"):
            page.fill(*step.removeprefix("fill:").split("=", 1))
        else:
            page.locator(step).first.click()
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(350)
