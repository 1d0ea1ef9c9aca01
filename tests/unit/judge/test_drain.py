"""After the restore: no fault may be counted any more, and that has to have been seen."""

from __future__ import annotations

import pytest

from chaos.judge import faults_after_restore, judge
from chaos.model.history import History, Mark, Series
from chaos.model.verdict import Outcome, ReasonCode
from tests.unit.histories import SHARES, grow, history, requests_to_target, without

_ENDED = 1096.0


def scraped_until(one: History, moment: float, *, instance: str = "") -> History:
    """Without the samples after a moment; only those of one process where named."""

    def cut(series: Series) -> Series:
        if instance and series.labels["instance"] != instance:
            return series
        return series.model_copy(update={"samples": tuple(s for s in series.samples if s[0] <= moment)})

    recorded = tuple(r.model_copy(update={"series": tuple(map(cut, r.series))}) for r in one.recorded)
    return one.model_copy(update={"recorded": recorded})


def test_it_takes_scrapes_after_the_longest_delay() -> None:
    """Restored at 1060.1, a second of delay, one more to be scraped: quiet from 1062.1."""
    one = history()
    assert not faults_after_restore(one, 1063.5).complete
    seen = faults_after_restore(one, 1065.0)
    assert (seen.complete, seen.faults) == (True, 0)


@pytest.mark.parametrize("last", [1059.0, 1061.0, 1063.5])
def test_without_scrapes_nothing_was_seen(last: float) -> None:
    silent = scraped_until(history(), last)
    assert not faults_after_restore(silent, _ENDED).complete
    assert not judge(silent).passed


def test_a_proxy_that_is_gone_is_not_waited_for() -> None:
    series = [*requests_to_target(SHARES), grow({"instance": "second:15090", "source_workload": "order-svc",
              "source_workload_namespace": "staging", "response_flags": "-"}, lambda _: 10)]  # fmt: skip
    gone = scraped_until(history(target=series), 1061.0, instance="order-svc:15090")
    assert faults_after_restore(gone, _ENDED).complete


def test_an_end_long_after_the_last_look_changes_nothing() -> None:
    assert judge(without(history(), ended=_ENDED + 600)).passed


def test_stragglers_are_waited_for_and_then_forgiven() -> None:
    late = grow({"instance": "order-svc:15090", "source_workload": "order-svc", "source_workload_namespace": "staging",
                 "response_flags": "DI", "response_code": "200"}, lambda second: 5 if 1031 < second <= 1066 else 0)  # fmt: skip
    one = history(target=[*requests_to_target(SHARES), late])
    assert not faults_after_restore(one, 1067.0).complete
    assert faults_after_restore(one, 1067.0).faults > 0
    assert faults_after_restore(one, 1075.0).complete
    assert faults_after_restore(one, 1075.0).faults == 0


def test_nothing_is_known_before_the_restore() -> None:
    marks = {mark: at for mark, at in history().marks.items() if mark is not Mark.RESTORED}
    assert not faults_after_restore(without(history(), marks=marks), _ENDED).complete


@pytest.mark.parametrize("mark", [Mark.INJECTED, Mark.RESTORE_SENT])
def test_a_restore_that_was_never_acknowledged_is_residue(mark: Mark) -> None:
    marks = {m: at for m, at in history().marks.items() if m not in (Mark.INJECTED, Mark.RESTORE_SENT, Mark.RESTORED)}
    verdict = judge(without(history(), marks={**marks, mark: 1060.0}))
    assert verdict.outcome is Outcome.CLEANUP_FAILED
    assert ReasonCode.RESIDUE in {reason.code for reason in verdict.reasons}
