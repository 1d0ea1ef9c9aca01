"""The errors of this package: what the system did wrong, and what we or the user did.

ChaosError
├── NotPassed                 a verdict that isn't green
│   ├── ExperimentFailed         the system fell short                              (exit code 1)
│   ├── ExperimentInconclusive   the question could not be answered                 (exit code 3)
│   └── ExperimentRefused        a staging rule said no: nothing was started        (exit code 4)
└── HarnessError              the harness, its user or its surroundings are at fault
    ├── InputError               what the user gave is wrong: file, option, value   (exit code 2)
    ├── Refused                  what is asked for is not free to be had            (exit code 4)
    ├── MeshError                the Kubernetes API did not do what was asked
    ├── MetricsError             Prometheus did not answer as expected
    ├── LoadError                the load generator could not be started or died
    └── LabError                 the embedded lab could not be started or has died
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final


class Setting(Enum):
    """Something that a user sets. Each front end spells it its own way; a message names it by ``f"{Setting.ENTRY}"``."""

    CONTEXT = "context"
    KUBECONFIG = "kubeconfig"
    PROMETHEUS = "prometheus"
    ENTRY = "entry"
    REPORT_DIR = "report_dir"
    WAIT = "wait"

    def __str__(self) -> str:
        return f"<{self.value}>"


_SETTING: Final = re.compile(f"<({'|'.join(one.value for one in Setting)})>")


def argument(name: str) -> str:
    """How a setting is spelled in Python: ``entry=``."""
    return f"{name}="


class ChaosError(Exception):
    """Base of every error that this package raises on purpose."""


class NotPassed(ChaosError):
    """A verdict that isn't green. Its text is the whole verdict in prose.

    Args:
        text: The verdict in prose.
        run: The run's id, by which its record is found; empty where it is not known.
        outcome: Its outcome, e.g. ``cleanup-failed``.
        reasons: The codes of its reasons, e.g. ``expectation-violated``.
    """

    def __init__(self, text: str, *, run: str = "", outcome: str = "", reasons: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.run = run
        self.outcome = outcome
        self.reasons = tuple(reasons)


class ExperimentFailed(NotPassed, AssertionError):
    """The system fell short: failed, blast-radius-violated or cleanup-failed."""


class ExperimentInconclusive(NotPassed):
    """The question could not be answered. Never green."""


class ExperimentRefused(NotPassed):
    """A staging rule said no, and nothing was started. Never green."""


class Stopped(SystemExit):
    """A run was asked to stop by SIGTERM or SIGHUP, and has cleaned up; no error, but the process's end."""


class HarnessError(ChaosError):
    """The harness, its user or its surroundings are at fault.

    Args:
        message: What was expected, what came instead and where.
        hint: What would make it right, in one sentence.
    """

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def told(self, spell: Callable[[str], str] = argument) -> str:
        """Message and hint, with the settings that they name as a front end spells them."""
        text = f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message
        return _SETTING.sub(lambda found: spell(found[1]), text)

    def __str__(self) -> str:
        return self.told()


class InputError(HarnessError):
    """What the user gave can't be used."""


class Refused(HarnessError):
    """What is asked for is not free to be had; nothing was written."""

    exit_code = 4


class MeshError(HarnessError):
    """The Kubernetes API refused, failed or can't be reached.

    Args:
        message: What was asked and what came back.
        status: HTTP status of the answer; ``None`` where there was none (the write may or may not have happened).
        hint: What would make it right.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the server surely did nothing; else a write may have happened, and only reading tells."""
        return self.status is not None and 400 <= self.status < 500


class MetricsError(HarnessError):
    """Prometheus can't be reached or does not have what is needed."""


class LoadError(HarnessError):
    """The load generator could not be started or has died."""


class LabError(HarnessError):
    """The embedded lab could not be started, or one of its parts has died."""
