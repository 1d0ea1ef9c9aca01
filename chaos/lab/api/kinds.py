"""What Kubernetes asks of objects of its own kinds, beyond their types.

``pkg/apis/core/validation``, ``pkg/apis/coordination/validation`` and ``pkg/apis/apps/validation`` of Kubernetes, of these
kinds only what an object that was written by hand gets wrong.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from chaos.lab.api.resources import (
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    LEASES,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from chaos.lab.api.validation import Cause

Object = Mapping[str, Any]
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_OF_KEY: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_CONFIG_MOST: Final = 1024 * 1024
_IMMUTABLE: Final = "field is immutable when `immutable` is set"
_OF_POD: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def problems(res: Resource, new: Object, old: Object | None) -> Iterator[Cause]:
    """What is wrong with an object that would be stored; ``old`` is what it replaces."""
    rule = _RULES.get(res)
    return iter(()) if rule is None else rule(new, old)


def _config_map(new: Object, old: Object | None) -> Iterator[Cause]:
    data, binary = new.get("data") or {}, new.get("binaryData") or {}
    for field, keys in (("data", data), ("binaryData", binary)):
        for key in keys:
            if len(key) > 253:
                yield Cause.invalid(f"{field}[{key}]", key, "must be no more than 253 characters")
            if key in (".", "..") or not _KEY.fullmatch(key):
                yield Cause.invalid(f"{field}[{key}]", key, _OF_KEY)
            elif field == "data" and key in binary:
                yield Cause.invalid(f"{field}[{key}]", key, "duplicate of key present in binaryData")
    size = sum(len(value.encode()) for value in data.values()) + sum(len(base64.b64decode(v)) for v in binary.values())
    if size > _CONFIG_MOST:
        yield Cause.too_long("[]", _CONFIG_MOST)
    if old is not None and old.get("immutable"):
        if not new.get("immutable"):
            yield Cause.forbidden("immutable", _IMMUTABLE)
        for field in ("data", "binaryData"):
            if (new.get(field) or {}) != (old.get(field) or {}):
                yield Cause.forbidden(field, _IMMUTABLE)


def _lease(new: Object, old: Object | None) -> Iterator[Cause]:  # noqa: ARG001 - one signature for all rules
    spec = new.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        yield Cause.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield Cause.invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def _event(new: Object, old: Object | None) -> Iterator[Cause]:  # noqa: ARG001 - one signature for all rules
    """Of an Event without ``eventTime``, only its namespace; with it the rules of events.k8s.io."""
    involved = new["involvedObject"].get("namespace") or ""
    home = new["metadata"].get("namespace") or ""
    if involved != home and not (involved == "" and home == "default"):
        yield Cause.invalid("involvedObject.namespace", involved, "does not match event.namespace")
    elif new.get("eventTime"):
        for field in ("reportingComponent", "reportingInstance", "action", "reason"):
            if not new.get(field):
                yield Cause.required("reportingController" if field == "reportingComponent" else field)


def _workload(new: Object, old: Object | None) -> Iterator[Cause]:
    spec = new.get("spec") or {}
    replicas, selector, template = spec.get("replicas"), spec.get("selector"), spec.get("template") or {}
    if isinstance(replicas, int) and replicas < 0:
        yield Cause.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
    labels = (template.get("metadata") or {}).get("labels")
    if not selector:
        yield Cause.required("spec.selector")
    wanted = (selector or {}).get("matchLabels") or {}
    if not selector or any((labels or {}).get(key) != value for key, value in wanted.items()):
        yield Cause.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from _containers("spec.template.spec.containers", template.get("spec") or {})
    if old is not None and selector != (old.get("spec") or {}).get("selector"):
        yield Cause.invalid("spec.selector", selector, "field is immutable")


def _pod(new: Object, old: Object | None) -> Iterator[Cause]:
    yield from _containers("spec.containers", new.get("spec") or {})
    if old is not None and _unchangeable(new) != _unchangeable(old):
        yield Cause.forbidden("spec", _OF_POD)


def _containers(field: str, spec: Object) -> Iterator[Cause]:
    containers = spec.get("containers") or ()
    if not containers:
        yield Cause.required(field)
    names: set[str] = set()
    for at, one in enumerate(containers):
        name = one.get("name") or ""
        if not name:
            yield Cause.required(f"{field}[{at}].name")
        elif name in names:
            yield Cause(field=f"{field}[{at}].name", message=f'Duplicate value: "{name}"', reason="FieldValueDuplicate")
        names.add(name)
        if not one.get("image"):
            yield Cause.required(f"{field}[{at}].image")


def _unchangeable(pod: Object) -> Mapping[str, Any]:
    """A Pod's spec without what may change."""
    spec = {
        key: value
        for key, value in (pod.get("spec") or {}).items()
        if key not in ("activeDeadlineSeconds", "tolerations")
    }
    for key in ("containers", "initContainers"):
        if key in spec:
            spec[key] = [{name: value for name, value in one.items() if name != "image"} for one in spec[key]]
    return spec


_RULES: Final[Mapping[Resource, Callable[[Object, Object | None], Iterator[Cause]]]] = {
    CONFIG_MAPS: _config_map, LEASES: _lease, EVENTS: _event, PODS: _pod,
    DEPLOYMENTS: _workload, STATEFUL_SETS: _workload, DAEMON_SETS: _workload, REPLICA_SETS: _workload,
}  # fmt: skip
