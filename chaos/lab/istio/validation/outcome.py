"""What follows from a walk over an object, from the webhook's rules and from the lab's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.validation import schema as s

_META: Final = s.obj({"name": s.STRING, "namespace": s.STRING, "labels": s.LABELS, "annotations": s.LABELS})
"""What the rules look at of an object's metadata; the rest of it is none of theirs."""
_BOOLEANS: Final = {"1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"}
"""What Go's ``strconv.ParseBool`` takes."""


class Warned(str):
    """What the webhook warns of. A plain string is what it refuses."""

    __slots__ = ()


Told = Iterator[str]
"""What rules say: errors, and warnings that are ``Warned``."""


def errors(told: Iterable[str]) -> Told:
    """The errors alone: some of istiod's functions drop the warnings of those that they call."""
    return (one for one in told if not isinstance(one, Warned))


def validated(
    node: s.Node,
    obj: Mapping[str, Any],
    rules: Callable[[Mapping[str, Any], Mapping[str, Any]], Iterable[str]],
    limits: Callable[[Mapping[str, Any]], Iterable[str]] = lambda _: (),
) -> Validation:
    """Asks the schema first, as the API server does; then the webhook; then the lab what it can't do.

    Args:
        node: The schema of ``spec``.
        obj: The object as it was sent.
        rules: What istiod's webhook says of ``spec`` and ``metadata``. They see what the schema has let through.
        limits: What Istio accepts and the lab doesn't do: fields' paths, with their values where only those are at fault.
    """
    spec = obj.get("spec")
    found = s.check(node, {} if spec is None else spec, ("spec",))
    meta = s.check(_META, obj.get("metadata") or {}, ("metadata",))
    walked = Validation(causes=(*meta.causes, *found.causes), unknown=found.unknown, nulls=found.nulls)
    if walked.causes:
        return walked
    if found.unsupported:  # the rules don't see these, and might miss them
        return unsupported(walked, *map(dotted, found.unsupported))
    told = [*_metadata(obj.get("kind", ""), meta.value, found.value), *rules(found.value, meta.value)]
    wrong = list(errors(told))
    if wrong:
        listed = wrong[0] if len(wrong) == 1 else f"{len(wrong)} errors occurred: {'; '.join(wrong)}"
        return replace(walked, denied=f"configuration is invalid: {listed}")
    taken = replace(walked, warnings=tuple(str(one) for one in told if isinstance(one, Warned)))
    missing = list(limits(found.value))
    return unsupported(taken, *missing) if missing else taken


def unsupported(found: Validation, *fields: str) -> Validation:
    """Refuses what Istio takes and the lab can't do, and says which fields those are."""
    return replace(found, denied=f"the lab does not support {', '.join(fields)} yet")


def _metadata(kind: str, meta: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """Istiod ``validateMetadata``."""
    annotations = meta.get("annotations") or {}
    dry_run = annotations.get("istio.io/dry-run")
    if dry_run is not None and kind != "AuthorizationPolicy":
        yield "unsupported annotation istio.io/dry-run, please remove it"
    elif dry_run is not None and spec.get("action", "ALLOW") not in ("ALLOW", "DENY"):
        yield f"the annotation istio.io/dry-run supports the actions ALLOW and DENY only, not {spec['action']}"
    elif dry_run is not None and dry_run not in _BOOLEANS:
        yield f"annotation istio.io/dry-run has the invalid value {dry_run!r}"
    if "internal.istio.io/webhook-always-reject" in annotations:
        yield "the annotation internal.istio.io/webhook-always-reject is there"
