"""One picture of a run: load, expectations, latency and faults over time, phases shaded, the moments that matter marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chaos.expectations.evidence import Window
from chaos.judge.facts import Facts
from chaos.model.history import History, Mark, PhaseName
from chaos.model.verdict import Outcome, Verdict
from chaos.ports import Listener, Result
from chaos.reporting import panels
from chaos.reporting.panels import Drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TIMELINE: Final = "timeline.png"
_SHADES: Final = {
    PhaseName.BASELINE: "#dbe9f6", PhaseName.PROVE: "#fde3c8", PhaseName.OBSERVE: "#f9cfc4", PhaseName.RECOVER: "#d9efd6",
}  # fmt: skip
_MARKS: Final = {Mark.INJECTED: "injected", Mark.RESTORED: "restored", Mark.FAULT_FROM: ""}
"""Lines and their labels; the fault's arrival has none, being a fraction of a second after the injection."""
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
    picture(history, verdict).savefig(path)
    return path


def picture(history: History, verdict: Verdict) -> Figure:
    """The picture. Nothing but the run's own time is in it, whatever the metrics know of the time before."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    zero = history.marks.get(Mark.LOAD_STARTED, history.started)
    drawn = Drawn(Facts.of(history), verdict, zero=zero, time=_own_time(history, zero))
    rows = sum(not shares for shares in drawn.courses.values())
    shown = [panels.load, panels.expectations, *([panels.others] if rows else []), panels.latency, panels.faults]
    figure = Figure(figsize=(14, 10), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [min(2.0, 0.15 + 0.22 * rows) if one is panels.others else 2.0 for one in shown]
    every: list[Axes] = list(figure.subplots(len(shown), 1, sharex=True, height_ratios=heights))
    for panel, show in zip(every, shown, strict=True):
        show(panel, drawn)
        _shade(panel, history, zero)
        panel.grid(axis="y", color="#e5e5e5", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    panels.stages(every[-1], drawn)
    every[0].set_xlim(drawn.time.start - zero, drawn.time.end - zero)
    _label(every[0], history, zero)
    every[-1].set_xlabel("seconds since the load started")
    title = f"{history.plan.experiment.headline}: {verdict.outcome}{' (quick)' if verdict.profile == 'quick' else ''}"
    figure.suptitle(title, fontsize=15, parse_math=False, color=_COLOURS.get(verdict.outcome, "#b3261e"))
    return figure


def _own_time(history: History, zero: float) -> Window:
    """From the first phase that is shaded, or the load, to the end of both."""
    shaded = list(_shaded(history))
    loaded = [second.at for second in history.load]
    starts = [zero, *(start for _, start, _ in shaded), *loaded[:1]]
    ends = [*(end for *_, end in shaded), *(at + 1 for at in loaded[-1:])]
    return Window(min(starts), max(ends, default=min(starts) + 1))


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
    """Labels that would overlap become one label, in the middle of what they name, with each word once."""
    groups: list[list[tuple[float, str]]] = []
    for moment in moments:
        if groups and moment[0] - groups[-1][-1][0] < apart:
            groups[-1].append(moment)
        else:
            groups.append([moment])
    return [((group[0][0] + group[-1][0]) / 2, ", ".join(dict.fromkeys(text for _, text in group))) for group in groups]
