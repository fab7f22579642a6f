"""What a request that was let pass is about: noted by the filter, asked later on in one and the same thread of Orthanc.

Our own objects go in by STOW-RS, which the DICOMweb plugin answers. Were it Python that posts to Orthanc, it would hold
Python's lock while it waits for Orthanc's, and the hook that Orthanc calls for another object holds Orthanc's and waits
for Python's: nothing moves any more. DICOMweb from 1.9 on posts to ``/instances`` past our callback, which passes it
on; there the Python plugin lets go of its lock (``AllowThreads``), which the older one cannot.

There DICOMweb also asks ``/tools/find`` past the filter, with the headers of the client's own request, for the object
that the request names. That question is Orthanc's own: it has been decided, and a ticket counts once.
"""

from __future__ import annotations

import threading

from consent.identity.tickets import Task
from orthanc_plugin.wall.routes import Row


class Expected:
    """Safe for any number of threads: each has its own place."""

    def __init__(self) -> None:
        # Not threading.local: Python forgets Orthanc's threads between two callbacks.
        self._tasks: dict[int, Task] = {}
        self._rows: dict[int, Row] = {}

    def begin(self) -> None:
        """A new request begins in this thread; nothing is expected."""
        self._tasks.pop(threading.get_ident(), None)
        self._rows.pop(threading.get_ident(), None)

    def natively(self, row: Row) -> None:
        """The request of this thread was let pass to Orthanc itself, or to its DICOMweb."""
        self._rows[threading.get_ident()] = row

    def is_native(self) -> bool:
        """Whether this thread's request is one that Orthanc answers: whatever it asks of us, it asks itself."""
        return threading.get_ident() in self._rows

    def expect(self, task: Task) -> None:
        """The request of this thread stores the one object that its ticket was made for, and no other."""
        self._tasks[threading.get_ident()] = task

    def awaits(self, dicom: bytes) -> bool:
        """Whether the request of this thread is to store this object."""
        task = self._tasks.get(threading.get_ident())
        return task is not None and task.stores(dicom)

    def allows(self, dicom: bytes) -> bool:
        """Whether this object may come with this thread's request. What comes by other doors is none of ours."""
        return threading.get_ident() not in self._tasks or self.awaits(dicom)
