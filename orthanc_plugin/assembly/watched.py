"""The watched folder of a node: what is dropped there is taken in like an import, or waits for a person.

A file whose patient is certain becomes a photo of hers. Of any other readable one an object is made that says nothing
of a patient, with the file's name as its description: it waits, unseen, and a person says whose it is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from consent.audit.record import AuditRecord, Kind
from consent.identity.accounts import requester
from consent.store.engine import glancing
from consent.types import Right
from dicom_bridge.archive import Archive
from dicom_bridge.errors import BridgeError
from dicom_bridge.legacy.dropped import DONE, REFUSED, Dropped
from dicom_bridge.legacy.files import File, files_of
from dicom_bridge.legacy.importing import Done
from dicom_bridge.legacy.manifest import Manifest, ManifestRefused, Row, read_manifest
from dicom_bridge.legacy.patterns import Pattern, pattern
from dicom_bridge.legacy.survey import Candidate, Verdict, Wishes
from dicom_bridge.legacy.unplaced import unplaced
from dicom_bridge.plan import Plan
from orthanc_plugin.assembly import legacy
from orthanc_plugin.assembly.errors import SettingsError
from orthanc_plugin.assembly.open import Node

MOST = 200
"""Files that are taken in before the worker looks for other work."""

_LANES = 2
_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """The folder, and how its files are read."""

    node: Node
    archive: Archive
    dropped: Dropped
    patterns: tuple[Pattern, ...] = ()
    _told: set[str] = field(default_factory=set)

    def step(self) -> int:
        """Take in what is whole; how many files left the folder.

        Raises
        ------
        ArchiveUnavailable, SpoolUnavailable, OSError
            What was not moved is looked at again.
        """
        paths = self.dropped.whole(MOST)
        if not paths:
            return 0
        base = self._base()
        if base is None:
            return 0
        limit = legacy.limits_of(self.node).bytes
        by_name: dict[str, Path] = {}
        files: list[File] = []
        for path in paths:
            if path.suffix.lower() == ".zip":
                self.dropped.move(path, REFUSED, "A ZIP is not taken from this folder; use `photospine import`.")
                continue
            (file,) = files_of(path, limit)
            named = replace(file, name=self.dropped.name(path))
            files.append(named)
            by_name[named.name] = path
        wishes = Wishes(self.patterns, self._said(by_name))
        found = legacy.survey(self.node, files, wishes, _LANES, legacy.Told())
        done = {
            each.candidate.file.name: each for each in legacy.carry_out(self.node, found, base, _LANES, legacy.Told())
        }
        for candidate in found:
            if candidate.file.name in by_name:
                self._settle(by_name[candidate.file.name], candidate, done.get(candidate.file.name))
        return len(by_name)

    def _settle(self, path: Path, found: Candidate, done: Done | None) -> None:
        """Move a file to where it belongs now."""
        after = found if done is None else done.candidate
        if after.verdict is not Verdict.LEFT:
            self.dropped.move(path, DONE)
        elif not after.sha256:
            self.dropped.move(path, REFUSED, after.why)
        else:
            self._wait(path, after)

    def _wait(self, path: Path, candidate: Candidate) -> None:
        """Have a photo whose place nobody knows wait for a person."""
        try:
            data = candidate.file.read()
            made = unplaced(data, candidate, self.node.keys.uid, legacy.limits_of(self.node), self.node.site.zone)
        except BridgeError as error:
            self.dropped.move(path, REFUSED, str(error))
            return
        intent = AuditRecord(
            Kind.INTENT,
            self.node.role,
            "watched folder",
            account=self.node.settings.watched_account,
            photo=made.sop_uid,
            digest=candidate.sha256,
        )
        with self.node.chain.written(intent):
            self.archive.store("watched", made.orthanc_id, made.file)
            if not candidate.is_object:
                self.archive.attach_original("watched", made.orthanc_id, data)
        self.dropped.move(path, DONE, f"It waits for a person: {candidate.why}")

    def _said(self, by_name: dict[str, Path]) -> Manifest:
        """What lists beside the files say of them."""
        rows: dict[str, Row] = {}
        read: dict[Path, Manifest] = {}
        for name, path in by_name.items():
            for listed in self.dropped.lists(path):
                if listed not in read:
                    read[listed] = self._read(listed)
                below = "/".join(path.relative_to(listed.parent).parts)
                row = read[listed].rows.get(below)
                if row is not None:
                    rows[name] = row
                    break
        return Manifest(rows)

    def _read(self, listed: Path) -> Manifest:
        try:
            return read_manifest(listed.read_bytes())
        except (OSError, ManifestRefused) as error:
            self._tell(f"a list in the watched folder cannot be read: {type(error).__name__}")
            return Manifest()

    def _base(self) -> Plan | None:
        """In whose name files are taken in; None: nobody's, and they stay."""
        name = self.node.settings.watched_account
        with glancing(self.node.engine) as connection:
            who = requester(connection, name) if name else None
        if who is None or not {Right.CAPTURE, Right.RECORD} <= who.rights:
            self._tell("the watched folder stands still: watched_account has to have the rights capture and record")
            return None
        return Plan(who.account, "", "", "", "", "", "")

    def _tell(self, text: str) -> None:
        """Say a thing once."""
        if text not in self._told:
            self._told.add(text)
            _LOG.warning("%s", text)


def watched_of(node: Node, archive: Archive) -> Watched | None:
    """The node's watched folder, where it has one.

    Raises
    ------
    SettingsError
        Its pattern cannot be read.
    """
    settings = node.settings
    if settings.watched is None:
        return None
    try:
        patterns: Sequence[Pattern] = [pattern(settings.watched_pattern)] if settings.watched_pattern else []
    except BridgeError as error:
        raise SettingsError(f"setting 'watched_pattern': {str(error).removeprefix('--pattern: ')}") from None
    settings.watched.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Watched(node, archive, Dropped(settings.watched), tuple(patterns))
