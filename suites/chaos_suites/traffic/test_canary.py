"""A canary gets the share of requests that its weight says (G5)."""

from __future__ import annotations

import pytest

from chaos import Harness
from chaos_suites.asking import Entry
from chaos_suites.configuring import Configure
from chaos_suites.counting import versions
from chaos_suites.services import Services
from chaos_suites.split import disagreement, requests_for

pytestmark = pytest.mark.guide("G5")


def test_the_split_agrees_with_the_weights(
    harness: Harness, services: Services, entry: Entry, configured: Configure
) -> None:
    canary = configured(services.canary)
    times = requests_for(canary.weights, canary.precision)

    def send() -> int:
        entry.must_answer(canary.path, times, method=canary.method)
        return times

    seen = versions(harness, services.namespace, canary, send)
    assert not disagreement(seen, canary.weights)
