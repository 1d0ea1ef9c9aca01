"""From a history to a judgement. Pure: the live run and the offline judge call the same functions."""

from __future__ import annotations

from chaos.expectations.confidence import decide, interval
from chaos.judge.callers import judge_callers
from chaos.judge.evidence import Query, needed
from chaos.judge.judgement import judge
from chaos.judge.live import PhaseAnswer, baseline_answer, fault_answer, guardrail_tripped
from chaos.judge.proof import faults_before, judge_proof
from chaos.judge.recovery import judge_recovery, recovery_done
from chaos.judge.removal import drain, judge_removal

__all__ = [
    "PhaseAnswer",
    "Query",
    "baseline_answer",
    "decide",
    "drain",
    "fault_answer",
    "faults_before",
    "guardrail_tripped",
    "interval",
    "judge",
    "judge_callers",
    "judge_proof",
    "judge_recovery",
    "judge_removal",
    "needed",
    "recovery_done",
]
