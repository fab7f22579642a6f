"""What the matrix expects is stated without a look at the wall."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

FOLDER = Path(__file__).parent
PRODUCT = {"consent", "fhir_mapping", "dicom_bridge", "orthanc_plugin"}


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("name", ["doors.py", "states.py", "asking.py", "wire.py"])
def test_what_states_the_expectation_imports_no_product(name: str) -> None:
    assert {one.partition(".")[0] for one in _imported(FOLDER / name)} & PRODUCT == set()


def test_nothing_of_the_matrix_imports_the_wall() -> None:
    for file in FOLDER.glob("*.py"):
        assert not any(one.startswith("orthanc_plugin.wall") for one in _imported(file)), file.name
