"""The windows in which a page is judged: sizes of a phone, a tablet and a desk, light and dark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Page

from tests import counts

NAME = "ways to look at pages of the workspace that axe judges"
_PHONE, _TABLET, _DESK = (390, 844), (1024, 768), (1440, 900)


@dataclass(frozen=True, slots=True)
class Look:
    """One of them."""

    size: tuple[int, int]
    """Pixels."""

    theme: Literal["light", "dark"]

    def __str__(self) -> str:
        return f"{self.size[0]}-{self.theme}"

    def at(self, page: Page) -> None:
        """Look at a page so."""
        page.set_viewport_size({"width": self.size[0], "height": self.size[1]})
        page.emulate_media(color_scheme=self.theme)

    def judged(self) -> None:
        """Say that pages were judged so and no fault was found."""
        counts.report(NAME, asked=1, run=1, failures=0)


_ALL = (
    Look(_PHONE, "light"),
    Look(_DESK, "dark"),
    Look(_TABLET, "light"),
    Look(_PHONE, "dark"),
    Look(_DESK, "light"),
    Look(_TABLET, "dark"),
)

LOOKS = _ALL[: counts.count(NAME, small=2, full=len(_ALL))]
