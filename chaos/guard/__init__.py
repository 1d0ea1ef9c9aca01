"""May this be touched? Every staging rule is one small pure function that names the rule, the value and the remedy.

No option, variable or file switches a rule off.
"""

from __future__ import annotations

from typing import Final

from chaos.guard import callers, caps, credentials, hosts, mixing, namespaces, owners, scope, shown
from chaos.guard.draft import Draft, Rule
from chaos.values.remarks import Refusal

RULES: Final[tuple[Rule, ...]] = (
    namespaces.cluster_is_configured,
    namespaces.namespace_exists,
    namespaces.namespace_is_listed,
    namespaces.namespace_is_labelled,
    namespaces.namespace_is_not_the_root,
    namespaces.namespace_is_not_frozen,
    mixing.everything_was_read,
    mixing.one_domain_is_known,
    mixing.revisions_agree,
    hosts.target_exists,
    hosts.target_is_no_alias,
    hosts.target_speaks_http,
    hosts.hosts_stay_inside,
    hosts.only_the_target_is_governed,
    hosts.destinations_stay_inside,
    scope.object_is_at_home,
    scope.export_stays_inside,
    scope.export_is_sure,
    scope.gateways_stay_out,
    scope.no_root_delegates,
    scope.selectors_are_heeded,
    scope.callers_stay_declared,
    scope.known_callers_stay_inside,
    mixing.no_waypoint,
    mixing.no_http_route,
    callers.callers_are_there,
    callers.callers_can_see,
    scope.the_write_is_of_what_was_checked,
    owners.patch_only_inserts,
    owners.no_controller_overwrites,
    shown.expectations_can_be_shown,
    shown.observed_services_exist,
    shown.observed_services_are_counted,
    caps.percentage_is_capped,
    caps.delay_is_capped,
    caps.duration_is_capped,
    caps.rate_is_capped,
    credentials.credentials_stay_inside,
)


def check(draft: Draft) -> tuple[Refusal, ...]:
    """Every violated rule; empty where the object may be written."""
    return tuple(refusal for rule in RULES for refusal in rule(draft))


__all__ = ["RULES", "Draft", "check"]
