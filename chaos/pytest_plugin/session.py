"""What the experiments of one pytest run share: the harness, the lab behind it, the terminal."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import pytest

from chaos.errors import argument

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from chaos.harness.harness import Harness
    from chaos.values.access import MeshAccess


VERDICT: Final = "chaos_verdict"
"""Property of a report, as JSON: name, outcome, reasons and folder of a run; xdist carries it to the controller, JUnit's XML shows it."""
EXPERIMENT: Final = "chaos_experiment"
"""Property of a report: the experiment's name, or that of the test which runs some, whether or not it came to a verdict."""
OWN: Final = "chaos_own_experiment"
"""The same of a test whose harness is its own, at a place that this session does not know."""
NOTE: Final = "chaos_note"
"""Property of a report: what is to be told at the end of all, such as a listener that was dropped."""


def option(setting: str) -> str:
    """How the plugin spells a setting of the harness: ``--chaos-report-dir``."""
    return f"--chaos-{setting.replace('_', '-')}"


def runs_experiments(item: pytest.Item) -> bool:
    """Whether a test has begun to run experiments, as far as is known by now."""
    return any(name in (EXPERIMENT, OWN, VERDICT) for name, _ in item.user_properties)


def tell_begun(item: pytest.Item, kind: str = EXPERIMENT) -> None:
    """Notes that a test is about to run experiments, and has a worker's controller know: the test's own report comes too late."""
    item.user_properties.append((kind, item.name))
    if not hasattr(item.config, "workerinput"):
        return
    report = pytest.TestReport(
        nodeid=item.nodeid, location=item.location, keywords={}, outcome="passed", longrepr=None, when="setup",
        user_properties=list(item.user_properties),
    )  # fmt: skip
    item.ihook.pytest_runtest_logreport(report=report)


class ChaosSession:
    """What the experiments of one pytest run share: the harness, and the lab behind it where there is one."""

    def __init__(self, config: pytest.Config) -> None:
        given: dict[str, Any] = getattr(config, "workerinput", {})
        self._config = config
        self.is_worker = bool(given)
        self.lab_name: str = given.get("chaos_lab", f"pytest-{os.getpid()}-{secrets.token_hex(3)}")
        self._owner: int = given.get("chaos_owner", os.getpid())
        self.workers: list[int] = []
        self.item: pytest.Item | None = None
        """The test that runs now, or ran last."""
        self._lab: MeshAccess | None = None
        self._harness: Harness | None = None
        self.spell: Callable[[str], str] = option
        """How the user spells a setting of the session's harness."""
        self.crashed = False
        """A worker died without a word, maybe in the middle of an experiment."""
        self.ran = False
        """An experiment was begun, here or in a worker."""
        self.ill: str | None = None
        """What is wrong with the mesh, where that was asked for; ``None`` before anybody looked."""
        self.left: list[str] = []
        """Faults that this session found at its end and could not remove."""

    def option(self, name: str) -> str | None:
        """One of the harness's options."""
        value = self._config.getoption(f"chaos_{name}")
        return str(value) if value else None

    def lab(self) -> MeshAccess:
        """The default lab if it runs, else one of this session's own, which all workers share.

        Raises:
            LabError: the default lab has a dead part, or none can be started.
        """
        from chaos.adapters.embedded_lab import find_lab

        if self._lab is None:
            self._lab = find_lab().use(self.lab_name, owner=self._owner, told=self.say)
        return self._lab

    def harness(self) -> Harness:
        """The suite's own, else one on the cluster that is named, else one on the lab.

        Raises:
            HarnessError: it can't be reached, or the options do not fit together.
        """
        if self._harness is None:
            self.spell = argument  # what the suite's own hook gives, it gives in Python
            made = self._config.hook.pytest_chaos_harness(config=self._config)
            if made is None:
                self.spell = option
            self._harness = made or self._connected()
        return self._harness

    def _connected(self) -> Harness:
        from chaos.harness.connecting import Options
        from chaos.harness.harness import Harness
        from chaos.model.experiment import profile_of

        options = Options.typed(
            context=self.option("context"),
            kubeconfig=self.option("kubeconfig"),
            prometheus=self.option("prometheus"),
            prometheus_access=self._config.getoption("chaos_prometheus_access"),
            entry=self.option("entry"),
        )
        return Harness.at(
            options, lab=self.lab, report_dir=self.option("report_dir") or "reports", wait=self.option("wait") or "0s",
            profile=profile_of(self.option("profile")),
        )  # fmt: skip

    def begin(self) -> Harness:
        """The harness; for a session's first experiment, its place is swept of what dead runs left there."""
        harness = self.harness()
        if not self.ran:
            self.ran = True
            for swept in harness.sweep():
                self.say(f"at the start: {swept}")
        return harness

    def verify(self) -> None:
        """At the end nothing of a dead run may be left; ``left`` says what could not be removed.

        Raises:
            HarnessError: the cluster can't be read.
        """
        if not self.ran:
            return
        harness = self.harness()
        if self.crashed:
            harness.await_watchdogs()
        for swept in harness.sweep():
            self.say(f"at the end: {swept}")
            if swept.trouble:
                self.left.append(str(swept))

    def terminal(self) -> Uncaptured | None:
        """The terminal behind pytest's capturing, at the start of a line; ``None`` in a worker, whose output nobody sees."""
        reporter: TerminalReporter | None = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.is_worker:
            return None
        terminal = Uncaptured(self._config, reporter)
        terminal.ensure_newline()
        return terminal

    def say(self, text: str) -> None:
        """A line on the terminal."""
        terminal = self.terminal()
        if terminal is not None:
            terminal.write(f"{text}\n")

    def close(self) -> None:
        """Ends what was started here; workers leave that to the session that they belong to."""
        if self.is_worker or (self._lab is None and not self.workers):
            return
        from chaos.adapters.embedded_lab import find_lab

        find_lab().end(self.lab_name)


class Uncaptured(io.TextIOBase):
    """The terminal behind pytest's capturing."""

    def __init__(self, config: pytest.Config, reporter: TerminalReporter) -> None:
        self._reporter = reporter
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self.width = reporter._tw.fullwidth
        self.colour = reporter._tw.hasmarkup

    def write(self, text: str) -> int:
        """Writes past the capture."""
        with self._passing():
            self._reporter.write(text, flush=True)
        return len(text)

    def ensure_newline(self) -> None:
        """Ends the line on which pytest is writing its letters."""
        with self._passing():
            self._reporter.ensure_newline()
            # With several workers, pytest keeps no note of the line that its letters are on.
            if self._reporter._tw.width_of_current_line:
                self._reporter.line("")

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self._reporter.isatty())

    def _passing(self) -> AbstractContextManager[None]:
        return self._capture.global_and_fixture_disabled() if self._capture else nullcontext()
