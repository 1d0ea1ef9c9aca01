"""Every rule with its identifier, and what they find."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from chaos.lint.rules import leftovers, order, references, regexes, scope, values
from chaos.lint.rules.finding import Rule, Severity
from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import Hit

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

_ALL: Final = (
    Rule("fault-outside-staging", _ERROR, "A fault in a namespace that is not known to be staging", scope.fault_is_in_staging),
    Rule("fault-in-production-path", _ERROR, "A fault in a folder of production, or one that a GitOps agent applies", scope.fault_is_not_deployed),
    Rule("fault-public", _ERROR, "A fault that proxies outside staging see", scope.fault_is_not_public),
    Rule("fault-on-foreign-host", _ERROR, "A fault for a host that is not a Service of staging", scope.fault_governs_own_hosts),
    Rule("fault-at-foreign-gateway", _ERROR, "A fault at a gateway that is not in staging", scope.fault_is_not_at_a_foreign_gateway),
    Rule("fault-in-delegate", _WARNING, "A fault in a delegate, which acts in every root that delegates to it", scope.fault_is_not_in_a_delegate),
    Rule("source-selectors-ignored", _ERROR, "Source selectors that istiod ignores, beside gateways", scope.source_selectors_count),
    Rule("fault-empty", _ERROR, "A fault that neither aborts nor delays", values.fault_is_not_empty),
    Rule("fault-without-percentage", _ERROR, "A fault without a percentage, which never acts", values.percentage_is_said),
    Rule("percentage-out-of-range", _ERROR, "A percentage that Istio does not accept", values.percentage_is_possible),
    Rule("delay-without-fixed-delay", _ERROR, "A delay without fixedDelay, which istiod ignores", values.delay_is_said),
    Rule("fixed-delay-invalid", _ERROR, "A fixedDelay that Istio does not accept", values.delay_is_possible),
    Rule("abort-without-status", _ERROR, "An abort without a status, which istiod ignores", values.status_is_said),
    Rule("http-status-out-of-range", _ERROR, "An httpStatus that Istio or Envoy rejects", values.http_status_is_possible),
    Rule("grpc-status-unknown", _ERROR, "A grpcStatus that is not the name of a gRPC status", values.grpc_status_is_known),
    Rule("grpc-abort-on-http", _WARNING, "A grpcStatus abort for a Service without a gRPC port", values.grpc_abort_meets_grpc),
    Rule("fault-with-redirect", _ERROR, "A fault beside a redirect or a direct response", values.fault_is_on_a_route),
    Rule("regex-invalid", _ERROR, "A regex that Istio refuses", regexes.regexes_are_taken),
    Rule("competing-virtual-services", _WARNING, "A fault in one of two VirtualServices of which only one takes effect", order.fault_does_not_compete),
    Rule("host-matches-nothing", _ERROR, "A host that no Service or ServiceEntry has, or that its callers do not see", references.hosts_match_something),
    Rule("host-taken-literally", _WARNING, "A host such as ratings.staging, which is not the Service's full name", references.hosts_are_whole),
    Rule("subset-not-defined", _ERROR, "A subset that no DestinationRule defines", references.subsets_are_defined),
    Rule("leftover-of-a-run", _ERROR, "An object or route that a run of this harness wrote", leftovers.nothing_of_a_run_is_committed),
    Rule("malformed", _ERROR, "A value of the wrong type in an object that is checked"),
    Rule("duplicate-key", _ERROR, "A key that a mapping has twice, of which only the last counts"),
    Rule("not-yaml", _ERROR, "A VirtualService in a document that can't be read, so it can't be checked"),
    Rule("unrendered-template", _ERROR, "A VirtualService in a template, which can't be checked until it is rendered"),
    Rule("unreadable-file", _ERROR, "A file that can't be opened, so it can't be checked"),
    Rule("ignore-without-reason", _ERROR, "A suppression without a reason"),
    Rule("ignore-of-unknown-rule", _ERROR, "A suppression of a rule that does not exist"),
    Rule("ignore-without-effect", _WARNING, "A suppression where there is nothing to suppress"),
    Rule("ignore-not-understood", _ERROR, "A comment for this linter that does not have the form of a suppression"),
)  # fmt: skip

RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rule in _ALL}
"""Every rule by its id, in the order of the documentation."""


def check(linted: Linted) -> Iterable[tuple[Rule, Hit]]:
    """Everything that the rules find, at its place in an object."""
    for rule in RULES.values():
        for hit in rule.check(linted) if rule.check else ():
            yield rule, hit
    for one in linted.manifests:
        for flaw in one.flaws:
            hit = Hit(manifest=one, path=flaw.path, message=f"{one.title}: {flaw.message}", hint=flaw.hint)
            yield RULES["malformed"], hit
