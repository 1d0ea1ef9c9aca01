"""Services that keep the share of good answers that they had before the fault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

from pydantic import Field, field_validator

from chaos.expectations.bound import Bound
from chaos.expectations.confidence import shared
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.good import Good
from chaos.expectations.kind import Finding, Kind, Look, Phase, Prospect, Takes
from chaos.expectations.mesh import COUNTABLE, Expectation
from chaos.expectations.scene import Scene
from chaos.expectations.share import worst_of
from chaos.values.answers import Answer, ExpectationResult, Tally
from chaos.values.declared import Placed
from chaos.values.quantities import Share, UncertainShare
from chaos.values.questions import Question
from chaos.values.remarks import Refusal, Warn

_SPREADS: Final = "the fault spreads: see which callers share a pool, a queue or a thread with the calls of the target"


class UnaffectedExpectation(Kind):
    """Other services answer as well as before, during the fault and after it (``unaffected``).

        >>> UnaffectedExpectation("the rest of the shop is as before", unaffected=["cart-svc", "platform/session-svc"]).margin
        0.01

    Their callers' proxies count. A service that is bad before the fault has nothing to keep, so its baseline is not steady.

    Args:
        title: What is expected, in words.
        unaffected: The services: names in the target's namespace, or ``namespace/name``.
        good: Which answers are good; by default those with a status under 500.
        margin: The observed share of the baseline may be missed by as much.
        at_least: Least share of good answers before the fault.

    Raises:
        InputError: a value is not of its form.
    """

    key: ClassVar[str] = "unaffected"
    loosened_by: ClassVar[Mapping[Phase, str]] = {"baseline": "atLeast", "fault": "margin", "recovery": "margin"}

    unaffected: tuple[Placed, ...] = Field(
        min_length=1,
        json_schema_extra={"uniqueItems": True},
        description="services that keep their share of good answers: name, or namespace/name",
    )
    good: Good = Field(
        Good(status="<500"),
        json_schema_extra=COUNTABLE,
        description="which answers are good; by default those with a status under 500",
    )
    margin: Share = Field(0.01, description="by how much the share may be under the observed one of the baseline")
    at_least: UncertainShare = Field(0.9, description="smallest share of good answers before the fault")

    if TYPE_CHECKING:

        def __init__(
            self,
            title: str,
            *,
            unaffected: Sequence[str],
            good: Good = ...,
            margin: float | str = 0.01,
            at_least: float | str = 0.9,
        ) -> None: ...

    @field_validator("unaffected")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("expected every service once")
        return value

    @field_validator("good")
    @classmethod
    def _countable(cls, value: Good) -> Good:
        return Expectation.countable(value)

    def questions(self, namespace: str) -> Iterator[Question]:
        """Those of each service."""
        for one in self._services:
            yield from one.questions(namespace)

    @property
    def expects_no_reach(self) -> bool:
        """It does."""
        return True

    @property
    def notices_after(self) -> float:
        """Those within which answers are good."""
        return self.good.seconds

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """The target has to be none of them: its callers get the fault in place of its answers."""
        for one in self.unaffected:
            if scene.host(one) == scene.target:
                yield Refusal(
                    rule="target-is-affected",
                    value=one,
                    message=f"{self.title}: {one} is the target and can't be unaffected, since its callers get the fault in place of its answers",
                    hint="name the services that shall not feel the fault",
                )

    def takes(self, phase: Prospect) -> Takes:
        """As the share of each service does, with its part of alpha."""
        part = replace(phase, confidence=shared(phase.confidence, len(self._services)))
        return replace(self._services[0].takes(part), key=self.loosened_by[phase.phase])

    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """Violated once one service is, holds once all do; each has its part of alpha."""
        part = replace(look, confidence=shared(look.confidence, len(self._services)))
        found = {one.service: one.decide(evidence, part) for one in self._services}
        shown, same = worst_of(found, silent=-1.0)
        silent = [name for name, one in same.items() if not one.tally.total]
        worst = f"the worst of {len(found)} services" if len(found) > 1 else self.unaffected[0]
        return replace(shown, where=worst if shown.answer is Answer.HOLDS else ", ".join(silent or same))

    def parts(self, phase: Phase) -> Sequence[Expectation]:
        """One of each service."""
        del phase
        return self._services

    def counting(self, evidence: Evidence, window: Window) -> Window:
        """As each of its shares does."""
        return self._services[0].counting(evidence, window)

    def apart(self, evidence: Evidence, look: Look) -> Mapping[str, Tally]:
        """As of shares, of all services."""
        return {host: tally for one in self._services for host, tally in one.apart(evidence, look).items()}

    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """With the services that decided."""
        one = self._services[0]
        told = one.tell(found, phase)
        return told.model_copy(
            update={
                "expected": f"at least {one.bound_in(phase)} of the answers of {', '.join(self.unaffected)} {self.good}",
                "observed": f"{found.where}: {told.observed}"
                if found.tally.total
                else f"{told.observed} at {found.where}",
                "hint": _SPREADS if found.answer is Answer.VIOLATED else None,
            }
        )

    @cached_property
    def _services(self) -> tuple[_AsBefore, ...]:
        bounds = {"at_least": self.at_least, "during_fault": Bound(share=self.margin, relative=True)}
        declared = {"title": self.title, "good": self.good, **bounds}
        return tuple(_AsBefore.model_validate({**declared, "service": one}) for one in self.unaffected)


class _AsBefore(Expectation):
    """One service, which has the bound of the fault after it, too."""

    def bound_in(self, phase: Phase) -> Bound:
        return super().bound_in("baseline" if phase == "baseline" else "fault")
