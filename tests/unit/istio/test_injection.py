"""Who is injected by which control plane, and what the proxy was told then."""

from __future__ import annotations

from typing import Any

import pytest

from chaos.istio.injection import domain_of, injecting_revision, is_injected, revision_of


def namespace(**labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "staging", "labels": labels}}


@pytest.mark.parametrize(
    ("labels", "revision"),
    [
        ({}, None),
        ({"istio-injection": "enabled"}, "default"),
        ({"istio.io/rev": "canary"}, "canary"),
        ({"istio.io/rev": ""}, None),
        ({"istio-injection": "enabled", "istio.io/rev": "canary"}, "default"),
        ({"istio-injection": "disabled", "istio.io/rev": "canary"}, None),
    ],
)
def test_the_older_label_decides_where_both_are_there(labels: dict[str, str], revision: str | None) -> None:
    assert injecting_revision(namespace(**labels)) == revision


@pytest.mark.parametrize(
    ("meta", "spec", "labels", "expected"),
    [
        ({}, {}, {"istio-injection": "enabled"}, True),
        ({}, {}, {"istio.io/rev": "default"}, True),
        ({}, {}, {"istio.io/rev": "canary"}, False),
        ({"labels": {"sidecar.istio.io/inject": "false"}}, {}, {"istio-injection": "enabled"}, False),
        ({"annotations": {"sidecar.istio.io/inject": "true"}}, {}, {}, True),
        ({}, {"hostNetwork": True}, {"istio-injection": "enabled"}, False),
        ({}, {"containers": [{"name": "istio-proxy"}]}, {"istio-injection": "enabled"}, False),
        ({}, {"initContainers": [{"name": "istio-proxy"}]}, {"istio-injection": "enabled"}, False),
    ],
)
def test_who_gets_a_proxy(
    meta: dict[str, Any], spec: dict[str, Any], labels: dict[str, str], *, expected: bool
) -> None:
    assert is_injected({"metadata": meta, "spec": spec}, namespace(**labels)) is expected


@pytest.mark.parametrize(
    ("annotation", "label", "revision"),
    [
        (None, None, "default"),
        ('{"revision": "canary"}', "stable", "canary"),
        ('{"revision": ""}', "stable", "stable"),
        ("no JSON", None, "default"),
        ("[]", "stable", "stable"),
    ],
)
def test_the_revision_that_injected_the_proxy(annotation: str | None, label: str | None, revision: str) -> None:
    meta = {
        "annotations": {"sidecar.istio.io/status": annotation} if annotation else {},
        "labels": {"istio.io/rev": label} if label else {},
    }
    assert revision_of({"metadata": meta}) == revision


@pytest.mark.parametrize(
    ("arguments", "domain"),
    [
        (["proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"], "cluster.local"),
        (["proxy", "sidecar", "--domain=shop.svc.corp.example."], "corp.example"),
        (["proxy", "sidecar"], None),
        (["proxy", "sidecar", "--domain"], None),
        (["proxy", "sidecar", "--domain", "cluster.local"], None),
    ],
)
@pytest.mark.parametrize("place", ["containers", "initContainers"])
def test_the_domain_that_the_proxy_was_started_for(place: str, arguments: list[str], domain: str | None) -> None:
    found = {"metadata": {}, "spec": {place: [{"name": "app", "args": ["--domain", "a.svc.b"]}, {"name": "istio-proxy", "args": arguments}]}}  # fmt: skip
    assert domain_of(found) == domain
