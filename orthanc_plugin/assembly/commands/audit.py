"""``photospine audit``: reading the record of every answer, and proving that it was not changed."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consent.audit import signing
from consent.audit.note import read_vkey
from consent.audit.places import DatabasePlace, FolderPlace, Place
from consent.audit.read import Archive
from consent.audit.record import AuditRecord, Kind, unpack
from consent.audit.shelf import AuditUnavailable, Row
from consent.audit.verify import Signed, Verdict, uncovered
from consent.audit.verify import verify as verify_chains
from consent.purposes import HCOMPL
from consent.store.clock import instant, micros
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    local,
    os_user,
    require,
    show,
)
from orthanc_plugin.assembly.commands._seen import disclosures, saw, who
from orthanc_plugin.assembly.open import CLI, open_node
from orthanc_plugin.assembly.settings import load


def register(app: typer.Typer) -> None:
    """Add the command."""
    group = typer.Typer(no_args_is_help=True, help="The record of every answer.")
    group.command("list")(listing)
    group.command("verify")(verify)
    group.command("key")(key)
    group.command("who")(who)
    group.command("saw")(saw)
    group.command("disclosures")(disclosures)
    app.add_typer(group, name="audit")


def listing(
    as_account: AsOption = None,
    account: Annotated[str | None, typer.Option("--account", help="Only what this account asked.")] = None,
    photo: Annotated[str | None, typer.Option("--photo", help="Only what is about this SOP Instance UID.")] = None,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only records of this kind.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Only requests for this purpose.")] = None,
    since: Annotated[datetime | None, typer.Option("--since", help="Only from this time (local) on.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    settings: SettingsOption = None,
) -> None:
    """List records of all chains by time. Reading the audit is itself recorded."""
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=HCOMPL)
        start = 0 if since is None else micros(local(since))
        wanted = {"account": account, "photo": photo, "kind": kind and kind.value, "purpose": purpose}
        number = _number(node.archive, photo) if photo is not None else None
        found = [record for record in _all(node.archive) if record["at"] >= start and _fits(record, wanted, number)]
        found = found[-limit:]
        node.chain.append(
            [
                AuditRecord(
                    Kind.READ,
                    CLI,
                    "audit list",
                    account=who.account,
                    os_user=os_user(),
                    purpose=HCOMPL,
                    subject="audit",
                    details={"found": len(found)},
                )
            ]
        )
    for record in found:
        typer.echo(json.dumps(record, ensure_ascii=False) if as_json else _line(record))


def _all(archive: Archive) -> Iterator[dict[str, Any]]:
    """The records of all chains, by time; within a chain always in order."""
    yield from heapq.merge(*(_of(archive, chain) for chain in archive.chains()), key=lambda record: record["at"])


def _of(archive: Archive, chain: str) -> Iterator[dict[str, Any]]:
    for row in archive.rows(chain):
        yield _read(chain, row)


def _read(chain: str, row: Row) -> dict[str, Any]:
    """A record; of one that was changed beyond reading its place alone, so that all others can still be read."""
    place: dict[str, Any] = {"at": row.recorded, "chain": chain, "sequence": row.sequence}
    try:
        values = json.loads(row.body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not place.items() <= values.items() or not isinstance(values.get("kind"), str):
        return {**place, "kind": "damaged"}
    return values


def _number(archive: Archive, photo: str) -> int | None:
    """The number that the records give to a photo: sets name numbers, not UIDs."""
    return next((each["number"] for each in _all(archive) if each.get("photo") == photo and "number" in each), None)


def _fits(record: dict[str, Any], wanted: dict[str, str | None], number: int | None) -> bool:
    for name, value in wanted.items():
        if value is None or record.get(name) == value:
            continue
        if name == "photo" and number is not None and "photos" in record and number in unpack(record["photos"]):
            continue
        return False
    return True


def _line(record: dict[str, Any]) -> str:
    """One record for people."""
    parts = [
        instant(record["at"]).isoformat(timespec="milliseconds"),
        f"{record['chain']}#{record['sequence']}",
        record["kind"],
        record.get("account") or record.get("os_user") or "-",
        record.get("purpose") or "-",
        record.get("route") or "-",
    ]
    if "effect" in record:  # somebody signed in or was refused: without a reason
        parts.append(" ".join(record[name] for name in ("effect", "reason") if name in record))
    if "released" in record:
        parts.append(f"released {record['released']} refused {record.get('refused', 0)}")
    if "outcome" in record:
        parts.append(f"{record['outcome']} {record['intent']}")
    parts += [str(record[name]) for name in ("photo", "subject", "rule") if name in record]
    parts += [
        f"by Consent/{consent} version {version} {path}" for consent, version, path in record.get("directives", ())
    ]
    if record.get("override"):
        parts.append("EMERGENCY")
    return "  ".join(parts)


@contextmanager
def _unverified() -> Iterator[None]:
    """What cannot be verified is no verdict: exit status 2."""
    try:
        with failing():
            yield
    except typer.Exit:
        raise typer.Exit(2) from None


def verify(
    checkpoints: Annotated[
        Path | None,
        typer.Option(
            "--checkpoints",
            exists=True,
            file_okay=False,
            help="Hold the chains against this folder's checkpoints alone.",
        ),
    ] = None,
    trusted: Annotated[
        list[str] | None, typer.Option("--key", help="Public keys that count, instead of those of 'checkpoint_key'.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option("--since", help="Begin behind each chain's newest checkpoint before this time (local)."),
    ] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Prove that no record was changed or cut off; exit status 1 where one was, 2 where that cannot be told.

    Every record is recomputed, and held against every checkpoint in both places. Writes without outcome, and records
    that no checkpoint covers yet, are named.
    """
    with _unverified(), open_node(load(settings)) as node:
        folder = FolderPlace(checkpoints or node.settings.checkpoint_folder)
        places: tuple[Place, ...] = (folder,) if checkpoints is not None else (DatabasePlace(node.engine), folder)
        keys = (
            tuple(read_vkey(word) for word in trusted) if trusted else signing.load(node.settings.checkpoint_key).public
        )
        signed = Signed(places, keys, None if since is None else local(since))
        verdict = _with_progress(node.archive, signed)
    show(
        {
            "sound": verdict.sound,
            "chains": verdict.chains,
            "heads": verdict.heads,
            "began": verdict.began,
            "covered": verdict.covered,
            "uncovered": dict(uncovered(verdict)),
            "checkpoints": verdict.checkpoints,
            "faults": [{"chain": each.chain, "sequence": each.sequence, "text": each.text} for each in verdict.faults],
            "open": [{"record": each.record, "route": each.route, "subject": each.subject} for each in verdict.open],
        },
        as_json,
        "\n".join(_report(verdict)),
    )
    if not verdict.sound:
        raise typer.Exit(1)


def _with_progress(archive: Archive, signed: Signed) -> Verdict:
    sizes = {chain: _size(archive, chain) for chain in archive.chains()}
    before = 0
    last = ""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("audit records", total=sum(sizes.values()))

        def progress(chain: str, done: int) -> None:
            nonlocal before, last
            if chain != last:
                before, last = before + sizes.get(last, 0), chain
            bar.update(task, completed=before + done)

        return verify_chains(archive, progress, signed)


def _size(archive: Archive, chain: str) -> int:
    """How many records there are to check: for the bar alone, so none where the chain cannot be read."""
    try:
        return archive.size(chain)
    except AuditUnavailable:
        return 0


def _report(verdict: Verdict) -> Iterator[str]:
    for chain, size in verdict.chains.items():
        began = f", verified from {verdict.began[chain] + 1} on" if chain in verdict.began else ""
        yield f"{chain}: {size} records{began}, head {verdict.heads[chain][:16]}"
    for fault in verdict.faults:
        yield f"FAULT {fault.chain}#{fault.sequence}: {fault.text}"
    for each in verdict.open:
        yield f"no outcome: {each.record} {each.route} {each.subject}"
    yield f"{verdict.checkpoints} checkpoints are good"
    for chain, count in uncovered(verdict):
        if count:
            yield f"not covered by a checkpoint yet: the last {count} of {chain}"
    yield "sound" if verdict.sound else "CHANGED"


def key(
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Sign with a new key from now on; the former one still counts.")
    ] = False,
    trust: Annotated[
        str | None, typer.Option("--trust", help="Let the checkpoints of another node count, by its public key.")
    ] = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Print the public keys of checkpoints, the one that signs first. Keep them where nobody can change them."""
    with failing(), open_node(load(settings)) as node:
        file = node.settings.checkpoint_key
        found = signing.load(file)
        if rotate or trust is not None:
            done = "rotated" if rotate else "trusted"
            intent = AuditRecord(Kind.INTENT, CLI, "audit key", os_user=os_user(), subject=f"checkpoint-key {done}")
            other = None if trust is None else read_vkey(trust)
            with node.chain.written(intent):
                if rotate:
                    found = signing.rotate(file)
                if other is not None:
                    found = signing.trust(file, other)
        words = [each.vkey for each in found.public]
    show({"signs": words[0], "trusted": words[1:]}, as_json, "\n".join(words))
