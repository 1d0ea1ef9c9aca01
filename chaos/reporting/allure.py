"""Allure's view of a run: each phase a step with its real times, the evidence attached.

Works inside a test while allure-pytest is active; its listener keeps the result that is being written.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import allure
from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import Label, Status, StatusDetails, TestResult, TestStepResult
from allure_commons.reporter import AllureReporter
from allure_commons.types import LabelType
from allure_commons.utils import md5, uuid4

from chaos.model.history import Environment, History, PhaseName, Span
from chaos.model.plan import Plan
from chaos.model.verdict import Outcome, ShareProof, Verdict
from chaos.ports import Listener, Result
from chaos.reporting.evidence_csv import load_csv, query_csv
from chaos.reporting.plan_text import plan_text
from chaos.reporting.prose import changed_lines, recovery_text, removal_text, share_text, verdict_markdown
from chaos.reporting.record import LOAD_LOG, write_atomically
from chaos.reporting.timeline import TIMELINE
from chaos.values.answers import Answer, ExpectationResult
from chaos.values.quantities import format_number

_MARKDOWN: Final = "text/markdown"
_CSV: Final = "text/csv"
_STATUSES: Final[Mapping[Answer, str]] = {
    Answer.HOLDS: Status.PASSED, Answer.VIOLATED: Status.FAILED, Answer.UNDECIDED: Status.BROKEN,
}  # fmt: skip


class AllureSteps(Listener):
    """Hears of the run of a test whose result allure-pytest is writing.

    Args:
        results: Allure's results folder.
        reporter: The listener's own reporter.
        categories: How the report sorts failures, copied beside the results; by default the package's own.
        marked: Tags that the test has as markers, which allure-pytest tells by itself.
    """

    def __init__(
        self,
        results: Path,
        reporter: AllureReporter,
        *,
        categories: Path | None = None,
        marked: Collection[str] = (),
    ) -> None:
        self._results = results
        self._reporter = reporter
        self._categories = categories
        self._marked = marked

    def finished(self, result: Result) -> None:
        """Labels, steps, attachments, the environment."""
        history, verdict = result.history, result.verdict
        _describe(history.plan, self._marked)
        _attach("verdict", verdict_markdown(verdict), _MARKDOWN, "md")
        if result.folder is not None and (result.folder / TIMELINE).exists():
            allure.attach.file(
                str(result.folder / TIMELINE), name="timeline", attachment_type=allure.attachment_type.PNG
            )
        plan = history.plan
        _attach(
            f"plan: {', '.join(one.strategy for one in plan.injections) if plan.allowed else 'refused'}",
            plan_text(plan),
            "text/plain",
            "txt",
        )
        if plan.declared:
            _attach("experiment as declared", plan.declared, "application/yaml", "yaml")
        if history.load:
            _attach("load statistics", load_csv(history), _CSV, "csv")
        if result.folder is not None and (result.folder / LOAD_LOG).exists():
            allure.attach.file(
                str(result.folder / LOAD_LOG), name="log of the load", attachment_type=allure.attachment_type.TEXT
            )
        for span in history.spans:
            self._phase(span, history, verdict)
        _write_surroundings(self._results, history.environment, self._categories)

    def _phase(self, span: Span, history: History, verdict: Verdict) -> None:
        uuid = uuid4()
        end = span.end if span.end is not None else history.ended or span.start
        start, stop = (_milliseconds(moment - history.clock_offset) for moment in (span.start, end))
        self._reporter.start_step(
            None, uuid, TestStepResult(name=f"{span.phase} ({end - span.start:.1f} s)", start=start)
        )
        told = [event for event in history.events if span.start <= event.at <= end]
        if told:
            lines = [f"{event.at - span.start:7.2f} s  {event.kind}: {event.sentence}" for event in told]
            _attach("events", "\n".join(lines), "text/plain", "txt")
        found = list(_findings(span.phase, verdict))
        for name, status in found:
            # Looked at all along, decided at the phase's end.
            inner = uuid4()
            self._reporter.start_step(uuid, inner, TestStepResult(name=name, start=start))
            self._reporter.stop_step(inner, stop=stop, status=status)
        if span.phase is PhaseName.RELEASE:
            for recorded in history.recorded:
                _attach(f"query: {recorded.question}", query_csv(recorded), _CSV, "csv")
        troubles = [trouble for trouble in history.troubles if span.start <= trouble.at <= end]
        statuses = [status for _, status in found] + [Status.BROKEN for _ in troubles]
        details = (
            StatusDetails(message="\n".join(f"{one.kind}: {one.message}" for one in troubles)) if troubles else None
        )
        self._reporter.stop_step(uuid, stop=stop, status=_worst(statuses), statusDetails=details)


def write_broken(results: Path, *, node: str, why: str) -> None:
    """The result of a test that ended without a verdict, where allure-pytest can't write one.

    It has the full name by which allure-pytest calls the test, so that its history goes on, but for that of one with parameters.

    Args:
        results: Allure's folder.
        node: The test's id in pytest, such as ``suites/test_stock.py::TestStock::test_slow[2s]``.
        why: The message.
    """
    test, bracket, parameters = node.partition("[")
    file, *classes, name = test.split("::")
    full_name = f"{'.'.join([*Path(file).with_suffix('').parts, *classes])}#{name}"
    now = _milliseconds(time.time())
    result = TestResult(
        uuid=uuid4(),
        name=f"{name}{bracket}{parameters}",
        fullName=full_name,
        historyId=md5(full_name, *([parameters] if bracket else [])),
        status=Status.BROKEN,
        statusDetails=StatusDetails(message=why),
        labels=[Label(name=LabelType.PARENT_SUITE, value="chaos experiments")],
        start=now,
        stop=now,
    )
    AllureFileLogger(str(results)).report_result(result)


def _write_surroundings(results: Path, environment: Environment, categories: Path | None) -> None:
    """Writes what lies beside the results: where the run was, and how the report sorts failures.

    Each file is written whole, since several workers write the same. Without categories of the suite, the package's are taken.
    """
    results.mkdir(parents=True, exist_ok=True)
    rows = {
        "Context": environment.context,
        "Cluster": environment.cluster,
        "Kubernetes": environment.kubernetes,
        "Istio": environment.istio or ("embedded lab" if environment.lab else "unknown"),
        "Prometheus": environment.prometheus,
        "Entry": environment.entry,
        "Scrape.interval": f"{format_number(environment.scrape_interval, 3)} s",
        "Samples.late": f"{format_number(environment.lag, 3)} s",
        "Harness": environment.harness,
    }
    text = "".join(f"{key}={value}\n" for key, value in rows.items() if value)
    write_atomically(results / "environment.properties", text)
    own = categories if categories is not None and categories.is_file() else None
    source = own or files("chaos.reporting").joinpath("categories.json")
    write_atomically(results / "categories.json", source.read_text(encoding="utf-8"))


def _describe(plan: Plan, marked: Collection[str]) -> None:
    experiment = plan.experiment
    allure.dynamic.title(experiment.headline)
    allure.dynamic.severity(experiment.severity)
    allure.dynamic.tag(*(tag for tag in experiment.tags if tag not in marked))
    allure.dynamic.parent_suite("chaos experiments")
    allure.dynamic.suite(experiment.target.namespace)
    allure.dynamic.feature(*(f"{one.target.service} in {one.target.namespace}" for one in experiment.each()))
    allure.dynamic.parameter("run", plan.run, excluded=True)
    if experiment.owner:
        allure.dynamic.label("owner", experiment.owner)
    if experiment.description:
        allure.dynamic.description(experiment.description)


def _findings(phase: PhaseName, verdict: Verdict) -> Iterator[tuple[str, str]]:
    """What was decided in a phase, each with its status."""
    if phase is PhaseName.BASELINE:
        yield from map(_step, verdict.baseline)
    elif phase is PhaseName.PROVE and verdict.proof is not None:
        for one in verdict.proof.targets:
            yield from (_half(one.target, share) for share in one.shares)
            for caller, count in one.outside.items():
                yield f"{one.target}: hit outside the declared scope: {caller} ({count})", Status.FAILED
    elif phase is PhaseName.OBSERVE:
        yield from map(_step, verdict.fault)
        for guardrail in verdict.guardrails:
            # A stop condition that is not surely violated has let the run go on.
            status = Status.FAILED if guardrail.answer is Answer.VIOLATED else Status.PASSED
            yield f"guardrail: {_sentence(guardrail)}", status
        yield from ((line, Status.PASSED) for line in changed_lines(verdict))
    elif phase is PhaseName.RESTORE and verdict.removal is not None:
        yield f"removal: {removal_text(verdict.removal)}", _STATUSES[verdict.removal.answer]
    elif phase is PhaseName.RECOVER and verdict.recovery is not None:
        yield f"recovery: {recovery_text(verdict.recovery)}", _STATUSES[verdict.recovery.answer]
        yield from map(_step, verdict.recovery.expectations)
    elif phase is PhaseName.RELEASE and verdict.outcome is Outcome.CLEANUP_FAILED:
        for reason in verdict.reasons:
            yield f"{reason.code}: {reason.message}", Status.FAILED


def _step(one: ExpectationResult) -> tuple[str, str]:
    return _sentence(one), _STATUSES[one.answer]


def _sentence(one: ExpectationResult) -> str:
    return f"{one.title!r}: {one.answer}: {one.told}"


def _half(target: str, share: ShareProof) -> tuple[str, str]:
    # A share that is off leaves the question open: the system itself did nothing wrong.
    return f"{target}: {share_text(share)}", Status.PASSED if share.proven else Status.BROKEN


def _worst(statuses: Iterable[str]) -> str:
    found = set(statuses)
    return str(next((status for status in (Status.FAILED, Status.BROKEN) if status in found), Status.PASSED))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _attach(name: str, body: str, kind: str, extension: str) -> None:
    allure.attach(body, name=name, attachment_type=kind, extension=extension)
