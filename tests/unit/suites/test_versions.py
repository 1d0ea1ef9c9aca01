"""Which versions of proxies fit their istiod."""

from __future__ import annotations

import pytest

from chaos_suites.control_plane.versions import Version, astray, proxies_of, version_of


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.30.0-lab", (1, 30)),
        ("1.22.3-distroless", (1, 22)),
        ("docker.io/istio/pilot:1.26.1", (1, 26)),
        ("latest", None),
    ],
)
def test_versions_are_read(text: str, version: Version | None) -> None:
    assert version_of(text) == version


def pod(name: str, image: str, *, native: bool = False) -> dict[str, object]:
    proxy = {"name": "istio-proxy", "image": image}
    spec = {"initContainers": [proxy], "containers": []} if native else {"containers": [{"name": "app"}, proxy]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Running"}}


def test_proxies_may_be_one_minor_version_older_and_never_newer() -> None:
    pods = [
        pod("same", "registry:5000/proxyv2:1.23.1"), pod("older", "proxyv2:1.22.6", native=True),
        pod("too-old", "proxyv2:1.21.0"), pod("newer", "proxyv2:1.24.0"), pod("unknown", "proxyv2@sha256:00"),
        {**pod("job-of-yesterday", "proxyv2:1.20.0"), "status": {"phase": "Succeeded"}},
    ]  # fmt: skip
    assert astray(proxies_of(pods), (1, 23)) == ["newer", "too-old"]
