"""The metrics that operators watch are there, and in their ranges while a small fault is active (G13)."""

from __future__ import annotations

from typing import get_args

import pytest

from chaos import Delay, Experiment, Harness, Load, MetricExpectation, Request, Target
from chaos.expectations.key_metrics import KEY_METRICS
from chaos.expectations.metric import Metric
from chaos_suites.configuring import Configure
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G13")


def test_key_metrics_are_in_their_ranges(harness: Harness, services: Services, configured: Configure) -> None:
    found = configured(services.key_metrics)
    harness.check(
        Experiment(
            "key-metrics-in-range",
            target=Target(services.namespace, found.service, callers={services.label: found.caller}),
            faults=[Delay(percentage=100, fixed_delay="20ms")],
            load=Load(rate=services.rate, requests=[Request(found.path, method=found.method)], host=services.host),
            steady_state=[
                MetricExpectation(
                    f"{name} is in its range",
                    metric=name,
                    service=found.service if KEY_METRICS[name].of_service else None,
                    at_most=found.ranges.get(name),
                )
                for name in get_args(Metric)
            ],
        )
    )
