from __future__ import annotations

from tests.workspace.conftest import browser

__all__ = ["browser"]
