"""The HTTP side: from a request to a row of the interaction table, and an answer or an OperationOutcome."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from consent.errors import ConsentError
from consent.identity.purpose import EMERGENCY_HEADER, NO_PURPOSE, PURPOSE_HEADER, choose
from consent.types import Request, Requester
from fhir_mapping import references, text
from fhir_mapping.api import (
    asking,
    audits,
    batch,
    batch_advisory,
    courses,
    definitions,
    explain,
    paging,
    photos,
    reads,
    reply,
    searches,
    writes,
)
from fhir_mapping.api.audit_search import TYPE as AUDITS
from fhir_mapping.api.capability import capability
from fhir_mapping.api.interactions import TABLE, Interaction, Row
from fhir_mapping.api.node import Asked, Node
from fhir_mapping.api.openapi import document
from fhir_mapping.api.reply import MEDIA_TYPE, REPRESENTATION, RETURNS, Reply
from fhir_mapping.api.scopes import require_scope
from fhir_mapping.api.smart import smart_configuration
from fhir_mapping.api.subset import part_of
from fhir_mapping.errors import (
    Behind,
    Forbidden,
    Issue,
    Malformed,
    NotAcceptable,
    NotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    UnsupportedMediaType,
)

_LOG = logging.getLogger(__name__)

_JSON = frozenset({MEDIA_TYPE, "application/json"})
_FORMATS = _JSON | {"json", "text/json"}
_ACCEPTED = _JSON | {"*/*", "application/*", "text/json"}
_NOT_AT_ALL = re.compile(r"q\s*=\s*0(\.0*)?")
_MAX_QUERY = 16_384

Work = Callable[[Asked, bytes], Reply]


def routes(node: Node) -> list[BaseRoute]:
    """The routes of this server, under the path of the node's base address (``/fhir``)."""
    under = urlsplit(node.base).path
    made: list[BaseRoute] = [
        _route(node, f"{under}/metadata", {"GET": _statement(node)}, public=True),
        _route(node, f"{under}/openapi.json", {"GET": _openapi(node)}, public=True),
        _route(node, f"{under}/.well-known/smart-configuration", {"GET": _smart(node)}, public=True),
    ]
    made += _definition_routes(node, f"{under}/{definitions.TYPE}")
    made += [_route(node, each, {"POST": _bundle(node, under, made)}, bundle=True) for each in (under, f"{under}/")]
    asked_batch: dict[str, Callable[[HttpRequest], Work]] = {
        "GET": lambda http: lambda asked, _: batch_advisory.batch_advisory(node, asked, _pairs(http.url.query)),
        "POST": lambda _: lambda asked, body: batch_advisory.batch_advisory(node, asked, explain.of_body(body)),
    }
    made.append(_route(node, f"{under}/${batch_advisory.NAME}", asked_batch))
    for row in TABLE:
        made += _resource_routes(node, row, under)
    made.append(_route(node, under + "/{anything:path}", {}))
    return made


def _definition_routes(node: Node, under: str) -> list[BaseRoute]:
    """Public, as the CapabilityStatement is: they say nothing of anybody."""
    by_address: dict[str, Callable[[HttpRequest], Work]] = {
        "GET": lambda http: lambda _, __: definitions.search(node.base, node.version, _pairs(http.url.query))
    }
    by_form: dict[str, Callable[[HttpRequest], Work]] = {
        "POST": lambda http: (
            lambda _, body: definitions.search(node.base, node.version, [*_pairs(http.url.query), *_form(body)])
        )
    }
    one: dict[str, Callable[[HttpRequest], Work]] = {
        "GET": lambda http: (
            lambda asked, _: _part(http, asked, definitions.TYPE, lambda: definitions.read(_id(http), node.version))
        )
    }
    return [
        _route(node, f"{under}/_search", by_form, public=True, form=True),
        _route(node, under, by_address, public=True),
        _route(node, f"{under}/{{id}}", one, public=True),
    ]


def _resource_routes(node: Node, row: Row, under: str) -> list[BaseRoute]:
    offered, kind = row.interactions, row.type
    door = audits if kind == AUDITS else photos if row.photos else reads
    search = audits.search if kind == AUDITS else searches.search
    whole: dict[str, Callable[[HttpRequest], Work]] = {}
    one: dict[str, Callable[[HttpRequest], Work]] = {}
    made: list[BaseRoute] = []
    if Interaction.SEARCH in offered:
        whole["GET"] = lambda http: lambda asked, _: search(node, asked, kind, _pairs(http.url.query))
        by_form: dict[str, Callable[[HttpRequest], Work]] = {
            "POST": lambda http: lambda asked, body: search(node, asked, kind, [*_pairs(http.url.query), *_form(body)])
        }
        made.append(_route(node, f"{under}/{kind}/_search", by_form, form=True))
    if Interaction.CREATE in offered:
        whole["POST"] = lambda http: (
            lambda asked, body: writes.create(node, asked, kind, body, http.headers.get("if-none-exist"))
        )
    if Interaction.READ in offered:
        one["GET"] = lambda http: (
            lambda asked, _: _part(http, asked, kind, lambda: door.read(node, asked, kind, _id(http)))
        )
    if Interaction.UPDATE in offered:
        one["PUT"] = lambda http: (
            lambda asked, body: writes.update(
                node,
                asked,
                kind,
                http.path_params["id"],
                body,
                http.headers.get("if-match"),
                http.headers.get("if-none-match"),
            )
        )
    if Interaction.UPDATE in offered:
        whole["PUT"] = lambda http: (
            lambda asked, body: writes.update_where(
                node, asked, kind, _condition(http), body, http.headers.get("if-match")
            )
        )
    if Interaction.DELETE in offered:
        one["DELETE"] = lambda http: (
            lambda asked, _: writes.delete(node, asked, kind, _id(http), http.headers.get("if-match"))
        )
        whole["DELETE"] = lambda http: lambda asked, _: writes.delete_where(node, asked, kind, _condition(http))
    if row.explained:
        asked_why: dict[str, Callable[[HttpRequest], Work]] = {
            "GET": lambda http: lambda asked, _: explain.explain(node, asked, _id(http), _pairs(http.url.query)),
            "POST": lambda http: lambda asked, body: explain.explain(node, asked, _id(http), explain.of_body(body)),
        }
        made.append(_route(node, f"{under}/{kind}/{{id}}/${explain.NAME}", asked_why))
    for operation in courses.offered(kind):
        made.append(
            _route(node, f"{under}/{kind}/{{id}}/${operation.name}", {"GET": _operation(node, operation, kind)})
        )
    if row.questioned:
        question: dict[str, Callable[[HttpRequest], Work]] = {
            "GET": lambda http: lambda asked, _: asking.photos(node, asked, _pairs(http.url.query))
        }
        made.append(_route(node, f"{under}/{kind}/${asking.NAME}", question))
    made += [_route(node, f"{under}/{kind}", whole), _route(node, f"{under}/{kind}/{{id}}", one)]
    if Interaction.VREAD in offered:
        version: dict[str, Callable[[HttpRequest], Work]] = {
            "GET": lambda http: (
                lambda asked, _: _part(
                    http, asked, kind, lambda: door.vread(node, asked, kind, _id(http), http.path_params["version"])
                )
            )
        }
        made.append(_route(node, f"{under}/{kind}/{{id}}/_history/{{version}}", version))
    if Interaction.HISTORY in offered:
        of_one: dict[str, Callable[[HttpRequest], Work]] = {
            "GET": lambda http: lambda asked, _: door.changes(node, asked, kind, _id(http), _pairs(http.url.query))
        }
        made.append(_route(node, f"{under}/{kind}/{{id}}/_history", of_one))
    if Interaction.HISTORY_TYPE in offered:
        of_all: dict[str, Callable[[HttpRequest], Work]] = {
            "GET": lambda http: lambda asked, _: door.changes(node, asked, kind, None, _pairs(http.url.query))
        }
        made.insert(0, _route(node, f"{under}/{kind}/_history", of_all))
    return made


def _part(http: HttpRequest, asked: Asked, kind: str, answer: Callable[[], Reply]) -> Reply:
    """One resource, or the part of it that is asked for."""
    wanted = paging.part(_pairs(http.url.query), lenient=asked.lenient)
    whole = answer()
    return replace(whole, body=part_of(kind, whole.body, *wanted))


def _operation(node: Node, operation: courses.Operation, kind: str) -> Callable[[HttpRequest], Work]:
    def made(http: HttpRequest) -> Work:
        if any(name != "_format" for name, _ in _pairs(http.url.query)):
            raise Malformed(Issue("not-supported", f"${operation.name} takes no parameters."))
        return lambda asked, _: operation.work(node, asked, kind, _id(http))

    return made


def _statement(node: Node) -> Callable[[HttpRequest], Work]:
    statement = reply.resource(capability(node.base, node.version, node.started))
    return lambda _http: lambda _asked, _body: statement


def _openapi(node: Node) -> Callable[[HttpRequest], Work]:
    told = Reply(200, text.dump(document(node.base, node.version)), {"Content-Type": "application/json"})
    return lambda _http: lambda _asked, _body: told


def _smart(node: Node) -> Callable[[HttpRequest], Work]:
    return lambda _http: lambda _asked, _body: smart_configuration(node.engine)


def _bundle(node: Node, under: str, routes: Sequence[BaseRoute]) -> Callable[[HttpRequest], Work]:
    """A transaction, or a batch, whose entries go by these routes."""

    def work(asked: Asked, body: bytes) -> Reply:
        if batch.kind_of(body) == "transaction":
            return writes.transaction(node, asked, body)
        if not asked.prefers:
            asked = replace(asked, returns="minimal")
        return batch.carry_out(body, node.base, under, lambda http, own: _entry(routes, asked, http, own))

    return lambda _http: work


def _entry(routes: Sequence[BaseRoute], asked: Asked, http: HttpRequest, body: bytes) -> Reply:
    """One entry of a batch, by the first route that its path matches."""
    route, methods, path = next(_matching(routes, http))
    work = methods.get(http.method)
    if not methods:
        raise NotFound(Issue("not-supported", "There is nothing at this address."))
    if work is None or route.bundle or route.form:
        raise NotAllowed(Issue("not-supported", f"{http.method} is not offered here."))
    name = f"{http.method} {route.path}"

    def answer() -> Reply:
        if asked.scopes is not None and not route.public:
            require_scope(asked.scopes, http.method, route.path)
        http.scope["path_params"] = path
        return work(http)(replace(asked, route=name), body)

    return _safely(answer)


def _matching(
    routes: Sequence[BaseRoute], http: HttpRequest
) -> Iterator[tuple[_Address, Mapping[str, Callable[[HttpRequest], Work]], dict[str, str]]]:
    for route in routes:
        match = route.path_regex.match(http.scope["path"]) if isinstance(route, _Address) else None
        if isinstance(route, _Address) and match is not None:
            yield route, route.offered, match.groupdict()


class _Address(Route):
    """A route that a batch can go by as well."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[[HttpRequest], Awaitable[Response]],
        *,
        offered: Mapping[str, Callable[[HttpRequest], Work]],
        public: bool,
        form: bool,
        bundle: bool,
    ) -> None:
        super().__init__(path, endpoint, methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
        self.offered, self.public, self.form, self.bundle = offered, public, form, bundle


def _route(
    node: Node,
    path: str,
    methods: dict[str, Callable[[HttpRequest], Work]],
    *,
    public: bool = False,
    form: bool = False,
    bundle: bool = False,
) -> Route:
    """One address. Every method comes here, so that each answer is FHIR's."""

    async def endpoint(http: HttpRequest) -> Response:
        method = "GET" if http.method == "HEAD" else http.method
        try:
            made = methods.get(method)
            if not methods:
                raise NotFound(Issue("not-supported", "There is nothing at this address."))
            if made is None:
                raise NotAllowed(Issue("not-supported", f"{method} is not offered here."))
            _check_accept(http)
            body = await _body(http, bundle=bundle, form=form) if method in ("POST", "PUT") else b""
            answer = await run_in_threadpool(_answer, node, http, made(http), body, path, public)
        except Refused as error:
            answer = reply.refused(error)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} | dict(answer.headers)
        if answer.status == 405:
            headers["Allow"] = ", ".join(sorted(methods))
        if answer.body:
            headers.setdefault("Content-Type", f"{MEDIA_TYPE}; charset=utf-8")
        return Response(answer.body, answer.status, headers)

    return _Address(path, endpoint, offered=methods, public=public, form=form, bundle=bundle)


def _answer(node: Node, http: HttpRequest, work: Work, body: bytes, path: str, public: bool) -> Reply:
    """Who asks, for what, and the answer."""
    return _safely(lambda: work(_asked(node, http, path, public), body))


def _safely(answer: Callable[[], Reply]) -> Reply:
    """An answer in any case. The outermost edge: whatever fails here is a refusal with an id."""
    try:
        return answer()
    except Refused as error:
        return reply.refused(error)
    except Behind as behind:
        late = Refused(Issue("transient", str(behind)))
        return Reply(503, reply.refused(late).body, {"Retry-After": "5"})
    except (DBAPIError, ConsentError) as error:  # no database, another schema, no audit
        _LOG.warning("a FHIR request cannot be carried out now: %s", type(error).__name__)
        busy = Refused(Issue("transient", "The record cannot be reached just now. Try again."))
        return Reply(503, reply.refused(busy).body, {"Retry-After": "2"})
    except Exception as error:  # noqa: BLE001  the outermost edge (style A.8)
        identity = uuid.uuid4()
        _LOG.error("a FHIR request failed: %s (%s)", identity, type(error).__name__, exc_info=True)
        failed = Refused(Issue("exception", f"The request failed; its id in the log is {identity}."))
        return Reply(500, reply.refused(failed).body)


def _asked(node: Node, http: HttpRequest, path: str, public: bool) -> Asked:
    name = f"{http.method} {path}"
    if public:
        return Asked(Request(Requester(""), NO_PURPOSE), name)
    caller = node.identify(http.headers.get("authorization"), http.client.host if http.client else "")
    if caller is None:
        raise Unauthenticated(Issue("login", "An account is needed: HTTP Basic, or an access token (Bearer)."))
    bundle = path.rstrip("/") == urlsplit(node.base).path
    if caller.scopes is not None and not bundle:
        require_scope(caller.scopes, http.method, path)
    request = choose(caller.requester, http.headers.get(PURPOSE_HEADER), http.headers.get(EMERGENCY_HEADER))
    if request is None:
        raise Forbidden(Issue("forbidden", "The account does not hold this purpose of use, or it cannot be read."))
    preferences = _preferences(http)
    return Asked(
        request,
        name,
        lenient=preferences.get("handling") == "lenient",
        scopes=caller.scopes,
        returns=preferences.get("return", REPRESENTATION),
        prefers="return" in preferences,
    )


def _preferences(http: HttpRequest) -> dict[str, str]:
    """The Prefer headers (RFC 7240)."""
    found: dict[str, str] = {}
    for header in http.headers.getlist("prefer"):
        for part in header.replace(",", ";").split(";"):
            name, _, value = part.strip().partition("=")
            found.setdefault(name.strip().lower(), value.strip().strip('"'))
    if found.get("return") not in RETURNS:
        found.pop("return", None)  # what is not known is as if not asked for (RFC 7240, 2)
    return found


def _check_accept(http: HttpRequest) -> None:
    """JSON alone is spoken here."""
    wanted = dict(_pairs(http.url.query)).get("_format")
    if wanted is not None:
        if wanted.partition(";")[0].strip().replace(" ", "+") in _FORMATS:
            return
        raise NotAcceptable(Issue("not-supported", "The record speaks application/fhir+json."))
    accept = ",".join(http.headers.getlist("accept"))
    if accept.strip(" ,") and not any(_accepts(part) for part in accept.split(",")):
        raise NotAcceptable(Issue("not-supported", "The record speaks application/fhir+json."))


def _accepts(part: str) -> bool:
    """Whether a part of an Accept header takes JSON; a quality of 0 takes it not (RFC 9110, 12.4.2)."""
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    return kind in _ACCEPTED and not any(_NOT_AT_ALL.fullmatch(each) for each in parameters)


async def _body(http: HttpRequest, *, bundle: bool, form: bool) -> bytes:
    """The body, read no further than its limit."""
    kind, _, parameters = http.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    allowed = {"application/x-www-form-urlencoded"} if form else _JSON
    if kind not in allowed and not (form and not kind):
        raise UnsupportedMediaType(Issue("not-supported", f"A body here is {' or '.join(sorted(allowed))}."))
    charset = parameters.lower().replace(" ", "").replace('"', "").partition("charset=")[2].partition(";")[0]
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(Issue("not-supported", "A body here is UTF-8."))
    limit = _MAX_QUERY if form else text.MAX_BUNDLE_BYTES if bundle else text.MAX_RESOURCE_BYTES
    parts: list[bytes] = []
    size = 0
    async for part in http.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(Issue("too-long", f"The body is larger than {limit} bytes."))
        parts.append(part)
    return b"".join(parts)


def _pairs(query: str) -> Sequence[tuple[str, str]]:
    if len(query) > _MAX_QUERY:
        raise TooLarge(Issue("too-long", "The search is too long."))
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=200, errors="strict")
    except ValueError:
        raise Malformed(Issue("value", "The search cannot be read.")) from None
    if any("\x00" in part for pair in pairs for part in pair):
        raise Malformed(Issue("value", "The search holds a character that FHIR does not allow."))
    return pairs


def _form(body: bytes) -> Sequence[tuple[str, str]]:
    try:
        return _pairs(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Malformed(Issue("value", "The search is not UTF-8.")) from None


def _condition(http: HttpRequest) -> str:
    """The condition of a conditional write: a search by identifier in the address."""
    if len(http.url.query) > _MAX_QUERY:
        raise TooLarge(Issue("too-long", "The search is too long."))
    if not http.url.query:
        raise NotAllowed(Issue("not-supported", f"{http.method} wants an id, or ?identifier=."))
    return http.url.query


def _id(http: HttpRequest) -> str:
    """The id in an address; what cannot be one names nothing."""
    identity = str(http.path_params["id"])
    if not references.ID.fullmatch(identity):
        raise NotFound
    return identity
