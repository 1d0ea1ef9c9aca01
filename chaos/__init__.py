"""Chaos experiments for services on an Istio mesh.

    >>> from chaos import Experiment, parse_experiment

Names are loaded when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chaos.adapters.experiment_file import DocumentError, parse_experiment
    from chaos.model.events import Event
    from chaos.model.experiment import Experiment
    from chaos.model.history import History
    from chaos.model.plan import Plan
    from chaos.model.verdict import Outcome, ReasonCode, Verdict
    from chaos.ports import Finished, Listener, Progress
    from chaos.version import __version__

_HOMES: Final = {
    "DocumentError": "chaos.adapters.experiment_file",
    "Event": "chaos.model.events",
    "Experiment": "chaos.model.experiment",
    "Finished": "chaos.ports",
    "History": "chaos.model.history",
    "Listener": "chaos.ports",
    "Outcome": "chaos.model.verdict",
    "Plan": "chaos.model.plan",
    "Progress": "chaos.ports",
    "ReasonCode": "chaos.model.verdict",
    "Verdict": "chaos.model.verdict",
    "__version__": "chaos.version",
    "parse_experiment": "chaos.adapters.experiment_file",
}

__all__ = [
    "DocumentError",
    "Event",
    "Experiment",
    "Finished",
    "History",
    "Listener",
    "Outcome",
    "Plan",
    "Progress",
    "ReasonCode",
    "Verdict",
    "__version__",
    "parse_experiment",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
