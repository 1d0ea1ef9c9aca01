"""May this be touched? Every staging rule is one small pure function that names the rule, the value and the remedy.

No option, variable or file switches a rule off.
"""

from __future__ import annotations

from typing import Final

from chaos.guard import caps, credentials, hosts, namespaces, owners, scope
from chaos.guard.draft import Draft, Rule
from chaos.model.plan import Broken

RULES: Final[tuple[Rule, ...]] = (
    namespaces.cluster_is_configured,
    namespaces.namespace_exists,
    namespaces.namespace_is_listed,
    namespaces.namespace_is_labelled,
    namespaces.namespace_is_not_the_root,
    namespaces.namespace_is_not_frozen,
    hosts.target_exists,
    hosts.target_speaks_http,
    hosts.hosts_stay_inside,
    hosts.only_the_target_is_governed,
    hosts.destinations_stay_inside,
    scope.export_stays_inside,
    scope.gateways_stay_out,
    scope.callers_are_there,
    owners.patch_only_inserts,
    owners.no_controller_overwrites,
    caps.percentage_is_capped,
    caps.delay_is_capped,
    caps.duration_is_capped,
    caps.rate_is_capped,
    credentials.credentials_stay_inside,
)


def check(draft: Draft) -> tuple[Broken, ...]:
    """Every violated rule; empty where the object may be written."""
    return tuple(broken for rule in RULES for broken in rule(draft))


__all__ = ["RULES", "Draft", "check"]
