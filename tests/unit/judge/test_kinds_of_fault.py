"""A kind of fault that has no flag, holds nothing back and is answered by the target is judged like the others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chaos.judge import Facts, judge
from chaos.judge.removal import drain
from chaos.model.history import History
from chaos.model.verdict import Outcome, ReasonCode
from tests.support.documented_fault import documented, fault_of
from tests.support.histories import grow, history, is_faulted, is_loaded, plan, removal_of

MISROUTE = documented()
_ENDED = 1096.0


def misrouted(wrong: Callable[[int], bool]) -> History:
    """100 requests a second, which the target answers with 404 while they are sent to a wrong path."""
    experiment = plan().experiment.model_copy(update={"faults": (fault_of(MISROUTE),)})
    labels = {"source_workload": "order-svc", "source_workload_namespace": "staging", "instance": "order-svc:15090", "response_flags": "-"}  # fmt: skip
    fine = grow({**labels, "response_code": "200"}, lambda second: 100 * (is_loaded(second) and not wrong(second)))
    lost = grow({**labels, "response_code": "404"}, lambda second: 100 * (is_loaded(second) and wrong(second)))
    return history(plan=plan(experiment=experiment), target=[fine, lost])


def test_it_is_proven_by_what_it_declares() -> None:
    verdict = judge(misrouted(is_faulted))
    assert verdict.outcome is Outcome.PASSED, verdict.reasons
    assert verdict.proof is not None
    (target,) = verdict.proof.targets
    (share,) = target.shares
    assert (share.kind, share.flag, share.declared, share.proven) == ("misroute", "", 1.0, True)
    assert list(target.by_caller) == ["staging/order-svc"]


def test_a_share_that_is_not_the_declared_one_is_told() -> None:
    verdict = judge(misrouted(lambda second: is_faulted(second) and second % 2 == 0))
    assert ReasonCode.FAULT_SHARE_OFF in {reason.code for reason in verdict.reasons}


def test_what_looks_like_it_before_it_is_there_makes_no_baseline() -> None:
    verdict = judge(history(marks={"load-started": 1000.0, "baseline-from": 1001.0, "baseline-until": 1030.0},
                            plan=misrouted(is_faulted).plan, recorded=misrouted(lambda second: second > 1020).recorded))  # fmt: skip
    assert ReasonCode.FOREIGN_FAULT in {reason.code for reason in verdict.reasons}


def test_it_drains_for_as_long_as_the_target_takes_to_answer() -> None:
    one = misrouted(is_faulted)
    assert 0 < drain(Facts.of(one), _ENDED) < 1, "the longest answer to the load"
    assert removal_of(one, _ENDED).seconds == pytest.approx(0.2), "the scrape at 1060.3 has the last ones"
