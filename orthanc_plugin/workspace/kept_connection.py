"""Connections to Orthanc that are kept for the next request, and what to do when one was ended meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import requests

_Read = TypeVar("_Read")


def once_more(read: Callable[[], _Read]) -> _Read:
    """Read, and once more where the connection was lost.

    Orthanc ends a connection after a second without a request; what is sent at that moment is lost.

    Parameters
    ----------
    read
        Changes nothing, and makes a ticket of its own each time: one that arrived is used up.

    Raises
    ------
    requests.RequestException
        Orthanc cannot be reached.
    """
    try:
        return read()
    except requests.ConnectionError:
        return read()
