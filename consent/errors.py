"""Errors of the consent package.

- ConsentError
  - AccountRefused    identity.accounts: an account cannot be made or changed so
  - PolicyRefused     identity.policy: an issuer or a limit of sign-in is set so that it could not be kept
  - PinRefused        identity.pins: a PIN is too short, too long, or the first that anybody would try
  - GrantRefused      identity.emergency: emergency access is not open to this requester
  - KeysRefused       identity.keys: the keys file is missing, malformed, or readable by others
  - AuditUnavailable  audit.shelf: a record could not be made durable, so nothing may leave
  - NoSite            store.sites: the settings of the site are not in the database yet
  - WrongSchema       store.schema: the database has another schema than this software
  - PhotoRefused      store.photos: a photo's row would go back
  - MergeRefused      store.people: a merge would lead in a circle
  - PurposeRefused    purposes: the settings add a purpose that cannot be

Each stands beside the code that raises it.
"""

from __future__ import annotations


class ConsentError(Exception):
    """Root of what can go wrong around a decision. A denial is no error: it is a value."""
