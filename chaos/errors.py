"""The two families of errors.

ChaosError
├── Finding          the system under test fell short (an outcome, never a traceback)
└── HarnessError     we, the user or the surroundings did
    ├── InputError   what the user gave is wrong: file, option, value            (exit code 2)
    ├── Refused      a staging rule says no: nothing was started                 (exit code 4)
    ├── MeshError    the Kubernetes API did not do what was asked
    ├── MetricsError Prometheus did not answer as expected
    ├── LoadError    the load generator could not be started or died
    └── LabError     the embedded lab could not be started or has died
"""

from __future__ import annotations


class ChaosError(Exception):
    """Base of every error that this package raises on purpose."""


class Finding(ChaosError):
    """The system under test fell short of what its experiment claims."""


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

    def __str__(self) -> str:
        return f"{self.message}\n\nhint: {self.hint}" if self.hint else self.message


class InputError(HarnessError):
    """What the user gave can't be used."""


class Refused(HarnessError):
    """A staging rule forbids the run; nothing was written."""

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
