"""The command, as tests run it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from typer.testing import CliRunner, Result

from consent.store.engine import glancing
from consent.store.tables import photo
from dicom_bridge.tables import ledger
from orthanc_plugin.assembly.cli import build
from tests.pipeline.world import Visit, World

_COUNTED = ("DocumentReference", "ImagingStudy", "Provenance", "Procedure", "Medication", "Task")


def ingest(world: World, sent: Visit, /, *more: str, account: str | None = "clinician", **options: str) -> Result:
    """Run the command; ``options`` replace the usual ones, an empty one leaves it out."""
    chosen = {
        "patient": sent.patient,
        "visit": sent.encounter,
        "region": "face",
        "laterality": "B",
        "view": "frontal",
    } | options
    words = ["ingest", *(str(path) for path in sent.paths), "--settings", str(world.file), *more]
    words += [word for name, value in chosen.items() if value for word in (f"--{name}", value)]
    if account is not None:
        words += ["--as", account]
    return CliRunner().invoke(build(), words, env={"PHOTOSPINE_ACCOUNT": None})


def refused(world: World, sent: Visit, *said: str, **options: str) -> None:
    """The command refuses: one line that says this, exit status 1, and nothing half-made."""
    before = state(world)
    result = ingest(world, sent, **options)
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    assert len(result.stderr.splitlines()) == 1
    for each in said:
        assert each in result.stderr
    assert state(world) == before


def state(world: World) -> tuple[Any, ...]:
    """All that a refusal must leave as it was: record, photos, objects, spool and ledger."""
    with glancing(world.engine) as connection:
        rows = connection.execute(select(photo.c.photo)).all()
        entries = connection.execute(select(ledger.c.sop_uid)).all()
    spool = world.settings.spool
    return (
        *(world.count(kind) for kind in _COUNTED),
        len(rows),
        len(entries),
        world.instances(),
        sorted(path.name for path in spool.iterdir()) if spool.is_dir() else [],
    )
