"""Errors of the consent package.

- ConsentError

Each part of the package derives its own beside the code that raises it.
"""

from __future__ import annotations


class ConsentError(Exception):
    """Root of what can go wrong around a decision. A denial is no error: it is a value."""
