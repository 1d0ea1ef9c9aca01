"""Which connections a workload's port takes: istiod ``pilot/pkg/model/authentication.go``, ``authn/policy_applier.go``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from chaos.istio.exports import Object
from chaos.istio.mesh_config import ROOT_NAMESPACE
from chaos.istio.virtual_services import age_key

Mode = Literal["DISABLE", "PERMISSIVE", "STRICT"]
_DEFAULT: Final[Mode] = "PERMISSIVE"


def mode_of(
    policies: Sequence[Object],
    *,
    namespace: str,
    labels: Mapping[str, str],
    port: int = 0,
    root: str = ROOT_NAMESPACE,
    inherited: Mode = _DEFAULT,
) -> Mode:
    """The mode of one port: the port's own, else the workload's, the namespace's, the mesh's, else the inherited one.

    ``UNSET`` takes over what the wider scope says. The oldest of several policies of one scope counts.

    Args:
        policies: All PeerAuthentications.
        namespace: The workload's.
        labels: The workload's.
        port: Of the workload; 0 for one that no policy names.
        root: The mesh's root namespace.
        inherited: What holds where no policy says anything.
    """
    mode = inherited
    for scope in _scopes(policies, namespace, labels, root):
        spec = scope.get("spec") or {}
        mode = _own(spec.get("mtls"), mode)
        at_port = (spec.get("portLevelMtls") or {}).get(str(port))
        if at_port is not None:
            return _own(at_port, mode)
    return mode


def _own(mtls: Mapping[str, Any] | None, inherited: Mode) -> Mode:
    mode = (mtls or {}).get("mode", "UNSET")
    return inherited if mode == "UNSET" else mode


def _scopes(policies: Sequence[Object], namespace: str, labels: Mapping[str, str], root: str) -> list[Object]:
    """The policies that count, the widest first."""
    mesh = [p for p in policies if p["metadata"]["namespace"] == root and not _selector(p)]
    own = [p for p in policies if p["metadata"]["namespace"] == namespace]
    if namespace == root:
        mesh = []
    wide = [p for p in own if not _selector(p)]
    narrow = [p for p in own if _selector(p) and _selector(p).items() <= labels.items()]
    return [min(scope, key=age_key) for scope in (mesh, wide, narrow) if scope]


def _selector(policy: Object) -> Mapping[str, str]:
    return ((policy.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
