"""The kinds of expectation, one file each, and how events are counted and decided. Pure.

This is the one place that names all kinds: see docs/how-to/adding-an-expectation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, Discriminator, Field, Tag

from chaos.expectations.alert import AlertExpectation
from chaos.expectations.attempts import AttemptsExpectation
from chaos.expectations.bound import CERTAIN_LIMIT
from chaos.expectations.breaker import BreakerExpectation
from chaos.expectations.client import ClientExpectation
from chaos.expectations.ejection import EjectionExpectation
from chaos.expectations.fallback import FallbackExpectation
from chaos.expectations.flags import FlagsExpectation
from chaos.expectations.kind import Kind
from chaos.expectations.mesh import Expectation
from chaos.expectations.metric import MetricExpectation
from chaos.expectations.promql import PromqlExpectation
from chaos.expectations.replicas import ReplicaExpectation
from chaos.expectations.throughput import ThroughputExpectation
from chaos.expectations.unaffected import UnaffectedExpectation
from chaos.values.conditions import all_of, inside, none_of

__all__ = [
    "KINDS",
    "AlertExpectation",
    "AnyExpectation",
    "AttemptsExpectation",
    "BreakerExpectation",
    "ClientExpectation",
    "EjectionExpectation",
    "Expectation",
    "FallbackExpectation",
    "FlagsExpectation",
    "Guardrail",
    "MetricExpectation",
    "PromqlExpectation",
    "ReplicaExpectation",
    "SteadyState",
    "ThroughputExpectation",
    "UnaffectedExpectation",
]

Declarable = (
    Annotated[PromqlExpectation, Tag("PromqlExpectation")]
    | Annotated[MetricExpectation, Tag("MetricExpectation")]
    | Annotated[AlertExpectation, Tag("AlertExpectation")]
    | Annotated[ThroughputExpectation, Tag("ThroughputExpectation")]
    | Annotated[UnaffectedExpectation, Tag("UnaffectedExpectation")]
    | Annotated[AttemptsExpectation, Tag("AttemptsExpectation")]
    | Annotated[BreakerExpectation, Tag("BreakerExpectation")]
    | Annotated[FlagsExpectation, Tag("FlagsExpectation")]
    | Annotated[EjectionExpectation, Tag("EjectionExpectation")]
    | Annotated[FallbackExpectation, Tag("FallbackExpectation")]
    | Annotated[ClientExpectation, Tag("ClientExpectation")]
    | Annotated[ReplicaExpectation, Tag("ReplicaExpectation")]
    | Annotated[Expectation, Tag("Expectation")]
)
"""Every kind, each tagged by its name; the first that recognises what a file declares takes it."""

KINDS: Final[tuple[type[Kind], ...]] = tuple(get_args(tagged)[0] for tagged in get_args(Declarable))


def _kind_of(declared: Any) -> str | None:
    """The name of the kind that a value is of."""
    if isinstance(declared, Kind):
        return type(declared).__name__
    if not isinstance(declared, Mapping):
        return None
    return next((kind.__name__ for kind in KINDS if kind.recognises(declared)), None)


AnyExpectation = Annotated[
    Declarable,
    Discriminator(
        _kind_of,
        custom_error_type="expectation",
        custom_error_message="expected an expectation: a mapping with a title",
    ),
]
_BOUNDS: Final = ("atLeast", "atMost", "duringFault")
_NOT_IN_GUARDRAILS: Final = dict.fromkeys(
    key for kind in KINDS for key in ((kind.key,) if kind.no_guardrail else kind.not_in_guardrails)
)

SteadyState = Annotated[
    AnyExpectation,
    AfterValidator(lambda one: one.in_steady_state()),
    Field(
        json_schema_extra=all_of(
            *(inside(bound, {"not": {"type": "string", "pattern": CERTAIN_LIMIT}}) for bound in _BOUNDS)
        )
    ),
]
"""An expectation in the steady state."""
Guardrail = Annotated[
    AnyExpectation,
    AfterValidator(lambda one: one.as_guardrail()),
    Field(json_schema_extra=all_of(none_of(*_NOT_IN_GUARDRAILS))),
]
"""An expectation of any kind as a stop condition."""
