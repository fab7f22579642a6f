"""``/review``, for compliance: who saw a photo, why somebody may or may not see it, and which emergencies there were.

It shows no photo, and nothing to anybody else.
"""

from __future__ import annotations

from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.purposes import HCOMPL, Catalog
from consent.reasons import Reason
from orthanc_plugin.workspace.history_book import Asked, HistoryBook
from orthanc_plugin.workspace.pages import Pages, may_review
from orthanc_plugin.workspace.purpose_names import purpose_name

_WORD = 200  # characters


class Review:
    """The page."""

    def __init__(self, pages: Pages, book: HistoryBook) -> None:
        self._pages, self._book = pages, book

    def routes(self) -> list[BaseRoute]:
        """Its route."""
        return [Route("/review", self._review, methods=["GET"])]

    def _review(self, http: HttpRequest) -> Response:
        visitor = self._pages.visitor(http)
        if visitor is None:
            return self._pages.sign_in_first(http)
        question = visitor.asks(HCOMPL)
        if question is None or not may_review(visitor.requester):
            return self._pages.refuse(http, visitor)
        query = http.query_params
        word = query.get("photo", "").strip()[:_WORD]
        history = self._book.of_photo(question, word, "/review/who") if word else None
        asked = _asked(http)
        explained = None
        if history is not None and asked is not None:
            explained = self._book.explain(question, word, asked, "/review/why")
        return self._pages.show(
            http,
            "review.html",
            visitor,
            section="review",
            word=word,
            history=history,
            asked=asked,
            explained=explained,
            accounts=self._book.accounts(),
            purposes=Catalog.of(self._pages.parts.site).codes(),
            purpose_name=purpose_name,
            why=_why,
            channels=sorted(self._pages.parts.site.channels),
            emergencies=self._book.emergencies(),
        )


def _why(reason: str) -> str:
    """What the reason of a recorded answer says; one that is not known here, as it stands."""
    return Reason(reason).sentence if reason in set(Reason) else reason


def _asked(http: HttpRequest) -> Asked | None:
    query = {name: value.strip()[:_WORD] for name, value in http.query_params.items()}
    if not query.get("account") or not query.get("purpose"):
        return None
    return Asked(query["account"], query["purpose"], query.get("channel") or None, None, query.get("reason") or None)
