"""The errors of this package: a verdict that isn't green, and mistakes of the harness or its user.

ChaosError
├── NotPassed                 a verdict that isn't green
│   ├── ExperimentFailed         the system did not do what was expected            (exit code 1)
│   ├── ExperimentInconclusive   the run could not answer the question              (exit code 3)
│   └── ExperimentRefused        a staging rule refused the plan                    (exit code 4)
└── HarnessError              the harness, its user, the cluster or the lab is at fault
    ├── InputError               a value, an option or a file of the user is wrong  (exit code 2)
    ├── Refused                  another run holds what this one needs, or a rule forbids it (exit code 4)
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
    """Something that a user sets. Each front end has its own name for it; messages contain ``f"{Setting.ENTRY}"``."""

    CONTEXT = "context"
    KUBECONFIG = "kubeconfig"
    PROMETHEUS = "prometheus"
    PROMETHEUS_ACCESS = "prometheus_access"
    ENTRY = "entry"
    REPORT_DIR = "report_dir"
    WAIT = "wait"
    PROFILE = "profile"

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
    """The outcome is ``failed``, ``blast-radius-violated`` or ``cleanup-failed``."""


class ExperimentInconclusive(NotPassed):
    """The run could not answer the question. Never green."""


class ExperimentRefused(NotPassed):
    """A staging rule refused the plan, and nothing was started. Never green."""


class Stopped(SystemExit):
    """A run received SIGTERM or SIGHUP and has cleaned up. Not an error: the process should end."""


class HarnessError(ChaosError):
    """The harness, its user, the cluster or the lab is at fault.

    Args:
        message: What was expected, what was found instead, and where.
        hint: What to do, in one sentence.
    """

    exit_code = 2
    spell: Callable[[str], str] = staticmethod(argument)
    """How the front end in use spells a setting."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def told(self, spell: Callable[[str], str] | None = None) -> str:
        """Message and hint, in which settings have the names of a front end."""
        text = f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message
        return _SETTING.sub(lambda found: (spell or self.spell)(found[1]), text)

    def __str__(self) -> str:
        return self.told()


class InputError(HarnessError):
    """A value, an option or a file of the user can't be used."""


class Refused(HarnessError):
    """Another run holds what this one needs, or a staging rule forbids a change; nothing was written."""

    exit_code = 4


class MeshError(HarnessError):
    """The Kubernetes API refused, failed or can't be reached.

    Args:
        message: What was asked, and the answer.
        status: HTTP status of the answer; ``None`` without an answer (the write may or may not have happened).
        hint: What to do.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether the server surely did nothing; otherwise a write may have happened, which only reading can show."""
        return self.status is not None and 400 <= self.status < 500


class MetricsError(HarnessError):
    """Prometheus can't be reached, or did not answer as expected."""


class LoadError(HarnessError):
    """The load generator could not be started or has died."""


class LabError(HarnessError):
    """The embedded lab could not be started, or one of its parts has died."""
