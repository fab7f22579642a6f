"""The judges share no code with what they judge."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

FOLDER = Path(__file__).parent
PRODUCT = {"consent", "fhir_mapping", "dicom_bridge", "orthanc_plugin"}
MAY = {"product.py"}
"""The product's side of the comparison."""


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_only_the_product_s_side_of_the_comparison_imports_the_product() -> None:
    importing = {
        file.name for file in FOLDER.rglob("*.py") if PRODUCT & {name.partition(".")[0] for name in _imported(file)}
    }
    assert importing == MAY


def test_the_judges_take_nothing_from_other_tests() -> None:
    tests = {name for file in FOLDER.rglob("*.py") for name in _imported(file) if name.partition(".")[0] == "tests"}
    assert {name for name in tests if not name.startswith("tests.judges")} == {"tests"}  # for its counts
