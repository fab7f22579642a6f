"""Associations that the gateway opens: to the destination of a C-MOVE, and to a peer that waits for a commitment."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence

from pynetdicom._globals import MODE_REQUESTOR
from pynetdicom.ae import ApplicationEntity
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AddressInformation

from consent.identity.peers import Peer
from dicom_bridge.gateway.association import Association, Gone, Services, thread_name
from dicom_bridge.gateway.syntaxes import offered
from dicom_bridge.gateway.wire import Wire


class Caller:
    """Opens associations. They have no reactor of their own: whoever opened one asks it, in its own thread."""

    def __init__(self, ae: ApplicationEntity, services: Services, tls: ssl.SSLContext) -> None:
        """Begin.

        Parameters
        ----------
        tls
            Which certificates are trusted, and the one that we show.
        """
        self._ae, self._services, self._tls = ae, services, tls

    def open(self, peer: Peer, classes: Iterable[str]) -> Association:
        """An association to a destination that takes objects.

        Raises
        ------
        Gone
            It does not answer, or does not let us in.
        """
        return self._open(peer, offered(classes), ())

    def open_for(self, peer: Peer, contexts: Sequence[PresentationContext], scp_of: str) -> Association:
        """An association in which we are the SCP of a class (PS3.7 D.3.3.4), to report something.

        Raises
        ------
        Gone
            It does not answer, or does not let us in.
        """
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid, role.scu_role, role.scp_role = scp_of, False, True
        return self._open(peer, contexts, (role,))

    def _open(
        self,
        peer: Peer,
        contexts: Sequence[PresentationContext],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation],
    ) -> Association:
        where = peer.destination
        assert where is not None
        association = Association(self._ae, MODE_REQUESTOR, self._services)
        association.name = thread_name("Requestor")
        limits = self._services.limits
        try:
            remote = AddressInformation.from_addr_port(where.host, where.port)
        except OSError:
            raise Gone from None
        local = AddressInformation.from_tuple(("0.0.0.0" if remote.is_ipv4 else "::0", 0))  # noqa: S104  # any way out
        wire = Wire(association, address=local, idle=limits.idle, most=limits.pdu)
        if where.tls:
            wire.tls_args = (self._tls, where.host)
        association.set_socket(wire)
        association.acceptor.ae_title, association.acceptor.address_info = peer.ae_title, remote
        requestor = association.requestor
        requestor.address_info, requestor.ae_title = local, self._ae.ae_title
        requestor.maximum_length = limits.pdu
        requestor.implementation_class_uid = self._ae.implementation_class_uid
        requestor.implementation_version_name = self._ae.implementation_version_name
        for role in roles:
            requestor.add_negotiation_item(role)
        for place, context in enumerate(contexts):
            context.context_id = 2 * place + 1
        requestor.requested_contexts = list(contexts)
        association.request()
        if not association.is_established:
            self.close(association)
            raise Gone
        association._is_paused = True
        return association

    def close(self, association: Association, *, lost: bool = False) -> None:
        """Release it, or drop it where its peer is gone; abort it where its peer does not answer."""
        if association.is_established and not association.acse.is_aborted():
            (association.abort if lost else association.release)()
        association.dimse.forget()
        association.kill()
        wire = association.dul.socket
        if isinstance(wire, Wire) and wire.socket is not None:
            wire.close()
