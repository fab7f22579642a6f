"""``photospine protocol``: which photos a treatment of an area needs, how they are taken, when; and as a card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dicom_bridge.protocols.card import card as card_of
from dicom_bridge.protocols.protocol import Protocol, Shot
from dicom_bridge.protocols.reading import ProtocolRefused, Protocols, all_protocols, load_file
from dicom_bridge.protocols.words import (
    BACKGROUND,
    LIGHTING,
    TARGET,
    due_words,
    for_words,
    name_words,
    scale_words,
    shot_words,
)
from orthanc_plugin.assembly.commands._common import JsonOption, SettingsOption, failing
from orthanc_plugin.assembly.errors import AssemblyError
from orthanc_plugin.assembly.settings import load

NameArgument = Annotated[str, typer.Argument(help="The protocol's name, as 'list' shows it.", metavar="NAME")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Protocols of photography, and their cards.")
    group.command("list")(names)
    group.command("show")(show)
    group.command("card")(card)
    group.command("check")(check)
    app.add_typer(group, name="protocol")


def names(as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """List the protocols: Photospine's, and those of the folder that the setting 'protocols' names.

    Exit status 1 where a file of that folder cannot be used; line and reason are told.
    """
    with failing():
        known = all_protocols(load(settings).protocols)
    if as_json:
        typer.echo(json.dumps([_brief(each) for each in known], ensure_ascii=False))
    else:
        width = max(len(each.name) for each in known)
        for each in known:
            typer.echo(f"{each.name:{width}}  {each.title}{'  (own)' if each.own else ''}")
    for line in known.refused:
        typer.echo(line, err=True)
    if known.refused:
        raise typer.Exit(1)


def show(name: NameArgument, as_json: JsonOption = False, settings: SettingsOption = None) -> None:
    """Tell what a protocol asks for."""
    with failing():
        protocol = _named(all_protocols(load(settings).protocols), name)
    if as_json:
        typer.echo(json.dumps(_whole(protocol), ensure_ascii=False))
        return
    for line in _lines(protocol):
        typer.echo(line)


def card(
    name: NameArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="The PDF file to write.")],
    settings: SettingsOption = None,
) -> None:
    """Write a protocol's card: one page, A4, to hang beside the camera."""
    with failing():
        protocol = _named(all_protocols(load(settings).protocols), name)
        try:
            output.write_bytes(card_of(protocol))
        except OSError as error:
            raise AssemblyError(f"{output} cannot be written: {error.strerror}") from None
    typer.echo(f"{output}: {protocol.title}, version {protocol.version}")


def check(
    files: Annotated[list[Path], typer.Argument(help="Files of protocols, NAME.toml.", metavar="FILE...")],
) -> None:
    """Read protocols' files before they are put in place; a bad one gets its line and the reason, and exit status 1."""
    bad = False
    for file in files:
        try:
            protocol = load_file(file)
        except ProtocolRefused as error:
            typer.echo(str(error), err=True)
            bad = True
        else:
            typer.echo(f"{file}: {protocol.title}, {len(protocol.shots)} shots, {len(protocol.times)} time points")
    if bad:
        raise typer.Exit(1)


def _named(known: Protocols, name: str) -> Protocol:
    found = known.by_name.get(name)
    if found is None:
        why = next((each for each in known.refused if Path(each.partition(":")[0]).stem == name), None)
        raise AssemblyError(why or f"no protocol is called {name!r}; 'photospine protocol list' lists them")
    return found


def _brief(protocol: Protocol) -> dict[str, Any]:
    return {
        "name": protocol.name,
        "version": protocol.version,
        "title": protocol.title,
        "own": protocol.own,
        "regions": [each.name for each in protocol.applies.regions],
        "shots": len(protocol.required),
    }


def _whole(protocol: Protocol) -> dict[str, Any]:
    return _brief(protocol) | {
        "words": list(protocol.applies.words),
        "codes": sorted(protocol.applies.codes),
        "sources": [{"citation": each.citation, "url": each.url} for each in protocol.sources],
        "posture": protocol.posture,
        "lens": protocol.lens,
        "shots": [_shot(each) for each in protocol.shots],
        "times": [
            {
                "name": each.name,
                "since": each.since.value,
                "days": each.days,
                "before": each.before,
                "after": each.after,
                "shots": [shot.name for shot in each.shots],
            }
            for each in protocol.times
        ],
    }


def _shot(shot: Shot) -> dict[str, Any]:
    return {
        "name": shot.name,
        "region": "treated" if shot.treated else shot.region.name,
        "side": shot.side.value,
        "view": shot.view.name,
        "expression": shot.expression.name if shot.expression is not None else None,
        "required": shot.required,
        "distance_cm": shot.distance_cm,
        "ratio": shot.ratio,
        "lighting": shot.lighting.value,
        "background": shot.background.value,
        "target": shot.target.value if shot.target is not None else None,
        "note": shot.note,
    }


def _lines(protocol: Protocol) -> Iterator[str]:
    yield typer.style(f"{protocol.title}", bold=True)
    yield f"{protocol.name}, version {protocol.version}{', own' if protocol.own else ''}; for {for_words(protocol)}"
    for title, required in (("Required", True), ("Optional", False)):
        shots = [each for each in protocol.shots if each.required is required]
        if shots:
            yield typer.style(title, bold=True)
        for each in shots:
            yield f"  {name_words(each.name)}: {shot_words(each)}; {scale_words(each)}"
            if each.note:
                yield f"      {each.note}"
            yield f"      light: {LIGHTING[each.lighting]}; background: {BACKGROUND[each.background]}"
            if each.target is not None:
                yield f"      target: {TARGET[each.target]}"
    yield typer.style("Always", bold=True)
    yield f"  {protocol.posture}"
    yield f"  {protocol.lens}"
    yield typer.style("When", bold=True)
    for time in protocol.times:
        some = "" if set(time.shots) == set(protocol.required) else ": " + ", ".join(each.name for each in time.shots)
        yield f"  {name_words(time.name)}: {due_words(time)}{some}"
    yield typer.style("After", bold=True)
    for source in protocol.sources:
        yield f"  {source.citation}{f' {source.url}' if source.url else ''}"
