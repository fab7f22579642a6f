"""``photospine portfolio``: questions that are kept, what became of their pairs, their export, and what left."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import requests
import typer

from consent.audit.record import Kind, of_request
from consent.identity.purpose import choose
from consent.purposes import HCOMPL, Catalog
from consent.store.clock import now
from consent.store.engine import reading
from consent.types import Request, Requester
from dicom_bridge.publish import fallen
from dicom_bridge.publish.saved import USUAL, Saved, SavedQuestions
from dicom_bridge.publish.tracing import trace
from fhir_mapping.question import text
from orthanc_plugin.assembly.commands._common import (
    AsOption,
    JsonOption,
    SettingsOption,
    account_of,
    failing,
    new_file,
    os_user,
    require,
    show,
)
from orthanc_plugin.assembly.commands.photos import pairs_of
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.names import names
from orthanc_plugin.assembly.open import CLI, Node, open_node
from orthanc_plugin.assembly.portfolios import portfolio_book
from orthanc_plugin.assembly.record import record_store
from orthanc_plugin.assembly.serve import publishing_pages
from orthanc_plugin.assembly.settings import load
from orthanc_plugin.workspace import words
from orthanc_plugin.workspace.pictures import Originals
from orthanc_plugin.workspace.portfolio_book import Opened, PortfolioBook
from orthanc_plugin.workspace.portfolios import said
from orthanc_plugin.workspace.stored_pairs import StoredPairs

_ROUTE = "portfolio"
_SHA256 = re.compile(r"[0-9a-f]{64}")

PurposeOption = Annotated[
    str | None, typer.Option("--purpose", help="The purpose, as PORTFOLIO or 'SOCIAL; channel=NAME'.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Pairs of before and after that may be published: questions kept under a name, and their export.",
    )
    group.command("list")(listing)
    group.command("save")(saving)
    group.command("show")(showing)
    group.command("export")(exporting)
    group.command("remove")(removing)
    group.command("why")(why)
    group.command("trace")(tracing)
    app.add_typer(group, name="portfolio")


@dataclass(frozen=True, slots=True)
class _Open:
    node: Node
    book: PortfolioBook
    request: Request
    title: str


def listing(
    as_account: AsOption = None, purpose: PurposeOption = None, as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:  # fmt: skip
    """List the portfolios of a purpose. The account's first publishing purpose counts where none is chosen."""
    with _opened(settings, as_account, purpose) as at:
        found = at.book.saved.listed(at.request)
        zone = at.node.site.zone
    lines = [f"{each.name}  {each.question or 'everything'}  saved {each.made.astimezone(zone):%Y-%m-%d} by "
             f"{each.made_by}  {each.id}" for each in found]  # fmt: skip
    show([_plain(each) for each in found], as_json, "\n".join(lines) or "no portfolios")


def saving(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whoever may open it reads it: no patient's name.")],
    facets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FACET=VALUE]...", help="What is asked for, as in 'photospine photos'."),
    ] = None,
    most: Annotated[int, typer.Option("--most", help="Pairs, the newest results first.")] = USUAL,
    least: Annotated[
        int, typer.Option("--comparable", help="Percent of comparability that a pair has at least, as far as proved.")
    ] = 0,
    as_account: AsOption = None,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Keep a question as a portfolio."""
    with _opened(settings, as_account, purpose) as at:
        question = text.read(pairs_of(facets or ()), at.node.site.zone, names())
        saved = at.book.save(at.request, name, question, most=most, least=least, route=_ROUTE)
        _show(at.book.open(at.request, saved.id, _ROUTE), at.node, as_json)


def showing(
    name: NameArgument, as_account: AsOption = None, purpose: PurposeOption = None, as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:  # fmt: skip
    """Ask a portfolio's question again: how many pairs there are, what came, and what is no longer there."""
    with _opened(settings, as_account, purpose) as at:
        _show(at.book.open(at.request, name, _ROUTE), at.node, as_json)


def exporting(
    name: NameArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file, .zip.")],
    as_account: AsOption = None,
    purpose: PurposeOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Write the pictures, a PDF and a manifest as one ZIP. Each photo is decided anew; that it leaves is recorded."""
    with _opened(settings, as_account, purpose) as at, new_file(output) as file:
        made = at.book.export(at.request, name, at.title, _ROUTE)
        file.write(made.body)
    told = {"file": str(output), "pairs": len(made.entries), "left_out": made.left_out, "sha256": made.sha256}
    left = f", {made.left_out} left out" if made.left_out else ""
    show(told, as_json, f"{output}  {len(made.entries)} pairs{left}  {len(made.body)} bytes  SHA-256 {made.sha256}")


def removing(
    name: NameArgument, as_account: AsOption = None, purpose: PurposeOption = None, settings: SettingsOption = None
) -> None:
    """Keep a portfolio no longer. What was exported of it stays on record."""
    with _opened(settings, as_account, purpose) as at:
        saved = at.book.saved.read(at.request, name)
        at.book.saved.remove(at.request, saved)
    typer.echo(f"{saved.name} is removed")


def why(
    name: NameArgument, as_account: AsOption = None, purpose: PurposeOption = None, as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:  # fmt: skip
    """Say for compliance why photos of a portfolio may not be shown any more, and by which Consents.

    The account needs HCOMPL; --purpose says of which purpose the portfolio is.
    """
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=HCOMPL)
        catalog = Catalog.of(node.site)
        publishing = tuple(each for each in catalog.codes() if catalog.is_publishing(each))
        about = choose(Requester(who.account, publishing), purpose or "PORTFOLIO", None)
        if about is None:
            raise AssemblyError("--purpose: it is no purpose that publishes")
        questions = SavedQuestions(node.engine, node.chain, door=CLI, os_user=os_user())
        saved = questions.read(about, name)
        pairs = questions.pairs(saved)
        with reading(node.engine) as connection:
            found = fallen.reasons(connection, saved, pairs)
        request = Request(who, HCOMPL)
        record = of_request(Kind.READ, CLI, "portfolio why", request, subject=f"urn:uuid:{saved.id}",
                            os_user=os_user(), details={"photos": len(found)})  # fmt: skip
        node.chain.append([record])
    rows = [{"document": each.document, "reasons": list(each.lines)} for each in found]
    lines = [f"DocumentReference/{each.document or '(gone)'}  {line}" for each in found for line in each.lines]
    show(rows, as_json, "\n".join(lines) or "Every photo that was taken in may still be shown.")


def tracing(
    what: Annotated[str, typer.Argument(metavar="FILE", help="A picture or ZIP that left, or its SHA-256.")],
    as_account: AsOption = None,
    as_json: JsonOption = False,
    settings: SettingsOption = None,
) -> None:
    """Say for compliance of which photo a picture is that left, by which Consent version, when and by whom.

    The account needs HCOMPL.
    """
    digest = what if _SHA256.fullmatch(what) else _hashed(Path(what))
    with failing(), open_node(load(settings)) as node:
        who = account_of(node, as_account)
        require(who, purpose=HCOMPL)
        with reading(node.engine) as connection:
            found = trace(connection, digest)
        record = of_request(Kind.READ, CLI, "portfolio trace", Request(who, HCOMPL), subject="export",
                            os_user=os_user(), details={"sha256": digest, "found": len(found)})  # fmt: skip
        node.chain.append([record])
        zone = node.site.zone
    lines = [
        "  ".join(
            (
                each.name,
                f"DocumentReference/{each.document}",
                ", ".join(f"Consent/{one.consent}/_history/{one.version} {one.path}" for one in each.consents),
                f"{each.purpose}{f' {each.channel}' if each.channel else ''}",
                f"{each.at.astimezone(zone):%Y-%m-%d %H:%M} by {each.by}",
            )
        )
        for each in found
    ]
    rows = [dataclasses.asdict(each) | {"at": each.at.isoformat()} for each in found]
    show(rows, as_json, "\n".join(lines) or "No export held it.")


@contextmanager
def _opened(settings: Path | None, as_account: str | None, purpose: str | None) -> Iterator[_Open]:
    with failing(), open_node(load(settings)) as node, requests.Session() as session:
        who = account_of(node, as_account)
        catalog = Catalog.of(node.site)
        usual = next((each for each in who.purposes if catalog.is_publishing(each)), None)
        request = choose(who, purpose or usual, None)
        if request is None or not catalog.is_publishing(request.purpose) or who.confined_to is not None:
            raise AssemblyError(f"account {who.account} does not hold this purpose, or it publishes nothing")
        if request.purpose == "SOCIAL" and request.channel is None:
            raise AssemblyError("say the channel: --purpose 'SOCIAL; channel=NAME'")
        session.trust_env = False
        most = node.settings.max_file_megabytes * 1024 * 1024
        originals = Originals(node.settings.orthanc, node.mint, session, most_bytes=most)
        point = node.point
        book = portfolio_book(node, point, StoredPairs(node.engine, point, record_store(node)), originals, os_user())
        page = next(each for each in publishing_pages(node.site) if each.code == request.purpose)
        yield _Open(node, book, request, f"{page.name}, {request.channel}" if request.channel else page.name)


def _hashed(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        with failing():
            raise AssemblyError(f"{file} cannot be read: {error.strerror}") from None
        raise


def _plain(saved: Saved) -> dict[str, Any]:
    return dataclasses.asdict(saved) | {
        "made": saved.made.isoformat(),
        "seen": None if saved.seen is None else saved.seen.isoformat(),
    }


def _show(opened: Opened, node: Node, as_json: bool) -> None:
    saved, page = opened.saved, opened.page
    with reading(node.engine) as connection:
        moment = now(connection)
    results = [each.after.at for each in page.pairs if each.after.at is not None]
    newest = words.about_old(max(results), moment) if results else None
    told = _plain(saved) | {
        "pairs": len(page.pairs),
        "newest": newest,
        "came": len(page.changes.came),
        "gone": {fate.value: page.changes.counted(fate) for fate in fallen.Fate},
    }
    lines = [f"{saved.name}  {saved.question or 'everything'}", f"{len(page.pairs)} pairs"]
    lines[1] += f"; the newest result is {newest}" if newest else ""
    lines += [f"since {saved.seen.astimezone(node.site.zone):%Y-%m-%d}: {each}"
              for each in said(page.changes) if saved.seen is not None]  # fmt: skip
    show(told, as_json, "\n".join(lines))
