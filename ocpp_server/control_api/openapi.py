"""The OpenAPI 3.1 document of the API, made of its routes and of the structs that they take and give."""

import inspect
import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import msgspec

from ocpp_server import __version__
from ocpp_server.control_api.fields import PATH_PARTS
from ocpp_server.control_api.problems import LONGEST_NAME
from ocpp_server.control_api.routing import Route

Json: TypeAlias = dict[str, Any]

_PARAMETER: Final = re.compile(r"{(\w+)(?::([^{}]*(?:{[^{}]*}[^{}]*)*))?}")
_ALWAYS: Final = (400, 401, 403, 413, 415, 500, 503)
_TEXT: Final = {"type": "string"}
_BEARER: Final = {"type": "http", "scheme": "bearer"}
_HEADERS: Final = {
    "ETag": "Of the file: for If-Match of an edit.",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no: a proxy is not to gather events.",
    "WWW-Authenticate": "Bearer",
}
_ABOUT: Final = (
    "Everything an operator can ask of this site. Each request needs the bearer token of the file `api_token` in the "
    "data folder; for what a viewer may see, that of `api_viewer_token` is enough. The header X-Requested-By says for "
    "the books who asks. Energy is in Wh where a name says `wh`, in kWh where it says `kwh`; times are ISO 8601, "
    "answers in UTC. Errors are problem documents (RFC 9457). A body is JSON of 64 KiB at most, not compressed. What "
    "is no HTTP, or has a line of more than 8 KiB, gets a 400 as plain text."
)


class ProblemDocument(msgspec.Struct, kw_only=True):
    """An error (RFC 9457). `field` names what does not fit, where that is known."""

    title: str
    status: int
    detail: str
    field: str = ""


def document(routes: Sequence[Route]) -> Json:
    """The document; `routes` have different names."""
    schemas, components = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "evquota", "version": __version__, "description": _ABOUT},
        "security": [{"token": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"token": _BEARER, "viewer_token": _BEARER}},
    }


def _schemas(routes: Iterable[Route]) -> tuple[dict[int, Json], dict[str, Json]]:
    """The schema of each type by its identity, and the named ones."""
    kinds = {
        id(kind): kind for route in routes for kind in (route.takes, route.query, route.gives) if kind is not None
    } | {id(ProblemDocument): ProblemDocument}
    found, components = msgspec.json.schema_components(kinds.values(), ref_template="#/components/schemas/{name}")
    return dict(zip(kinds, found, strict=True)), components


def _operation(route: Route, schemas: dict[int, Json], components: dict[str, Json]) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "description": inspect.getdoc(route.handle) or "",
        "tags": [route.tag],
        "parameters": [*_in_path(route), *_in_query(route, schemas, components), *_in_header(route)],
        "responses": _responses(route, schemas),
        "x-evquota-role": "viewer" if route.is_for_viewers else "administrator",
    }
    if route.is_for_viewers:
        operation["security"] = [{"token": []}, {"viewer_token": []}]
    if route.takes is not None:
        content = {"application/json": {"schema": schemas[id(route.takes)]}}
        operation["requestBody"] = {"required": not route.is_body_optional, "content": content}
    return operation


def _in_path(route: Route) -> list[Json]:
    parts = {**PATH_PARTS, **route.parts}
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _TEXT | {"pattern": f"^{pattern}$"} if pattern else parts.get(name, _TEXT | {"minLength": 1}),
        }
        for name, pattern in _PARAMETER.findall(route.path)
    ]


def _in_query(route: Route, schemas: dict[int, Json], components: dict[str, Json]) -> list[Json]:
    if route.query is None:
        return []
    schema = components[schemas[id(route.query)]["$ref"].rpartition("/")[2]]
    required = schema.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": one}
        for name, one in schema["properties"].items()
    ]


def _in_header(route: Route) -> list[Json]:
    """A person edits what it has seen: with its ETag (412 if it changed meanwhile)."""
    told = {}
    if route.streams:
        told["Last-Event-ID"] = "Go on behind this event."
    if 412 in route.problems:
        told["If-Match"] = "The ETag of what was seen; blank or left out: whatever is there."
    if route.method != "GET":
        told["X-Requested-By"] = f"Who asks, for the books; {LONGEST_NAME} characters of it are kept."
    return [
        {"name": name, "in": "header", "required": False, "schema": _TEXT, "description": text}
        for name, text in told.items()
    ]


def _responses(route: Route, schemas: dict[int, Json]) -> Json:
    good: Json = {"description": HTTPStatus(route.status).phrase} | _with_headers(route.headers)
    if route.gives is not None:
        good["content"] = {"application/json": {"schema": schemas[id(route.gives)]}}
    if route.streams:
        good["content"] = {route.streams: {"schema": {"type": "string"}}}
    statuses = {*_ALWAYS, *route.problems}
    if route.takes is not None:
        statuses.add(422)
    if route.query is not None:
        statuses.add(422)
    if "{" in route.path:
        statuses.add(404)
    problem = {"application/problem+json": {"schema": schemas[id(ProblemDocument)]}}
    problems = {str(one): {"description": HTTPStatus(one).phrase, "content": problem} for one in sorted(statuses)}
    problems["400"] |= {"content": problem | {"text/plain": {"schema": _TEXT}}}
    problems["401"] |= _with_headers(("WWW-Authenticate",))
    return {str(route.status): good} | problems


def _with_headers(names: Sequence[str]) -> Json:
    """Each of them comes with every such answer."""
    told = {name: {"description": _HEADERS[name], "required": True, "schema": _TEXT} for name in names}
    return {"headers": told} if told else {}
