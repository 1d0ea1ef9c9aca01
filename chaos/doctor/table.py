"""Every check, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from chaos.doctor.checks.configuration import configuration_is_sound, gateways_fit, subsets_have_pods
from chaos.doctor.checks.control_plane import istiod_is_well
from chaos.doctor.checks.credentials import rights_are_enough, rights_are_no_wider
from chaos.doctor.checks.errors import proxies_are_quick, usual_errors
from chaos.doctor.checks.injection import namespaces_inject, pods_are_ready
from chaos.doctor.checks.metrics import metrics_are_there
from chaos.doctor.checks.mutual_tls import mutual_tls_agrees
from chaos.doctor.checks.residue import nothing_is_frozen, nothing_is_left
from chaos.doctor.checks.sync import proxies_are_in_sync
from chaos.doctor.checks.versions import versions_are_supported
from chaos.doctor.examined import Examined
from chaos.doctor.finding import Check, Checked, Finding, unknown
from chaos.engine.place import Place, chosen
from chaos.errors import HarnessError

CHECKS: Final = (
    Check("control-plane", "istiod is there and ready", istiod_is_well),
    Check("versions", "versions are supported, and near each other", versions_are_supported),
    Check("injection", "namespaces are injected, and pods have proxies", namespaces_inject),
    Check("pods", "pods are ready", pods_are_ready),
    Check("sync", "proxies are connected to istiod and accept what it sends", proxies_are_in_sync),
    Check("configuration", "Istio's configuration is sound", configuration_is_sound, before_suites=False),
    Check("subsets", "subsets select pods", subsets_have_pods),
    Check("gateways", "what is bound to a gateway fits it", gateways_fit),
    Check("mutual-tls", "clients and servers agree on mutual TLS", mutual_tls_agrees),
    Check("metrics", "Prometheus has the metrics that runs need", metrics_are_there),
    Check("errors", "requests meet none of the usual errors", usual_errors, before_suites=False),
    Check("latency", "proxies add hardly any time", proxies_are_quick, before_suites=False),
    Check("rights", "the identity in use may do what runs need", rights_are_enough, before_suites=False),
    Check("reach", "the identity in use may write in staging only", rights_are_no_wider, before_suites=False),
    Check("residue", "no dead run has left residue", nothing_is_left),
    Check("freeze", "no namespace is frozen", nothing_is_frozen),
)


def look(
    place: Place, namespaces: Sequence[str] | None, *, quick: bool, sleep: Callable[[float], None]
) -> Sequence[Checked]:
    """What all checks find at a place, or those that are quick enough to be asked before every suite.

    Raises:
        InputError: no namespace is named, and the settings allow none.
        MeshError: the API can't be read.
    """
    names = chosen(place.mesh, place.settings, namespaces)
    lab = place.environment.lab
    examined = Examined(place.mesh, place.metrics, place.settings, names, lab=lab, sleep=sleep)
    return examine(examined, [one for one in CHECKS if one.before_suites or not quick])


def examine(examined: Examined, checks: Iterable[Check] = CHECKS) -> list[Checked]:
    """What the checks find; one that can't look says so, and keeps no other from looking."""
    return [Checked(check, tuple(_found(check, examined))) for check in checks]


def _found(check: Check, examined: Examined) -> list[Finding]:
    try:
        return list(check.look(examined))
    except HarnessError as failed:
        return [unknown(f"it could not be checked: {failed.message}", failed.hint or "correct that first")]
