"""Languages: every text of the pages is a message, each is said in German, and the reader or the browser chooses."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po
from jinja2 import Environment, PackageLoader, nodes

from consent.regions import regions
from dicom_bridge.objects.vocabulary import terms
from dicom_bridge.protocols.reading import all_protocols
from dicom_bridge.protocols.reasons import reasons
from orthanc_plugin.workspace import language
from orthanc_plugin.workspace import words as written
from orthanc_plugin.workspace.language import COOKIE, FOLDER, SCRIPTS, chosen, script_texts
from orthanc_plugin.workspace.texts import Texts, marked
from orthanc_plugin.workspace.treatments import area_of
from orthanc_plugin.workspace.vocabularies import words
from tests.workspace.client import Client
from tests.workspace.clinic import Clinic, Sessions
from tests.workspace.page import application

pytestmark = pytest.mark.fast

ROOT = Path(__file__).resolve().parents[2]
PAGES = FOLDER.parent
PACKAGES = [ROOT / "consent", ROOT / "dicom_bridge", ROOT / "fhir_mapping", PAGES]
_ASKING = frozenset({"_", "gettext", "ngettext", "noted", "phrase", "plural", "worded", "worded_by"})
_OWN = ("PDF", "CSV", "FHIR", "TREAT")
_PLACE = re.compile(r"%\((\w+)\)s|%[sd]")


def _messages() -> set[str | tuple[str, ...]]:
    """As ``make messages`` collects them."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]["mappings"]
    methods = [(each["pattern"], each["method"]) for each in tables]
    options = {each["pattern"]: each for each in tables}
    keywords = {**DEFAULT_KEYWORDS, "noted": None, "wrong": (2,), "phrase": None, "plural": (1, 2),
                "worded": None, "worded_by": (2, 3)}  # fmt: skip
    found = chain(*(extract_from_dir(each, methods, options, keywords) for each in PACKAGES))
    return {each[2] for each in found if each[2]}


def test_no_text_is_asked_for_within_an_f_string() -> None:
    """Extraction does not look into one: what stands there would be in no catalogue, and missed by nobody."""
    hidden = [
        f"{file.relative_to(ROOT)}:{call.lineno}"
        for folder in PACKAGES
        for file in folder.rglob("*.py")
        for text in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(text, ast.JoinedStr)
        for call in ast.walk(text)
        if isinstance(call, ast.Call)
        and (call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")) in _ASKING
        and any(isinstance(each, ast.Constant) for each in call.args)
    ]
    assert hidden == []


def _german() -> Catalog:
    with (FOLDER / "de.po").open("rb") as source:
        return read_po(source, locale="de")


def _parts(text: str | Sequence[str] | None) -> list[str]:
    """A text, or its forms for one and for several."""
    return [text] if isinstance(text, str) else list(text or [""])


def test_every_text_is_said_in_german_and_the_catalogue_holds_no_other() -> None:
    wanted = _messages()
    said = {message.id: message.string for message in _german() if message.id}
    assert len(wanted) > 400
    assert wanted - said.keys() == set(), "make messages, and write the German"
    assert said.keys() - wanted == set(), "make messages"
    assert [key for key, text in said.items() if not all(_parts(text))] == []


def test_a_translation_inserts_what_the_text_inserts_and_brings_no_markup() -> None:
    for message in _german():
        if not message.id:
            continue
        ids, texts = _parts(message.id), _parts(message.string)
        assert not message.fuzzy
        for source, text in zip(ids, texts, strict=True):
            assert {each[0] for each in _PLACE.finditer(text)} == {each[0] for each in _PLACE.finditer(source)}, text
            assert text.count("{}") == source.count("{}"), text
            assert not set('<>"&') & set(text) - set("".join(ids)), text


def test_a_percent_sign_is_doubled_where_values_are_inserted() -> None:
    texts = [text for message in _german() for text in (*_parts(message.id), *_parts(message.string))]
    assert any("%%" in text for text in texts)
    assert [text for text in texts if "%" in _PLACE.sub("", text.replace("%%", ""))] == []


def test_a_percent_sign_of_a_template_is_one_on_the_page_in_each_language() -> None:
    environment = Environment(extensions=["jinja2.ext.i18n", Texts], autoescape=True)
    cell = environment.from_string("<th>From the left, %</th>")
    least = environment.from_string("<p>At least {{ least }} % comparable</p>")
    assert (cell.render(), least.render(least=50)) == ("<th>From the left, %</th>", "<p>At least 50 % comparable</p>")
    token = language._spoken.set(language.languages()["de"])
    try:
        assert cell.render() == "<th>Von links, %</th>"
        assert least.render(least=50) == "<p>Mindestens 50 % vergleichbar</p>"
    finally:
        language._spoken.reset(token)


def _spoken(node: nodes.Node) -> Iterator[str]:
    """Words that an expression of a template writes without gettext."""
    if (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Name)
        and node.node.name in {"_", "gettext", "ngettext"}
    ):
        return
    if isinstance(node, (nodes.Compare, nodes.Getitem, nodes.Getattr, nodes.Test, nodes.Import, nodes.FromImport)):
        return
    if isinstance(node, nodes.Filter):
        if isinstance(node.node, nodes.Node):
            yield from _spoken(node.node)
        return
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        text = re.sub(r"<[^>]*>|\S*[/=-]\S*", "", node.value)
        if re.match(r"[A-Z][a-z]|\d+ [a-z]{2}", text) or re.search(r"[a-z]{2} [a-z]", text):
            yield node.value
    for child in node.iter_child_nodes():
        yield from _spoken(child)


def _environment() -> Environment:
    return Environment(  # nothing is rendered
        loader=PackageLoader("orthanc_plugin.workspace"), extensions=["jinja2.ext.i18n", Texts], trim_blocks=True
    )


def test_no_template_has_a_text_outside_gettext() -> None:
    environment = _environment()
    found = {}
    for name in environment.list_templates():
        assert environment.loader is not None
        tree = environment.parse(environment.loader.get_source(environment, name)[0], name)
        found[name] = [each for each in _spoken(tree) if each not in _OWN]
        texts = [part.data for output in tree.find_all(nodes.Output) for part in output.nodes
                 if isinstance(part, nodes.TemplateData)]  # fmt: skip
        text = re.sub(r"<(script|style|kbd)\b.*?</\1>|<[^>]*>|&\w+;|Photospine", " ", " ".join(texts), flags=re.DOTALL)
        found[name] += [] if name == "base.html" else _visible(text)
    assert {name: each for name, each in found.items() if each} == {}


def _visible(text: str) -> list[str]:
    """Words that stand between tags; what is left of a tag that is written in parts is not one."""
    return re.findall(r"(?<![\w=\"/-])[A-Z][a-z]{2,}(?![\w=\"/-])", text)


_TABLES = ("entry.state", "step_names[each.step]", "step_names[step]", "void_names[each.void]")
"""What templates ask gettext for by a name: words of ours, by what they stand for."""


def test_no_template_makes_a_message_of_what_somebody_wrote() -> None:
    """A message is taken for markup of ours, and for a format: what the record holds is inserted, and is neither."""
    environment = _environment()
    asked = set()
    for name in environment.list_templates():
        assert environment.loader is not None
        source = environment.loader.get_source(environment, name)[0]
        asked |= set(re.findall(r"\b_\(\s*([^\"'\s)][^)]*)\)", source))
    assert asked == set(_TABLES)


def test_such_a_text_would_be_seen() -> None:
    tree = _environment().parse("""{{ "Not yet" if x else y }}{{ tick("given", "Given today") }}{{ _("Fine") }}""")
    assert list(_spoken(tree)) == ["Not yet", "Given today"]


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("<p>All</p>", "<p>{% trans trimmed %}All{% endtrans %}</p>"),
        ("<p> {{ n | day }} left </p>", "<p> {% trans trimmed n=n | day %}{{ n }} left{% endtrans %} </p>"),
        ('<a title="Next">{{ icon("x") }}Next</a>',
         '<a title="{% trans trimmed %}Next{% endtrans %}">{{ icon("x") }}{% trans trimmed %}Next{% endtrans %}</a>'),
        ("<kbd>Space</kbd><p>{{ x }} · {{ y }}</p>", "<kbd>Space</kbd><p>{{ x }} · {{ y }}</p>"),
        ('<p class="{{ "a" if b > 1 }}">It</p>',
         '<p class="{{ "a" if b > 1 }}">{% trans trimmed %}It{% endtrans %}</p>'),
        ("{% trans %}It{% endtrans %}", "{% trans %}It{% endtrans %}"),
        ("<title>Due · Photospine</title>", "<title>{% trans trimmed %}Due{% endtrans %} · Photospine</title>"),
        ("{# A note #}<b>{{ a.n }} of {{ b.n }}</b>",
         "{# A note #}<b>{% trans trimmed n=a.n, n2=b.n %}{{ n }} of {{ n2 }}{% endtrans %}</b>"),
    ],
)  # fmt: skip
def test_texts_are_marked(source: str, made: str) -> None:
    assert marked(source) == made


@pytest.mark.parametrize(
    ("cookie", "accepted", "code"),
    [
        (None, None, "en"), (None, "de", "de"), (None, "de-AT,en;q=0.5", "de"), (None, "en-GB,de;q=0.9", "en"),
        (None, "el,de;q=0.4,en;q=0.3", "de"), (None, "de;q=0,en", "en"), (None, "xx;q=nonsense,,;;", "en"),
        ("de", "en", "de"), ("en", "de", "en"), ("../../x", "de", "de"), (None, "de;q=9" + ",x" * 9999, "en"),
    ],
)  # fmt: skip
def test_the_reader_chooses_else_the_browser(cookie: str | None, accepted: str | None, code: str) -> None:
    assert chosen(cookie, accepted).code == code


def test_a_page_speaks_the_language_that_was_asked_for_and_keeps_the_one_that_was_chosen() -> None:
    client = Client(application(Clinic(), Sessions()))
    german = client.get("/login", headers={"accept-language": "de-CH"})
    assert "Anmelden" in german.text
    assert '<html lang="de" dir="ltr"' in german.text
    assert german.headers["content-language"] == "de"
    assert "Sign in" in client.get("/login", headers={"accept-language": "fr"}).text
    back = {"referer": "http://testserver/login?next=%2Fchart", "sec-fetch-site": "same-origin"}
    answer = client.post("/language", data={"language": "de"}, headers=back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fchart")
    assert client.cookies[COOKIE] == "de"
    assert "Anmelden" in client.get("/login", headers={"accept-language": "en"}).text


@pytest.mark.parametrize(
    ("form", "headers", "status", "to"),
    [
        ({"language": "de"}, {"referer": "http://elsewhere/x"}, 303, "/"),
        ({"language": "de"}, {"referer": "http://testserver//elsewhere"}, 303, "/"),
        ({"language": "de"}, {"sec-fetch-site": "cross-site"}, 400, None),
        ({"language": "xx"}, {}, 400, None),
        ({}, {}, 400, None),
    ],
)
def test_a_choice_from_elsewhere_leads_nowhere(
    form: dict[str, str], headers: dict[str, str], status: int, to: str | None
) -> None:
    answer = Client(application(Clinic(), Sessions())).post("/language", data=form, headers=headers)
    assert (answer.status_code, answer.headers.get("location")) == (status, to)


def test_dates_intervals_and_numbers_read_as_the_language_writes_them() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    token = language._spoken.set(language.languages()["de"])
    try:
        assert written.day(date(2026, 10, 9)) == "9. Okt. 2026"
        assert written.partial_date("1984-03") == "März 1984"
        assert written.interval(start, start + timedelta(days=200)) == "7 Monate"
        assert written.interval(start, start + timedelta(days=900)) == "2,5 Jahre"
        assert written.age("1984-03-12", date(2026, 6, 15)) == "42 Jahre"
        assert language.number(0.5, "0.00") == "0,50"
    finally:
        language._spoken.reset(token)
    assert written.day(date(2026, 10, 9)) == "9 Oct 2026"


_PHYSICAL = re.compile(r"(?:margin|padding|border)-(?:left|right)|(?<![-\w])(?:left|right):|text-align: (?:left|right)")
_ON_A_PHOTO = re.compile(r"\.(line|pane|tray|reveal|laid)\b|\.(?:line|pane)::")
"""What lies on a photo or is centred in the window keeps its place whichever way a page is read."""


def test_the_sheet_turns_round_with_the_direction_of_the_text() -> None:
    sheet = "\n".join(file.read_text("utf-8") for file in sorted((PAGES / "static").glob("*.css")))
    sheet = re.sub(r"/\*.*?\*/", "", sheet, flags=re.DOTALL)
    lines = [line for line in sheet.splitlines() if _PHYSICAL.search(line)]
    assert [line for line in lines if not _ON_A_PHOTO.search(line)] == []


def test_every_language_reads_in_the_direction_of_its_script() -> None:
    assert {code: each.direction for code, each in language.languages().items()} == {
        "en": "ltr",
        "de": "ltr",
    }


def test_the_vocabularies_names_are_messages() -> None:
    said = {message.id for message in _german()}
    assert {area_of(code).name for code in regions()._by_code} <= said
    assert {words(each.name) for kind in ("view", "expression") for each in terms(kind)} <= said
    assert {each.name for each in reasons().values()} <= said
    assert {shot.note for each in all_protocols() for shot in each.shots if shot.note} <= said


def test_the_scripts_of_a_page_speak_its_language() -> None:
    assert script_texts("en") == {}
    german = script_texts("de")
    assert len(german) > 30
    assert german["Set two points."] == "Zwei Punkte setzen."


def test_no_script_has_a_text_outside_gettext() -> None:
    found = {}
    for file in SCRIPTS.glob("*.js"):
        source = re.sub(r"/\*.*?\*/|(?<![:\"'])//[^\n]*", "", file.read_text("utf-8"), flags=re.DOTALL)
        source = re.sub(r'_\("(?:[^"\\]|\\.)*"', "", source)
        texts = [each[1] for each in re.finditer(r"[\"`]([^\"`\n]*)[\"`]", source)]
        found[file.name] = [text for text in texts if re.match(r"[A-Z][a-z]+[ ,.:]", text)]
    assert {name: each for name, each in found.items() if each} == {}
