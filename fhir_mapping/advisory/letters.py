"""Names of people in a PDF: letters from right to left in their order and forms, and letters that no font here has.

A PDF places glyphs from left to right and joins nothing. So Arabic letters are replaced by their presentation forms,
runs from right to left are turned round (Unicode Bidirectional Algorithm, as far as short texts of one or two scripts
need it), and letters of East Asian scripts are set in the fonts that every reader of PDF brings along (ISO 32000-1,
9.7.5.2). What can still not be set is shown as U+FFFD, so that nobody takes it for complete.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

import reportlab
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

_FONTS = (
    (Path("/usr/share/fonts/truetype/dejavu"), "DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    (Path(reportlab.__file__).parent / "fonts", "Vera.ttf", "VeraBd.ttf"),
)
_KANA, _HANGUL, _HAN = "HeiseiKakuGo-W5", "HYSMyeongJo-Medium", "STSong-Light"
_LOST = "\ufffd"
_NO_BREAK = "\u00a0"
_RIGHT = ("R", "AL")
_NEUTRAL = ("WS", "ON", "CS", "ES", "NSM", "BN")
_MIRRORED = str.maketrans("()[]{}<>", ")(][}{><")
_JOINER = "\u0640"  # tatweel, which joins on both sides


def fonts() -> tuple[str, str]:
    """The regular and the bold font: the distribution's where it is installed, which has most alphabets."""
    files = font_files()
    if files is None:
        return "Helvetica", "Helvetica-Bold"
    for each in files:
        if each.name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(each.name, str(each)))
    return files[0].name, files[1].name


def font_files() -> tuple[Path, Path] | None:
    """The files of the two; None where neither the distribution nor the package has any."""
    for folder, regular, bold in _FONTS:
        if (folder / regular).is_file() and (folder / bold).is_file():
            return folder / regular, folder / bold
    return None


@dataclass(frozen=True, slots=True)
class Marked:
    """A text as a paragraph of reportlab takes it."""

    text: str
    lost: bool = False
    """Whether a letter of it can be set in no font."""

    borrowed: bool = False
    """Whether a letter of it is set in a font that the reader of the PDF has to bring."""


def markup(text: str, font: str) -> Marked:
    """A text with its letters in their order, forms and fonts.

    Parameters
    ----------
    font
        One of :func:`fonts`.
    """
    has = _glyphs(font)
    made: list[str] = []
    lost = borrowed = False
    han = _KANA if any(unicodedata.name(each, "").startswith(("HIRAGANA", "KATAKANA")) for each in text) else _HAN
    for line in text.split("\n"):
        parts = []
        for name, run in groupby(visual(line, has), key=lambda each: _font(each, has, han)):
            kept = "".join(run)
            if name is None:
                lost = True
                parts.append(_LOST * len(kept) if has(_LOST) else "?" * len(kept))
            else:
                borrowed = borrowed or name != ""
                parts.append(escape(kept) if name == "" else f'<font name="{name}">{escape(kept)}</font>')
        made.append("".join(parts))
    return Marked("<br/>".join(made), lost, borrowed)


def visual_words(text: str) -> str:
    """A line's characters from left to right, for what draws them with one of :func:`font_files`."""
    return visual(text, _glyphs(fonts()[0]))


def visual(text: str, has: Callable[[str], bool]) -> str:
    """A line's characters from left to right, as they are seen.

    Parameters
    ----------
    has
        Whether a font has a character.
    """
    if not any(unicodedata.bidirectional(each) in _RIGHT for each in text):
        return text
    made: list[str] = []
    at = 0
    while at < len(text):
        end = at
        while end < len(text) and unicodedata.bidirectional(text[end]) not in _RIGHT:
            end += 1
        made.append(text[at:end])
        at = end
        while end < len(text) and unicodedata.bidirectional(text[end]) in (*_RIGHT, *_NEUTRAL):
            end += 1
        while unicodedata.bidirectional(text[end - 1]) in _NEUTRAL and not _closes(text[at:end]):
            end -= 1
        run = shaped(text[at:end], has)
        made.append(run[::-1].translate(_MIRRORED).replace(" ", _NO_BREAK))
        at = end
    return "".join(made)


def _closes(run: str) -> bool:
    """Whether a run ends with a bracket that was opened in it."""
    return (run[-1], True) in ((")", "(" in run), ("]", "[" in run), ("}", "{" in run))


def shaped(text: str, has: Callable[[str], bool]) -> str:
    """Arabic letters in the forms that they have beside each other; without the marks over and under them."""
    letters = [each for each in text if unicodedata.category(each) not in ("Mn", "Cf")]
    forms = _forms()
    made: list[str] = []
    at = 0
    while at < len(letters):
        letter, width = letters[at], 1
        pair = letter + (letters[at + 1] if at + 1 < len(letters) else "")
        if pair in forms and len(pair) == 2:
            letter, width = pair, 2
        before = letters[at - 1] if at else ""
        after = letters[at + width] if at + width < len(letters) else ""
        back = "<final>" in forms.get(letter, {}) and ("<initial>" in forms.get(before, {}) or before == _JOINER)
        ahead = "<initial>" in forms.get(letter, {}) and ("<final>" in forms.get(after, {}) or after == _JOINER)
        form = {(True, True): "<medial>", (True, False): "<final>", (False, True): "<initial>"}.get((back, ahead))
        chosen = forms.get(letter, {}).get(form or "<isolated>", letter)
        made.append(chosen if has(chosen) else letter)
        at += width
    return "".join(made)


@cache
def _forms() -> Mapping[str, Mapping[str, str]]:
    """Letter, or lam with alef -> form -> its character (Unicode Character Database, compatibility decompositions)."""
    found: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBB2), *range(0xFBFC, 0xFC00), *range(0xFE80, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split(" ")
        if form in ("<isolated>", "<final>", "<initial>", "<medial>"):
            found.setdefault("".join(chr(int(each, 16)) for each in letters), {}).setdefault(form, chr(code))
    return found


@cache
def _glyphs(font: str) -> Callable[[str], bool]:
    face = pdfmetrics.getFont(font).face
    known = getattr(face, "charToGlyph", None)
    if known is None:
        return lambda each: ord(each) < 0x100
    return lambda each: ord(each) in known or each.isspace()


def _font(character: str, has: Callable[[str], bool], han: str) -> str | None:
    """The font to change to: empty for none, None where there is none."""
    if has(character):
        return ""
    name = unicodedata.name(character, "")
    for words, font in ((("HIRAGANA", "KATAKANA"), _KANA), (("HANGUL",), _HANGUL), (("CJK", "FULLWIDTH"), han)):
        if name.startswith(words):
            if font not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(UnicodeCIDFont(font))
            return font
    return None
