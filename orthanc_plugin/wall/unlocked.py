# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sending without Python's lock, in place of a Python plugin that keeps it until the client has read (up to 4.0).

There one client that reads slowly would hold up everybody's requests. What the plugin calls can be called without it:
``InvokeService`` of the context that Orthanc gave the plugin (OrthancCPlugin.h), by ctypes, which lets go of the lock.
The plugin tells nobody where that context is, so it is looked for among the plugin's variables, and taken only if all
that is known of it holds: its version, its ``Free`` is the C library's, its ``InvokeService`` is code of Orthanc's, and
Orthanc answers a question by it. What may be an address is read by the kernel, which fails where there is nothing.
"""

from __future__ import annotations

import ctypes
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from orthanc_plugin.wall.errors import ClientGone
from orthanc_plugin.wall.host import Buffer, Output

_ERROR_DESCRIPTION = 17
_ANSWER_BUFFER = 2000
_SEND_HTTP_STATUS_CODE = 2003
_SET_HTTP_HEADER = 2007
_START_MULTIPART_ANSWER = 2008
_SEND_MULTIPART_ITEM = 2009

_INTERNAL_ERROR = -1, b"Internal error"
_PLUGIN, _ORTHANC = "libOrthancPython", "Orthanc"
_VERSION = re.compile(rb"\d+\.\d+\.\d+|mainline")
_CONTEXT = struct.Struct("@4P")  # pluginsManager, orthancVersion, Free, InvokeService
_WORD = struct.Struct("@P")
_HEAD = object.__basicsize__
"""Bytes of a Python object before its own: the plugin's ``RestOutput`` keeps Orthanc's pointer first."""

_SIMPLE = 0  # PyBUF_SIMPLE
_InvokeService = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int32, ctypes.c_void_p)


class _Question(ctypes.Structure):
    _fields_ = (("target", ctypes.POINTER(ctypes.c_char_p)), ("error", ctypes.c_int32))


class _Body(ctypes.Structure):
    _fields_ = (
        ("output", ctypes.c_void_p),
        ("answer", ctypes.c_void_p),
        ("size", ctypes.c_uint32),
        ("media", ctypes.c_char_p),
    )


class _Status(ctypes.Structure):
    _fields_ = (("output", ctypes.c_void_p), ("status", ctypes.c_uint16))


class _Two(ctypes.Structure):
    _fields_ = (("output", ctypes.c_void_p), ("first", ctypes.c_char_p), ("second", ctypes.c_char_p))


class _View(ctypes.Structure):
    """``Py_buffer``, part of Python's stable interface since 3.11."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


@dataclass(frozen=True, slots=True)
class Context:
    """Orthanc, as it offers itself to its plugins."""

    address: int
    invoke_service: Any

    def call(self, service: int, parameters: ctypes.Structure) -> int:
        """Orthanc's error code, 0 for none; Python's lock is free meanwhile."""
        code: int = self.invoke_service(self.address, service, ctypes.addressof(parameters))
        return code


class UnlockedOutput:
    """Where a callback writes its answer, as :class:`orthanc_plugin.wall.host.Output`; alive as long as that one."""

    def __init__(self, context: Context, output: Output) -> None:
        self._context, self._kept = context, output
        self._output = _pointer(output)

    def AnswerBuffer(self, body: Buffer | str, content_type: str) -> None:
        """See the Protocol, as for all methods here; each raises :class:`ClientGone` where Orthanc could not send."""
        self._send(_ANSWER_BUFFER, body.encode() if isinstance(body, str) else body, content_type.encode())

    def SendHttpStatusCode(self, status: int) -> None:
        self._call(_SEND_HTTP_STATUS_CODE, _Status(self._output, status))

    def SetHttpHeader(self, name: str, value: str) -> None:
        self._call(_SET_HTTP_HEADER, _Two(self._output, name.encode(), value.encode()))

    def StartMultipartAnswer(self, sub_type: str, content_type: str) -> None:
        self._call(_START_MULTIPART_ANSWER, _Two(self._output, sub_type.encode(), content_type.encode()))

    def SendMultipartItem(self, body: Buffer) -> None:
        self._send(_SEND_MULTIPART_ITEM, body, None)

    def _send(self, service: int, body: Buffer, media: bytes | None) -> None:
        if len(body) > 0xFFFFFFFF:
            raise ValueError("4 GiB or more cannot be told to Orthanc")
        view = _View()
        if ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(body), ctypes.byref(view), _SIMPLE):
            raise BufferError("no plain memory")
        try:
            self._call(service, _Body(self._output, view.buf, view.len, media))
        finally:
            ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))

    def _call(self, service: int, parameters: ctypes.Structure) -> None:
        code = self._context.call(service, parameters)
        if code:
            raise ClientGone(f"Orthanc could not send: its error {code}")


def find(rest_output: Any) -> Context | None:
    """Orthanc's context, if it is to be had here and its outputs are as is known of plugin 4.0; else None.

    Parameters
    ----------
    rest_output
        The plugin's class ``RestOutput``. It keeps a pointer that it is made with and, told that this is borrowed,
        never uses it.
    """
    mark = 0x5EED
    if rest_output.__basicsize__ != _HEAD + 2 * _WORD.size or _pointer(rest_output(mark, True)) != mark:
        return None
    try:
        with Path("/proc/self/mem").open("rb", buffering=0) as memory:
            found = set(_candidates(memory))
    except OSError:
        return None
    if len(found) != 1:
        return None
    address, function = found.pop()
    context = Context(address, _InvokeService(function))
    target, (error, text) = ctypes.c_char_p(), _INTERNAL_ERROR
    code = context.call(_ERROR_DESCRIPTION, _Question(ctypes.pointer(target), error))
    return context if code == 0 and target.value == text else None


def _pointer(output: Any) -> int:
    found: int = _WORD.unpack(ctypes.string_at(id(output) + _HEAD, _WORD.size))[0]
    return found


def _candidates(memory: BinaryIO) -> Iterator[tuple[int, int]]:
    """What looks like the context in every respect: its address, and that of its ``InvokeService``."""
    free = ctypes.cast(ctypes.CDLL(None).free, ctypes.c_void_p).value
    mapped = list(_mapped())
    code = [span for span, rights, name in mapped if "x" in rights and name == _ORTHANC]
    for span, rights, name in mapped:
        if not (name.startswith(_PLUGIN) and rights.startswith("rw")):
            continue
        for (address,) in set(_WORD.iter_unpack(_read(memory, span.start, len(span)))):
            fields = _read(memory, address, _CONTEXT.size)
            if len(fields) < _CONTEXT.size:
                continue
            _, version, frees, function = _CONTEXT.unpack(fields)
            if frees != free or not any(function in each for each in code):
                continue
            if _VERSION.fullmatch(_read(memory, version, 16).partition(b"\0")[0]):
                yield address, function


def _mapped() -> Iterator[tuple[range, str, str]]:
    """This process's memory: addresses, rights and the name of the file."""
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        addresses, rights, _, _, _, *name = line.split(maxsplit=5)
        first, last = (int(each, 16) for each in addresses.split("-"))
        yield range(first, last), rights, Path(name[0]).name if name else ""


def _read(memory: BinaryIO, address: int, size: int) -> bytes:
    """Memory as far as it is there."""
    try:
        memory.seek(address)
        return memory.read(size)
    except (OSError, OverflowError, ValueError):
        return b""
