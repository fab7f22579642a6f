"""Who calls, looked up anew for each operation: what was taken away since counts at once, on every node."""

from __future__ import annotations

from consent.identity.peers import Known, Peers
from consent.types import Right
from dicom_bridge.gateway.association import Association, Calling


class Callers:
    """Callers of one gateway."""

    def __init__(self, peers: Peers, ae_title: str) -> None:
        """Begin.

        Parameters
        ----------
        ae_title
            Our own: who calls another is not let in.
        """
        self._peers, self._ae_title = peers, ae_title

    def find(self, calling: Calling) -> Known | None:
        """Who calls; None where nobody is let in."""
        if calling.called != self._ae_title:
            return None
        return self._peers.caller(calling.ae_title, calling.address, calling.fingerprint)

    def of(self, association: Association) -> Known | None:
        """Whose association this is, as the database knows the peer now."""
        return None if association.calling is None else self.find(association.calling)

    def unchanged(self, known: Known) -> bool:
        """Whether a peer that was looked up before, and what its account may do, is still as it was."""
        return self._peers.find(known.peer.ae_title) == known

    def destination(self, ae_title: str) -> Known | None:
        """Where a C-MOVE may send to under this AE title."""
        return self._peers.destination(ae_title)


def may_store(caller: Known) -> bool:
    """Whether the caller may store objects. One that is confined to a patient may not: an object is any patient's."""
    requester = caller.request.requester
    return Right.STORE in requester.rights and requester.confined_to is None
