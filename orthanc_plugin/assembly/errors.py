"""Errors of the assembly.

- AssemblyError
  - SettingsError
  - DatabaseUnreachable  open: the database does not answer
  - WallDown             archive_process: the wall does not stand, or cannot be proved to
  - WallFolderError      wall_folder: the packages that the wall needs cannot be installed
"""

from __future__ import annotations


class AssemblyError(Exception):
    """Root of what can go wrong while the parts are put together. The text names the fault and the remedy."""


class SettingsError(AssemblyError):
    """A setting is missing, unknown or malformed. Mend ``photospine.toml`` or the environment variable it names."""
