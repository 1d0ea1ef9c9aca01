"""The staging rules as a ValidatingAdmissionPolicy, for clusters in which not everybody uses the harness.

The API server asks it about every VirtualService that anybody writes. It sees one object and its namespace, so it can't
resolve hosts or look at metrics as ``chaos.guard`` does; what it can see, it decides by the same values. Taking faults and
marks away is never denied, nor is anything that has neither.

Only what CEL had in Kubernetes 1.28 is used (``apiserver/pkg/cel/environment/base.go``), and no optional fields: an API
server takes new expressions only if its predecessor would have understood them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from chaos.errors import InputError
from chaos.faults.fault import FILTER_KINDS
from chaos.istio.exports import PUBLIC
from chaos.istio.hosts import CLUSTER_DOMAIN
from chaos.manifests.rbac import NAME as ACCOUNT
from chaos.model.marks import ALPHABET, EXPIRES, PREFIX, RUN_LABEL, prefix_of
from chaos.model.settings import Settings
from chaos.values.quantities import format_duration

NAME: Final = "chaos-staging-only"
GROUP: Final = "admissionregistration.k8s.io"
SPARE: Final = timedelta(hours=1)
"""What an expiry may lie beyond the longest fault: baseline, recovery and the run's own reserve."""
_REASONS: Final = f"{PREFIX}/reasons"
_CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789-"
_NAMESPACE: Final = re.compile(r"[a-z0-9*?\-\[\]!]+")
_ENTRY: Final = re.compile(r"[.*~]|[a-z0-9-]+")
_SIMPLE: Final = re.compile(r"[\w./:^$()|*+?{}\[\]-]*")
_OURS: Final = f"^{prefix_of(f'[{ALPHABET}]{{8}}')}"


@dataclass(frozen=True)
class Offer:
    """What a version of Kubernetes has.

    Args:
        api_version: Of the policy; empty where there is none that can express the rules.
        switch: What has to be switched on at the API server.
    """

    api_version: str
    switch: str = ""


@dataclass(frozen=True)
class Validation:
    """One rule of the policy.

    Args:
        name: As messages give it; that of the same rule in ``chaos.guard`` where there is one.
        holds: CEL that is true where the rule is kept.
        message: For people, where ``says`` can't be evaluated.
        says: CEL of the message with the values at hand.
        why: What the rule is there for.
        reason: Kubernetes' reason of the refusal; it decides the HTTP status.
    """

    name: str
    holds: str
    message: str
    says: str
    why: str
    reason: str = "Forbidden"

    def as_dict(self) -> dict[str, Any]:
        """As Kubernetes writes it."""
        return {
            "expression": self.holds, "message": f"{self.name}: {self.message}",
            "messageExpression": f"'{self.name}: ' + {self.says}", "reason": self.reason,
        }  # fmt: skip


def offer(version: str) -> Offer:
    """What Kubernetes of a version such as ``1.30``, ``v1.29.4`` or ``1.28+`` has.

    Raises:
        InputError: it is no version.
    """
    found = re.fullmatch(r"v?1\.(\d{1,3})(?:[.+-].*)?", version.strip())
    if found is None:
        raise InputError(f"expected a version of Kubernetes such as 1.30, got {version!r}", hint="kubectl version")
    minor = int(found[1])
    if minor >= 30:
        return Offer(f"{GROUP}/v1")
    if minor >= 28:
        return Offer(
            f"{GROUP}/v1beta1",
            f"--feature-gates=ValidatingAdmissionPolicy=true --runtime-config={GROUP}/v1beta1=true",
        )
    return Offer("")


def without_policies(version: str) -> str:
    """What a cluster has instead whose Kubernetes can't express the rules, in words; no webhook is needed for any of it."""
    return (
        f"Kubernetes {version} has no ValidatingAdmissionPolicy that can express these rules (1.30 has it, 1.28 and 1.29 as a "
        "beta). Without a webhook, three things do a part of it:\n"
        "- the Roles that are printed now: the harness's identity can write VirtualServices in staging namespaces only. Remove "
        "that right from everybody in other namespaces who does not need it: nothing else stops them there;\n"
        "- chaosctl lint, in the pipelines of the repositories that clusters are fed from, and before commits;\n"
        "- chaosctl manifests janitor, which sweeps the faults of dead runs."
    )


def admission(
    settings: Settings,
    *,
    home: str,
    account: str = ACCOUNT,
    api_version: str = f"{GROUP}/v1",
    lifetime: timedelta | None = None,
    default_export: Sequence[str] = PUBLIC,
    warn: bool = False,
) -> list[dict[str, Any]]:
    """The policy and its binding.

    Args:
        settings: The staging rules' values: namespaces, labels, root namespace, caps.
        home: Namespace of the harness's service account.
        account: Its name.
        api_version: Of both objects.
        lifetime: How far after its creation an object of the harness may expire; by default the longest fault and an hour.
        default_export: What ``exportTo`` is where a VirtualService has none (``defaultVirtualServiceExportTo`` of the mesh's
            configuration). The API server gives a policy one object and no configuration, so it holds as it was printed.
        warn: Only tell, and deny nothing.

    Raises:
        InputError: no namespace is allowed, or one can't be right, or the default can't be.
    """
    if not settings.namespaces:
        raise InputError("expected at least one staging namespace", hint="--namespace staging")
    wrong = [one for one in settings.namespaces if not _NAMESPACE.fullmatch(one)]
    if wrong:
        raise InputError(f"expected names of namespaces or patterns of them, got {', '.join(map(repr, wrong))}")
    unknown = [one for one in default_export if not _ENTRY.fullmatch(one)]
    if unknown or not default_export:
        raise InputError(
            "expected the mesh's default of exportTo: *, ., ~ or names of namespaces, "
            f"got {', '.join(map(repr, unknown)) or 'nothing'}",
            hint="kubectl -n istio-system get configmap istio -o yaml shows it as defaultVirtualServiceExportTo",
        )
    rules = validations(settings, lifetime=lifetime or settings.caps.duration + SPARE)
    meta = {"name": NAME, "labels": {"app.kubernetes.io/name": NAME}}
    why = "".join(f"{rule.name}: {rule.why}\n" for rule in rules)
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "matchPolicy": "Equivalent",
            "resourceRules": [
                {
                    "apiGroups": ["networking.istio.io"],
                    "apiVersions": ["*"],
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["virtualservices"],
                }
            ],
        },
        "variables": [
            {"name": name, "expression": text}
            for name, text in variables(settings, home=home, account=account, default_export=default_export).items()
        ],
        "validations": [rule.as_dict() for rule in rules],
    }
    actions = ["Warn", "Audit"] if warn else ["Deny", "Audit"]
    return [
        {"apiVersion": api_version, "kind": "ValidatingAdmissionPolicy", "metadata": {**meta, "annotations": {_REASONS: why}}, "spec": spec},
        {
            "apiVersion": api_version, "kind": "ValidatingAdmissionPolicyBinding", "metadata": dict(meta),
            "spec": {"policyName": NAME, "validationActions": actions},
        },
    ]  # fmt: skip


def variables(settings: Settings, *, home: str, account: str, default_export: Sequence[str]) -> Mapping[str, str]:
    """CEL by the names under which the rules use it, in the order in which each may use those before it."""
    labelled = [
        f"{_text(key)} in namespaceObject.metadata.labels && namespaceObject.metadata.labels[{_text(key)}] == {_text(value)}"
        for key, value in settings.labels.items()
    ]
    default = f"[{', '.join(map(_text, default_export))}]"
    staging = [_listed("request.namespace", settings), "has(namespaceObject.metadata.labels)", *labelled]
    return {
        "subject": "'VirtualService ' + request.namespace + '/' + string(object.metadata.name)",
        "staging": " &&\n".join(staging),
        "harness": f"request.userInfo.username == {_text(f'system:serviceaccount:{home}:{account}')}",
        "labels": "has(object.metadata.labels) ? object.metadata.labels : {}",
        "labelsBefore": "oldObject != null && has(oldObject.metadata.labels) ? oldObject.metadata.labels : {}",
        "annotations": "has(object.metadata.annotations) ? object.metadata.annotations : {}",
        "annotationsBefore": "oldObject != null && has(oldObject.metadata.annotations) ? oldObject.metadata.annotations : {}",
        "routes": "has(object.spec) && has(object.spec.http) ? object.spec.http : []",
        "routesBefore": "oldObject != null && has(oldObject.spec) && has(oldObject.spec.http) ? oldObject.spec.http : []",
        "hosts": "has(object.spec) && has(object.spec.hosts) ? object.spec.hosts : []",
        "exportTo": f"{_has_export('object')} ? object.spec.exportTo : {default}",
        "exportToBefore": f"oldObject != null && {_has_export('oldObject')} ? oldObject.spec.exportTo : {default}",
        "gateways": "has(object.spec) && has(object.spec.gateways) ? object.spec.gateways : []",
        # Whom an object reaches: where that is changed, faults that it has already may meet others than before.
        "reachKept": (
            "oldObject != null && has(oldObject.spec) &&\n"
            "variables.hosts == (has(oldObject.spec.hosts) ? oldObject.spec.hosts : []) &&\n"
            "variables.exportTo == variables.exportToBefore &&\n"
            "variables.gateways == (has(oldObject.spec.gateways) ? oldObject.spec.gateways : [])"
        ),
        # What of a route decides whom it faults and how; its destinations, weights and retries don't.
        "shapesBefore": f"variables.routesBefore.map(r, {_SHAPE})",
        "faulted": f"variables.routes.filter(r, {_FAULTED})",
        "checked": (
            "variables.reachKept\n"
            f"? variables.faulted.filter(r, !({_SHAPE} in variables.shapesBefore))\n"
            ": variables.faulted"
        ),
        # First match wins, so a fault that stays needs all routes before it that have none; more of them do no harm.
        "order": f"variables.routes.map(r, {_PLACE})",
        "orderBefore": f"variables.routesBefore.filter(r, !({_FAULTED}) || {_PLACE} in variables.order).map(r, {_PLACE})",
        "percentages": " +\n".join(
            _each(value, "double") for kind in FILTER_KINDS for value in kind.percentages
        ),
        "delays": " +\n".join(_each(f"{kind.key}.{kind.held_by}", "duration") for kind in FILTER_KINDS if kind.held_by),
    }  # fmt: skip


_MATCHES: Final = "dyn(has(r.match) ? r.match : [])"
_SHAPE: Final = f"[dyn(has(r.name) ? r.name : ''), {_MATCHES}, dyn(has(r.fault) ? r.fault : {{}})]"
_FAULTED: Final = f"has(r.fault) && ({' || '.join(f'has(r.fault.{kind.key})' for kind in FILTER_KINDS)})"
_PLACE: Final = f"[{_MATCHES}, dyn({_FAULTED} ? r.fault : {{}})]"


def validations(settings: Settings, *, lifetime: timedelta) -> tuple[Validation, ...]:
    """The rules, in the order in which the API server tells of the first that is broken."""
    names = ", ".join(settings.namespaces)
    labels = ",".join(f"{key}={value}" for key, value in settings.labels.items())
    cap, delay, longest = settings.caps.percentage, format_duration(settings.caps.delay), format_duration(lifetime)
    return (
        Validation(
            "fault-outside-staging",
            "variables.staging || variables.faulted.size() == 0 ||\n"
            "(variables.checked.size() == 0 &&\n"
            " variables.order.filter(one, one in variables.orderBefore) == variables.orderBefore)",
            f"faults are for the namespaces {names} with the label {labels}; take http[].fault out",
            "variables.subject + ' has a fault, and faults are for the namespaces "
            + _inside(f"{names} with the label {labels}; take http[].fault out, or write it there"),
            "a fault acts on everybody who calls the host, so it must not be where users are. A fault that is there already may stay as "
            "long as it, its reach and the places of the other routes are the same, so that it blocks no other change",
        ),
        Validation(
            "mark-of-the-harness",
            "variables.harness || (\n"
            f"variables.labels.all(k, !k.startsWith('{PREFIX}/') ||\n"
            "  (k in variables.labelsBefore && variables.labelsBefore[k] == variables.labels[k])) &&\n"
            f"variables.annotations.all(k, !k.startsWith('{PREFIX}/') ||\n"
            "  (k in variables.annotationsBefore && variables.annotationsBefore[k] == variables.annotations[k])) &&\n"
            f"variables.routes.all(r, !has(r.name) || !r.name.matches('{_OURS}') || {_SHAPE} in variables.shapesBefore))",
            f"only the harness adds or changes labels and annotations of {PREFIX} and routes named chaos-<run>-…",
            f"request.userInfo.username + ' may not add or change labels and annotations of {PREFIX} and routes named "
            "chaos-<run>-… of ' + variables.subject + '; take them out, also from backups and files'",
            "by its marks the harness finds what it has to restore; an object that others copy or restore with these marks "
            "would be taken for a run's. Everybody may delete them",
        ),
        Validation(
            "fault-without-expiry",
            f"!variables.harness || variables.checked.size() == 0 ||\n"
            f"('{RUN_LABEL}' in variables.labels && '{EXPIRES}' in variables.annotations)",
            f"the harness's own faults carry {RUN_LABEL} and {EXPIRES}",
            f"variables.subject + ' has a fault of the harness without the label {RUN_LABEL} and the annotation {EXPIRES}'",
            "a fault of the harness that no sweep would find must not be created",
        ),
        Validation(
            "duration-capped",
            f"!variables.harness || variables.faulted.size() == 0 || !('{EXPIRES}' in variables.annotations) ||\n"
            f"!('{RUN_LABEL}' in variables.labels) ||\n"
            f"!object.metadata.name.startsWith('chaos-' + variables.labels['{RUN_LABEL}'] + '-') ||\n"
            f"timestamp(variables.annotations['{EXPIRES}']) <=\n"
            f"  timestamp(object.metadata.creationTimestamp) + duration('{longest}')",
            f"an object of the harness expires at most {longest} after it was made",
            f"variables.subject + ' expires at ' + variables.annotations['{EXPIRES}'] + ', and at most {longest} after its "
            "creation is allowed; shorten limits, or print the policy with a longer --lifetime'",
            "a forgotten fault is swept by then. This is about objects that the harness makes: CEL has no clock, so for a fault in "
            "somebody's older object there is nothing to compare with",
            "Invalid",
        ),
        Validation(
            "export-outside",
            "variables.checked.size() == 0 || !variables.staging ||\n"
            f"variables.exportTo.all(e, e == '.' || ({_listed('e', settings)}))",
            f'a fault needs exportTo: ["."], or names of the namespaces {names}',
            f"variables.subject + ' has a fault and ' + ({_has_export('object')} ? 'exportTo ' : 'no exportTo, which the policy takes for ') + "
            f"variables.exportTo.map(e, string(e)).join(', ') + ({_has_export('object')} ? '' : ' by its --default-export') + "
            "'; set exportTo: [\".\"]'",
            "a VirtualService acts on every caller of its hosts to whom it is exported, wherever it lies: without exportTo on "
            "the whole mesh, or on whom the mesh's default names, which the policy has from --default-export",
        ),
        Validation(
            "host-outside",
            "variables.checked.size() == 0 || !variables.staging || (variables.hosts.size() > 0 &&\n"
            f"variables.hosts.all(h, {_host(settings)}))",
            f"a fault may govern Services of the namespaces {names} only, by their full name or without a dot",
            "variables.subject + (variables.hosts.size() == 0 ? ' is a delegate with a fault, which acts for the hosts of "
            f"whoever delegates to it' : ' has a fault for ' + variables.hosts.filter(h, !({_host(settings)}))"
            f".map(h, string(h)).join(', ')) + '; only Services of {_inside(names, end='')} may be governed by one'",
            "wildcards, names outside the mesh and other namespaces' Services are not staging's; a delegate acts for "
            "hosts that it does not name",
        ),
        Validation(
            "gateway-bound",
            "variables.checked.size() == 0 || !variables.staging || variables.checked.all(r,\n"
            "  has(r.match) && r.match.size() > 0\n"
            "  ? r.match.all(m, has(m.gateways) && m.gateways.size() > 0\n"
            "    ? m.gateways.all(g, g == 'mesh') : variables.gateways.all(g, g == 'mesh'))\n"
            "  : variables.gateways.all(g, g == 'mesh'))",
            "a fault may not be bound to a gateway",
            "variables.subject + ' has a fault that is bound to ' + (variables.gateways.size() == 0 ? 'a gateway' : "
            "variables.gateways.map(g, string(g)).join(', ')) + '; bind the faulted route to mesh by match[].gateways'",
            "who comes through a gateway is not known to be staging",
        ),
        Validation(
            "percentage-capped",
            f"variables.percentages.all(p, p <= {cap!r})",
            f"at most {cap:g} % of the requests may be faulted",
            "variables.subject + ' faults ' + variables.percentages.map(p, string(p)).join(' %, ') + ' % of the requests, "
            f"and at most {cap:g} % are allowed; ask for less, or have the cap raised'",
            "caps.percentage of the settings. Without a percentage Istio injects nothing",
            "Invalid",
        ),
        Validation(
            "delay-capped",
            f"variables.delays.all(d, d <= duration('{delay}'))",
            f"a delay may be at most {delay}",
            "variables.subject + ' delays by ' + variables.delays.map(d, string(d)).join(', ') + ', and at most "
            f"{delay} is allowed; ask for less, or have the cap raised'",
            "caps.delay of the settings: a delayed request keeps waiting after the fault is gone",
            "Invalid",
        ),
    )  # fmt: skip


def _has_export(obj: str) -> str:
    """CEL: an empty list is as none (istiod initVirtualServices)."""
    return f"has({obj}.spec) && has({obj}.spec.exportTo) && {obj}.spec.exportTo.size() > 0"


def _each(path: str, kind: str) -> str:
    """The values of a field below ``fault`` of the checked routes that have it, as CEL of a kind."""
    parts = path.split(".")
    there = " && ".join(f"has(r.fault.{'.'.join(parts[: at + 1])})" for at in range(len(parts)))
    return f"variables.checked.filter(r, {there}).map(r, {kind}(r.fault.{path}))"


def _text(value: str) -> str:
    """A CEL string."""
    return f"'{value}'" if _SIMPLE.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _inside(text: str, *, end: str = "'") -> str:
    """Text that continues a CEL string in single quotes."""
    return text.replace("\\", "\\\\").replace("'", "\\'") + end


def _listed(name: str, settings: Settings) -> str:
    return f"{name} != {_text(settings.root_namespace)} && {name}.matches({_text(f'^({_names(settings)})$')})"


def _host(settings: Settings) -> str:
    root = f".{settings.root_namespace}.svc.{CLUSTER_DOMAIN}"
    service = rf"^[a-z0-9-]+[.]({_names(settings)})[.]svc[.]{CLUSTER_DOMAIN.replace('.', '[.]')}$"
    return f"!h.endsWith({_text(root)}) && h.matches({_text(f'^[A-Za-z0-9-]+$|{service}')})"


def _names(settings: Settings) -> str:
    return "|".join(regular(one) for one in settings.namespaces)


def regular(pattern: str) -> str:
    """A pattern of namespaces as a regular expression of RE2; it matches the names of Kubernetes that fnmatch matches."""
    made, rest = "", pattern
    while rest:
        closing = rest.find("]", 3 if rest.startswith("[!") else 2) if rest.startswith("[") else -1
        if closing > 0:
            chosen = "".join(one for one in _CHARACTERS if fnmatchcase(one, rest[: closing + 1]))
            made += f"[{chosen}]" if chosen else f"[^{_CHARACTERS}]"  # none matches, since names have no others
            rest = rest[closing + 1 :]
            continue
        every = f"[{_CHARACTERS[:1]}-z0-9-]"
        made += {"*": f"{every}*", "?": every}.get(rest[0], re.escape(rest[0]) if rest[0] in "[]!" else rest[0])
        rest = rest[1:]
    return made
