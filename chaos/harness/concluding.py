"""The end of a run: it is judged and recorded."""

from __future__ import annotations

from pathlib import Path

from chaos import judge
from chaos.errors import ExperimentFailed, ExperimentInconclusive, ExperimentRefused, InputError, Setting
from chaos.model.events import Trouble, TroubleKind
from chaos.model.history import History
from chaos.model.verdict import Outcome, Verdict
from chaos.ports import Result
from chaos.reporting.prose import headline, verdict_text
from chaos.reporting.record import run_folder, write_record


def make_folder(folder: Path) -> None:
    """Makes the folder of a record, before anything is written to the mesh.

    Raises:
        InputError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: expected a folder that records can be written to: {error.strerror}",
            hint=f"give another {Setting.REPORT_DIR}",
        ) from error


def conclude(history: History, *, report_dir: Path) -> Result:
    """Judges and records. If the record can't be written, the verdict is not green, since nobody could check it."""
    verdict = judge.judge(history)
    folder: Path | None = run_folder(report_dir, history.run)
    try:
        write_record(history, verdict, report_dir)
    except OSError as error:
        lost = Trouble(
            at=history.ended or history.started,
            kind=TroubleKind.RECORD_LOST,
            message=f"the record can't be written to {folder}: {error.strerror or error}",
            hint="correct what the system says of that path, such as its kind, its rights or a full disk; or choose another folder (the option report-dir)",
        )
        history = history.model_copy(update={"troubles": (*history.troubles, lost)})
        verdict, folder = judge.judge(history), None
    return Result(history=history, verdict=verdict, folder=folder)


def raise_unless_passed(verdict: Verdict) -> None:
    """Nothing for passed; else the exception of the outcome, whose text is the whole verdict in prose.

    Raises:
        ExperimentFailed: the system fell short.
        ExperimentInconclusive: the question could not be answered.
        ExperimentRefused: a staging rule refused the plan.
    """
    __tracebackhide__ = True
    if verdict.passed:
        return
    kinds = {Outcome.INCONCLUSIVE: ExperimentInconclusive, Outcome.REFUSED: ExperimentRefused}
    raise kinds.get(verdict.outcome, ExperimentFailed)(
        f"{headline(verdict)}\n\n{verdict_text(verdict)}",
        run=verdict.run,
        outcome=verdict.outcome,
        reasons=[reason.code for reason in verdict.reasons],
    )
