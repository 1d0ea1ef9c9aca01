"""What follows from a walk over an object, from the webhook's rules and from the lab's limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.validation import schema as s

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
    walked = Validation(causes=found.causes, unknown=found.unknown, nulls=found.nulls)
    if found.causes:
        return walked
    if found.unsupported:  # the rules don't see these, and might miss them
        return replace(walked, denied=_unsupported(map(dotted, found.unsupported)))
    meta = obj.get("metadata") or {}
    told = [*_metadata(obj, found.value), *rules(found.value, meta)]
    wrong = list(errors(told))
    if wrong:
        listed = wrong[0] if len(wrong) == 1 else f"{len(wrong)} errors occurred: {'; '.join(wrong)}"
        return replace(walked, denied=f"configuration is invalid: {listed}")
    missing = list(limits(found.value))
    warnings = tuple(str(one) for one in told if isinstance(one, Warned))
    return replace(walked, denied=_unsupported(missing) if missing else "", warnings=warnings)


def _unsupported(fields: Iterable[str]) -> str:
    return f"the lab does not support {', '.join(fields)} yet"


def _metadata(obj: Mapping[str, Any], spec: Mapping[str, Any]) -> Iterator[str]:
    """Istiod ``validateMetadata``."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    dry_run = annotations.get("istio.io/dry-run")
    if dry_run is not None and obj.get("kind") != "AuthorizationPolicy":
        yield "unsupported annotation istio.io/dry-run, please remove it"
    elif dry_run is not None and spec.get("action", "ALLOW") not in ("ALLOW", "DENY"):
        yield f"the annotation istio.io/dry-run supports the actions ALLOW and DENY only, not {spec['action']}"
    elif dry_run is not None and dry_run not in _BOOLEANS:
        yield f"annotation istio.io/dry-run has the invalid value {dry_run!r}"
    if "internal.istio.io/webhook-always-reject" in annotations:
        yield "the annotation internal.istio.io/webhook-always-reject is there"
