"""What every kind of expectation has: how it is declared, what must be recorded, how it is decided, and its sentences."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.scene import Scene
from chaos.istio.hosts import placed
from chaos.istio.metrics import caller_of
from chaos.values.answers import Answer, ExpectationResult, Interval, Tally
from chaos.values.content import Marker
from chaos.values.declared import Declared
from chaos.values.questions import Durations, Question, Requests, Standing
from chaos.values.remarks import Refusal, Warn

Phase = Literal["baseline", "fault", "recovery"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What is asked about an expectation.

    Args:
        namespace: The target's, where short names of services belong.
        confidence: Of this one decision, for all looks together.
        delay: Seconds by which a faulted request may be counted later than others that came with it.
        baseline: The baseline's window, once it has ended.
        faulted: The fault's window, once it has ended.
        at_least: Seconds before whose end nothing is said.
        at_once: A stop condition acts on what was seen; it does not ask whether it came in a burst.
        reaches_back: What is counted between two scrapes is counted from the last scrape before the window on.
    """

    phase: Phase
    window: Window
    namespace: str
    confidence: float
    delay: float = 0.0
    baseline: Window | None = None
    faulted: Window | None = None
    at_least: float = 0.0
    at_once: bool = False
    reaches_back: bool = False

    @property
    def too_short(self) -> bool:
        """Whether the window does not last long enough yet."""
        return self.window.end - self.window.start < self.at_least


@dataclass(frozen=True)
class Finding:
    """An answer and what it rests on.

    Args:
        tally: The events.
        bound: What they were compared with.
        confidence: Of the answer.
        value: What was compared with the bound, where it is not the share of good events.
        effect: Events that are worth one independent event, for those that come in bursts.
        between: Tallies by which it is at least something, and at most something, where one tally does not tell both.
        seen: Values that were seen, in words.
        missing: The metrics had no data at a look.
        where: At which part of the service it was found, in words; empty where it is of the whole.
        after: Seconds at the start of the window that it leaves out.
        of_share: It rests on the tally's share of good events, compared with the bound.
    """

    answer: Answer
    tally: Tally
    bound: float
    confidence: float
    value: float | None = None
    between: tuple[Tally, Tally] | None = None
    effect: float = 1.0
    where: str = ""
    seen: str = ""
    missing: bool = False
    after: float = 0.0
    of_share: bool = False

    @property
    def looks_good(self) -> bool:
        """Whether nothing speaks against it, sure or not: no violation, and no share of the events that is under the bound."""
        share = self.tally.share if self.of_share else None
        return self.answer is not Answer.VIOLATED and (share is None or share >= self.bound)


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """What a phase can have at most, before there is a run.

    Args:
        seconds: The longest that it may last.
        before: The longest that the baseline may last.
        rates: Requests per second of the load, by name.
        confidence: Of one decision.
        delay: Seconds by which faulted requests are counted late.
        interval: Seconds between two scrapes; 0 where that is not known yet.
    """

    phase: Phase
    seconds: float
    before: float
    rates: Mapping[str, float]
    confidence: float
    delay: float = 0.0
    interval: float = 0.0

    def rate(self, names: Iterable[str] = ()) -> float:
        """Requests per second, of these names or of all."""
        wanted = set(names)
        return sum(rate for name, rate in self.rates.items() if not wanted or name in wanted)


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What it takes at least to decide an expectation in a phase, if all is as it should be.

    Args:
        seconds: For which the phase has to last; infinity where no time is enough.
        key: The key that is in the way, in the experiment file.
        value: Its value.
        why: What is needed, in words, and how much of it there is.
        times: Within the limit it is decided with so many times the load's rate; ``None`` where no rate is enough.
    """

    seconds: float
    key: str
    value: str
    why: str
    times: float | None = None


class Kind(Declared, ABC):
    """One line of the steady state, or a stop condition. Each kind is one file beside this one.

    A kind declares its fields, and says which samples it needs, what they amount to, and how that is told.
    """

    positional: ClassVar[tuple[str, ...]] = ("title",)
    key: ClassVar[str] = ""
    """The key of a file that no other kind has; empty for the kind of what has no such key."""
    decides_by_chance: ClassVar[bool] = True
    """Whether it takes part of what the experiment's confidence leaves for errors."""
    broken_by_errors: ClassVar[bool] = False
    """Whether it is a share of answers of which each becomes bad at once where a faulted request goes wrong."""
    loosened_by: ClassVar[Mapping[Phase, str]] = {}
    """The key in an experiment file by which less is expected in a phase, where there is one."""
    tallies_all_bad: ClassVar[bool] = False
    """Whether nothing can violate it but what its tally counts as not good."""
    counted_by_load: ClassVar[bool] = False
    """Whether the load generator counts it, which then has to be well."""

    no_guardrail: ClassVar[str] = ""
    """Why it is no stop condition; empty where it is one."""
    not_in_guardrails: ClassVar[tuple[str, ...]] = ("duringFault",)
    """Keys that a stop condition has not: ``as_guardrail`` refuses them."""

    title: str = Field(min_length=1, description="what is expected, in words; unique in the experiment")

    @classmethod
    def recognises(cls, declared: Mapping[str, Any]) -> bool:
        """Whether what a file declares is of this kind."""
        return not cls.key or cls.key in declared

    @abstractmethod
    def questions(self, namespace: str) -> Iterable[Question]:
        """What must be asked of the metrics all along."""

    def hosts(self, namespace: str) -> Sequence[str]:
        """The hosts whose requests it counts, each once."""
        asked = (one for one in self.questions(namespace) if isinstance(one, Requests | Durations))
        return tuple(dict.fromkeys(one.host for one in asked))

    def answered_always(self, namespace: str) -> Iterable[Question]:
        """Questions to which there should be an answer at any time, so that a plan can see whether there is one."""
        return (one for one in self.questions(namespace) if isinstance(one, Standing))

    @abstractmethod
    def decide(self, evidence: Evidence, look: Look) -> Finding:
        """What the evidence says in a window."""

    @abstractmethod
    def tell(self, found: Finding, phase: Phase) -> ExpectationResult:
        """What was decided, with the sentences of what was expected and what was observed."""

    def result(
        self,
        found: Finding,
        phase: Phase,
        *,
        expected: str,
        observed: str,
        interval: Interval | None = None,
        hint: str | None = None,
    ) -> ExpectationResult:
        """What was decided, in these words."""
        return ExpectationResult(
            title=self.title,
            phase=phase,
            expected=expected,
            observed=observed,
            bound=found.bound,
            tally=found.tally,
            interval=interval,
            effect=found.effect,
            missing=found.missing,
            hint=hint,
            answer=found.answer,
        )

    def parts(self, phase: Phase) -> Sequence[Kind]:
        """The expectations that it is made of in a phase, each which its tells good answers from others: itself alone where there are none, nothing where it expects nothing."""
        del phase
        return (self,)

    def apart(self, evidence: Evidence, look: Look) -> Mapping[str, Tally]:
        """What was counted at each host to which routes send the requests; nothing where that is one, or the hosts are not distinguished."""
        del evidence, look
        return {}

    def course(self, evidence: Evidence, look: Look, seconds: float) -> Iterator[tuple[float, float]]:
        """How its share of good events goes in a window: the end of each stretch of so many seconds, and the share in it.

        For pictures; nothing of what is no share, or not in this phase.
        """
        del evidence, look, seconds
        yield from ()

    def in_steady_state(self) -> Kind:
        """The expectation that is judged: this one, or the one that it stands for.

        Raises:
            ValueError: it could never be decided.
        """
        return self

    def as_guardrail(self) -> Kind:
        """Itself, as a stop condition: once it is surely violated, the fault is removed at once.

        Raises:
            ValueError: it is none.
        """
        if self.no_guardrail:
            raise ValueError(self.no_guardrail)
        if getattr(self, "during_fault", None) is not None:
            raise ValueError(f"a guardrail has one bound, {self.loosened_by['baseline']}, so expected no duringFault")
        return self

    def key_of_bound(self, phase: Phase) -> str:
        """The key with the bound that holds in a phase; the fault has one of its own only if it is declared."""
        usual = phase == "fault" and getattr(self, "during_fault", None) is None
        return self.loosened_by.get("baseline" if usual else phase, "")

    def unshown(self, scene: Scene) -> Iterator[Refusal | Warn]:
        """What a plan has to say of it: a refusal where the mesh surely can't show it, a warning where that is only likely."""
        del scene
        yield from ()

    def markers(self) -> Iterator[Marker]:
        """What it wants to know of the content of the load's answers."""
        yield from ()

    def whose(self, namespace: str) -> str | None:
        """The workload whose requests alone it counts, as ``namespace/workload``, by its key ``caller``; ``None``: it counts everybody's."""
        caller = getattr(self, "caller", None)
        return None if caller is None else "/".join(placed(caller, namespace))

    @property
    def by(self) -> str:
        """Whose requests it counts, in words after these: `` of order-svc``; empty where it counts everybody's."""
        caller = getattr(self, "caller", None)
        return "" if caller is None else f" of {caller}"

    def its_part(self, evidence: Evidence, namespace: str) -> Evidence:
        """The evidence of that workload's requests, or all of it."""
        whose = self.whose(namespace)
        return evidence if whose is None else evidence.only(caller_of, whose)

    @property
    def needs_fault(self) -> bool:
        """Whether it expects during the fault what only the fault brings about: where a part of the proxies lack it, that is no harm."""
        return False

    def may_suffer(self, violated: ExpectationResult) -> bool:
        """Whether faults of somebody else, which make more go wrong, may be what violated it."""
        del violated
        return True

    @property
    def has_to_rise(self) -> tuple[float, float] | None:
        """Of a share that the fault has to raise: the largest one that it admits without the fault, and the least with it; else nothing."""
        return None

    def counting(self, evidence: Evidence, window: Window) -> Window:
        """The part of a window in which it counts, for those that start later."""
        del evidence
        return window

    @property
    def counts_everybody(self) -> bool:
        """Whether it takes everybody's requests for the load's, so that others' coming and going looks like the system's doing."""
        return False

    @property
    def follows_load(self) -> bool:
        """Whether it is about a rate of requests, which falls and rises with what the load generator manages to send."""
        return False

    @property
    def expects_no_reach(self) -> bool:
        """Whether it expects just that the fault does not reach a service: it may be broken although nothing there needs what is hit."""
        return False

    @property
    def counts_what_arrived(self) -> bool:
        """Whether it counts only requests that reached a service, among which those are not that a fault in front of it answers."""
        return False

    @property
    def asks_how_many(self) -> bool:
        """Whether a caller may break it by how many requests it sends, however they are answered."""
        return self.follows_load

    @property
    def notices_fewer(self) -> bool:
        """Whether too few requests break it."""
        return False

    @property
    def notices_after(self) -> float:
        """Seconds for which requests have to be held back to break it, if nobody gives up; 0 where that is not known, infinity where no time does."""
        return 0.0

    @property
    def endures(self) -> float:
        """Seconds by which the load generator may be late before that matters."""
        return math.inf

    def takes(self, phase: Prospect) -> Takes | None:
        """What it takes at least to decide it in a phase, in a system without fault; nothing where a few looks are enough."""
        del phase
        return None

    def fits(self, phase: timedelta) -> None:
        """Whether it can be decided in a phase of this length.

        Raises:
            ValueError: it can't.
        """

    def names_of_load(self) -> Iterator[str]:
        """Names of the load's requests that it counts apart from others, by its key ``request``."""
        request = getattr(self, "request", None)
        yield from () if request is None else (request,)
