"""One picture of a run: load, errors, latency and faults over time, phases shaded, the moments that matter marked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chaos.faults.fault import KINDS, felt_by
from chaos.faults.kind import Kind
from chaos.model.history import History, Mark, PhaseName
from chaos.model.plan import Injection
from chaos.model.verdict import Outcome, Verdict
from chaos.ports import Listener, Result
from chaos.values.load import LoadSecond

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TIMELINE: Final = "timeline.png"
_SHADES: Final = {
    PhaseName.BASELINE: "#dbe9f6", PhaseName.PROVE: "#fde3c8", PhaseName.OBSERVE: "#f9cfc4", PhaseName.RECOVER: "#d9efd6",
}  # fmt: skip
_MARKS: Final = {Mark.INJECTED: "injected", Mark.RESTORED: "restored", Mark.FAULT_FROM: ""}
"""Lines and their labels; the fault's arrival has none, being a fraction of a second after the injection."""
_STYLES: Final = ("-", "--", ":", "-.")
"""Lines of the targets, in their order."""
_BAR: Final = 16
"""Height of the bar of a fault's stages, in percent points of the shares above it."""
_APART: Final = 0.06
"""Labels nearer to each other than this part of the picture's width become one."""
_COLOURS: Final = {Outcome.PASSED: "#2e7d32", Outcome.INCONCLUSIVE: "#b26a00", Outcome.REFUSED: "#b26a00"}


class Timeline(Listener):
    """Draws the picture beside the record."""

    def finished(self, result: Result) -> None:
        """Draws; a run without load has nothing to show."""
        if result.folder is not None and result.history.load:
            draw(result.history, result.verdict, result.folder / TIMELINE)


def draw(history: History, verdict: Verdict, path: Path) -> Path:
    """Writes the picture as PNG, 1400 by 1000 points; the path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 10), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels: list[Axes] = list(figure.subplots(4, 1, sharex=True))
    zero = history.marks.get(Mark.LOAD_STARTED, history.started)
    seconds = [second for second in history.load if second.cells or second.sent]
    at = [second.at + 0.5 - zero for second in seconds]
    _load(panels[0], at, seconds)
    _errors(panels[1], at, seconds)
    _latency(panels[2], at, seconds)
    _faults(panels[3], history, zero)
    _stages(panels[3], history, zero)
    for panel in panels:
        _shade(panel, history, zero)
        panel.grid(axis="y", color="#e5e5e5", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.margins(x=0.01)
    _label(panels[0], history, zero)
    panels[-1].set_xlabel("seconds since the load started")
    title = f"{history.plan.experiment.headline}: {verdict.outcome}{' (quick)' if verdict.profile == 'quick' else ''}"
    figure.suptitle(title, fontsize=15, color=_COLOURS.get(verdict.outcome, "#b3261e"))
    figure.savefig(path)
    return path


def _load(panel: Axes, at: list[float], seconds: Sequence[LoadSecond]) -> None:
    panel.step(at, [second.intended for second in seconds], where="mid", color="#9e9e9e", label="intended")
    panel.plot(at, [second.answered for second in seconds], color="#1f5fa8", label="answered")
    panel.set_ylabel("load\nrequests per second")
    panel.set_ylim(bottom=0)
    panel.legend(loc="lower right", ncols=2, frameon=False)


def _errors(panel: Axes, at: list[float], seconds: Sequence[LoadSecond]) -> None:
    shares = [100 * second.errors / second.answered if second.answered else 0.0 for second in seconds]
    panel.plot(at, shares, color="#b3261e", label="no answer or status of 500 and above")
    panel.set_ylabel("errors\n% of answers")
    panel.set_ylim(-2, 102)
    panel.legend(loc="upper right", frameon=False)


def _latency(panel: Axes, at: list[float], seconds: Sequence[LoadSecond]) -> None:
    for quantile, colour in ((0.99, "#6a1b9a"), (0.5, "#b39ddb")):
        values = (second.quantile(quantile) for second in seconds)
        panel.plot(
            at, [math.nan if value is None else value for value in values], color=colour, label=f"p{quantile * 100:g}"
        )
    panel.set_ylabel("latency\nms, from the intended start")
    panel.set_yscale("symlog", linthresh=10)
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    panel.legend(loc="upper right", ncols=2, frameon=False)


def _faults(panel: Axes, history: History, zero: float) -> None:
    for injection, style in zip(history.plan.injections, cycle(_STYLES)):
        for kind in KINDS:
            points = list(_fault_shares(history, injection, kind))
            if any(share for _, share in points):
                at, shares = [at - zero for at, _ in points], [100 * share for _, share in points]
                label = f"{kind.done} at {injection.target.service}"
                panel.plot(at, shares, style, color=kind.colour, label=label)
    panel.set_ylabel("fault at the target\n% of its requests")
    panel.set_ylim(-2, 102)
    if panel.get_lines():
        panel.legend(loc="upper right", ncols=2, frameon=False)
    else:
        panel.text(0.5, 0.5, "no fault was counted", transform=panel.transAxes, ha="center", color="#757575")


def _stages(panel: Axes, history: History, zero: float) -> None:
    """A bar for each fault that has stages, below its shares: the darker, the more requests a stage was to hit."""
    from matplotlib.colors import to_rgba

    staged = [one for one in history.plan.injections if one.fault.course]
    for row, injection in enumerate(staged, 1):
        for seen in (one for one in history.stages if one.target == str(injection.target) and one.since is not None):
            kinds = injection.fault.at(injection.fault.course[seen.number - 1]).kinds
            strength = max((kind.percentage for kind in kinds), default=0.0)
            start = (seen.since or 0.0) - zero
            end = (seen.until or history.marks.get(Mark.RESTORE_SENT, seen.since or 0.0)) - zero
            colour = to_rgba(injection.fault.kinds[0].colour, 0.1 + 0.6 * strength / 100 if kinds else 0.0)
            panel.broken_barh(
                [(start, end - start)], (-_BAR * row, 0.8 * _BAR), facecolors=[colour], edgecolors="#757575", zorder=3
            )
            told = f"{strength:g} %" if kinds else "off"
            panel.text((start + end) / 2, -_BAR * (row - 0.4), told, ha="center", va="center", fontsize=8, zorder=4)
    panel.set_ylim(bottom=-2 - _BAR * len(staged))
    panel.set_yticks(range(0, 101, 20))


def _fault_shares(history: History, injection: Injection, kind: type[Kind]) -> Iterator[tuple[float, float]]:
    """Share of a target's requests that felt a kind of fault between two scrapes, over all callers."""
    recorded = history.find(injection.requests)
    if recorded is None:
        return
    times = sorted({round(at) for series in recorded.series for at, _ in series.samples})
    for before, after in pairwise(times):
        total = faulted = 0.0
        for series in recorded.series:
            grown = _value(series.samples, after + 0.5) - _value(series.samples, before + 0.5)
            total += grown
            if kind in felt_by(series.labels, injection.fault.kinds):
                faulted += grown
        if total > 0:
            yield after, faulted / total


def _value(samples: Sequence[tuple[float, float]], moment: float) -> float:
    value = 0.0
    for at, found in samples:
        if at > moment:
            break
        value = found
    return value


def _shade(panel: Axes, history: History, zero: float) -> None:
    for phase, start, end in _shaded(history):
        panel.axvspan(start - zero, end - zero, color=_SHADES[phase], linewidth=0)
    for at, _ in _moments(history):
        panel.axvline(at - zero, color="#424242", linewidth=1, linestyle="--")


def _shaded(history: History) -> Iterator[tuple[PhaseName, float, float]]:
    """The phases with a colour; one that was never left lasts to the end of what is known."""
    for span in history.spans:
        end = span.end if span.end is not None else history.ended
        if span.phase in _SHADES and end is not None:
            yield span.phase, span.start, end


def _moments(history: History) -> list[tuple[float, str]]:
    """What gets a line, with its label, in the order of time."""
    found = [(history.marks[mark], text) for mark, text in _MARKS.items() if mark in history.marks]
    found += [(event.at, event.label) for event in history.events if event.label]
    return sorted(found)


def _label(panel: Axes, history: History, zero: float) -> None:
    options: dict[str, Any] = {"transform": panel.get_xaxis_transform(), "va": "bottom", "fontsize": 10}
    left, right = panel.get_xlim()
    for phase, start, end in _shaded(history):
        if end - start > _APART / 2 * (right - left):
            panel.text((start + end) / 2 - zero, 1.1, phase.value, ha="center", weight="bold", **options)
    for at, text in _joined([one for one in _moments(history) if one[1]], _APART * (right - left)):
        panel.text(at - zero, 1.01, text, ha="center", color="#424242", **options)


def _joined(moments: Sequence[tuple[float, str]], apart: float) -> list[tuple[float, str]]:
    """Labels that would overlap become one, in the middle of what they name; each word once."""
    groups: list[list[tuple[float, str]]] = []
    for moment in moments:
        if groups and moment[0] - groups[-1][-1][0] < apart:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    return [((group[0][0] + group[-1][0]) / 2, ", ".join(dict.fromkeys(text for _, text in group))) for group in groups]
