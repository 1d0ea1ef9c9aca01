"""The Kubernetes API over HTTP: paths, verbs, patches, watches, dry runs, errors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from chaos.lab.api import bodies, definitions, discovery, execute, ownership, policies, reviews
from chaos.lab.api.admission import Admission, Review
from chaos.lab.api.authorizing import Access, Act
from chaos.lab.api.errors import ApiError, bad_request, conflict, invalid
from chaos.lab.api.paging import Pages
from chaos.lab.api.patching import APPLY_PATCH, apply_patch
from chaos.lab.api.paths import Target, as_served, is_set, parse_path
from chaos.lab.api.resources import CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICES, Resource
from chaos.lab.api.selectors import Selector
from chaos.lab.api.store import Store
from chaos.lab.api.table import table, wanted
from chaos.lab.api.validation import Cause, Validator, dotted
from chaos.lab.api.watching import watch

_METHODS: Final = ["GET", "POST", "PUT", "PATCH", "DELETE"]
LogHandler = Callable[[str, str, str], str]
"""``(namespace, pod, container)`` to the text; raises ``ApiError`` for a container that is not there."""
_ISTIO: Final = "validation.istio.io"
_WEBHOOKS: Final = {"monitoring.coreos.com": "prometheusrulevalidate.monitoring.coreos.com"}
"""By group, the webhook whose part the lab plays; Istio's for all others."""
_TOLD_WHOLE: Final = (PODS, SERVICES, SERVICE_ACCOUNTS)
"""What a deletion answers with the object itself; all others with a Status."""
_FIELDS: Final = ("metadata.name", "metadata.namespace")


def create_app(
    store: Store,
    *,
    validators: Mapping[str, Validator],
    exec_handler: execute.ExecHandler | None = None,
    log_handler: LogHandler | None = None,
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
    api = _Api(store, validators, log_handler, access)
    routes: list[Route | WebSocketRoute] = [
        Route("/healthz", _ok), Route("/readyz", _ok), Route("/livez", _ok),
        *(Route(path, lambda _: JSONResponse(discovery.VERSION)) for path in ("/version", "/version/")),
        Route("/api", lambda _: JSONResponse(discovery.versions())),
        Route("/apis", lambda _: JSONResponse(discovery.groups())),
        Route("/openapi/v2", _openapi_v2),
        Route("/openapi/v3", lambda _: JSONResponse(discovery.openapi_v3_index())),
        Route("/openapi/v3/{path:path}", api.openapi),
    ]  # fmt: skip
    if exec_handler is not None:
        routes.append(
            WebSocketRoute(
                "/api/v1/namespaces/{namespace}/pods/{pod}/exec", execute.endpoint(store, exec_handler, access)
            )
        )
    routes.append(Route("/{path:path}", api.handle, methods=_METHODS))
    return Starlette(routes=routes)


def _ok(request: Request) -> Response:  # noqa: ARG001 - a handler's signature
    return PlainTextResponse("ok")


def _openapi_v2(request: Request) -> Response:
    if "protobuf" in request.headers.get("accept", ""):
        return Response(discovery.openapi_v2_protobuf(), media_type=discovery.OPENAPI_PROTOBUF)
    return JSONResponse(discovery.openapi_v2())


class _Api:
    def __init__(
        self, store: Store, validators: Mapping[str, Validator], logs: LogHandler | None, access: Access
    ) -> None:
        self._store = store
        self._access = access
        self._admission = Admission(store)
        self._validators = {
            CUSTOM_RESOURCE_DEFINITIONS.kind: definitions.validate, **policies.VALIDATORS, **validators
        }  # fmt: skip
        self._logs = logs
        self._pages = Pages()

    async def handle(self, request: Request) -> Response:
        try:
            return await self._dispatch(request)
        except ApiError as error:
            return JSONResponse(error.status(), status_code=error.code)
        except RecursionError:
            deep = bad_request("the object is nested too deep")
            return JSONResponse(deep.status(), status_code=deep.code)

    async def openapi(self, request: Request) -> Response:
        described = discovery.openapi_v3(request.path_params["path"], self._store.list(CUSTOM_RESOURCE_DEFINITIONS))
        return JSONResponse(described)

    async def _dispatch(self, request: Request) -> Response:
        path = request.url.path
        user = self._access.user(request)
        found = self._discover(path)
        if found is not None:
            return JSONResponse(found)
        if path.rstrip("/") in reviews.PATHS and request.method == "POST":
            return reviews.review(self._access, reviews.PATHS[path.rstrip("/")], await bodies.read(request), user)
        target = parse_path(path)
        if target is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self._access.check(user, _act(request, target))
        if target.subresource == "token" and target.resource is SERVICE_ACCOUNTS and request.method == "POST":
            return reviews.token(self._access, target, await bodies.read(request, optional=True))
        if target.subresource == "log" and target.resource is PODS and target.name and self._logs is not None:
            self._store.get(PODS, target.namespace, target.name)
            container = request.query_params.get("container", "")
            text = self._logs(str(target.namespace), target.name, container)
            return PlainTextResponse(_tailed(text, request.query_params))
        if target.subresource == "exec":
            raise bad_request(
                "the lab executes over WebSockets only, not over SPDY: use kubectl 1.31 or newer, "
                "or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true (1.29, 1.30)"
            )
        if target.subresource not in (None, "status", "scale") or (
            target.subresource == "scale" and not target.resource.scalable
        ):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if target.name is None:
            return await self._collection(request, target)
        return await self._single(request, target, target.name)

    @staticmethod
    def _discover(path: str) -> dict[str, Any] | None:
        parts = [part for part in path.split("/") if part]
        if parts == ["api", "v1"]:
            return discovery.resources("", "v1")
        if parts[:1] == ["apis"] and len(parts) == 2:
            return discovery.group(parts[1])
        if parts[:1] == ["apis"] and len(parts) == 3:
            return discovery.resources(parts[1], parts[2])
        return None

    # --- verbs -----------------------------------------------------------------------------------------------------

    async def _collection(self, request: Request, target: Target) -> Response:
        if request.method == "GET":
            if is_set(request.query_params, "watch"):
                return watch(self._store, request, target, _selector(request, target.resource))
            return self._list(request, target)
        if request.method == "POST":
            return await self._create(request, target)
        if request.method == "DELETE":
            for obj in self._store.list(target.resource, target.namespace, _selector(request, target.resource)):
                meta = obj["metadata"]
                if self._store.find(target.resource, meta.get("namespace"), meta["name"]) is not None:
                    review = self._review(request, target, meta["name"])
                    self._store.delete(
                        target.resource, meta.get("namespace"), meta["name"], dry_run=_dry(request), admit=review
                    )
            return JSONResponse({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    def _list(self, request: Request, target: Target) -> Response:
        asked = request.query_params
        if asked.get("continue"):
            page = self._pages.following(asked["continue"], asked.get("limit", ""))
        else:
            objects = self._store.list(target.resource, target.namespace, _selector(request, target.resource))
            page = self._pages.first(objects, str(self._store.version), asked.get("limit", ""))
        if wanted(request.headers.get("accept", "")):
            rows = table(target.resource, page.objects, version=page.version)
            return JSONResponse({**rows, "metadata": page.metadata})
        return JSONResponse(
            {
                "kind": f"{target.resource.kind}List",
                "apiVersion": target.resource.api_version(target.version),
                "metadata": page.metadata,
                "items": [as_served(obj, target) for obj in page.objects],
            }
        )

    async def _create(self, request: Request, target: Target) -> Response:
        obj = await bodies.read(request)
        _fits(obj, target)
        meta = obj.setdefault("metadata", {})
        if target.resource.namespaced:
            if meta.get("namespace") not in (None, "", target.namespace):
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
            meta["namespace"] = target.namespace
        return self._store_new(request, target, obj)

    def _store_new(self, request: Request, target: Target, obj: dict[str, Any]) -> Response:
        warnings = self._validate(request, target.resource, obj)
        if not (obj.get("metadata") or {}).get("managedFields"):
            obj.setdefault("metadata", {})["managedFields"] = ownership.track(None, obj, _writer(request, target))
        review = self._review(request, target, obj["metadata"].get("name") or "")
        created = self._store.create(target.resource, obj, dry_run=_dry(request), admit=review)
        return self._answer(request, target, created, 201, (*warnings, *review.warnings))

    async def _single(self, request: Request, target: Target, name: str) -> Response:
        res, namespace = target.resource, target.namespace
        if request.method == "GET":
            return self._answer(request, target, self._store.get(res, namespace, name))
        if request.method == "DELETE":
            options = await bodies.read(request, optional=True)
            wants = options.get("preconditions") or {}
            gone = self._store.delete(
                res, namespace, name, uid=wants.get("uid"), version=wants.get("resourceVersion"), dry_run=_dry(request, options),
                admit=self._review(request, target, name, dry_run=_dry(request, options)),
            )  # fmt: skip
            if res in _TOLD_WHOLE:
                return JSONResponse(as_served(gone, target))
            details = {"name": name, "group": res.group, "kind": res.plural, "uid": gone["metadata"]["uid"]}
            return JSONResponse(
                {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
            )
        if request.method == "PUT":
            return self._write(request, target, name, await bodies.read(request))
        if request.method == "PATCH":
            kind = request.headers.get("content-type", "").partition(";")[0].strip()
            if kind == APPLY_PATCH:
                return await self._apply(request, target, name)
            patch = await bodies.read(request, any_type=True)
            shown = self._shown(target, self._store.get(res, namespace, name))
            return self._write(
                request,
                target,
                name,
                apply_patch(kind, shown, patch, custom=_is_custom(res)),
            )
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")

    async def _apply(self, request: Request, target: Target, name: str) -> Response:
        """Server-side apply: makes the object, or takes over the fields that are given."""
        res, namespace = target.resource, target.namespace
        if not request.query_params.get("fieldManager"):
            raise invalid(
                res, name, [Cause(field="fieldManager", message="Required value: is required for apply patch")]
            )
        applied = await bodies.read_yaml(request)
        _fits(applied, target)
        meta = applied.setdefault("metadata", {})
        if meta.setdefault("name", name) != name:
            raise bad_request(f"the name of the object ({meta['name']}) does not match the name on the URL ({name})")
        if res.namespaced and meta.setdefault("namespace", namespace) != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        live = self._store.find(res, namespace, name)
        if live is not None and meta.get("uid") not in (None, "", live["metadata"]["uid"]):
            raise conflict(res, name, f"Precondition failed: UID in precondition: {meta['uid']}")
        force = is_set(request.query_params, "force")
        shown = None if live is None else as_served(live, target)
        obj = ownership.apply(shown, applied, _writer(request, target), force=force)
        if live is None:
            self._access.check(self._access.user(request), replace(_act(request, target), verb="create"))
            return self._store_new(request, target, obj)
        if meta.get("resourceVersion"):
            obj["metadata"]["resourceVersion"] = meta["resourceVersion"]
        return self._write(request, target, name, obj, owners=obj["metadata"]["managedFields"])

    def _write(
        self, request: Request, target: Target, name: str, obj: dict[str, Any], *, owners: list[Any] | None = None
    ) -> Response:
        res, namespace = target.resource, target.namespace
        if target.subresource == "scale":
            obj = _scaled(self._store.get(res, namespace, name), obj)
        else:
            _fits(obj, target)
        status = target.subresource == "status"
        obj["metadata"] = {"name": name, "namespace": namespace, **obj.get("metadata", {})}
        warnings = () if status else self._validate(request, res, obj)
        if owners is None:
            live = self._store.find(res, namespace, name)
            owners = ownership.track(live, obj, _writer(request, target))
        if owners:
            obj["metadata"]["managedFields"] = owners
        else:
            obj["metadata"].pop("managedFields", None)
        review = self._review(request, target, name)
        stored = self._store.replace(res, namespace, name, obj, dry_run=_dry(request), status=status, admit=review)
        return self._answer(request, target, stored, 200, (*warnings, *review.warnings))

    # --- inside ----------------------------------------------------------------------------------------------------

    def _review(self, request: Request, target: Target, name: str, *, dry_run: bool | None = None) -> Review:
        dry_run = _dry(request) if dry_run is None else dry_run
        return self._admission.review(target, self._access.user(request), name=name, dry_run=dry_run)

    def _validate(self, request: Request, res: Resource, obj: dict[str, Any]) -> tuple[str, ...]:
        """Asks the kind's validator; drops nulls, and fields that the schema does not have, as the real server does."""
        validator = self._validators.get(res.kind)
        if validator is None:
            return ()
        found = validator(obj)
        strictness = request.query_params.get("fieldValidation", "Warn")
        if found.unknown and strictness == "Strict":
            told = ", ".join(f'unknown field "{dotted(path)}"' for path in found.unknown)
            raise bad_request(f"strict decoding error: {told}")
        found.prune(obj)
        if found.causes:
            raise invalid(res, obj.get("metadata", {}).get("name", ""), found.causes)
        if found.denied:
            message = f'admission webhook "{_WEBHOOKS.get(res.group, _ISTIO)}" denied the request: {found.denied}'
            raise bad_request(message)
        pruned = tuple(f'unknown field "{dotted(path)}"' for path in found.unknown) if strictness == "Warn" else ()
        return (*pruned, *found.warnings)

    @staticmethod
    def _shown(target: Target, obj: dict[str, Any]) -> dict[str, Any]:
        if target.subresource == "scale":
            return _scale(obj)
        return as_served(obj, target)

    def _answer(
        self, request: Request, target: Target, obj: dict[str, Any], code: int = 200, warnings: tuple[str, ...] = ()
    ) -> Response:
        if wanted(request.headers.get("accept", "")) and target.subresource is None:
            content = table(target.resource, [obj], version=obj["metadata"]["resourceVersion"])
        else:
            content = self._shown(target, obj)
        response = JSONResponse(content, status_code=code)
        for text in warnings:
            quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
            response.raw_headers.append((b"warning", f'299 - "{quoted}"'.encode()))
        return response


def _fits(obj: dict[str, Any], target: Target) -> None:
    res = target.resource
    kind, version = obj.get("kind", res.kind), obj.get("apiVersion", res.api_version(target.version))
    if kind != res.kind or version not in {res.api_version(v) for v in res.versions}:
        raise bad_request(
            f"the API version in the data ({version}, Kind={kind}) does not match the expected {res.api_version(target.version)}, Kind={res.kind}"
        )


def _scale(obj: dict[str, Any]) -> dict[str, Any]:
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")}
    replicas = obj.get("spec", {}).get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": {"replicas": replicas},
        "status": {"replicas": replicas},
    }


def _scaled(obj: dict[str, Any], scale: dict[str, Any]) -> dict[str, Any]:
    version = scale.get("metadata", {}).get("resourceVersion")
    meta = {**obj["metadata"], **({"resourceVersion": version} if version else {})}
    return {
        **obj,
        "metadata": meta,
        "spec": {**obj.get("spec", {}), "replicas": scale.get("spec", {}).get("replicas", 0)},
    }


def _selector(request: Request, res: Resource) -> Selector | None:
    labels, fields = request.query_params.get("labelSelector", ""), request.query_params.get("fieldSelector", "")
    if not labels and not fields:
        return None
    selector = Selector(labels, fields)
    unknown = next((path for path in selector.paths if path not in (*_FIELDS, *res.fields)), None)
    if unknown is not None:
        raise bad_request(f"field label not supported: {unknown}")
    return selector


def _act(request: Request, target: Target) -> Act:
    """What a request wants, in RBAC's words."""
    if request.method == "GET":
        watching = is_set(request.query_params, "watch")
        verb = "get" if target.name else "watch" if watching else "list"
    elif request.method == "DELETE":
        verb = "delete" if target.name else "deletecollection"
    else:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch"}[request.method]
    resource = f"{target.resource.plural}/{target.subresource}" if target.subresource else target.resource.plural
    namespace = (target.namespace if target.resource.namespaced else "") or ""
    if target.resource is NAMESPACES:
        namespace = target.name or ""  # a Role of a namespace may allow to read the namespace itself
    return Act(verb=verb, group=target.resource.group, resource=resource, namespace=namespace, name=target.name or "")


def _writer(request: Request, target: Target) -> ownership.Writer:
    agent = request.headers.get("user-agent", "").partition("/")[0]
    return ownership.Writer(
        manager=request.query_params.get("fieldManager") or agent or "unknown",
        api_version=target.resource.api_version(target.version),
        custom=_is_custom(target.resource),
        subresource=target.subresource or "",
    )


def _is_custom(res: Resource) -> bool:
    """Whether Kubernetes knows the kind by a CustomResourceDefinition only."""
    return "." in res.group and not res.group.endswith("k8s.io")


def _tailed(text: str, asked: Mapping[str, str]) -> str:
    lines = text.splitlines(keepends=True)
    try:
        wanted_lines = int(asked.get("tailLines") or len(lines))
    except ValueError as error:
        raise bad_request(f"invalid tailLines {asked['tailLines']!r}") from error
    return "".join(lines[max(0, len(lines) - wanted_lines) :])


def _dry(request: Request, options: Mapping[str, Any] | None = None) -> bool:
    chosen = request.query_params.getlist("dryRun") + list((options or {}).get("dryRun") or ())
    if any(value != "All" for value in chosen):
        raise bad_request(f"invalid dryRun: {chosen}; expected All")
    return bool(chosen)
