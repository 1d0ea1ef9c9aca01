"""A degraded answer that shows while the fault is there, and not before or after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from chaos.expectations.client import ClientExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.scene import Scene
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.conditions import all_of, none_of
from chaos.values.content import Marker
from chaos.values.quantities import UncertainShare, format_share
from chaos.values.questions import Question
from chaos.values.remarks import Warn


class FallbackExpectation(Kind):
    """A share of the load's answers has a mark of degradation during the fault, and hardly any before and after (``fallback``).

        >>> degraded = Good(json_path={"stock": "unknown"})
        >>> FallbackExpectation("orders degrade", fallback=degraded, at_least="20%").at_most
        0.01

    So it finds a fallback that never shows, and one that is never taken back, such as a cached one.

    Args:
        title: What is expected, in words.
        fallback: How a degraded answer is recognised: by header, body, JSON or status.
        at_least: Least share of such answers during the fault.
        at_most: Largest share of them before and after it.
        request: Only the load's requests of this name; by default all.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "fallback"
    counted_by_load: ClassVar[bool] = True
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atMost", "fault": "atLeast", "recovery": "atMost"}
    no_guardrail: ClassVar[str] = (
        "a fallback is no guardrail: as a stop condition, declare a share of good answers (from: client)"
    )

    fallback: Good = Field(
        json_schema_extra=all_of(none_of("within", "grpc")),
        description="how a degraded answer is recognised: by header, body, jsonPath, status; all of it",
    )
    at_least: UncertainShare = Field(description="smallest share of degraded answers during the fault, such as 20%")
    at_most: UncertainShare = Field(0.01, description="largest share of degraded answers before and after the fault")
    request: str | None = Field(None, description="only the load's requests of this name")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            fallback: Good,
            at_least: float | str,
            at_most: float | str = 0.01,
            request: str | None = None,
        ) -> None: ...

    @field_validator("fallback")
    @classmethod
    def _recognisable(cls, value: Good) -> Good:
        if value.within is not None:
            raise ValueError(
                "a degraded answer is recognised by header, body, jsonPath or status, so expected no within"
            )
        if value.grpc is not None:
            raise ValueError("grpc: expected status, since the load speaks HTTP")
        return value

    def questions(self, namespace: str) -> Iterator[Question]:
        """None: the load generator counts."""
        del namespace
        yield from ()

    def markers(self) -> Iterator[Marker]:
        """Those of a degraded answer."""
        yield from self.fallback.markers

    def unshown(self, scene: Scene) -> Iterator[Warn]:
        """A caller that only passes the fault's answer on has no fallback."""
        taken = sorted(one for one in scene.passed_on if self.fallback.status_is_good(one))
        if taken and not self.fallback.markers:
            yield Warn(
                code="error-is-fallback",
                message=f"{self.title}: an answer that only passes on the fault's status {', '.join(map(str, taken))} counts as degraded, as it "
                f"is declared ({self.fallback}); recognise a degraded answer by its header, body or jsonPath",
                weakens=True,
            )

    @property
    def needs_fault(self) -> bool:
        """It does: degraded answers come of the fault."""
        return True

    @property
    def has_to_rise(self) -> tuple[float, float]:
        """The share of degraded answers."""
        return self.at_most, self.at_least

    def takes(self, phase: Prospect) -> Takes:
        """As a share does, of degraded answers during the fault and of others before it."""
        faulted = phase.phase == "fault"
        key, value = ("atLeast", self.at_least) if faulted else ("atMost", self.at_most)
        return replace(self._shares[faulted].takes(phase), key=key, value=format_share(value))

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """As a share of degraded answers during the fault, and of others before and after it."""
        return self._shares[look.phase == "fault"].decide(evidence, look)

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the interval of the share."""
        faulted = phase == "fault"
        told = self._shares[faulted].tell(found, phase)
        expected = f"at least {format_share(self.at_least)} of answers {self.fallback}"
        if not faulted:
            expected = f"at least {format_share(1 - self.at_most)} of answers other than those {self.fallback} (atMost: {format_share(self.at_most)})"
        hint = (
            "check what the callers answer when the target fails, and whether the declared mark is in these answers"
            if faulted and found.answer is Answer.VIOLATED
            else None
        )
        return told.model_copy(update={"expected": expected, "hint": hint})

    def course(self, evidence: Evidence, look: Look, seconds: float) -> Iterator[tuple[float, float]]:
        """That of the share."""
        return self._shares[look.phase == "fault"].course(evidence, look, seconds)

    @cached_property
    def _shares(self) -> tuple[ClientExpectation, ClientExpectation]:
        """Without the fault, and with it."""
        declared = {"title": self.title, "request": self.request, "good": self.fallback}
        before = _Others.model_validate({**declared, "at_least": 1 - self.at_most})
        during = ClientExpectation.model_validate({**declared, "at_least": self.at_least})
        return before, during


class _Others(ClientExpectation):
    """The share of answers that are not degraded; those that never came are not, either."""

    def claimed(self, phase: Phase) -> str:
        return f"at most {format_share(1 - self.bound_in(phase).share)}"

    def tally(self, evidence: Evidence, window: Window, namespace: str) -> Tally:
        degraded = super().tally(evidence, window, namespace)
        return Tally(good=degraded.total - degraded.good, total=degraded.total)
