from __future__ import annotations

from collections.abc import Iterator

import pytest

from consent.types import Right
from tests.archive import Archive
from tests.ports import free_port


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """One Orthanc for a module of tests, with accounts and the patients Anna and Ben."""
    with Archive(tmp_path_factory.mktemp("archive"), free_port()) as made:
        made.account("clinician", "TREAT", "BTG")
        made.account("marketing", "PORTFOLIO", "WEB", "SOCIAL")
        made.account("compliance", "HCOMPL", "PATSFTY")
        made.account("anna", "PATRQT", confined_to="anna")
        made.account("admin", rights=(Right.ADMIN,))
        made.patient("anna")
        made.patient("ben")
        yield made
