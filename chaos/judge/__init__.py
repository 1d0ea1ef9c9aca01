"""From a history to a verdict. Pure: the live run and the offline judge call the same functions.

Everything looks at ``Facts`` (``facts.py``): the plan, the marks of a run, and its counted evidence. A look at an
expectation in a window (``looks.py``) has its share of the chance of a wrong verdict (``alpha.py``). What has to be
asked so that there is evidence is in ``questions.py``.

Before a run, ``beforehand.py`` says what it could never show, ``preflight.py`` what the metrics lack, and
``entry.py`` what the mesh's entry answers. During a run, ``standing.py`` judges each look once, by the functions that
also judge the record:

- ``live.py``: the baseline, the fault's time and the guardrails; ``on_the_way.py`` adds the seconds in which only a
  part of the proxies had the fault;
- ``proof.py``: whether the faults hit requests at the declared share, and nobody else's;
- ``removal.py``: when the proxies had lost the fault; ``recovery.py``: when the steady state held again after that.

A verdict comes about in ``judgement.py``, in this order. First, what became of each phase: a phase stands as the look
decided that ended it, but for what is surely otherwise by all that is known (``decisions.py``). Then the reasons
against passing, in the order of the run:

1. the plan's refusals; what stopped the run (``troubles.py``); what is left in the cluster (``aftermath.py``);
2. whether the evidence is there: the metrics (``metrics.py``), all proxies (``unscraped.py``), the load
   (``load.py``);
3. why nothing was injected: the baseline is not steady, somebody else's fault, no callers (``callers.py``);
4. whether the baseline shows a system that works (``tested.py``, by the answers of ``answers.py``);
5. what was violated, but for what has an excuse (``excuses.py``, ``others.py``: others who call, or who inject
   faults, too);
6. if nothing was: why the faults are not proven (``unproven.py``), why what held shows nothing (``tested.py``,
   ``reach.py``), and why something is undecided (``undecided.py``);
7. the same of the recovery.

Without any reason it passed, if each part of the proof is there (``passing.py``). A verdict also tells what a green
one does not show (``unshown.py``), and which other edges changed (``cascade.py``).

Counting that several of these share: ``calls.py`` who calls whom, ``ours.py`` which requests are the load's. Beside
runs, ``shifting.py`` decides the steps of a canary shift, and ``what_if.py`` puts other bounds into a record.
"""

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
