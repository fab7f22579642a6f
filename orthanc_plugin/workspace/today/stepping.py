"""What the form's other buttons do: read what was scanned, give more rows. Nothing is saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fhir_mapping.treatment.session import Named
from fhir_mapping.udi.identifier import Udi
from orthanc_plugin.workspace.today import machines, outcomes, points, products
from orthanc_plugin.workspace.today.fields import Fields
from orthanc_plugin.workspace.today.state import State

SAVE = "save"
READ = "read"

#: Button -> the field that counts such rows, how many there may be, how many a press gives.
_MORE = {
    "product": ("products", products.MOST_NEW, 1),
    "outcome": ("outcomes", outcomes.MOST, 1),
    "machine": ("machines", machines.MOST_NEW, 1),
    "map": ("maps", points.MOST_MAPS, 1),
}


def stepped(
    state: State, sent: Mapping[str, str], step: str, named: Callable[[Udi], Named | None]
) -> tuple[dict[str, str], dict[str, str]]:
    """The fields after a button was pressed, and what is wrong with what was scanned.

    Parameters
    ----------
    named
        What the record calls a product by the device identifier on its pack.
    """
    made, errors = dict(sent), dict[str, str]()
    if step == READ:
        fields = Fields(sent)
        for key, known in products.keys(state, fields):
            scan = products.scan_of(key, fields)
            if scan is not None:
                made |= _told(key, scan, sent, named(scan) if known is None else None)
        errors = fields.errors
    kind, _, number = step.partition("-")
    if kind == "points" and number.isdigit():
        _add(made, f"points-{number}", points.MOST_POINTS, points.FIRST_POINTS, least=points.FIRST_POINTS)
    elif kind in _MORE:
        name, most, more = _MORE[kind]
        _add(made, name, most, more, least=0 if kind == "machine" else 1)
    return made, errors


def _told(key: str, scan: Udi, sent: Mapping[str, str], name: Named | None) -> dict[str, str]:
    """What a scan says of a row whose fields are empty; that it was seen today goes without saying."""
    told = {
        "lot": scan.lot,
        "expires": scan.expiry,
        "serial": scan.serial or scan.donation,
        "name": name.text if name is not None else None,
    }
    made = {
        f"{each}-{key}": value for each, value in told.items() if value and not sent.get(f"{each}-{key}", "").strip()
    }
    return made | {f"given-{key}": "on"}


def _add(made: dict[str, str], name: str, most: int, more: int, *, least: int) -> None:
    made[name] = str(min(most, Fields(made).count(name, most, least) + more))
