"""From a history to a verdict. Pure: the live run and the offline judge call the same functions."""

from __future__ import annotations

from chaos.judge.beforehand import hopeless, longest, too_coarse
from chaos.judge.callers import judge_callers, newcomers
from chaos.judge.entry import SAFE, EntryFinding, judge_entry
from chaos.judge.facts import Facts, new_evidence
from chaos.judge.judgement import judge
from chaos.judge.ours import called_since, counted_until, must_listen
from chaos.judge.preflight import Sampled, counted_by, lacking, remarks, sampled
from chaos.judge.proof import faults_before
from chaos.judge.questions import aside, looked_for, needed
from chaos.judge.removal import drain
from chaos.judge.shifting import asked_of, concluded, judge_shift, shift_differences, step_at
from chaos.judge.standing import Standing, stand
from chaos.judge.tested import untested_before
from chaos.judge.what_if import supposed

__all__ = [
    "SAFE",
    "EntryFinding",
    "Facts",
    "Sampled",
    "Standing",
    "aside",
    "asked_of",
    "called_since",
    "concluded",
    "counted_by",
    "counted_until",
    "drain",
    "faults_before",
    "hopeless",
    "judge",
    "judge_callers",
    "judge_entry",
    "judge_shift",
    "lacking",
    "longest",
    "looked_for",
    "must_listen",
    "needed",
    "new_evidence",
    "newcomers",
    "remarks",
    "sampled",
    "shift_differences",
    "stand",
    "step_at",
    "supposed",
    "too_coarse",
    "untested_before",
]
