"""The wall needs neither pydicom nor Pillow nor fhir.resources: a fault in them cannot take enforcement down."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.fast

_CODE = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in 'pydicom pynetdicom PIL fhir fhir_mapping starlette typer requests'.split():
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Block())
import orthanc_plugin.wall.wall
assert len(orthanc_plugin.wall.wall.ROWS) > 40
"""


def test_the_wall_is_importable_with_everything_else_blocked() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
