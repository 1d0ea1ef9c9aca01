"""What follows from a walk over an object, from the webhook's rules and from the lab's limits."""

from __future__ import annotations

from collections.abc import Iterable

from chaos.lab.api.validation import Validation, dotted
from chaos.lab.istio.validation.schema import Found


def outcome(found: Found, *, errors: Iterable[str], limits: Iterable[str] = ()) -> Validation:
    """The validation; ``errors`` and ``limits`` are asked for only where the schema holds, in this order.

    Args:
        found: The walk.
        errors: What Istio's webhook rejects.
        limits: What Istio accepts and the lab doesn't do: the fields' paths, or sentences about values.
    """
    if found.causes:
        return Validation(causes=found.causes, unknown=found.unknown)
    wrong = list(errors)
    if wrong:
        told = wrong[0] if len(wrong) == 1 else f"{len(wrong)} errors occurred: {'; '.join(wrong)}"
        return Validation(denied=f"configuration is invalid: {told}", unknown=found.unknown)
    missing = [*map(dotted, found.unsupported), *limits]
    denied = f"the lab does not support {', '.join(missing)} yet" if missing else ""
    return Validation(denied=denied, unknown=found.unknown)
