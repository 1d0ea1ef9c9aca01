"""The Kubernetes API over HTTP: who asks for what, where it is done, and how errors are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from chaos.lab.api import (
    bodies,
    definitions,
    discovery,
    execute,
    logs,
    negotiation,
    options,
    policies,
    reviews,
    scaling,
)
from chaos.lab.api.authorizing import Access, Act
from chaos.lab.api.checking import Checker
from chaos.lab.api.errors import ApiError, bad_request, no_resource, not_allowed, page_not_found, too_large
from chaos.lab.api.paging import page
from chaos.lab.api.patching import check_type
from chaos.lab.api.paths import Named, Target, is_set, named, no_subresource, target
from chaos.lab.api.resources import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, PODS, SERVICE_ACCOUNTS
from chaos.lab.api.store import Store
from chaos.lab.api.validation import Validator
from chaos.lab.api.watching import watch
from chaos.lab.api.writing import Writes

_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def create_app(
    store: Store,
    *,
    validators: Mapping[str, Validator],
    exec_handler: execute.ExecHandler | None = None,
    log_handler: logs.LogHandler | None = None,
    administrators: Collection[str] = (),
) -> Starlette:
    """The API of one store.

    Args:
        store: Where the objects are.
        validators: By kind; asked before anything of that kind is stored.
        exec_handler: Runs a command in a container; without one, exec is not served.
        log_handler: What a container wrote; without one, logs are not served.
        administrators: Tokens that may do everything, as a request without any may.
    """
    access = Access(store, administrators=administrators)
    routes: list[Route | WebSocketRoute] = [
        Route("/healthz", _ok), Route("/readyz", _ok), Route("/livez", _ok), Route("/openapi/v2", _openapi_v2),
    ]  # fmt: skip
    if exec_handler is not None:
        routes.append(
            WebSocketRoute(
                "/api/v1/namespaces/{namespace}/pods/{pod}/exec", execute.endpoint(store, exec_handler, access)
            )
        )
    routes.append(Route("/{path:path}", _Api(store, validators, log_handler, access)))
    return Starlette(routes=routes)


def _ok(request: Request) -> Response:  # noqa: ARG001 - a handler's signature
    return PlainTextResponse("ok")


def _openapi_v2(request: Request) -> Response:
    if "protobuf" in request.headers.get("accept", ""):
        return Response(discovery.openapi_v2_protobuf(), media_type=discovery.OPENAPI_PROTOBUF)
    return JSONResponse(discovery.openapi_v2())


class _Api:
    """All paths but those of health, whatever the method: as an ASGI application, since Starlette limits functions' methods."""

    def __init__(
        self, store: Store, validators: Mapping[str, Validator], log_handler: logs.LogHandler | None, access: Access
    ) -> None:
        self._store = store
        self._access = access
        self._logs = log_handler
        checker = Checker({CUSTOM_RESOURCE_DEFINITIONS.kind: definitions.validate, **policies.VALIDATORS, **validators})
        self._writes = Writes(store, checker, access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ApiError as error:
            response = _told(error)
        except RecursionError:
            response = _told(bad_request("the object is nested too deep"))
        if request.method == "HEAD":
            response = Response(status_code=response.status_code, media_type=response.media_type)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, method = request.url.path, request.method
        user = self._access.user(request)
        words = named(path)
        if words is None:
            self._access.check_path(user, method, path)
            found = self._discovered(request, path)
            if found is None:
                raise no_resource() if path.startswith("/api/") else page_not_found()
            if method not in ("GET", "HEAD"):
                raise not_allowed()
            return JSONResponse(found)
        if path.rstrip("/") in reviews.PATHS:
            if method != "POST":
                raise not_allowed()
            kind = reviews.PATHS[path.rstrip("/")]
            return reviews.review(self._access, kind, (await bodies.read_object(request, kind)).object, user)
        verb = _verb(request, words)
        if verb:
            self._access.check(user, _act(words, verb))
        asked = target(words, verb)
        if not verb:
            raise _no_verb(asked)
        if asked.subresource is not None:
            found_part = await self._part(request, asked)
            if found_part is not None:
                return found_part
        if asked.name is None:
            return await self._collection(request, asked, verb)
        return await self._single(request, asked, asked.name)

    def _discovered(self, request: Request, path: str) -> dict[str, Any] | None:
        parts = [part for part in path.split("/") if part]
        match parts:
            case ["version"]:
                return discovery.VERSION
            case ["api"]:
                return discovery.versions(request.url.netloc)
            case ["api", "v1"]:
                return discovery.resources("", "v1")
            case ["apis"]:
                return discovery.groups()
            case ["apis", group]:
                return discovery.group(group)
            case ["apis", group, version]:
                return discovery.resources(group, version)
            case ["openapi", "v3"]:
                return discovery.openapi_v3_index()
            case ["openapi", "v3", *rest]:
                return discovery.openapi_v3("/".join(rest), self._store.list(CUSTOM_RESOURCE_DEFINITIONS))
        return None

    # --- parts of an object ------------------------------------------------------------------------------------------

    async def _part(self, request: Request, asked: Target) -> Response | None:
        """What a subresource answers that is no object of its own; ``None`` for ``status`` and ``scale``.

        Raises:
            ApiError: 404, there is no such part.
        """
        res, name = asked.resource, str(asked.name)
        match asked.subresource:
            case "token" if res is SERVICE_ACCOUNTS:
                if request.method != "POST":
                    raise not_allowed()
                body = await bodies.read_options(request)
                return reviews.token(self._access, self._store, asked, body)
            case "log" if res is PODS and self._logs is not None:
                self._store.get(PODS, asked.namespace, name)
                query = request.query_params
                previous = is_set(query, "previous")
                return logs.response(
                    self._logs(str(asked.namespace), name, query.get("container", ""), previous), query
                )
            case "exec" if res is PODS:
                raise bad_request(
                    "the lab executes over WebSockets only, not over SPDY: use kubectl 1.31 or newer, "
                    "or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true (1.29, 1.30)"
                )
            case "status" if res.status:
                return None
            case "scale" if res.scalable:
                return None
        raise no_subresource(asked)

    # --- objects -----------------------------------------------------------------------------------------------------

    async def _collection(self, request: Request, asked: Target, verb: str) -> Response:
        res = asked.resource
        if verb in ("list", "watch"):
            if request.method == "HEAD" and not res.custom:
                raise not_allowed()
            view, wanted = negotiation.view(request), options.list_options(request, res, watch=verb == "watch")
            if verb == "watch":
                return watch(self._store, asked, wanted, view)
            return view.response(view.many(page(self._store, asked, wanted), asked))
        if res.namespaced and asked.namespace is None:
            raise not_allowed()
        if verb == "create":
            return await self._writes.create(request, asked)
        if verb == "deletecollection":
            return await self._writes.delete_all(request, asked)
        if not res.custom:
            raise not_allowed()
        if verb == "patch":
            check_type(request.headers.get("content-type", "").partition(";")[0].strip(), custom=True)
        raise bad_request("name must be provided")

    async def _single(self, request: Request, asked: Target, name: str) -> Response:
        match request.method:
            case "GET":
                return self._get(request, asked, name)
            case "HEAD" if asked.resource.custom:
                return self._get(request, asked, name)
            case "PUT":
                return await self._writes.put(request, asked, name)
            case "PATCH":
                return await self._writes.patch(request, asked, name)
            case "DELETE" if asked.subresource is None:
                return await self._writes.delete(request, asked, name)
            case "POST" if asked.resource.custom and asked.subresource is None:
                return await self._writes.create(request, asked)
        raise not_allowed()

    def _get(self, request: Request, asked: Target, name: str) -> Response:
        view, version = negotiation.view(request), request.query_params.get("resourceVersion", "")
        if version and (number := options.version_number(version)) > self._store.version:
            raise too_large(number, self._store.version)
        found = self._store.get(asked.resource, asked.namespace, name)
        return view.response(scaling.scale(found) if asked.subresource == "scale" else view.one(found, asked))


def _told(error: ApiError) -> Response:
    if error.plain:
        return PlainTextResponse(error.message, status_code=error.code)
    response = JSONResponse(error.status(), status_code=error.code)
    after = (error.details or {}).get("retryAfterSeconds")
    if after:
        response.headers["retry-after"] = str(after)
    return response


def _verb(request: Request, words: Named) -> str:
    """What a request wants, in RBAC's words; empty for a method that is none of Kubernetes'."""
    if request.method in ("GET", "HEAD"):
        if words.name:
            return "get"
        return "watch" if is_set(request.query_params, "watch") else "list"
    if request.method == "DELETE":
        return "delete" if words.name else "deletecollection"
    return _VERBS.get(request.method, "")


def _act(words: Named, verb: str) -> Act:
    namespace = words.namespace or ""
    if (words.group, words.plural) == NAMESPACES.key:
        namespace = words.name or ""  # a Role of a namespace may allow to read the namespace itself
    return Act(verb=verb, group=words.group, resource=words.resource, namespace=namespace, name=words.name or "")


def _no_verb(asked: Target) -> ApiError:
    """405: a method that Kubernetes does not know."""
    res = asked.resource
    if not res.custom:
        return not_allowed()
    message = f' is not supported on resources of kind "{res.plural}.{res.group}"'
    return ApiError(405, "MethodNotAllowed", message, details={"group": res.group, "kind": res.plural})
