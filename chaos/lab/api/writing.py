"""Creating, replacing, patching, applying and deleting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from chaos.lab.api import bodies, negotiation, options, ownership, scaling
from chaos.lab.api.admission import Admission, Review
from chaos.lab.api.authorizing import Access, Act
from chaos.lab.api.checking import Checker, Received
from chaos.lab.api.errors import bad_request, conflict, forbidden, invalid, not_allowed, not_found, other_uid
from chaos.lab.api.negotiation import View
from chaos.lab.api.options import WriteOptions
from chaos.lab.api.paging import Page
from chaos.lab.api.patching import APPLY_PATCH, apply_patch, check_type
from chaos.lab.api.paths import Target, as_served
from chaos.lab.api.resources import NAMESPACES
from chaos.lab.api.store import OF_THE_SERVER, Object, Store
from chaos.lab.api.validation import Cause, Validation

_IMMORTAL: Final = ("default", "kube-system", "kube-public")
"""Namespaces that may not be deleted (``apiserver/pkg/admission/plugin/namespace/lifecycle``)."""


class Writes:
    """The writes of one store."""

    def __init__(self, store: Store, checker: Checker, access: Access) -> None:
        self._store = store
        self._checker = checker
        self._access = access
        self._admission = Admission(store)

    # --- creating ----------------------------------------------------------------------------------------------------

    async def create(self, request: Request, target: Target) -> Response:
        """POST."""
        view, wanted = negotiation.view(request), options.write_options(request)
        body = await bodies.read_object(request, target.resource.kind)
        received = self._checker.sent(target, body.object, body.duplicates, wanted.strictness)
        return self._create(request, target, view, wanted, received)

    def _create(
        self,
        request: Request,
        target: Target,
        view: View,
        wanted: WriteOptions,
        received: Received,
        *,
        owners: list[Any] | None = None,
    ) -> Response:
        res, obj = target.resource, received.object
        meta = obj["metadata"]
        if res.namespaced:
            _check_namespace(meta, target)
        if res.status:
            obj.pop("status", None)
        versioned = bool(meta.get("resourceVersion"))
        for key in OF_THE_SERVER:
            meta.pop(key, None)
        _own(obj, ownership.track(None, obj, _writer(request, target)) if owners is None else owners)
        review = self._review(request, target, meta.get("name") or "", dry_run=wanted.dry_run)
        admit = self._checker.admit(target, received, review, versioned=versioned)
        made = self._store.create(res, obj, dry_run=wanted.dry_run, admit=admit)
        return _answer(view, target, made, 201, (*received.warnings, *review.warnings))

    # --- replacing ---------------------------------------------------------------------------------------------------

    async def put(self, request: Request, target: Target, name: str) -> Response:
        """PUT; of some kinds it makes what is not there."""
        view, wanted = negotiation.view(request), options.write_options(request)
        res, namespace = target.resource, target.namespace
        if target.subresource == "scale":
            scale = (await bodies.read_object(request, "Scale")).object
            return self._scaled(request, target, view, wanted, scale)
        body = await bodies.read_object(request, res.kind)
        received = self._checker.sent(target, body.object, body.duplicates, wanted.strictness)
        meta = received.object["metadata"]
        _check_name(meta, name, target)
        live = self._store.find(res, namespace, name)
        if live is None:
            if not res.created_by_put:
                raise not_found(res, name)
            if meta.get("uid"):
                raise other_uid(res, namespace, name, meta["uid"], "")
            meta.pop("resourceVersion", None)
            self._access.check(self._access.user(request), replace(act(target, "create"), name=""))
            return self._create(request, target, view, wanted, received)
        was = live["metadata"]
        if meta.get("uid") not in (None, "", was["uid"]):
            raise other_uid(res, namespace, name, meta["uid"], was["uid"])
        if not meta.get("resourceVersion") and not res.unconditional:
            cause = Cause.invalid("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(res, name, [cause], kind=res.plural)
        return self._replace(request, target, view, wanted, received)

    def _replace(
        self,
        request: Request,
        target: Target,
        view: View,
        wanted: WriteOptions,
        received: Received,
        *,
        owners: list[Any] | None = None,
    ) -> Response:
        res, namespace, obj = target.resource, target.namespace, received.object
        name = str(target.name)
        live = self._store.find(res, namespace, name)
        if res is NAMESPACES and live is not None:
            obj["spec"] = live["spec"]  # what holds a namespace, its writers don't say
        if owners is None:
            owners = ownership.track(live, obj, _writer(request, target))
        _own(obj, owners)
        review = self._review(request, target, name, dry_run=wanted.dry_run)
        stored = self._store.replace(
            res, namespace, name, obj, dry_run=wanted.dry_run, status=target.subresource == "status",
            admit=self._checker.admit(target, received, review),
        )  # fmt: skip
        return _answer(view, target, stored, 200, (*received.warnings, *review.warnings))

    def _scaled(
        self, request: Request, target: Target, view: View, wanted: WriteOptions, scale: Mapping[str, Any]
    ) -> Response:
        obj = scaling.scaled(self._store.get(target.resource, target.namespace, str(target.name)), scale)
        return self._replace(request, target, view, wanted, Received(obj, (), Validation()))

    # --- patching ----------------------------------------------------------------------------------------------------

    async def patch(self, request: Request, target: Target, name: str) -> Response:
        """PATCH, of any of its types."""
        res, namespace = target.resource, target.namespace
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        check_type(kind, custom=res.custom)
        view, wanted = negotiation.view(request), options.write_options(request, kind)
        if kind == APPLY_PATCH:
            return await self._apply(request, target, view, wanted, name)
        patch = await bodies.read_patch(request)
        live = self._store.get(res, namespace, name)
        if target.subresource == "scale":
            scale = apply_patch(kind, scaling.scale(live), patch, custom=res.custom)
            return self._scaled(request, target, view, wanted, scale)
        patched = apply_patch(kind, as_served(live, target), patch, custom=res.custom)
        received = self._patched(target, patched, wanted)
        _check_name(received.object["metadata"], name, target)
        return self._replace(request, target, view, wanted, received)

    def _patched(self, target: Target, obj: Object, wanted: WriteOptions) -> Received:
        if target.subresource == "status":
            return Received(obj, (), Validation())
        return self._checker.patched(target, obj, wanted.strictness)

    async def _apply(self, request: Request, target: Target, view: View, wanted: WriteOptions, name: str) -> Response:
        """Server-side apply: makes the object, or takes over the fields that are given."""
        res, namespace = target.resource, target.namespace
        applied = await bodies.read_yaml(request)
        served, version = res.api_version(target.version), str(applied.get("apiVersion") or "")
        if (version, applied.get("kind")) != (served, res.kind):
            shown = version if "/" in version else f"/{version}"
            raise bad_request(f"invalid object type: {shown}, Kind={applied.get('kind') or ''}")
        meta = applied["metadata"] = dict(applied.get("metadata") or {})
        meta.setdefault("name", name)
        _check_name(meta, name, target)
        self._checker.applied(target, name, applied)
        live = self._store.find(res, namespace, name)
        if live is None and meta.get("uid"):
            why = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
            raise conflict(res, name, why)
        given = {key: meta[key] for key in ("uid", "resourceVersion") if meta.get(key)}
        shown_live = None if live is None else as_served(live, target)
        obj = ownership.apply(shown_live, applied, _writer(request, target), force=wanted.force)
        if live is None:
            obj["metadata"].pop("resourceVersion", None)
            self._access.check(self._access.user(request), act(target, "create"))
            received = self._patched(target, obj, wanted)
            return self._create(request, target, view, wanted, received, owners=obj["metadata"]["managedFields"])
        obj["metadata"].update(given)
        received = self._patched(target, obj, wanted)
        return self._replace(request, target, view, wanted, received, owners=obj["metadata"]["managedFields"])

    # --- deleting ----------------------------------------------------------------------------------------------------

    async def delete(self, request: Request, target: Target, name: str) -> Response:
        """DELETE of one: its last words, or the object that something still holds."""
        res = target.resource
        chosen = options.delete_options(request, await bodies.read_options(request))
        if res is NAMESPACES and name in _IMMORTAL:
            raise forbidden(res, name, "this namespace may not be deleted")
        gone = self._store.delete(
            res, target.namespace, name, uid=chosen.uid, version=chosen.version, propagation=chosen.propagation,
            dry_run=chosen.dry_run, admit=self._review(request, target, name, dry_run=chosen.dry_run),
        )  # fmt: skip
        if res.deletion_shows or "deletionTimestamp" in gone["metadata"]:
            return JSONResponse(as_served(gone, target))
        details = {"name": name, "group": res.group, "kind": res.plural, "uid": gone["metadata"]["uid"]}
        told = {key: value for key, value in details.items() if value}
        return JSONResponse(
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": told}
        )

    async def delete_all(self, request: Request, target: Target) -> Response:
        """DELETE of all that a selector selects, as a list of them."""
        res = target.resource
        if not res.collection_deleted:
            raise not_allowed()
        view, selector = negotiation.view(request), options.selector(request.query_params, res)
        chosen = options.delete_options(request, await bodies.read_options(request))
        version, there = str(self._store.version), self._store.list(res, target.namespace, selector)
        for obj in there:
            meta = obj["metadata"]
            if self._store.find(res, meta.get("namespace"), meta["name"]) is not None:
                self._store.delete(
                    res, meta.get("namespace"), meta["name"], propagation=chosen.propagation, dry_run=chosen.dry_run,
                    admit=self._review(request, target, meta["name"], dry_run=chosen.dry_run),
                )  # fmt: skip
        return view.response(view.many(Page(there, version), target))

    def _review(self, request: Request, target: Target, name: str, *, dry_run: bool) -> Review:
        return self._admission.review(target, self._access.user(request), name=name, dry_run=dry_run)


def act(target: Target, verb: str) -> Act:
    """A write in RBAC's words."""
    res = target.resource
    resource = f"{res.plural}/{target.subresource}" if target.subresource else res.plural
    return Act(verb=verb, group=res.group, resource=resource, namespace=target.namespace or "", name=target.name or "")


def _check_name(meta: dict[str, Any], name: str, target: Target) -> None:
    given = meta.get("name")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if target.resource.namespaced:
        _check_namespace(meta, target)


def _check_namespace(meta: dict[str, Any], target: Target) -> None:
    if meta.get("namespace") not in (None, "", target.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    meta["namespace"] = target.namespace


def _own(obj: Object, owners: list[Any]) -> None:
    if owners:
        obj["metadata"]["managedFields"] = owners
    else:
        obj["metadata"].pop("managedFields", None)


def _writer(request: Request, target: Target) -> ownership.Writer:
    agent = request.headers.get("user-agent", "").partition("/")[0]
    return ownership.Writer(
        manager=request.query_params.get("fieldManager") or agent or "unknown",
        api_version=target.resource.api_version(target.version),
        custom=target.resource.custom,
        subresource=target.subresource or "",
    )


def _answer(view: View, target: Target, obj: Object, code: int, warnings: tuple[str, ...]) -> Response:
    content = scaling.scale(obj) if target.subresource == "scale" else view.one(obj, target)
    response = view.response(content, code=code)
    for text in warnings:
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.raw_headers.append((b"warning", f'299 - "{quoted}"'.encode()))
    return response
