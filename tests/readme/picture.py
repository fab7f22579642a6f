"""Takes the README's picture anew: two drawn photos of the demo clinic side by side, as `make demo` shows them.

``python -m tests.readme.picture`` while the demo runs.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from orthanc_plugin.assembly.demo.__main__ import SERVE_PORT

ADDRESS = f"http://127.0.0.1:{SERVE_PORT}"
PATIENT, VIEW = "demo-anna", "Right cheek"
TARGET = Path(__file__).with_name("compare.webp")


def main() -> None:
    """Sign in, open the pair, keep what is seen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(ADDRESS)
        page.fill("[name=name]", "clinician")
        page.fill("[name=password]", "clinician-demo")
        page.press("[name=password]", "Enter")
        page.goto(f"{ADDRESS}/chart/patient/{PATIENT}")
        page.click(f"a[href*='/compare']:has-text('{VIEW}')")
        page.wait_for_load_state("networkidle")
        shot = page.screenshot()
        browser.close()
    Image.open(BytesIO(shot)).convert("RGB").save(TARGET, quality=82, method=6)


if __name__ == "__main__":
    main()
