"""Whole runs on a shop in memory, for tests of one kind of expectation."""

from __future__ import annotations

from tempfile import TemporaryDirectory

from chaos.adapters.experiment_file import parse_experiment
from chaos.model.experiment import Profile
from chaos.model.verdict import ReasonCode, Verdict
from chaos.testing.shop import Shop

ABORT = "abort: {percentage: 50, httpStatus: 503}"
ORDERS = "rate: 20, requests: [{path: /orders/42}]"
_EXPERIMENT = """\
experiment: orders
profile: {profile}
target: {{namespace: staging, service: inventory-svc, callers: {{app: order-svc}}}}
faults: [{{{fault}}}]
load: {{{load}}}
steadyState: [{expected}]
"""


def run(shop: Shop, *expected: str, fault: str = ABORT, load: str = ORDERS, profile: Profile = "default") -> Verdict:
    """The verdict of a run with these expectations, each as its line in a file."""
    experiment = parse_experiment(
        _EXPERIMENT.format(profile=profile, fault=fault, load=load, expected=", ".join(expected))
    )
    with TemporaryDirectory() as folder:
        return shop.harness(report_dir=folder).run(experiment).verdict


def reasons(verdict: Verdict) -> dict[ReasonCode, str]:
    """What it says, by its codes."""
    return {reason.code: reason.message for reason in verdict.reasons}
