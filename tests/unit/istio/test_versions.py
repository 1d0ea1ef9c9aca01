"""Which versions are told by texts and images, and which proxies fit their istiod."""

from __future__ import annotations

import pytest

from chaos.istio.versions import Version, fits, proxies_by_pod, tag_of, version_of
from chaos.istio.workloads import staying


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


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("reg:5000/istio/proxyv2:1.26.2", "1.26.2"),
        ("proxyv2:1.26.2@sha256:0123", "1.26.2"),
        ("reg:5000/istio/proxyv2", ""),
        ("proxyv2@sha256:0123", ""),
    ],
)
def test_the_tag_of_an_image(image: str, tag: str) -> None:
    assert tag_of(image) == tag


def pod(name: str, image: str, *, native: bool = False) -> dict[str, object]:
    proxy = {"name": "istio-proxy", "image": image}
    spec = {"initContainers": [proxy], "containers": []} if native else {"containers": [{"name": "app"}, proxy]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": "Running"}}


def test_proxies_may_be_one_minor_version_older_and_never_newer() -> None:
    replaced = pod("replaced", "proxyv2:1.20.0")
    replaced["metadata"] = {"name": "replaced", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    pods = [
        pod("same", "registry:5000/proxyv2:1.23.1"), pod("older", "proxyv2:1.22.6", native=True),
        pod("too-old", "proxyv2:1.21.0"), pod("newer", "proxyv2:1.24.0"), pod("unknown", "proxyv2@sha256:00"),
        {**pod("job-of-yesterday", "proxyv2:1.20.0"), "status": {"phase": "Succeeded"}}, replaced,
    ]  # fmt: skip
    found = proxies_by_pod(staying(pods))
    assert [name for name, version in found.items() if not fits(version, (1, 23))] == ["too-old", "newer"]
    assert not fits((2, 23), (1, 23))
