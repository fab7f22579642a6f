from __future__ import annotations

from tests.databases import engine, postgres_cluster, url
from tests.workspace.conftest import browser

__all__ = ["browser", "engine", "postgres_cluster", "url"]
