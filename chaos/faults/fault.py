"""One fault of an experiment, and the list of all kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import ConfigDict, Field, model_validator

from chaos.faults.abort import Abort
from chaos.faults.delay import Delay
from chaos.faults.kind import FilterKind, Kind, Route
from chaos.faults.stage import Stage
from chaos.faults.target import Target
from chaos.istio.metrics import flags_of
from chaos.values.conditions import all_of, any_of, given, inside, none_of
from chaos.values.declared import Declared

KINDS: Final[tuple[type[Kind], ...]] = (Abort, Delay)
"""Every kind of fault. Each has a field of :class:`Fault`; ``docs/how-to/adding-a-fault.md`` says what else a new one takes."""

FILTER_KINDS: Final = tuple(kind for kind in KINDS if issubclass(kind, FilterKind))
"""Those among them that Istio has a field for: ``http[].fault``."""


class Fault(Declared):
    """One fault: an abort, a delay, or both, which Envoy draws independently of each other."""

    model_config = ConfigDict(
        json_schema_extra=all_of(
            any_of(*(kind.key for kind in KINDS)),
            {"if": inside("repeat", {"not": {"minimum": 2}}), "else": given("stages")},
            inside("stages", {"prefixItems": [none_of("off")]}),
        )
    )

    abort: Abort | None = None
    delay: Delay | None = None
    target: Target | None = Field(None, description="whose requests it hits; without it, the target of the experiment")
    stages: tuple[Stage, ...] = Field(
        (), description="its strength over time; without stages, it is as declared all the time"
    )
    repeat: int = Field(1, ge=1, le=100, strict=True, description="how often the stages follow each other")

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            abort: Abort | None = None,
            delay: Delay | None = None,
            target: Target | None = None,
            stages: Sequence[Stage] = (),
            repeat: int = 1,
        ) -> None: ...

    @model_validator(mode="before")
    @classmethod
    def _from_a_kind(cls, value: Any) -> Any:
        """In Python, one kind may stand for a fault: ``faults=[Abort(percentage=50, http_status=503)]``."""
        return {value.key: value} if isinstance(value, Kind) else value

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.kinds:
            raise ValueError(f"expected at least one of {', '.join(kind.key for kind in KINDS)}")
        if self.repeat > 1 and not self.stages:
            raise ValueError("repeat: expected stages that can be repeated")
        if self.stages and self.stages[0].off:
            raise ValueError("stages: the first one can't be off: the run proves the fault in it before it goes on")
        return self

    @property
    def course(self) -> tuple[Stage, ...]:
        """All of its stages in their order, as often as they are repeated; none where it is as declared all the time."""
        return self.stages * self.repeat

    @property
    def ends_off(self) -> bool:
        """Whether its last stage has no fault."""
        return bool(self.course) and self.course[-1].off

    @property
    def steps(self) -> tuple[Fault, ...]:
        """The fault in each of its stages; itself alone if it has none."""
        return tuple(map(self.at, self.course)) or (self,)

    @property
    def least(self) -> float:
        """The smallest percentage that it has while it is not off."""
        return min(kind.percentage for step in self.steps for kind in step.kinds)

    @property
    def held(self) -> timedelta:
        """The longest that it holds a request back, by which its count comes later than those of others."""
        return max(kind.held for kind in self.kinds)

    def at(self, stage: Stage) -> Fault:
        """The fault as it is in a stage; without any kind where the stage is off."""
        found: dict[str, Kind | None] = {}
        for kind in self.kinds:
            share = kind.percentage if stage.percentage is None else stage.percentage
            found[kind.key] = None if stage.off else kind.model_copy(update={"percentage": share})
        return self.model_copy(update={**found, "stages": (), "repeat": 1})

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that it has."""
        return tuple(found for name in type(self).model_fields if isinstance(found := getattr(self, name), Kind))

    def put_into(self, route: Route) -> dict[str, Any]:
        """The route with this fault, and without one that it had: that would be counted as ours."""
        made = {key: value for key, value in route.items() if key != "fault"}
        for kind in self.kinds:
            made = kind.put_into(made)
        return made

    def __str__(self) -> str:
        told = " and ".join(map(str, self.kinds))
        if self.stages:
            told += f", in stages: {', '.join(map(str, self.stages))}"
        return f"{told}; {self.repeat} times" if self.repeat > 1 else told


def without_faults(route: Route) -> dict[str, Any]:
    """A route without all that a fault of any kind puts into one."""
    made = dict(route)
    for kind in KINDS:
        made = kind.taken_from(made)
    return made


def felt_by(labels: Mapping[str, str], declared: Iterable[Kind]) -> frozenset[type[Kind]]:
    """The kinds of fault that hit the requests of a series of ``istio_requests_total``: declared ones, and others that a response flag shows."""
    flags = flags_of(labels)
    known = {kind for kind in KINDS if kind.flag and kind.flag in flags}
    return frozenset(known | {type(kind) for kind in declared if kind.felt(labels)})
