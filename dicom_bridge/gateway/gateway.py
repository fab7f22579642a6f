"""The gateway, put together: who calls, which service answers, and how it is started and ended."""

from __future__ import annotations

import logging
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pydicom.config
from pynetdicom import _config
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE, N_ACTION, DimseServiceType
from pynetdicom.presentation import PresentationContext
from sqlalchemy import Engine

from consent.audit.chain import Chain
from consent.identity.peers import Peers
from consent.identity.tickets import TicketMint
from consent.service import DecisionPoint
from dicom_bridge.archive import Archive
from dicom_bridge.gateway import status
from dicom_bridge.gateway.association import Allowance, Association, Calling
from dicom_bridge.gateway.caller import Callers
from dicom_bridge.gateway.calling import Caller as Outward
from dicom_bridge.gateway.commitment import PUSH_MODEL, Commitment
from dicom_bridge.gateway.files import Files
from dicom_bridge.gateway.finding import ROOTS, Finding
from dicom_bridge.gateway.limits import Limits
from dicom_bridge.gateway.listening import Server
from dicom_bridge.gateway.retrieve import Retrieval
from dicom_bridge.gateway.storing import Archives, Storing
from dicom_bridge.gateway.syntaxes import PLAIN, accepted_classes, preferred
from dicom_bridge.gateway.worklist import MODALITY_WORKLIST, Worklist

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 10.0
_ACSE_SECONDS = 10.0
_END_SECONDS = 5.0
_VERIFICATION = "1.2.840.10008.1.1"
_MODELS = {f"{model}.{number}": kind for model in ROOTS for number, kind in ((1, C_FIND), (2, C_MOVE), (3, C_GET))}
"""SOP Classes of query and retrieve (PS3.4 C.6), and the operation of each."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway listens, and with which certificates."""

    host: str
    port: int
    ae_title: str
    server_tls: ssl.SSLContext | None
    """None: without TLS."""

    client_tls: ssl.SSLContext
    """For destinations that speak TLS."""


class Gateway:
    """The only DIMSE door of a node."""

    def __init__(
        self,
        place: Place,
        engine: Engine,
        chain: Chain,
        point: DecisionPoint,
        mint: TicketMint,
        orthanc: str,
        archive: Callable[[], Archive],
        worklist: Worklist,
        *,
        limits: Limits,
        door: str,
        others: bool,
        takes_others: Callable[[], bool],
    ) -> None:
        """Put it together.

        Parameters
        ----------
        orthanc
            Address of Orthanc.
        archive
            Makes a client of it for storing.
        worklist
            Whom to photograph today.
        door
            How audit records name this process.
        others
            Whether objects that are no photos are agreed on at all.
        takes_others
            Whether they are taken in now.
        """
        self.limits, self.allowance = limits, Allowance(limits.received_bytes)
        self._place = place
        self._ae = _entity(place.ae_title, limits, accepted_classes(others=others))
        self._callers = Callers(Peers(engine), place.ae_title)
        self._standing: set[Association] = set()
        self._counting = threading.Lock()
        outward = Outward(self._ae, self, place.client_tls)
        archives = Archives(archive)
        files = Files(orthanc, mint, most=limits.object_bytes * 2)
        self._worklist = worklist
        self._finding = Finding(engine, point, place.ae_title, most=limits.objects)
        self._retrieval = Retrieval(engine, point, self._callers, files, outward, limits)
        self._storing = Storing(engine, chain, archives, door=door, others=takes_others)
        self._commitment = Commitment(engine, point, archives, outward, limits)
        self._server: Server | None = None

    # --- what associations share ------------------------------------------------------------------------------------

    def admits(self, calling: Calling) -> bool:
        """Whether this peer may open an association."""
        return self._callers.find(calling) is not None

    def enter(self, association: Association) -> bool:
        """Take a caller's association on; False where there are as many as can be served."""
        with self._counting:
            self._standing = {each for each in self._standing if not each.is_released}
            if len(self._standing) >= self.limits.associations:
                return False
            self._standing.add(association)
            return True

    def ended(self, association: Association) -> None:
        """A caller's association is over, whether it was taken on or not."""
        with self._counting:
            self._standing.discard(association)
        if self._server is not None:
            self._server.leave(association.came_from)

    def serve(self, association: Association, request: DimseServiceType, context: PresentationContext) -> None:
        """Answer a request, by a caller who is looked up anew; one who is known no more is let go."""
        caller = self._callers.of(association)
        if caller is None:
            association.abort()
            return
        if isinstance(request, C_ECHO):
            _echo(association, request, context)
        elif isinstance(request, C_STORE):
            self._storing.store(association, request, context, caller)
        elif isinstance(request, C_FIND) and context.abstract_syntax == MODALITY_WORKLIST:
            self._worklist.find(association, request, context, caller)
        elif isinstance(request, C_FIND) and self._fits(request, context):
            self._finding.find(association, request, context, caller)
        elif isinstance(request, C_GET) and self._fits(request, context):
            self._retrieval.get(association, request, context, caller)
        elif isinstance(request, C_MOVE) and self._fits(request, context):
            self._retrieval.move(association, request, context, caller)
        elif isinstance(request, N_ACTION) and context.abstract_syntax == PUSH_MODEL:
            self._commitment.commit(association, request, context, caller)
        else:
            association.abort()

    @staticmethod
    def _fits(request: DimseServiceType, context: PresentationContext) -> bool:
        """Whether the operation belongs to the SOP Class of its presentation context."""
        return _MODELS.get(str(context.abstract_syntax)) is type(request)

    # --- beginning and end ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError
            The address cannot be listened on.
        """
        self._server = Server(self._ae, (self._place.host, self._place.port), self, tls=self._place.server_tls)
        threading.Thread(target=self._server.serve_forever, name="gateway", daemon=True).start()

    def stop(self) -> None:
        """Take nobody on any more, and end what stands."""
        if self._server is None:
            return
        self._server.close()
        with self._counting:
            standing = list(self._standing)
        for association in standing:
            threading.Thread(target=association.abort, daemon=True).start()
        until = time.monotonic() + _END_SECONDS
        for association in standing:
            association.join(max(0.0, until - time.monotonic()))


def quiet() -> None:
    """Have nothing of what is sent written anywhere: pynetdicom logs identifiers, pydicom warns of values."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    warnings.simplefilter("ignore")
    threading.excepthook = lambda told: _LOG.warning("a thread ended: %s", told.exc_type.__name__)


def _entity(ae_title: str, limits: Limits, classes: Iterable[str]) -> ApplicationEntity:
    ae = ApplicationEntity(ae_title)
    ae.acse_timeout, ae.connection_timeout = _ACSE_SECONDS, _CONNECT_SECONDS
    ae.dimse_timeout = ae.network_timeout = limits.idle
    ae.maximum_associations = limits.associations * 4  # counted at the door, where a refusal tells nothing
    for sop_class in (_VERIFICATION, PUSH_MODEL, MODALITY_WORKLIST, *_MODELS):
        ae.add_supported_context(sop_class, list(PLAIN))
    for sop_class in classes:
        ae.add_supported_context(sop_class, list(preferred(sop_class)), scu_role=True, scp_role=True)
    return ae


def _echo(association: Association, request: C_ECHO, context: PresentationContext) -> None:
    assert context.context_id is not None
    response = C_ECHO()
    response.MessageIDBeingRespondedTo = request.MessageID
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.Status = status.SUCCESS
    association.dimse.send_msg(response, context.context_id)
