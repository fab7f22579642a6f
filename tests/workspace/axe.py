"""What axe-core finds wrong about a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.workspace.conftest import Visit, assets


def faults(visit: Visit, prepare: Callable[[], object] = lambda: None) -> list[dict[str, Any]]:
    """The rules that the page breaks, and where; it is loaded anew, without its policy, and then prepared."""
    visit.page.context.new_cdp_session(visit.page).send("Page.setBypassCSP", {"enabled": True})
    visit.page.reload()
    visit.page.wait_for_load_state("networkidle")
    prepare()
    visit.page.add_script_tag(path=str(assets() / "node_modules" / "axe-core" / "axe.min.js"))
    found: dict[str, Any] = visit.page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        {"rule": each["id"], "where": [node["target"] for node in each["nodes"]][:4]} for each in found["violations"]
    ]
