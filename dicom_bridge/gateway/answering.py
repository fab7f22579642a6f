"""The answers to one C-FIND on their way out, whatever it asks for (PS3.7 9.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any

from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.presentation import PresentationContext

from dicom_bridge.gateway import status
from dicom_bridge.gateway.association import Association
from dicom_bridge.gateway.datasets import read, written

_COMMENT = 64
"""Characters of an Error Comment (0000,0902), LO."""


class Answering:
    """One request and its responses."""

    def __init__(self, association: Association, request: C_FIND, context: PresentationContext) -> None:
        assert context.context_id is not None
        assert request.MessageID is not None
        self._association, self._request = association, request
        self._context, self._message = context.context_id, request.MessageID
        self._syntax = str(context.transfer_syntax[0])
        self._response = C_FIND()
        self._response.MessageIDBeingRespondedTo = request.MessageID
        self._response.AffectedSOPClassUID = request.AffectedSOPClassUID

    def identifier(self) -> dict[str, Any]:
        """What is asked for. Raises ObjectRefused."""
        data = self._request.Identifier.getvalue() if self._request.Identifier is not None else b""
        return read(data, self._syntax)

    def refuse(self, code: int, comment: str = "") -> None:
        """End without an answer."""
        self._response.Status = code
        if comment:
            self._response.ErrorComment = comment[:_COMMENT]  # type: ignore[assignment]  # its class says None, PS3.7 a text
        self._association.dimse.send_msg(self._response, self._context)

    def answer(self, found: Iterable[Mapping[str, Any]], *, ignored: bool, more: bool) -> None:
        """One pending response for each, until the caller cancels, and the last one.

        Parameters
        ----------
        ignored
            Whether some of the keys are not supported.
        more
            Whether there are more than these.
        """
        response = self._response
        response.Status = status.PENDING_SOME_KEYS_UNSUPPORTED if ignored else status.PENDING
        for each in found:
            if self._association.cancelled(self._message):
                response.Status = status.CANCEL
                break
            response.Identifier = BytesIO(written(each, self._syntax))
            self._association.dimse.send_msg(response, self._context)
        else:
            response.Status = status.OUT_OF_RESOURCES if more else status.SUCCESS
        response.Identifier = None
        self._association.dimse.send_msg(response, self._context)
