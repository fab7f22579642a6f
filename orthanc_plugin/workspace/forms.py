"""Forms of the pages: a visitor's own, with her token; any other is refused like a page that is not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from orthanc_plugin.workspace.pages import Pages
from orthanc_plugin.workspace.visitor import Visitor, read_fields, same_origin, same_token

Fields = Sequence[tuple[str, str]]


def posted(
    pages: Pages, work: Callable[[HttpRequest, Visitor, Fields], Response], *, most: int, fields: int
) -> Callable[[HttpRequest], object]:
    """The endpoint of a form.

    Parameters
    ----------
    most
        Bytes that it may have.
    fields
        And how many fields.
    """

    async def endpoint(http: HttpRequest) -> Response:
        found = await read_fields(http, most=most, fields=fields)
        return await run_in_threadpool(received, http, found)

    def received(http: HttpRequest, found: Fields | None) -> Response:
        visitor = pages.visitor(http)
        if visitor is None:
            return pages.sign_in_first(http)
        token = next((value for name, value in found or () if name == "csrf"), None)
        if found is None or not same_origin(http) or not same_token(token, visitor.csrf):
            return pages.refuse(http, visitor)
        return work(http, visitor, found)

    return endpoint
