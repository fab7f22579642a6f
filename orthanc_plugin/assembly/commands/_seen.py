"""``photospine audit who``, ``saw`` and ``disclosures``: the record of answers, asked by photo, account, patient."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy import select

from consent.audit import seen
from consent.audit.record import AuditRecord, Kind
from consent.audit.seen import How, Seen, Window
from consent.inquiry import named
from consent.purposes import HCOMPL
from consent.store.clock import instant, micros
from consent.store.engine import reading
from consent.store.history import numbers_of
from consent.store.photos import former_of
from consent.store.tables import photo, photo_patient
from consent.store.versions import group
from consent.store.write import among
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    SettingsOption,
    account_of,
    failing,
    local,
    os_user,
    require,
)
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.settings import load

FromOption = Annotated[datetime | None, typer.Option("--from", help="Only from this time (local) on.")]
ToOption = Annotated[datetime | None, typer.Option("--to", help="Only before this time (local).")]
PurposeOption = Annotated[str | None, typer.Option("--purpose", help="Only requests for this purpose.")]
LinesOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]

_WHERE = ("to", "from", "caller")
"""Parts of a record's details: where photos were sent, and the peer and its account that had them sent there."""


def who(
    about: Annotated[
        str, typer.Argument(metavar="PHOTO", help="SOP Instance UID, Orthanc id, number, or DocumentReference/ID.")
    ],
    as_account: AsOption = None,
    since: FromOption = None,
    until: ToOption = None,
    purpose: PurposeOption = None,
    as_json: LinesOption = False,
    settings: SettingsOption = None,
) -> None:
    """List who was shown a photo and who was refused it, singly, in lists and in archives. The reading is recorded."""
    with failing(), open_node(load(settings)) as node:
        account = _asker(node, as_account)
        with reading(node.engine) as connection:
            meant = named(connection, about)
            if meant is None:
                raise AssemblyError(f"no photo is named {about}")
            numbers = numbers_of(connection, meant.sop_uid)
        found = list(seen.of_photo(node.archive, meant.sop_uid, numbers, _window(since, until, purpose)))
        _record(node, account, "audit who", meant.sop_uid, len(found))
    _print(found, as_json, {})
    if not as_json:
        people = sorted({str(each.values.get("account", "-")) for each in found if each.how is How.RELEASED})
        typer.echo(f"{len(found)} answers; shown to {', '.join(people) or 'nobody'}")


def saw(
    account: Annotated[str, typer.Argument(help="The account that asked.")],
    as_account: AsOption = None,
    since: FromOption = None,
    until: ToOption = None,
    purpose: PurposeOption = None,
    as_json: LinesOption = False,
    settings: SettingsOption = None,
) -> None:
    """List what an account was shown and what it was refused. The reading is recorded."""
    with failing(), open_node(load(settings)) as node:
        asker = _asker(node, as_account)
        found = list(seen.of_account(node.archive, account, _window(since, until, purpose)))
        uids = _uids(node, {number for each in found for number in each.numbers})
        _record(node, asker, "audit saw", account, len(found))
    _print(found, as_json, uids)
    if not as_json:
        shown = {number for each in found if each.how is How.RELEASED for number in each.numbers}
        typer.echo(f"{len(found)} answers; {len(shown)} different photos were released")


def disclosures(
    patient: Annotated[str, typer.Argument(help="FHIR id, system|value, or a value that is unique.")],
    as_account: AsOption = None,
    since: FromOption = None,
    until: ToOption = None,
    purpose: PurposeOption = None,
    as_json: LinesOption = False,
    settings: SettingsOption = None,
) -> None:
    """List every answer that released photos that show a patient. The reading is recorded."""
    with failing(), open_node(load(settings)) as node:
        asker = _asker(node, as_account)
        with reading(node.engine) as connection:
            identity = record_store(node).find(connection, "Patient", patient)
            hers = among(connection, photo_patient.c.patient, group(connection, [identity]))
            numbers = set(connection.execute(select(photo_patient.c.photo).where(hers)).scalars())
            numbers |= former_of(connection, numbers)  # what was shown of her under another header was shown of her
        found = list(seen.of_photos(node.archive, numbers, _window(since, until, purpose)))
        uids = _uids(node, numbers)
        _record(node, asker, "audit disclosures", f"Patient/{identity}", len(found))
    _print(found, as_json, uids)
    if not as_json:
        typer.echo(f"{len(found)} answers about {len(numbers)} photos that are hers today")


def _asker(node: Node, name: str | None) -> str:
    """The account that reads the record; it holds compliance review."""
    account = account_of(node, name)
    require(account, purpose=HCOMPL)
    return account.account


def _window(since: datetime | None, until: datetime | None, purpose: str | None) -> Window:
    usual = Window()
    return Window(
        usual.since if since is None else micros(local(since)),
        usual.until if until is None else micros(local(until)),
        purpose,
    )


def _uids(node: Node, numbers: set[int]) -> dict[int, str]:
    with reading(node.engine) as connection:
        query = select(photo.c.photo, photo.c.sop_uid).where(among(connection, photo.c.photo, numbers))
        return {row.photo: row.sop_uid for row in connection.execute(query)}


def _record(node: Node, account: str, route: str, subject: str, found: int) -> None:
    node.chain.append(
        [
            AuditRecord(
                Kind.READ,
                CLI,
                route,
                account=account,
                os_user=os_user(),
                purpose=HCOMPL,
                subject=f"audit of {subject}"[:200],
                details={"found": found},
            )
        ]
    )


def _print(found: list[Seen], as_json: bool, uids: dict[int, str]) -> None:
    for each in found:
        typer.echo(json.dumps(_told(each, uids), ensure_ascii=False) if as_json else "  ".join(_words(each, uids)))


def _told(each: Seen, uids: dict[int, str]) -> dict[str, Any]:
    names = ("door", "route", "account", "os_user", "purpose", "channel", "project", "session", "emergency_reason")
    made: dict[str, Any] = {
        "at": instant(each.at).isoformat(),
        "record": each.record,
        "how": each.how.value,
        "kind": each.values["kind"],
        "photos": [uids.get(number, number) for number in each.numbers] or [each.values.get("photo")],
        "released": each.of if each.how is How.RELEASED else 0,
        "override": each.override,
    }
    made |= {name: each.values[name] for name in names if name in each.values}
    made |= {name: each.values["details"][name] for name in _WHERE if name in each.values.get("details", {})}
    return made | {name: each.values[name] for name in ("reason", "patient", "directives") if name in each.values}


def _words(each: Seen, uids: dict[int, str]) -> Iterator[str]:
    values = each.values
    yield instant(each.at).isoformat(timespec="milliseconds")
    yield each.record
    yield each.how.value
    yield str(values.get("account") or values.get("os_user") or "-")
    yield " ".join(str(values[name]) for name in ("purpose", "channel", "project") if name in values) or "-"
    yield str(values.get("route") or "-")
    if values["kind"] == Kind.SET:
        yield f"in a set of {each.of}"
    elif uids:
        yield str(values.get("photo", ""))
    if "reason" in values:
        yield str(values["reason"])
    details = values.get("details", {})
    yield from (f"{name} {details[name]}" for name in _WHERE if name in details)
    if each.override:
        yield f"EMERGENCY: {values.get('emergency_reason', '')}"
