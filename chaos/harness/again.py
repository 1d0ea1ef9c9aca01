"""A record is judged again: by another version, after it was changed, or with other values than the declared ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chaos import judge
from chaos.model.judged import Again, differences
from chaos.model.shift import Shift
from chaos.model.verdict import Outcome, Reason, ReasonCode, Verdict
from chaos.reporting.judged import summed_up
from chaos.reporting.record import read_record, read_shift


def judge_again(path: Path, what_if: Mapping[str, object]) -> Verdict:
    """The verdict by this version, with what there is to say about the record, and about the verdict that it holds.

    Args:
        path: A ``record.json``, or the folder that holds one.
        what_if: Other values than the declared ones, see :func:`chaos.judge.what_if.supposed`. With any, the verdict is
            hypothetical, and is compared with the one by the declared values.

    Raises:
        InputError: it is no record, or can't be judged by such values.
    """
    record = read_record(path)
    verdict = judge.judge(record.history)
    before, by = record.judged, f"version {record.judged.harness}" if record.judged else ""
    values: Mapping[str, str] = {}
    if what_if:
        before, by = summed_up(verdict), "the declared values"
        history, values = judge.supposed(record.history, what_if)
        verdict = judge.judge(history)
    found = tuple(differences(before, summed_up(verdict))) if before else ()
    again = Again(what_if=values, changed=record.changed, by=by, differences=found)
    if record.changed:
        verdict = verdict.but(_CHANGED)
    return verdict if again.is_plain else verdict.model_copy(update={"again": again})


def judge_shift_again(path: Path, what_if: Mapping[str, object]) -> Shift:
    """The same of a shift.

    Args:
        path: A ``shift.json``, or the folder that holds one.
        what_if: As of a run.

    Raises:
        InputError: as of a run.
    """
    recorded, history, changed = read_shift(path)
    before, by = recorded, f"version {history.environment.harness}"
    values: Mapping[str, str] = {}
    if what_if:
        before, by = judge.judge_shift(recorded, history), "the declared values"
        history, values = judge.supposed(history, what_if)
    found = judge.judge_shift(recorded, history)
    again = Again(what_if=values, changed=changed, by=by, differences=tuple(judge.shift_differences(before, found)))
    if changed:
        found = found.model_copy(update={"outcome": Outcome.INCONCLUSIVE, "reason": _CHANGED.message})
    return found.model_copy(update={"again": again})


_CHANGED: Final = Reason(
    code=ReasonCode.RECORD_CHANGED,
    message="the record was changed after its verdict, so it does not show what happened in the run",
    hint="judge the original record, from a backup or what CI kept of the run. If there is none, run again. (A digest "
    "in the record shows that it was changed; it finds accidents, and is no signature)",
)
