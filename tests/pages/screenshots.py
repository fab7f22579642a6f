"""Takes a picture of every page at every width: ``make screenshots``.

They lie beside the README's picture, small, with a page that lists them. All photos in them are drawn.
"""

from __future__ import annotations

import argparse
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.pages.places import PLACES, WIDTHS, Place, open_place, sign_in
from tests.pages.standing import clinic, furnish

FOLDER = Path(__file__).parents[1] / "readme" / "pages"
INDEX = FOLDER / "README.md"
MOST = 3_000_000
"""Bytes of all pictures together."""

Scheme = Literal["light", "dark"]


def main() -> None:
    """Take them all, or those whose names are given."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("names", nargs="*", help="of pages; none: all")
    words.add_argument("--at", default="", help="address of a demo clinic that runs and is furnished already")
    words.add_argument("--to", type=Path, default=FOLDER, help="folder")
    words.add_argument("--scheme", choices=("light", "dark"), default="light")
    words.add_argument("--whole", action="store_true", help="the page to its end, not what a window shows of it")
    given = words.parse_args()
    chosen = [place for place in PLACES if not given.names or place.name in given.names]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        if given.at:
            take(browser, given.at, chosen, given.to, given.scheme, whole=given.whole)
        else:
            with tempfile.TemporaryDirectory() as folder, clinic(Path(folder) / "demo") as address:
                furnish(browser, address)
                take(browser, address, chosen, given.to, given.scheme, whole=given.whole)
        browser.close()
    if given.to == FOLDER:
        INDEX.write_text(index(), "utf-8")


def take(
    browser: Browser, address: str, places: list[Place], folder: Path, scheme: Scheme, *, whole: bool = False
) -> None:
    """One picture of each page at each width."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, (width, height) in WIDTHS.items():
        for account, alone in dict.fromkeys((place.account, place.name * place.apart) for place in places):
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce",
                locale="en-GB", timezone_id="Europe/Athens",
            )  # fmt: skip
            page = context.new_page()
            if account is not None:
                sign_in(page, address, account)
            for place in places:
                if (place.account, place.name * place.apart) == (account, alone):
                    open_place(page, address, place)
                    shot = page.screenshot(full_page=whole, caret="initial")
                    Image.open(BytesIO(shot)).convert("RGB").save(
                        folder / f"{place.name}-{kind}.webp", quality=55, method=6
                    )
            context.close()


def index() -> str:
    """The page that lists them."""
    lines = ["# Every page", "", "Taken by `make screenshots` from the demo clinic, which it starts for itself.", ""]
    for place in PLACES:
        route = f" (`{place.route}`)" if place.route else ""
        lines += [f"## {place.words}{route}", ""]
        lines += [f"![{place.words}, {kind}]({place.name}-{kind}.webp)" for kind in WIDTHS]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
