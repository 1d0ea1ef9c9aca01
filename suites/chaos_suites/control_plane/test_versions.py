"""Versions that are supported together (G18)."""

from __future__ import annotations

import pytest

from chaos import Harness
from chaos.istio.versions import Version, fits, proxies_by_pod, version_of
from chaos.istio.workloads import staying
from chaos_suites.services import Services

pytestmark = pytest.mark.guide("G18")


def version(harness: Harness, what: str) -> Version:
    """That of the cluster; the test is skipped where it can't be told."""
    told = getattr(harness.place.environment, what)
    found = version_of(told)
    if found is None:
        pytest.skip(f"the version of {what} can't be told: {told or 'nothing says it'}")
    return found


@pytest.mark.parametrize("what", ["kubernetes", "istio"])
def test_versions_are_supported(harness: Harness, services: Services, what: str) -> None:
    oldest = getattr(services.versions, what)
    found = version(harness, what)
    assert found >= (version_of(oldest) or (0, 0)), f"{what} {found[0]}.{found[1]} is older than {oldest}"


def test_proxies_fit_their_control_plane(harness: Harness, services: Services) -> None:
    """While istiod is updated, proxies follow when their pods are restarted."""
    istiod = version(harness, "istio")
    proxies = proxies_by_pod(staying(harness.place.mesh.pods(services.namespace)))
    if not proxies:
        pytest.skip(f"no image of a proxy in {services.namespace} has a version as its tag")
    astray = sorted(pod for pod, version in proxies.items() if not fits(version, istiod))
    assert not astray, f"istiod is {istiod[0]}.{istiod[1]}; restart the pods of other versions"
