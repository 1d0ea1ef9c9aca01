"""What istiod counts of proxies that rejected updates, since a moment."""

from __future__ import annotations

from collections.abc import Sequence

from chaos.engine.rejections import not_distributed, rejected_since
from chaos.errors import MetricsError
from chaos.model.history import ProxySeen
from chaos.values.held import Held
from chaos.values.questions import Question, Rejections
from chaos.values.series import Series


class Metrics:
    """Prometheus at 100 s, with these series."""

    def __init__(self, *series: Series, fails: bool = False) -> None:
        self._series, self._fails = series, fails

    def now(self) -> float:
        return 100.0

    def version(self) -> str:
        return "3"

    def scrape_interval(self) -> float:
        return 1.0

    def held(self) -> Held:
        return Held(requests=False)

    def samples(self, question: Question, *, seconds: float, at: float | None = None) -> Sequence[Series]:
        assert question == Rejections()
        if self._fails:
            raise MetricsError("gone")
        return [
            Series(labels=one.labels, samples=tuple(pair for pair in one.samples if pair[0] > 100 - seconds))
            for one in self._series
        ]

    def wording(self, question: Question) -> str:
        return str(question)


def series(kind: str, *samples: tuple[float, float]) -> Series:
    return Series(labels={"type": kind}, samples=samples)


def test_only_what_came_since_counts() -> None:
    routes = series("rds", (60, 3), (75, 3), (90, 5))
    assert rejected_since(Metrics(routes, series("cds", (60, 2), (90, 2))), 70) == {"rds": 2}


def test_a_type_that_was_never_rejected_before_begins_at_nothing() -> None:
    assert rejected_since(Metrics(series("rds", (90, 4))), 70) == {"rds": 4}


def test_an_istiod_that_began_anew_counts_from_nothing() -> None:
    assert rejected_since(Metrics(series("rds", (60, 7), (90, 2))), 70) == {"rds": 2}


def test_without_an_answer_nobody_knows() -> None:
    assert rejected_since(Metrics(fails=True), 70) == {}
    assert rejected_since(Metrics(), 70) == {}


def test_a_fault_that_proxies_rejected_is_said_to_be_that() -> None:
    assert "rejected" not in not_distributed({}, None)[0]
    seen = ProxySeen(at=70, having=1, of=3)
    assert not_distributed({}, seen)[0] == "the callers' proxies did not get the fault within 30 s: 1 of 3 had it"
    message, hint = not_distributed({"rds": 3, "cds": 1}, None)
    assert "proxies rejected updates (1 of cds, 3 of rds)" in message
    assert "chaosctl lab status" in hint
