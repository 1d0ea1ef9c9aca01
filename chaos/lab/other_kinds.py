"""Kinds that repositories have and the lab does not serve: what is set aside when manifests are loaded, and what is refused.

Set aside is what can't change what becomes of a request on the lab; what could is refused, since a run would then be green
or red for another system than the user's. A kind that is in no row is refused: nobody knows what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Other:
    """A row of the table.

    Attributes:
        group: API group.
        kinds: Of this group; none stands for all others of it.
        why: What the lab does without them, as the end of a sentence.
        refused: Whether they could change what becomes of a request.
    """

    group: str
    kinds: tuple[str, ...]
    why: str
    refused: bool = False


_REPLICAS: Final = "the number of replicas stays as it is declared"
_SECRETS: Final = "if something needs the Secret that it makes, add that Secret to the manifests"
_CONTENT: Final = "what it deploys is not loaded, but for what is among the manifests"
_JOBS: Final = "the lab runs no jobs, so the requests that they send are missing"
_ENFORCED: Final = "the lab enforces no network policies, so calls that it forbids would be answered"
_NO_PODS: Final = "the lab does not run its pods, so calls to them would fail"
_STORAGE: Final = "stand-ins store nothing, and processes use this machine's folders"
_RENDERED: Final = "the lab does not render charts: give it what `helm template` prints"

TABLE: Final = (
    Other("policy", (), "nothing evicts pods on the lab"),
    Other("autoscaling", ("HorizontalPodAutoscaler",), _REPLICAS),
    Other("autoscaling.k8s.io", (), _REPLICAS),
    Other("keda.sh", (), _REPLICAS),
    Other("batch", (), _JOBS),
    Other("", ("PersistentVolume", "PersistentVolumeClaim"), _STORAGE),
    Other("storage.k8s.io", (), _STORAGE),
    Other("snapshot.storage.k8s.io", (), _STORAGE),
    Other("", ("LimitRange", "ResourceQuota"), "pods take what this machine has"),
    Other("scheduling.k8s.io", (), "all pods run"),
    Other("node.k8s.io", (), "all pods run on this machine"),
    Other("networking.k8s.io", ("IngressClass", "Ingress"), "requests come in by Istio's gateways, or to the pods"),
    Other("admissionregistration.k8s.io", ("ValidatingWebhookConfiguration",), "the lab asks no webhooks"),
    Other("apiregistration.k8s.io", (), "the lab's API is the only one"),
    Other("gateway.networking.k8s.io", ("GatewayClass", "ReferenceGrant"), "nothing refers to it"),
    Other("telemetry.istio.io", (), "proxies have Istio's default metrics, and no traces"),
    Other("networking.istio.io", ("ProxyConfig",), "proxies run with the lab's settings"),
    Other("networking.istio.io", ("WorkloadGroup",), "it has no workload by itself"),
    Other("monitoring.coreos.com", (), "the lab's own Prometheus scrapes the proxies"),
    Other("grafana.integreatly.org", (), "the lab has no dashboards"),
    Other("cert-manager.io", (), _SECRETS),
    Other("certmanager.k8s.io", (), _SECRETS),
    Other("external-secrets.io", (), _SECRETS),
    Other("bitnami.com", ("SealedSecret",), _SECRETS),
    Other("argoproj.io", ("AnalysisTemplate", "ClusterAnalysisTemplate"), "a Rollout's analysis is not played"),
    Other("argoproj.io", ("Application", "ApplicationSet", "AppProject"), _CONTENT),
    Other("kustomize.toolkit.fluxcd.io", (), _CONTENT),
    Other("source.toolkit.fluxcd.io", (), _CONTENT),
    Other("image.toolkit.fluxcd.io", (), _CONTENT),
    Other("notification.toolkit.fluxcd.io", (), _CONTENT),
    Other("flagger.app", ("MetricTemplate", "AlertProvider"), "a Canary's analysis is not played"),
    Other("networking.k8s.io", ("NetworkPolicy",), _ENFORCED, refused=True),
    Other("policy.networking.k8s.io", (), _ENFORCED, refused=True),
    Other("cilium.io", (), _ENFORCED, refused=True),
    Other("crd.projectcalico.org", (), _ENFORCED, refused=True),
    Other("projectcalico.org", (), _ENFORCED, refused=True),
    Other(
        "extensions", (), "no Kubernetes since 1.22 has this group: write apps/v1 or networking.k8s.io/v1", refused=True
    ),
    Other("apps", ("ControllerRevision",), "the lab makes pods of the present templates"),
    Other("", ("ReplicationController",), _NO_PODS, refused=True),
    Other("serving.knative.dev", (), _NO_PODS, refused=True),
    Other("gateway.networking.k8s.io", (), "the lab routes by Istio's own kinds alone", refused=True),
    Other("networking.istio.io", ("EnvoyFilter",), "the lab can't know how it changes a proxy", refused=True),
    Other("networking.istio.io", ("WorkloadEntry",), "nothing would answer requests to it", refused=True),
    Other("extensions.istio.io", (), "proxies of the lab run no plugins", refused=True),
    Other("security.istio.io", ("RequestAuthentication",), "the lab checks no tokens of requests", refused=True),
    Other("install.istio.io", (), "the lab reads no settings of a mesh from it", refused=True),
    Other("flagger.app", ("Canary",), "the routes and Services that Flagger makes would be missing", refused=True),
    Other("helm.toolkit.fluxcd.io", (), _RENDERED, refused=True),
    Other("helm.cattle.io", (), _RENDERED, refused=True),
    Other(
        "admissionregistration.k8s.io",
        ("MutatingWebhookConfiguration",),
        "the lab asks no webhooks, so objects stay as they are written",
        refused=True,
    ),
)
"""What is done with each; of two rows that fit, that with the kind's name counts."""

_UNKNOWN: Final = "the lab does not know what it does"
_CLASS: Final = "kubernetes.io/ingress.class"


def other(obj: Mapping[str, Any]) -> Other:
    """What becomes of an object that the lab does not serve."""
    group, kind = group_of(obj), str(obj.get("kind"))
    if (group, kind) == ("networking.k8s.io", "Ingress") and _is_istios(obj):
        return Other(group, (kind,), "the lab's gateways route by Istio's own kinds alone", refused=True)
    rows = [row for row in TABLE if row.group == group and (not row.kinds or kind in row.kinds)]
    named = sorted(rows, key=lambda row: not row.kinds)
    return named[0] if named else Other(group, (kind,), _UNKNOWN, refused=True)


def group_of(obj: Mapping[str, Any]) -> str:
    """The API group in an object's ``apiVersion``; empty for that of Pods and Services."""
    group, slash, _ = str(obj.get("apiVersion", "")).rpartition("/")
    return group if slash else ""


def _is_istios(ingress: Mapping[str, Any]) -> bool:
    """Whether Istio's ingress gateway routes by it."""
    annotations = ingress["metadata"].get("annotations") or {}
    return "istio" in ((ingress.get("spec") or {}).get("ingressClassName"), annotations.get(_CLASS))
