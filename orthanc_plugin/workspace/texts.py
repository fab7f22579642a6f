"""Every text of a template is a message: what stands between tags, and in attributes that are read out.

A template is written as plain HTML. Before Jinja parses it, each run of text is put into a ``{% trans %}`` block, with
what is inserted in it under a name: ``<p>{{ hand.done }} of {{ hand.planned }} sessions</p>`` is the message ``%(done)s
of %(planned)s sessions``. So no text can be forgotten, and extraction (``make messages``) reads the same. What has a
plural, or a text within an expression, says so itself: ``{% trans %}``, ``_("…")``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, pass_context, pass_eval_context
from jinja2.ext import Extension
from jinja2.filters import do_join
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from markupsafe import Markup

from orthanc_plugin.workspace import language

READ_OUT = frozenset({"alt", "aria-label", "placeholder", "title"})
"""Attributes whose values people read or hear."""

_SILENT = frozenset({"kbd", "script", "style"})
_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_TRANS = re.compile(r"\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}", re.DOTALL)
_CODE = re.compile(r"\{%-?\s*block body_class\b.*?\{%-?\s*endblock\s*-?%\}", re.DOTALL)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)|<!")
_ENTITY = re.compile(r"&#?\w+;")
_LETTERS = re.compile(r"[^\W\d_]{2}")
_OWN_NAME = "Photospine"
_SUFFIX = f" · {_OWN_NAME}"
_MARKUP = re.compile(r"^[a-z_]\w*(?:\.\w+)*\(")
_WORDS = ("interval(", "age(", "at_hour(", "_(", "ngettext(")
_LAST = re.compile(r"[A-Za-z_]\w*")
_NO_NAMES = frozenset({"_", "not", "and", "or", "in", "if", "context", "trimmed", "notrimmed"})
_FILTER = re.compile(r"\|(?!\|)")


class Texts(Extension):
    """Makes messages of texts, and says what is inserted in them in the language of the page."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.finalize = _of_language
        environment.filters["join"] = _joined
        environment.globals.update(gettext=_inserting(language.gettext), ngettext=_inserting(language.ngettext))
        environment.newstyle_gettext = True  # type: ignore[attr-defined]  # jinja2.ext.i18n sets it beside the class

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002  # Jinja's
        """The template, with its texts in ``{% trans %}``."""
        return marked(source)


def _of_language(value: Any) -> Any:
    return language.said(value) if isinstance(value, str) else value


def _inserting(texts: Callable[..., str]) -> Callable[..., str]:
    """A function of gettext as templates call it (``newstyle`` of Jinja's i18n), whose values are said too."""

    @pass_context
    def asked(context: Context, *messages: Any, **values: Any) -> str:
        text: str = texts(*messages)
        if context.eval_ctx.autoescape:
            text = Markup(text)  # noqa: S704  # a message of ours: what is inserted is escaped
        values.setdefault("num", messages[-1])
        said = {name: _of_language(each) for name, each in values.items()}
        return text % said

    return asked


@pass_eval_context
def _joined(context: EvalContext, values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    found = values if attribute is None else (getattr(each, str(attribute)) for each in values)
    text: str = do_join(context, map(_of_language, found), d)
    return text


def marked(source: str) -> str:
    """A template's source with every text marked for translation."""
    out: list[str] = []
    run: list[str] = []
    silent = ""
    place = 0

    def flush() -> None:
        out.append("".join(run) if silent else _message(run))
        run.clear()

    while place < len(source):
        found = _TRANS.match(source, place) or _CODE.match(source, place) or _JINJA.match(source, place)
        if found is not None:
            if found[0].startswith("{{"):
                run.append(found[0])
            else:
                flush()
                out.append(found[0])
            place = found.end()
            continue
        tag = _TAG.match(source, place)
        if tag is not None:
            flush()
            end = _end_of_tag(source, place)
            out.append(_tag(source[place:end]))
            name = (tag[2] or "").lower()
            if name in _SILENT:
                silent = "" if tag[1] else name
            place = end
            continue
        if run and not run[-1].startswith("{{"):
            run[-1] += source[place]
        else:
            run.append(source[place])
        place += 1
    flush()
    return "".join(out)


def _end_of_tag(source: str, place: int) -> int:
    quote = ""
    while place < len(source):
        found = _JINJA.match(source, place)
        if found is not None:
            place = found.end()
            continue
        letter = source[place]
        place += 1
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == ">":
            break
    return place


def _tag(tag: str) -> str:
    """A tag whose attributes that are read out are messages."""
    out, place = [], 0
    for found in re.finditer(r'(?<=[\s}])([a-z-]+)="', tag):
        if found.start() < place or found[1] not in READ_OUT:
            continue
        end = found.end()
        while tag[end] != '"':
            inner = _JINJA.match(tag, end)
            end = inner.end() if inner is not None else end + 1
        out += [tag[place : found.end()], marked(tag[found.end() : end])]
        place = end
    return "".join([*out, tag[place:]])


def _message(run: list[str]) -> str:
    """A run of text and expressions as a message, where it holds words."""
    before: list[str] = []
    after: list[str] = []
    while run and (not _words(run[0]) and not _said(run[0])):
        before.append(run.pop(0))
    while run and (not _words(run[-1]) and not _said(run[-1])):
        after.insert(0, run.pop())
    text = "".join(part for part in run if not part.startswith("{{"))
    if not _LETTERS.search(_ENTITY.sub("", text.replace(_OWN_NAME, ""))):
        return "".join([*before, *run, *after])
    names: dict[str, str] = {}
    body = []
    for part in run:
        if part.startswith("{{"):
            expression = part[2:-2].strip().strip("-").strip()
            body.append("{{ " + _named(expression, names) + " }}")
        else:
            body.append(part)
    message = "".join(body)
    start = message[: len(message) - len(message.lstrip())]
    end = message[len(message.rstrip()) :]
    if message.endswith(_SUFFIX):
        message, end = message.removesuffix(_SUFFIX), _SUFFIX
    values = ", ".join(f"{name}={expression}" for expression, name in names.items())
    block = "{% trans trimmed" + (f" {values}" if values else "") + " %}" + message.strip() + "{% endtrans %}"
    return "".join([*before, start, block, end, *after])


def _words(part: str) -> bool:
    return not part.startswith("{{") and bool(part.strip())


def _said(part: str) -> bool:
    """Whether an expression at an end of a run belongs to its sentence: it is a value, not a piece of markup."""
    if not part.startswith("{{"):
        return False
    expression = part[2:-2].strip()
    return not _MARKUP.match(expression) or expression.startswith(_WORDS)


def _named(expression: str, names: dict[str, str]) -> str:
    """The name of an expression in its message: the last word of what it inserts."""
    if expression in names:
        return names[expression]
    plain = re.sub(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]", "", _FILTER.split(expression)[0]).split(" if ")[0]
    words = [word for word in _LAST.findall(plain.split(" or ")[0]) if word not in _NO_NAMES]
    name = words[-1] if words else "value"
    wanted, number = name, 2
    while wanted in names.values():
        wanted, number = f"{name}{number}", number + 1
    names[expression] = wanted
    return wanted
