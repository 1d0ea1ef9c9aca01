"""What the experiments of one pytest run share: the place, the lab behind it, the terminal."""

from __future__ import annotations

import io
import os
import secrets
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from chaos.values.access import MeshAccess
    from chaos.wiring import Place


class ChaosSession:
    """What the experiments of one pytest run share: the place, and the lab behind it where there is one."""

    def __init__(self, config: pytest.Config) -> None:
        given: dict[str, Any] = getattr(config, "workerinput", {})
        self._config = config
        self.is_worker = bool(given)
        self.lab_name: str = given.get("chaos_lab", f"pytest-{os.getpid()}-{secrets.token_hex(3)}")
        self._owner: int = given.get("chaos_owner", os.getpid())
        self.workers: list[int] = []
        self._lab: MeshAccess | None = None
        self._place: Place | None = None
        self.crashed = False
        """A worker died without a word, maybe in the middle of an experiment."""
        self.ran = False
        """An experiment was begun, here or in a worker."""
        self.left: list[str] = []
        """Faults that this session found at its end and could not remove."""

    def option(self, name: str) -> str | None:
        """One of the harness's options."""
        value = self._config.getoption(f"chaos_{name}")
        return str(value) if value else None

    @property
    def report_dir(self) -> Path:
        """Where records go."""
        return Path(self.option("report_dir") or "reports")

    @property
    def patience(self) -> float:
        """Seconds for which an experiment waits for its turn: several workers may want one target.

        Raises:
            InputError: the option is no duration.
        """
        from chaos.errors import InputError
        from chaos.values.quantities import parse_duration

        text = self.option("wait") or "0s"
        try:
            return parse_duration(text).total_seconds()
        except ValueError as error:
            raise InputError(f"--chaos-wait {text!r}: {error}") from error

    def lab(self) -> MeshAccess:
        """The default lab if it runs, else one of this session's own, which all workers share.

        Raises:
            LabError: the default lab has a dead part, or none can be started.
        """
        from chaos.adapters.embedded_lab import find_lab

        if self._lab is None:
            self._lab = find_lab().use(self.lab_name, owner=self._owner, told=self.say)
        return self._lab

    def place(self) -> Place:
        """The cluster that is named, or the lab.

        Raises:
            HarnessError: it can't be reached, or the options do not fit together.
        """
        from chaos.errors import InputError
        from chaos.wiring import connect

        if self._place is not None:
            return self._place
        context = self.option("context")
        others = {name: self.option(name) for name in ("kubeconfig", "prometheus", "entry")}
        if context is not None:
            self._place = connect(
                context=context,
                kubeconfig=others["kubeconfig"],
                prometheus=others["prometheus"],
                entry=others["entry"],
            )
            return self._place
        named = [f"--chaos-{name}" for name, value in others.items() if value]
        if named:
            raise InputError(
                f"{', '.join(named)} without --chaos-context: a cluster is touched only if its context is named",
                hint="add --chaos-context NAME, or leave all of them out to use the lab",
            )
        lab = self.lab()
        self._place = connect(
            context=lab.context, kubeconfig=lab.kubeconfig, prometheus=lab.prometheus, entry=lab.entry, lab=lab.staging
        )
        return self._place

    def begin(self) -> Place:
        """The place, for a session's first experiment swept of what dead runs left there."""
        from chaos.wiring import sweep_dead

        place = self.place()
        if not self.ran:
            self.ran = True
            for swept in sweep_dead(place):
                self.say(f"at the start: {swept}")
        return place

    def verify(self) -> None:
        """At the end nothing of a dead run may be left; ``left`` says what could not be removed.

        Raises:
            HarnessError: nobody can tell.
        """
        from chaos.wiring import await_watchdogs, sweep_dead

        if not self.ran:
            return
        place = self.place()
        if self.crashed:
            await_watchdogs(place)
        for swept in sweep_dead(place):
            self.say(f"at the end: {swept}")
            if swept.trouble:
                self.left.append(str(swept))

    def terminal(self) -> Uncaptured | None:
        """The terminal behind pytest's capturing, at the start of a line; ``None`` in a worker, whose nobody sees."""
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
    """The terminal behind pytest's capturing.

    Args:
        config: Of the session.
        reporter: pytest's own.
    """

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
