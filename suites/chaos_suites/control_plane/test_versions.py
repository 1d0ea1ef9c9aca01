"""Supported versions, and proxies that are no more than one minor version behind their control plane (G18)."""

from __future__ import annotations

import re

import pytest

from chaos import Harness
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G18")
Version = tuple[int, int]


def version_of(text: str) -> Version | None:
    """``v1.30.0-lab`` → ``(1, 30)``; ``None`` where no version is in it."""
    found = re.search(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


@pytest.mark.parametrize("what", ["kubernetes", "istio"])
def test_versions_are_supported(harness: Harness, services: Services, what: str) -> None:
    told = getattr(harness.place.environment, what)
    oldest, found = version_of(getattr(services.versions, what)), version_of(told)
    if found is None:
        pytest.skip(f"the version of {what} can't be told: {told or 'nothing says it'}")
    assert oldest is not None
    assert found >= oldest, f"{what} {told} is older than {getattr(services.versions, what)}"
