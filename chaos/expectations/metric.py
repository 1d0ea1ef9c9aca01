"""A metric that operators of Istio watch, by its name, stays in its range."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, ValidationInfo, WithJsonSchema, field_validator

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.key_metrics import KEY_METRICS, Asked, KeyMetric
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.mesh import Expectation
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.conditions import given, none_of
from chaos.values.declared import Placed
from chaos.values.quantities import format_number
from chaos.values.questions import Question
from chaos.values.remarks import Refusal


def _as_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expected a number, or a number with its unit")
    return value if isinstance(value, str) else format_number(value)


Metric = Literal["request-rate", "latency", "pushes", "convergence", "proxy-memory", "istiod-cpu"]
Range = Annotated[
    str,
    BeforeValidator(_as_text),
    WithJsonSchema({
        "anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}],
        "examples": ["baseline * 3", "250ms", 200, "256Mi", "1600m"],
    }),
]  # fmt: skip
_LONGER: Final = "observe for longer (observe.atLeast): it is read over 5 s, or over two scrapes if these take longer"
_OF_SERVICES: Final[list[JsonValue]] = [name for name, key in KEY_METRICS.items() if key.of_service]


class MetricExpectation(Kind):
    """A key metric that stays in its range: of a service, of the proxies, or of istiod (``metric``).

        >>> MetricExpectation("changes arrive soon", metric="convergence", at_most="3s").at_most
        '3s'

    What was read is a fact of the run, and nothing is left to chance; only ``latency`` is a share of answers, and is judged as
    one. The metrics with their units and ranges: docs/reference/key-metrics.md.

    Args:
        title: What is expected, in words.
        metric: ``request-rate``, ``latency``, ``pushes``, ``convergence``, ``proxy-memory`` or ``istiod-cpu``.
        service: Whose, with ``request-rate`` and ``latency``: a name in the target's namespace, or ``namespace/name``.
        at_most: The largest value, in the metric's unit; by default the normal one, and as a guardrail that of an alarm.

    Raises:
        InputError: a value is not of its form.
    """

    model_config = ConfigDict(json_schema_extra={
        "if": {"properties": {"metric": {"enum": _OF_SERVICES}}},
        "then": given("service"),
        "else": none_of("service"),
    })  # fmt: skip
    key: ClassVar[str] = "metric"
    decides_by_chance: ClassVar[bool] = False
    tallies_all_bad: ClassVar[bool] = True
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atMost", "fault": "atMost", "recovery": "atMost"}

    metric: Metric = Field(description="the name of the key metric")
    service: Placed | None = Field(
        None, validate_default=True, description="the service, for request-rate and latency: a name, or namespace/name"
    )
    at_most: Range | None = Field(
        None,
        description="largest value, in the metric's unit; by default its normal value; as a guardrail its alarm value",
    )

    if TYPE_CHECKING:

        def __init__(
            self, title: str, *, metric: Metric, service: str | None = None, at_most: float | str | None = None
        ) -> None: ...

    @field_validator("service")
    @classmethod
    def _whose(cls, value: str | None, info: ValidationInfo) -> str | None:
        name = info.data.get("metric", "")
        if name in _OF_SERVICES and value is None:
            raise ValueError(f"expected the service whose {name} is meant")
        if name and name not in _OF_SERVICES and value is not None:
            raise ValueError(f"expected no service, since {name} is not that of one")
        return value

    @field_validator("at_most")
    @classmethod
    def _in_its_form(cls, value: str | None, info: ValidationInfo) -> str | None:
        key = KEY_METRICS.get(info.data.get("metric", ""))
        if key is not None and value is not None:
            try:
                key.number(value)
            except ValueError as error:
                raise ValueError(f"expected {key.form}") from error
        return value

    def in_steady_state(self) -> Kind:
        """Itself with the normal range."""
        return self._up_to(self._key.normal)

    def as_guardrail(self) -> Kind:
        """Itself with the range of the alarm."""
        return self._up_to(self._key.alarm)

    def questions(self, namespace: str) -> Iterator[Question]:
        """That of the metric."""
        yield self._question(namespace)

    def unshown(self, scene: Scene) -> Iterator[Refusal]:
        """The metric has to be there."""
        if self._question(scene.namespace) in scene.unanswered:
            yield Refusal(
                rule="metric-not-found",
                value=self.metric,
                message=f"{self.title}: Prometheus has no data for {self.metric}, so it could never be read",
                hint=self._key.missing,
            )

    @property
    def notices_after(self) -> float:
        """None: latency stands for a share of answers within a time, and the others are no times of answers."""
        return inf

    @property
    def follows_load(self) -> bool:
        """A rate of requests does: it grows over a baseline for which too little was sent."""
        return self.metric == "request-rate"

    def takes(self, phase: Prospect) -> Takes:
        """So much time that it can be read."""
        seconds = self._key.takes(phase.interval)
        return Takes(seconds=seconds, key="metric", value=self.metric, why=f"{self.metric} is read over {seconds:g} s")

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated once a value is over its range; holds where none is, nor may still come to be."""
        window = look.window
        if self._key.from_injection and look.phase == "fault" and look.baseline is not None:
            window = Window(look.baseline.end - evidence.scrape_interval, window.end)
        most = self._key.number(self.at_most or self._key.normal)
        read = self._key.read(Asked(self._question(look.namespace), evidence, window, look, most))
        answer, worst = Answer.UNDECIDED, read.worst
        if read.good < read.number:
            answer = Answer.VIOLATED
        elif read.number and read.enough and read.to_come <= read.most:
            answer = Answer.HOLDS
        return Finding(
            answer,
            Tally(good=read.good, total=read.number),
            1.0,
            look.confidence,
            value=worst.value if worst is not None else None,
            where=worst.where if worst is not None else "",
        )

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the largest value."""
        observed = "no reading" if found.value is None else f"at most {self._key.told(found.value)}"
        observed += f" ({found.where})" if found.where else ""
        return self.result(
            found,
            phase,
            expected=self._key.expected.format(most=self.at_most or self._key.normal, service=self.service),
            observed=observed,
            hint=f"{_LONGER}; or {self._key.missing}" if found.value is None else self._key.over,
        )

    @property
    def _key(self) -> KeyMetric:
        return KEY_METRICS[self.metric]

    def _question(self, namespace: str) -> Question:
        return self._key.asks(namespace, self.service or "")

    def _up_to(self, usual: str) -> Kind:
        """With a largest value; a latency is judged as the share of answers that it is."""
        most = self.at_most or usual
        if self.metric == "latency" and self.service is not None:
            return Expectation(self.title, service=self.service, within=most, at_least="99%")
        return self.model_copy(update={"at_most": most})
