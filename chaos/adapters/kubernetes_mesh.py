"""The ``Mesh`` port over the Kubernetes API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from chaos.errors import MeshError
from chaos.istio.injection import REVISION_LABEL
from chaos.istio.mesh_config import ROOT_NAMESPACE, mesh_config, mesh_config_of
from chaos.istio.proxy import CONTAINER
from chaos.istio.proxy_state import STATS
from chaos.istio.resources import BY_NAME
from chaos.istio.versions import tag_of
from chaos.model.marks import FIELD_MANAGER, RUN_LABEL
from chaos.safety.marks import belongs_to

if TYPE_CHECKING:
    from chaos.adapters.kubernetes_api import Answer, KubernetesApi
    from chaos.ports import Identity, Informer, Object

_FAULTED: Final = "VirtualService"
"""The kind of the objects that carry faults."""
_GATEWAY_API: Final = "gateway.networking.k8s.io"
_PREFERRED: Final = ("v1", "v1beta1", "v1alpha3", "v1alpha1")
"""``v1`` is served from Istio 1.22 on; all have the same schema."""
_TIMEOUTS: Final = (3.0, 10.0)
_WRITE: Final = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
_ASK: Final = ("pilot-agent", "request", "GET")
_ROUTES: Final = (*_ASK, "config_dump?resource=dynamic_route_configs")


class KubernetesMesh:
    """A cluster, by the name of its context. Nothing is sent before the first call.

    Reads are tried again where that may help (``chaos.safety.retry``); writes never are. A creation without an answer
    is resolved by reading the object back.

    Args:
        kubeconfig: Path of a kubeconfig; by default ``KUBECONFIG`` or ``~/.kube/config``.
        context: Name of one of its contexts; the current one is never used.
        timeouts: Seconds to connect, and seconds between two pieces of an answer.
        root: The mesh's root namespace, where istiod is.

    Raises:
        InputError: there is no such context, or the kubeconfig can't be used.
    """

    def __init__(
        self,
        kubeconfig: str | None,
        context: str,
        *,
        timeouts: tuple[float, float] = _TIMEOUTS,
        root: str = ROOT_NAMESPACE,
    ) -> None:
        from chaos.adapters.kubernetes_api import KubernetesApi

        self.kubeconfig, self.context = kubeconfig, context
        self._api: KubernetesApi = KubernetesApi(kubeconfig, context, timeouts=timeouts)
        self._root = root
        self._versions: dict[str, str] = {}

    # --- the cluster -------------------------------------------------------------------------------------------------

    def identity(self) -> Identity:
        """Which cluster this is."""
        from chaos.ports import Identity

        version = self._api.get("/version")
        place = self._api.get("/api/v1/namespaces/kube-system")
        return Identity(
            context=self._api.context,
            server=self._api.server,
            uid=place["metadata"]["uid"],
            kubernetes=str(version.get("gitVersion", "")),
            istio=self._version_of_istio(),
        )

    def server_time(self) -> float:
        """The API server's clock, Unix seconds, right to about a second."""
        return self._api.server_time()

    def namespace(self, name: str) -> Object | None:
        """A namespace, or ``None`` where there is none of this name."""
        return self._api.find(f"/api/v1/namespaces/{quote(name)}")

    def namespaces(self) -> Sequence[Object]:
        """All namespaces; where not all may be listed, the one that the context names, if it may be read."""
        try:
            return self._api.list("/api/v1/namespaces")
        except MeshError as error:
            if error.status != 403:
                raise
        try:
            own = self.namespace(self._api.namespace)
        except MeshError as error:
            if error.status != 403:
                raise
            own = None
        return [own] if own is not None else []

    def services(self, namespace: str) -> Sequence[Object]:
        """The Services of a namespace."""
        return self._api.list(f"/api/v1/namespaces/{quote(namespace)}/services")

    def pods(self, namespace: str) -> Sequence[Object]:
        """The Pods of a namespace."""
        return self._api.list(f"/api/v1/namespaces/{quote(namespace)}/pods")

    # --- Istio's objects ---------------------------------------------------------------------------------------------

    def virtual_service(self, namespace: str, name: str) -> Object | None:
        """One VirtualService, or ``None``."""
        return self.istio_object(_FAULTED, namespace, name)

    def virtual_services(self, namespace: str | None = None) -> Sequence[Object]:
        """The VirtualServices of one namespace, or of all."""
        return self.istio_objects(_FAULTED, namespace)

    def follow_virtual_services(self) -> Informer:
        """The VirtualServices of all namespaces, kept up to date by a watch until it is stopped."""
        from chaos.adapters.kubernetes_informer import Informer

        return Informer(self._api, self._of(_FAULTED, None))

    def http_routes(self) -> Sequence[Object]:
        """The Gateway API's HTTPRoutes of all namespaces; none where these are not served."""
        return self._routes_of("HTTPRoute")

    def grpc_routes(self) -> Sequence[Object]:
        """The Gateway API's GRPCRoutes of all namespaces; none where these are not served."""
        return self._routes_of("GRPCRoute")

    def _routes_of(self, kind: str) -> Sequence[Object]:
        """The routes, with their kind, which items of a list do not say.

        Whether they are is asked of discovery, which is open to all: a path that is not served is a 403, not a 404, for
        who may not read it.
        """
        group = self._api.find(f"/apis/{_GATEWAY_API}")
        version = ((group or {}).get("preferredVersion") or {}).get("version")
        if version is None:
            return ()
        try:
            found = self._api.list(f"/apis/{_GATEWAY_API}/{version}/{kind.lower()}s")
            return [{**one, "kind": kind} for one in found]
        except MeshError as error:
            if error.status == 404:  # the group is served, this kind is not
                return ()
            raise

    def istio_objects(self, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """All objects of one of Istio's kinds, in one namespace or in all; ``MeshError`` of status 404 if it is not served."""
        return self._api.list(self._of(kind, namespace))

    def istio_object(self, kind: str, namespace: str, name: str) -> Object | None:
        """One of them, or ``None``."""
        return self._api.find(f"{self._of(kind, namespace)}/{quote(name)}")

    def create_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Creates it in the name of a field manager; the object as stored. ``MeshError`` of status 409 if it exists."""
        stored: Object = self._create(obj, manager, dry_run=dry_run).body
        return stored

    def replace_istio_object(self, obj: Object, *, manager: str, dry_run: bool = False) -> Object:
        """Replaces it by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile.

        What others put into their object is theirs to judge, so unknown fields are warned of, not refused.
        """
        stored: Object = self._replace(obj, manager, dry_run=dry_run).body
        return stored

    def delete_istio_object(self, obj: Object) -> bool:
        """Deletes it as it was seen; whether it was there. ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        meta = obj["metadata"]
        return self._api.delete(self._path_of(obj), uid=meta["uid"], version=meta["resourceVersion"])

    def mesh_config(self, root: str, revision: str) -> Object | None:
        """The configuration of a revision's control plane; ``None`` where there is none, so that all is by default.

        ``default`` is the revision of a control plane that was installed without one.

        Raises:
            MeshError: it can't be read, or is no YAML mapping.
        """
        name = mesh_config_of(revision)
        found = self._api.find(f"/api/v1/namespaces/{quote(root)}/configmaps/{quote(name)}")
        try:
            return None if found is None else mesh_config(found)
        except ValueError as error:
            raise MeshError(
                f"the ConfigMap {root}/{name}, key mesh: {error}", hint="istiod would not start with it"
            ) from error

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Creates it; the object as stored and the server's warnings.

        Its name has to be unique for the run: where no answer comes, the object of this name and run, if there is one,
        is the answer.

        Raises:
            MeshError: it was not created; without ``status``, or with one of 500 and above, it may yet appear.
        """
        written = {**obj, "kind": _FAULTED}
        try:
            answer = self._create(written, FIELD_MANAGER, dry_run=dry_run)
        except MeshError as error:
            found = self._read_back(written) if not error.refused and not dry_run else None
            if found is None:
                raise
            return found, ()
        return answer.body, answer.warnings

    def _read_back(self, sent: Object) -> Object | None:
        run = (sent["metadata"].get("labels") or {}).get(RUN_LABEL)
        try:
            found: Object | None = self._api.find(self._path_of(sent), patient=False)
        except MeshError:
            return None  # then the creation's own error is the one to tell
        stored = (found["metadata"].get("labels") or {}).get(RUN_LABEL) if found is not None else None
        return found if run is not None and stored == run else None

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, Sequence[str]]:
        """Replaces it by its resourceVersion, as ``replace_istio_object`` does; the object as stored and the server's warnings."""
        answer = self._replace({**obj, "kind": _FAULTED}, FIELD_MANAGER, dry_run=dry_run)
        return answer.body, answer.warnings

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        """Deletes it, only that of ``uid`` where given; whether there was one."""
        return self._api.delete(f"{self._of(_FAULTED, namespace)}/{quote(name)}", uid=uid)

    # --- what the harness wrote --------------------------------------------------------------------------------------

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        """Every VirtualService and Lease that the harness wrote, or wrote into; of one run where named.

        All VirtualServices are looked at, since somebody may have removed our label from theirs. They are read before
        the leases: a run takes its lease before it writes and gives it back after it removed, so a VirtualService that
        was seen without a lease really has none.
        """
        selector = f"{RUN_LABEL}={run}" if run else RUN_LABEL
        seen = self._api.list(self._of(_FAULTED, namespace))
        faults = [vs for vs in seen if belongs_to(vs, run)]
        return [*faults, *self._api.list(_leases(namespace), selector=selector)]

    def lease(self, namespace: str, name: str) -> Object | None:
        """A Lease, or ``None``."""
        return self._api.find(f"{_leases(namespace)}/{quote(name)}")

    def create_lease(self, obj: Object) -> Object:
        """Creates a Lease; ``MeshError`` of status 409 where there is one."""
        stored: Object = self._api.post(_leases(obj["metadata"]["namespace"]), obj, _WRITE).body
        return stored

    def replace_lease(self, obj: Object) -> Object:
        """Replaces a Lease by its resourceVersion; ``MeshError`` of status 409 if somebody wrote it meanwhile."""
        meta = obj["metadata"]
        stored: Object = self._api.put(f"{_leases(meta['namespace'])}/{quote(meta['name'])}", obj, _WRITE).body
        return stored

    def delete_lease(self, namespace: str, name: str, *, uid: str | None = None, version: str | None = None) -> bool:
        """Deletes a Lease, only that of ``uid`` where given; whether there was one.

        With ``version``, only in that version: ``MeshError`` of status 409 if somebody wrote it meanwhile.
        """
        return self._api.delete(f"{_leases(namespace)}/{quote(name)}", uid=uid, version=version)

    def may(self, verb: str, resource: str, *, group: str = "", namespace: str | None = None) -> bool:
        """Whether the identity in use may do something, in a namespace or in all (SelfSubjectAccessReview)."""
        attributes = {
            "verb": verb,
            "resource": resource,
            "group": group,
            **({"namespace": namespace} if namespace else {}),
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._api.ask("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool((answer.body.get("status") or {}).get("allowed"))

    def annotate_namespace(self, name: str, key: str, value: str | None) -> None:
        """Sets an annotation of a namespace, or removes it."""
        self._api.merge(f"/api/v1/namespaces/{quote(name)}", {"metadata": {"annotations": {key: value}}}, _WRITE)

    def record_event(self, involved: Object, *, reason: str, message: str, warning: bool = False) -> None:
        """Writes a Kubernetes Event on an object."""
        meta = involved["metadata"]
        namespace = meta.get("namespace") or "default"
        now = datetime.fromtimestamp(self.server_time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        reference = {key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion") if meta.get(key)}
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{meta['name'][:200]}.chaos-", "namespace": namespace},
            "involvedObject": {
                "apiVersion": involved.get("apiVersion", ""), "kind": involved.get("kind", ""), **reference,
            },
            "reason": reason,
            "message": message[:1024],
            "type": "Warning" if warning else "Normal",
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }  # fmt: skip
        self._api.post(f"/api/v1/namespaces/{quote(namespace)}/events", event)

    def routes_of_proxy(self, namespace: str, pod: str) -> str | None:
        """The routes that a pod's proxy runs now, as its admin prints them; ``None`` where it can't be asked.

        That is so where exec is denied, where the pod is gone and where its proxy does not answer.
        """
        return self._api.execute(namespace, pod, CONTAINER, _ROUTES)

    def stats_of_proxy(self, namespace: str, pod: str) -> str | None:
        """What a pod's proxy counts of its connection to istiod; ``None`` where it can't be asked."""
        return self._api.execute(namespace, pod, CONTAINER, (*_ASK, STATS))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _create(self, obj: Object, manager: str, *, dry_run: bool) -> Answer:
        query = {"fieldManager": manager, "fieldValidation": "Strict", **({"dryRun": "All"} if dry_run else {})}
        return self._api.post(self._of(obj["kind"], obj["metadata"]["namespace"]), self._versioned(obj), query)

    def _replace(self, obj: Object, manager: str, *, dry_run: bool) -> Answer:
        query = {"fieldManager": manager, "fieldValidation": "Warn", **({"dryRun": "All"} if dry_run else {})}
        return self._api.put(self._path_of(obj), self._versioned(obj), query)

    def _of(self, kind: str, namespace: str | None) -> str:
        one = BY_NAME[kind]
        place = f"/namespaces/{quote(namespace)}" if namespace is not None else ""
        return f"/apis/{one.group}/{self._version(one.group)}{place}/{one.plural}"

    def _path_of(self, obj: Object) -> str:
        return f"{self._of(obj['kind'], obj['metadata']['namespace'])}/{quote(obj['metadata']['name'])}"

    def _versioned(self, obj: Object) -> dict[str, Any]:
        group = BY_NAME[obj["kind"]].group
        return {**obj, "apiVersion": f"{group}/{self._version(group)}"}

    def _version(self, group: str) -> str:
        """The served version of one of Istio's API groups that is used."""
        if group not in self._versions:
            found = self._api.find(f"/apis/{group}")
            if found is None:
                raise MeshError(
                    f"the cluster at {self._api.server} does not serve {group}",
                    status=404,
                    hint="Istio's CRDs are missing: check that Istio is installed there",
                )
            served = [entry.get("version") for entry in found.get("versions") or ()]
            self._versions[group] = next((version for version in _PREFERRED if version in served), _PREFERRED[0])
        return self._versions[group]

    def _version_of_istio(self) -> str:
        """istiod's version by its image's tag, or its revision; empty where that can't be read."""
        try:
            found = self._api.list(f"/apis/apps/v1/namespaces/{quote(self._root)}/deployments", selector="app=istiod")
        except MeshError as error:
            if error.status in (403, 404):
                return ""
            raise
        for deployment in found:
            for container in _containers(deployment):
                tag = tag_of(str(container.get("image") or ""))
                if container.get("name") == "discovery" and tag:
                    return tag.removesuffix("-distroless").removesuffix("-debug")
            revision = (deployment["metadata"].get("labels") or {}).get(REVISION_LABEL)
            if revision:
                return str(revision)
        return ""


def _containers(deployment: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return deployment.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or ()


def _leases(namespace: str | None) -> str:
    place = f"/namespaces/{quote(namespace)}" if namespace is not None else ""
    return f"/apis/coordination.k8s.io/v1{place}/leases"
