"""What the panels of a run's picture show: the load, the expectations as they are judged, latency, and the faults that were counted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import cycle
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Final

from chaos.expectations.evidence import Window
from chaos.expectations.kind import Kind as Expected
from chaos.expectations.kind import Phase
from chaos.faults.kind import Kind
from chaos.istio.metrics import caller_of
from chaos.judge.facts import Facts
from chaos.judge.looks import look_at
from chaos.judge.proof import counted, is_declared
from chaos.judge.removal import drain
from chaos.model.history import Mark
from chaos.model.plan import Injection
from chaos.model.verdict import Verdict
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.load import LoadSecond

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LATE: Final = "counted late: drawn before the fault was gone"
_LATE: Final = ":"
_STYLES: Final = ("-", "-.", "-o", "-^")
"""Lines of the targets, in their order."""
_COLOURS: Final = ("#1f5fa8", "#6a1b9a", "#00796b", "#c2185b", "#5d4037", "#f57c00")
"""Lines of the expectations, in their order."""
_FILLED: Final = {Answer.HOLDS: "#2e7d32", Answer.VIOLATED: "#b3261e", Answer.UNDECIDED: "#b26a00"}
_STRETCH: Final = 2.0
_STRETCHES: Final = 300
"""A share is drawn over so many seconds, or longer where there would be more of them, or a scrape takes longer."""
_FEW: Final = 5
"""Names that fit beside a panel in letters of the usual size."""
_DECADE: Final = 12
"""The least ratio of the ends of a logarithmic axis, so that it has numbers."""
_BAR: Final = 16
"""Height of the bar of a fault's stages, in percent points of the shares above it."""


Points = Sequence[tuple[float, float]]
"""Moments, and the shares that end there."""


class Drawn:
    """The facts of a run, and the time that is drawn: the run's own.

    Args:
        zero: The moment from which seconds are told.
    """

    def __init__(self, facts: Facts, verdict: Verdict, *, zero: float, time: Window) -> None:
        self.facts, self.verdict, self.zero, self.time = facts, verdict, zero, time
        self.stretch = max(_STRETCH, facts.evidence.scrape_interval, (time.end - time.start) / _STRETCHES)

    def at(self, moment: float) -> float:
        """Seconds since zero, inside the time that is drawn."""
        return min(max(moment, self.time.start), self.time.end) - self.zero

    @property
    def seconds(self) -> Sequence[LoadSecond]:
        """What the load generator told."""
        return [one for one in self.facts.evidence.load.seconds if one.cells or one.sent]

    @property
    def phases(self) -> Iterator[tuple[Phase, Window, Sequence[ExpectationResult]]]:
        """The phases that were judged, with what became of the expectations; recovery begins with the restore here."""
        facts, verdict = self.facts, self.verdict
        restored, end = facts.marks.get(Mark.RESTORED), facts.marks.get(Mark.LOAD_STOPPED, self.time.end)
        after = Window(restored, end) if restored is not None and restored < end else None
        windows: tuple[tuple[Phase, Window | None, Sequence[ExpectationResult]], ...] = (
            ("baseline", facts.baseline or self._unended, verdict.baseline),
            ("fault", facts.faulted(self.time.end), verdict.fault),
            ("recovery", after, verdict.recovery.expectations if verdict.recovery else ()),
        )
        for phase, window, results in windows:
            if window is not None and results:
                yield phase, window, results

    @cached_property
    def courses(self) -> Mapping[str, Mapping[Phase, Points]]:
        """By the titles of the expectations: the share of good events in each phase in which there is one."""
        return {one.title: dict(self._courses(one)) for one in self.facts.experiment.steady_state}

    def _courses(self, one: Expected) -> Iterator[tuple[Phase, Points]]:
        for phase, window, _ in self.phases:
            look = look_at(self.facts, phase, window, confidence=self.facts.experiment.confidence)
            if shares := list(one.course(self.facts.evidence, look, self.stretch)):
                yield phase, shares

    @property
    def _unended(self) -> Window | None:
        """The baseline of a run that never got beyond it."""
        start = self.facts.marks.get(Mark.BASELINE_FROM)
        return Window(start, self.facts.marks.get(Mark.LOAD_STOPPED, self.time.end)) if start is not None else None


def load(panel: Axes, drawn: Drawn) -> None:
    """Requests that were to be sent, and answers."""
    at = [drawn.at(second.at + 0.5) for second in drawn.seconds]
    intended = [second.intended for second in drawn.seconds]
    answered = [second.answered for second in drawn.seconds]
    panel.step(at, intended, where="mid", color="#9e9e9e", lw=3, label="intended")
    panel.plot(at, answered, color="#1f5fa8", label="answered")
    panel.set_ylabel("load\nper second")
    panel.set_ylim(0, 1.15 * max([1, *intended, *answered]))
    _legend(panel)


def expectations(panel: Axes, drawn: Drawn) -> None:
    """Every expectation that is a share of good events, by the counts that decide it, with its bound in each phase."""
    lows = [1.0]
    for number, (one, colour) in enumerate(zip(drawn.facts.experiment.steady_state, cycle(_COLOURS), strict=False)):
        label: str | None = one.title
        for phase, window, results in drawn.phases:
            shares = drawn.courses[one.title].get(phase)
            if not shares:
                continue
            bound = results[number].bound
            lows += [bound, *(share for _, share in shares)]
            at = [drawn.at(at) for at, _ in shares]
            panel.plot(
                at,
                [100 * share for _, share in shares],
                color=colour,
                label=label,
                marker=".",
                linewidth=max(1.2, 3 - 0.8 * number),
            )
            panel.hlines(
                100 * bound, drawn.at(window.start), drawn.at(window.end), colour, linestyles="--", linewidth=1.2
            )
            end = (drawn.at(window.start), 100 * bound)
            panel.annotate(
                f"{100 * bound:.4g} %", end, (2, 2), textcoords="offset points", fontsize=8, color=colour, va="bottom"
            )
            label = None
    panel.set_ylabel("expectations: good events\n%, bounds dashed")
    low = max(0.0, 100 * min(lows) - max(1.0, 8 * (1 - min(lows))))
    panel.set_ylim(low, 100 + 0.06 * (100 - low))
    _legend(panel, "no expectation is a share of events, or none was counted")


def others(panel: Axes, drawn: Drawn) -> None:
    """Expectations that are no share: what became of each in each phase."""
    named: list[str] = []
    for number, one in enumerate(drawn.facts.experiment.steady_state):
        if drawn.courses[one.title]:
            continue
        named.append(one.title)
        for _, window, results in drawn.phases:
            start, end = drawn.at(window.start), drawn.at(window.end)
            result = results[number]
            panel.broken_barh([(start, end - start)], (-len(named), 0.8), facecolors=_FILLED[result.answer], zorder=3)
            panel.text(
                (start + end) / 2,
                0.4 - len(named),
                result.answer,
                ha="center",
                va="center",
                fontsize=8,
                color="white",
                zorder=4,
            )
    panel.set_yticks(
        [0.4 - row for row in range(1, len(named) + 1)], [shorten(_plain(one), 28, placeholder="…") for one in named]
    )
    panel.set_ylim(-len(named) - 0.2, 0)
    panel.tick_params(axis="y", length=0, labelsize=8)


def latency(panel: Axes, drawn: Drawn) -> None:
    """Quantiles of the load's answers."""
    from matplotlib.ticker import LogLocator, NullFormatter

    at, every = [drawn.at(second.at + 0.5) for second in drawn.seconds], []
    for quantile, colour, width in ((0.99, "#6a1b9a", 2.5), (0.5, "#b39ddb", 1.5)):
        values = [second.quantile(quantile) for second in drawn.seconds]
        every += [value for value in values if value]
        shown = [math.nan if value is None else value for value in values]
        panel.plot(at, shown, color=colour, lw=width, label=f"p{quantile * 100:g}")
    panel.set_ylabel("latency\nfrom the intended start")
    panel.set_yscale("log")
    low = 0.5 * min(every, default=10.0)
    panel.set_ylim(low, max(2 * max(every, default=100.0), _DECADE * low))
    panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s")
    panel.yaxis.set_minor_formatter(NullFormatter())
    _legend(panel)


def faults(panel: Axes, drawn: Drawn) -> None:
    """Shares of a target's requests that felt a kind of fault, as its proof counts them; dotted what was counted late."""
    told: set[str] = set()
    for injection, style in zip(drawn.facts.plan.injections, cycle(_STYLES), strict=False):
        for kind in injection.fault.kinds:
            shares = list(_shares(drawn, injection, kind))
            if not any(share for _, share in shares):
                continue
            for line, points in _parts(shares, style, *_lateness(drawn)):
                label = LATE if line == _LATE else f"{kind.done} at {injection.target.service}"
                at, percent = [drawn.at(one) for one, _ in points], [100 * share for _, share in points]
                panel.plot(at, percent, line, markersize=3, color=kind.colour, label=None if label in told else label)
                told.add(label)
            _declared(panel, drawn, injection, kind)
    panel.set_ylabel("fault at the target\n% of its requests")
    panel.set_ylim(-2, 102)
    _legend(panel, "no fault was counted")


def _parts(shares: Points, style: str, since: float, until: float) -> Iterator[tuple[str, Points]]:
    """A line as it is drawn: before faults are counted late, meanwhile, and after that; each begins where the one before ends."""
    first = sum(at <= since for at, _ in shares)
    last = sum(at <= until for at, _ in shares)
    if not any(share for _, share in shares[first:last]):
        yield style, shares
        return
    yield style, shares[:first]
    yield _LATE, shares[max(0, first - 1) : last]
    yield style, shares[max(0, last - 1) :]


def _lateness(drawn: Drawn) -> tuple[float, float]:
    """The ends of the stretches after the fault was gone in which only faults are counted that had been drawn before."""
    restored, removal = drawn.facts.marks.get(Mark.RESTORED), drawn.verdict.removal
    if restored is None or removal is None or removal.seconds is None:
        return math.inf, math.inf
    gone = restored + removal.seconds
    return gone + drawn.stretch, gone + drawn.stretch + drain(drawn.facts, drawn.time.end)


def _shares(drawn: Drawn, injection: Injection, kind: Kind) -> Iterator[tuple[float, float]]:
    """By the requests of declared callers since the baseline began, in stretches; what was counted before the run is not its own."""
    start, before = drawn.facts.marks.get(Mark.BASELINE_FROM, drawn.time.start), (0, 0)
    for number in range(1, int((drawn.time.end - start) / drawn.stretch) + 1):
        end = start + number * drawn.stretch
        mine = [
            one
            for one in counted(drawn.facts, injection, Window(start, end))
            if is_declared(injection, caller_of(one[0].labels))
        ]
        hit = sum(events for series, events in mine if kind.felt(series.labels))
        total = sum(events for series, events in mine if kind.drawn(series.labels))
        if total > before[1]:
            yield end, (hit - before[0]) / (total - before[1])
            before = hit, total


def _declared(panel: Axes, drawn: Drawn, injection: Injection, kind: Kind) -> None:
    """The declared share, from when on it can be counted; that of a stage is in its bar."""
    window = drawn.facts.faulted(drawn.time.end)
    if window is not None and not injection.fault.course:
        held = max(one.held.total_seconds() for one in injection.fault.kinds)
        start, end = drawn.at(window.start + held), drawn.at(window.end)
        panel.hlines(kind.percentage, start, end, kind.colour, linestyles="--", linewidth=1.2)


def stages(panel: Axes, drawn: Drawn) -> None:
    """A bar for each fault that has stages, below its shares: the darker, the more requests a stage was to hit."""
    from matplotlib.colors import to_rgba

    facts = drawn.facts
    staged = [one for one in facts.plan.injections if one.fault.course]
    for row, injection in enumerate(staged, 1):
        for seen in (one for one in facts.stages if one.target == str(injection.target) and one.since is not None):
            kinds = injection.fault.at(injection.fault.course[seen.number - 1]).kinds
            strength = max((kind.percentage for kind in kinds), default=0.0)
            start = drawn.at(seen.since or 0.0)
            end = drawn.at(seen.until or facts.marks.get(Mark.RESTORE_SENT, seen.since or 0.0))
            colour = to_rgba(injection.fault.kinds[0].colour, 0.1 + 0.6 * strength / 100 if kinds else 0.0)
            panel.broken_barh(
                [(start, end - start)], (-_BAR * row, 0.8 * _BAR), facecolors=[colour], edgecolors="#757575", zorder=3
            )
            told = f"{strength:g} %" if kinds else "off"
            panel.text((start + end) / 2, -_BAR * (row - 0.4), told, ha="center", va="center", fontsize=8, zorder=4)
    panel.set_ylim(bottom=-2 - _BAR * len(staged))
    panel.set_yticks(range(0, 101, 20))


def _plain(text: str) -> str:
    """A text in which nothing is taken for mathematics."""
    return text.replace("$", r"\$")


def _legend(panel: Axes, nothing: str = "") -> None:
    """Beside the panel, where it hides nothing."""
    lines, names = panel.get_legend_handles_labels()
    size = 9 if len(names) <= _FEW else 7
    if lines:
        wrapped = [fill(_plain(name), 24) for name in names]
        panel.legend(lines, wrapped, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=size)
    else:
        panel.text(0.5, 0.5, nothing, transform=panel.transAxes, ha="center", color="#757575")
