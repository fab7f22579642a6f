"""The files of an import: those of a folder, those within a ZIP; each read whole, and never more than may be.

A ZIP is taken apart in memory, one file at a time. What a hostile or broken one may do is bounded: how many files it
lists, how large each is and how far it may be packed, that no two share their bytes, that no name leaves the archive.
A ZIP within a ZIP is refused, so that nothing unfolds without end.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dicom_bridge.errors import BridgeError, FileRefused

MOST_IN_ZIP = 200_000
"""Files that a ZIP may list."""

_MOST_DIRECTORY = 64 * 2**20
"""Bytes of the list of a ZIP's files."""

_PACKED = 200
"""So many times smaller than its content a packed file may be; photos are hardly packed at all."""

_TAIL = 65_557 + 76
_END, _END_64 = b"PK\x05\x06", b"PK\x06\x06"
_SKIPPED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
ZIP = ".zip"


class SourceRefused(BridgeError):
    """A folder or a ZIP cannot be imported. The text names it and what to do."""


@dataclass(frozen=True, slots=True)
class File:
    """One file."""

    name: str
    """Its path below what is imported, parts joined by ``/``; a ZIP's name is a part where it lies in a folder."""

    size: int
    modified: datetime | None
    """Aware, or without a zone within a ZIP, whose clock is somebody's wall clock."""

    read: Callable[[], bytes]
    """Its bytes. Raises FileRefused."""

    fault: str | None = None
    """Why it cannot be read at all."""


def files_of(source: Path, limit: int) -> Iterator[File]:
    """The files of a folder, of a ZIP, or one file, in the order of their names.

    Parameters
    ----------
    limit
        Bytes that a file may have.

    Raises
    ------
    SourceRefused
    """
    try:
        status = source.stat()
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else "its name cannot be one of a file"
        raise SourceRefused(f"{shown(source.name)}: {said}") from None
    if stat.S_ISDIR(status.st_mode):
        yield from _folder(source, "", limit)
    elif not stat.S_ISREG(status.st_mode):
        raise SourceRefused(f"{shown(source.name)}: it is neither a folder nor an ordinary file")
    elif source.suffix.lower() == ZIP:
        yield from _zip(source, "", limit)
    else:
        yield _file(source, shown(source.name), status, limit)


def shown(name: str) -> str:
    """A name as it can be printed: bytes that are no UTF-8 and control characters are replaced."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _folder(folder: Path, before: str, limit: int) -> Iterator[File]:
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        yield _refused(before.rstrip("/") or shown(folder.name), 0, f"the folder cannot be read: {error.strerror}")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _SKIPPED:
            continue
        name, path = before + shown(entry.name), Path(entry.path)
        if entry.is_symlink():
            yield _refused(name, 0, "it is a link; name the folder that it leads to by itself")
        elif entry.is_dir():
            yield from _folder(path, f"{name}/", limit)
        elif not entry.is_file():
            yield _refused(name, 0, "it is no ordinary file")
        elif path.suffix.lower() == ZIP:
            try:
                yield from _zip(path, f"{name}/", limit)
            except SourceRefused as error:
                yield _refused(name, entry.stat().st_size, str(error).partition(": ")[2])
        else:
            yield _file(path, name, entry.stat(), limit)


def _file(path: Path, name: str, status: os.stat_result, limit: int) -> File:
    def read() -> bytes:
        try:
            with path.open("rb") as source:
                data = source.read(limit + 1)
        except OSError as error:
            raise FileRefused("file", f"it cannot be read: {error.strerror}") from None
        if len(data) > limit:
            raise FileRefused("file", f"it is larger than {limit} bytes (setting max_file_megabytes)")
        return data

    fault = f"it is larger than {limit} bytes (setting max_file_megabytes)" if status.st_size > limit else None
    return File(name, status.st_size, datetime.fromtimestamp(status.st_mtime).astimezone(), read, fault)


def _refused(name: str, size: int, fault: str) -> File:
    def read() -> bytes:
        raise FileRefused("file", fault)

    return File(name, size, None, read, fault)


# --- ZIP ------------------------------------------------------------------------------------------------------------


def _zip(path: Path, before: str, limit: int) -> Iterator[File]:
    name = shown(path.name)
    try:
        _require_short_list(path, name)
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, struct.error, ValueError, NotImplementedError):
        raise SourceRefused(f"{name}: it is no ZIP that can be read; pack it anew") from None
    entries = [each for each in archive.infolist() if not each.is_dir()]
    if len(entries) > MOST_IN_ZIP:
        raise SourceRefused(f"{name}: it lists more than {MOST_IN_ZIP} files; pack it in parts")
    end = 0
    for each in sorted(entries, key=lambda entry: entry.header_offset):
        if each.header_offset < end:
            raise SourceRefused(f"{name}: files in it share their bytes, as no packer writes them; pack it anew")
        end = each.header_offset + each.compress_size
    for each in sorted(entries, key=lambda entry: entry.filename):
        parts = each.filename.split("/")
        if any((part.startswith(".") and part != "..") or part.lower() in _SKIPPED for part in parts):
            continue
        fault = _fault(each, limit)
        inner = before + shown(each.filename)
        if fault is not None:
            yield _refused(inner, each.file_size, fault)
        else:
            yield File(inner, each.file_size, _modified(each), _reader(archive, each))


def _require_short_list(path: Path, name: str) -> None:
    """The list of files is as long as may be, before anything reads it whole."""
    with path.open("rb") as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(max(0, size - _TAIL))
        tail = source.read()
    at = tail.rfind(_END)
    if at < 0:
        raise zipfile.BadZipFile
    (length,) = struct.unpack_from("<I", tail, at + 12)
    if length == 0xFFFFFFFF:
        (length,) = struct.unpack_from("<Q", tail, tail.rfind(_END_64) + 40)
    if length > _MOST_DIRECTORY:
        raise SourceRefused(f"{name}: the list of its files has more than {_MOST_DIRECTORY} bytes; pack it in parts")


def _fault(entry: zipfile.ZipInfo, limit: int) -> str | None:
    parts = entry.filename.split("/")
    if entry.filename.startswith("/") or ".." in parts or "\\" in entry.filename or ":" in parts[0]:
        return "its name leads out of the ZIP; pack it anew, with names below one folder"
    if entry.flag_bits & 1:
        return "it is encrypted; unpack the ZIP with its password, and import the folder"
    if entry.filename.lower().endswith(ZIP):
        return "it is a ZIP within a ZIP; unpack it, and import it by itself"
    if entry.file_size > limit:
        return f"it is larger than {limit} bytes (setting max_file_megabytes)"
    if entry.file_size > _PACKED * max(entry.compress_size, 1024):
        return "it is packed further than any photo can be"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link; pack the file that it leads to"
    return None


def _modified(entry: zipfile.ZipInfo) -> datetime | None:
    try:
        return datetime(*entry.date_time)  # noqa: DTZ001  # a ZIP's clock has no zone
    except ValueError:
        return None


def _reader(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            with archive.open(entry) as source:
                data = source.read(entry.file_size + 1)
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError):
            raise FileRefused("file", "it cannot be unpacked; pack the ZIP anew") from None
        if len(data) != entry.file_size:
            raise FileRefused("file", "the ZIP says another size than it has; pack it anew")
        return data

    return read
