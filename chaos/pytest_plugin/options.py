"""The options that pytest has with the harness."""

from __future__ import annotations

import pytest


def add_options(parser: pytest.Parser) -> None:
    """Adds them to pytest's."""
    group = parser.getgroup("chaos", "chaos experiments on an Istio mesh")
    group.addoption("--chaos-context", metavar="NAME", help="context of the kubeconfig; without it, the embedded lab")
    group.addoption("--chaos-kubeconfig", metavar="PATH", help="path; KUBECONFIG or ~/.kube/config by default")
    group.addoption("--chaos-prometheus", metavar="URL", help="the Prometheus that scrapes the mesh")
    group.addoption(
        "--chaos-prometheus-access",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="credentials and TLS for Prometheus, e.g. bearer=env:TOKEN or headers.X-Scope-OrgID=staging; several times",
    )
    group.addoption("--chaos-entry", metavar="URL", help="address at which the load enters the mesh: its ingress")
    group.addoption(
        "--chaos-wait",
        metavar="TIME",
        default="15m",
        help="how long to wait for a target that another run holds; with 0s the run is refused at once (default: 15m)",
    )
    group.addoption(
        "--chaos-profile",
        metavar="NAME",
        choices=("quick", "default", "nightly"),
        help="how long to observe: quick (for trying), default or nightly; by default as each experiment declares",
    )
    group.addoption(
        "--chaos-files",
        metavar="GLOB",
        action="append",
        default=[],
        help="files that are experiments whatever is in them, such as 'experiments/*.yaml' (several times); "
        "by default YAML with a top-level `experiment:`",
    )
    group.addoption(
        "--chaos-services", metavar="FILE", help="the services that the suites test (docs/reference/suites.md)"
    )
    group.addoption(
        "--chaos-doctor",
        action="store_true",
        help="first check the mesh (the quick checks of chaosctl doctor), and fail at once if it is not well",
    )
    group.addoption(
        "--chaos-report-dir", metavar="DIR", default="reports", help="records and pictures (default: reports)"
    )
