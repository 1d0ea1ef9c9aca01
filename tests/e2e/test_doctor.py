"""The doctor on a lab: what real proxies, a real Prometheus and the API tell, as it is and with something broken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from chaos import Harness, Settings
from chaos.doctor.finding import Checked, Level
from chaos.lab.state import LabState

pytestmark = pytest.mark.lab

NO_SUCH_VERSION = """\
kind: DestinationRule
metadata: {name: no-such-version, namespace: staging}
spec: {host: user-svc, exportTo: ["."], subsets: [{name: v9, labels: {version: v9}}]}
"""
OF_THE_MESH = ("control-plane", "injection", "pods", "sync", "subsets", "gateways", "mutual-tls", "metrics")
"""What other tests on the same lab do not disturb."""


def looked(harness: Harness) -> Mapping[str, Checked]:
    return {one.check.id: one for one in harness.doctor(quick=True)}


def test_a_lab_is_well_and_a_subset_without_pods_is_found(lab: LabState, tmp_path: Path) -> None:
    allowed = Settings(namespaces=["staging"], changes=["staging"])
    with Harness.connect(
        lab.context,
        kubeconfig=lab.kubeconfig,
        prometheus=lab.prometheus,
        entry=lab.entry,
        settings=allowed,
        report_dir=tmp_path,
    ) as harness:
        found = looked(harness)
        assert [found[name].findings for name in OF_THE_MESH if found[name].level is Level.ERROR] == []
        assert "proxies are connected to istiod and have rejected nothing" in found["sync"].findings[-1].message
        with harness.changed(NO_SUCH_VERSION):
            (told,) = looked(harness)["subsets"].findings
        assert "no pod of staging/user-svc has the labels of the subset 'v9'" in told.message
