"""Which words of a page are English alone: a page in another language has none, but for what people called things."""

from __future__ import annotations

import re
from functools import cache

from babel.messages.pofile import read_po
from playwright.sync_api import Page

from orthanc_plugin.workspace.language import FOLDER

_WORD = re.compile(r"[^\W\d_]{3,}")
_TEXTS = """() => {
  const said = [document.title];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    if (!texts.currentNode.parentElement.closest('script, style, bdi, code, [lang]:not(html), .brand')) {
      said.push(texts.currentNode.textContent);
    }
  }
  for (const name of ['alt', 'aria-label', 'placeholder', 'title']) {
    for (const e of document.querySelectorAll(`[${name}]`)) {
      if (!e.closest('[lang]:not(html)')) said.push(e.getAttribute(name));
    }
  }
  return said;
}"""

CALLED = (
    "Anna Demou demo-anna Maria Demou demo-maria Eleni Papadopoulou-Demo demo-eleni Nikos Demopoulos demo-nikos",
    "Dimitra Paradeigma demo-dimitra Katerina Demou demo-katerina Demo Clinician Demo Doctor",
    "clinician doctor integrator marketing; a search for nobody; Procedure/demo-maria-p1",
    "MedicationDispense/demo-handed-over",
    "Laser of facial pigment; Laser of pigment, both hands; Microneedling of acne scars; Botulinum toxin, forehead",
    "Botulinum toxin, glabella; Botulinum toxin type A, 100 U; Platelet-rich plasma, scalp; Lidocaine cream 4 %",
    "Q-switched Nd:YAG laser; Microneedling pen; Even tone on both cheeks; No visible spots in daylight",
    "Smooth forehead, brows that move; Swelling after a treatment elsewhere; Faces of this year",
)
"""What the people of the demo clinic called patients, accounts, treatments, products, machines and aims, in English;
and references."""


@cache
def _english() -> frozenset[str]:
    with (FOLDER / "de.po").open("rb") as source:
        messages = [message for message in read_po(source, locale="de") if message.id]
    said = {word for message in messages for text in _forms(message.id) for word in _words(text)}
    german = {word for message in messages for text in _forms(message.string) for word in _words(text)}
    return frozenset(said - german - {word for text in CALLED for word in _words(text)})


def _forms(text: object) -> list[str]:
    return [text] if isinstance(text, str) else list(text) if isinstance(text, (list, tuple)) else []


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(re.sub(r"%\(\w+\)s", " ", text))]


def english_on(page: Page) -> dict[str, list[str]]:
    """Texts of a page with words that no German text has, and those words."""
    found = {text.strip(): [word for word in _words(text) if word in _english()] for text in page.evaluate(_TEXTS)}
    return {text: words for text, words in found.items() if words}
