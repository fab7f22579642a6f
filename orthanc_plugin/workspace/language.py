"""The language of a page: chosen by the reader, else by the browser; texts by gettext, dates and numbers by locale.

Messages are the English texts themselves; a language is a catalogue ``locale/LANGUAGE.po``, read when the process
starts. What a catalogue lacks is shown in English.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from unicodedata import normalize

from babel import Locale
from babel.dates import format_date
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol
from babel.support import NullTranslations, Translations
from starlette.datastructures import MutableHeaders
from starlette.requests import Request as HttpRequest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consent.wording import PartialDate, Value, Wording
from orthanc_plugin.workspace.vocabularies import called

FOLDER = Path(__file__).parent / "locale"
SCRIPTS = Path(__file__).parent / "static"
COOKIE = "photospine-language"
_FULL_DATE = 3


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the pages."""

    code: str
    """As HTML and browsers name it (BCP 47)."""

    name: str
    """In itself."""

    locale: Locale
    day: str
    """How a day is written, as a pattern of CLDR; days come first in a clinic, whichever English it speaks."""

    month: str
    month_in_year: str
    texts: NullTranslations

    @property
    def direction(self) -> str:
        """``ltr`` or ``rtl``."""
        return str(self.locale.text_direction)


class _English(NullTranslations):
    """Messages are the English texts; names of the vocabularies are read as people read them."""

    def ugettext(self, message: str) -> str:
        """A text."""
        return called().get(message, message)


@cache
def languages() -> dict[str, Language]:
    """Those that there are, by code; the first one is that of the messages."""
    english = Language("en", "English", Locale("en"), "d MMM y", "MMM", "MMM y", _English())
    german = Language("de", "Deutsch", Locale("de"), "d. MMM y", "MMM", "MMM y", _catalogue("de"))
    return {each.code: each for each in (english, german)}


def _catalogue(code: str) -> Translations:
    with (FOLDER / f"{code}.po").open("rb") as source:
        catalogue = read_po(source, locale=code)
    packed = BytesIO()
    write_mo(packed, catalogue)
    packed.seek(0)
    return Translations(packed)


_spoken: ContextVar[Language | None] = ContextVar("language", default=None)


def spoken() -> Language:
    """The language of the answer that is being made."""
    return _spoken.get() or languages()["en"]


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Speak another language for a while."""
    token = _spoken.set(languages()[code])
    try:
        yield
    finally:
        _spoken.reset(token)


def gettext(message: str) -> str:
    """A text in the language that is spoken."""
    return str(spoken().texts.ugettext(message)) if message else ""


def ngettext(one: str, many: str, number: int) -> str:
    """One of two texts in the language that is spoken, by a number."""
    return str(spoken().texts.ungettext(one, many, number))


@cache
def script_texts(code: str) -> Mapping[str, str]:
    """What the scripts of the pages say, in a language: what its catalogue lacks, or says alike, is left out."""
    texts = languages()[code].texts
    said = {}
    for file in sorted(SCRIPTS.glob("*.js")):
        with file.open("rb") as source:
            for _line, message, _comments, _context in extract("javascript", source):
                if isinstance(message, str) and (translated := str(texts.ugettext(message))) != message:
                    said[message] = translated
    return said


def noted(message: str) -> str:
    """Marks a text that stands in a constant, for extraction; it is translated where it is shown."""
    return message


def said(text: str) -> str:
    """What another part of the product says, in the language that is spoken; a text that says nothing of what it was
    made of, as it is."""
    if not isinstance(text, Wording):
        return text
    message = gettext(text.message) if text.many is None else ngettext(text.message, text.many, text.number)
    return message % {name: _value(each) for name, each in text.values.items()} if text.values else message


def _value(value: Value) -> str:
    if isinstance(value, PartialDate):
        return partial_date(value)
    if isinstance(value, str):
        return said(value)
    if isinstance(value, Decimal):
        return digits(f"{value:f}")
    if isinstance(value, int | float):
        return number(value, "0.######")
    return day(value) if isinstance(value, date) else ", ".join(map(said, value))


def day(value: date | datetime) -> str:
    """``12 May 2026``, ``12. Mai 2026``."""
    return str(format_date(value, spoken().day, locale=spoken().locale))


def partial_date(value: str) -> str:
    """A FHIR date as people write it: ``1981``, ``Mar 1981``, ``14 Mar 1981``; other text unchanged."""
    parts = value.split("T")[0].split("-")
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 1:
            return f"{numbers[0]}"
        if len(numbers) < _FULL_DATE:
            return month_in_year(date(numbers[0], numbers[1], 1))
        return day(date(*numbers[:_FULL_DATE]))
    except (ValueError, IndexError):
        return str(value)


def month(value: date) -> str:
    """``May``."""
    return str(format_date(value, spoken().month, locale=spoken().locale))


def month_in_year(value: date) -> str:
    """``May 2026``."""
    return str(format_date(value, spoken().month_in_year, locale=spoken().locale))


def long_month(value: date) -> str:
    """``June 2026``."""
    return str(format_date(value, "MMMM y", locale=spoken().locale))


def number(value: float | Decimal, pattern: str | None = None) -> str:
    """``1.5``, ``1,5``; ``pattern`` as CLDR writes it."""
    return str(format_decimal(value, format=pattern, locale=spoken().locale))


def digits(written: str) -> str:
    """A number as it was written, with a point, under the decimal sign of the language: ``2.40``, ``2,40``."""
    return written.replace(".", get_decimal_symbol(spoken().locale))


def in_order(name: str) -> str:
    """To sort names by: a letter with dots stands beside the one without."""
    return "".join(letter for letter in normalize("NFKD", name) if letter.isalnum() or letter == " ").casefold()


def chosen(cookie: str | None, accepted: str | None) -> Language:
    """What the reader chose, else what the browser asks for, else English."""
    known = languages()
    if cookie in known:
        return known[cookie]
    return next((known[code] for code in _asked(accepted or "") if code in known), known["en"])


def _asked(header: str) -> Iterable[str]:
    """Languages of an Accept-Language header (RFC 9110, 12.5.4), the most wanted first, without their regions."""
    wanted = []
    for place, part in enumerate(header.split(",")[:50]):
        name, _, weight = part.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=")) if weight.strip() else 1.0
        except ValueError:
            continue
        if 0 < quality <= 1:
            wanted.append((-quality, place, name.strip().lower().partition("-")[0]))
    return [code for _, _, code in sorted(wanted)]


class Speaking:
    """Chooses the language of each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        http = HttpRequest(scope)
        language = chosen(http.cookies.get(COOKIE), http.headers.get("accept-language"))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    headers.setdefault("Content-Language", language.code)
                    headers.add_vary_header("Accept-Language")
            await send(message)

        token = _spoken.set(language)
        try:
            await self._app(scope, receive, named)
        finally:
            _spoken.reset(token)
