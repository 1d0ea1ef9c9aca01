"""Chaos experiments for services on an Istio mesh: the names that suites use.

    >>> from chaos import Abort, Experiment, Expectation, Harness, Load, Request, Target

They are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chaos.adapters.experiment_file import DocumentError, parse_experiment, read_experiment
    from chaos.doctor.finding import Checked, Level
    from chaos.engine.place import Place
    from chaos.engine.surroundings import NoWatch
    from chaos.errors import (
        ChaosError,
        ExperimentFailed,
        ExperimentInconclusive,
        ExperimentRefused,
        HarnessError,
        InputError,
        LabError,
        LoadError,
        MeshError,
        MetricsError,
        NotPassed,
        Refused,
        Stopped,
    )
    from chaos.expectations.alert import AlertExpectation
    from chaos.expectations.attempts import AttemptsExpectation
    from chaos.expectations.breaker import BreakerExpectation
    from chaos.expectations.client import ClientExpectation
    from chaos.expectations.ejection import EjectionExpectation
    from chaos.expectations.fallback import FallbackExpectation
    from chaos.expectations.flags import FlagsExpectation
    from chaos.expectations.good import Good
    from chaos.expectations.mesh import Expectation
    from chaos.expectations.metric import MetricExpectation
    from chaos.expectations.promql import PromqlExpectation
    from chaos.expectations.replicas import ReplicaExpectation
    from chaos.expectations.throughput import ThroughputExpectation
    from chaos.expectations.unaffected import UnaffectedExpectation
    from chaos.faults.abort import Abort
    from chaos.faults.delay import Delay
    from chaos.faults.fault import Fault
    from chaos.faults.stage import Stage
    from chaos.faults.target import Match, StringMatch, Target
    from chaos.harness.backing_up import BackupFolder
    from chaos.harness.harness import Harness
    from chaos.model.backup import Difference
    from chaos.model.events import Event
    from chaos.model.experiment import Experiment, Limits, Load, Observe, Recovery, Request
    from chaos.model.history import History
    from chaos.model.plan import Plan
    from chaos.model.prometheus import Prometheus
    from chaos.model.settings import Caps, Settings
    from chaos.model.shift import Shift
    from chaos.model.verdict import Outcome, ReasonCode, Verdict
    from chaos.ports import Listener, Progress, Result
    from chaos.values.access import MeshAccess
    from chaos.version import __version__

_HOMES: Final = {
    "Abort": "chaos.faults.abort",
    "AlertExpectation": "chaos.expectations.alert",
    "AttemptsExpectation": "chaos.expectations.attempts",
    "BackupFolder": "chaos.harness.backing_up",
    "BreakerExpectation": "chaos.expectations.breaker",
    "Caps": "chaos.model.settings",
    "ChaosError": "chaos.errors",
    "Checked": "chaos.doctor.finding",
    "ClientExpectation": "chaos.expectations.client",
    "Delay": "chaos.faults.delay",
    "Difference": "chaos.model.backup",
    "DocumentError": "chaos.adapters.experiment_file",
    "EjectionExpectation": "chaos.expectations.ejection",
    "Event": "chaos.model.events",
    "Expectation": "chaos.expectations.mesh",
    "Experiment": "chaos.model.experiment",
    "ExperimentFailed": "chaos.errors",
    "ExperimentInconclusive": "chaos.errors",
    "ExperimentRefused": "chaos.errors",
    "FallbackExpectation": "chaos.expectations.fallback",
    "Fault": "chaos.faults.fault",
    "FlagsExpectation": "chaos.expectations.flags",
    "Good": "chaos.expectations.good",
    "Result": "chaos.ports",
    "Harness": "chaos.harness.harness",
    "HarnessError": "chaos.errors",
    "History": "chaos.model.history",
    "InputError": "chaos.errors",
    "LabError": "chaos.errors",
    "Level": "chaos.doctor.finding",
    "Limits": "chaos.model.experiment",
    "Listener": "chaos.ports",
    "Load": "chaos.model.experiment",
    "LoadError": "chaos.errors",
    "Match": "chaos.faults.target",
    "MeshAccess": "chaos.values.access",
    "MeshError": "chaos.errors",
    "MetricExpectation": "chaos.expectations.metric",
    "MetricsError": "chaos.errors",
    "NoWatch": "chaos.engine.surroundings",
    "NotPassed": "chaos.errors",
    "Outcome": "chaos.model.verdict",
    "Place": "chaos.engine.place",
    "Plan": "chaos.model.plan",
    "Progress": "chaos.ports",
    "Prometheus": "chaos.model.prometheus",
    "PromqlExpectation": "chaos.expectations.promql",
    "ReasonCode": "chaos.model.verdict",
    "Observe": "chaos.model.experiment",
    "Recovery": "chaos.model.experiment",
    "Refused": "chaos.errors",
    "ReplicaExpectation": "chaos.expectations.replicas",
    "Request": "chaos.model.experiment",
    "Settings": "chaos.model.settings",
    "Shift": "chaos.model.shift",
    "Stage": "chaos.faults.stage",
    "Stopped": "chaos.errors",
    "StringMatch": "chaos.faults.target",
    "Target": "chaos.faults.target",
    "ThroughputExpectation": "chaos.expectations.throughput",
    "UnaffectedExpectation": "chaos.expectations.unaffected",
    "Verdict": "chaos.model.verdict",
    "__version__": "chaos.version",
    "parse_experiment": "chaos.adapters.experiment_file",
    "read_experiment": "chaos.adapters.experiment_file",
}

__all__ = [
    "Abort",
    "AlertExpectation",
    "AttemptsExpectation",
    "BackupFolder",
    "BreakerExpectation",
    "Caps",
    "ChaosError",
    "Checked",
    "ClientExpectation",
    "Delay",
    "Difference",
    "DocumentError",
    "EjectionExpectation",
    "Event",
    "Expectation",
    "Experiment",
    "ExperimentFailed",
    "ExperimentInconclusive",
    "ExperimentRefused",
    "FallbackExpectation",
    "Fault",
    "FlagsExpectation",
    "Good",
    "Harness",
    "HarnessError",
    "History",
    "InputError",
    "LabError",
    "Level",
    "Limits",
    "Listener",
    "Load",
    "LoadError",
    "Match",
    "MeshAccess",
    "MeshError",
    "MetricExpectation",
    "MetricsError",
    "NoWatch",
    "NotPassed",
    "Observe",
    "Outcome",
    "Place",
    "Plan",
    "Progress",
    "Prometheus",
    "PromqlExpectation",
    "ReasonCode",
    "Recovery",
    "Refused",
    "ReplicaExpectation",
    "Request",
    "Result",
    "Settings",
    "Shift",
    "Stage",
    "Stopped",
    "StringMatch",
    "Target",
    "ThroughputExpectation",
    "UnaffectedExpectation",
    "Verdict",
    "__version__",
    "parse_experiment",
    "read_experiment",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
