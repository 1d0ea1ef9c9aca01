"""A change for a while takes effect in real proxies, and ends with the block."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos import Harness, Settings
from chaos.lab.state import LabState
from tests.support import loopback
from tests.support.waiting import until

pytestmark = pytest.mark.lab

DENIED = """\
kind: AuthorizationPolicy
metadata: {name: one-path, namespace: staging}
spec:
  selector: {matchLabels: {app: recommendation-svc}}
  action: DENY
  rules: [{to: [{operation: {paths: [/recommend/denied]}}]}]
"""


def test_a_policy_holds_for_the_time_of_a_block(lab: LabState, tmp_path: Path) -> None:
    def status() -> int:
        return loopback.get(f"{lab.entries['staging']}/recommendations/denied").status_code

    allowed = Settings(namespaces=["staging"], changes=["staging"])
    with Harness.connect(
        lab.context,
        kubeconfig=lab.kubeconfig,
        prometheus=lab.prometheus,
        entry=lab.entry,
        settings=allowed,
        report_dir=tmp_path,
    ) as harness:
        assert status() == 200
        with harness.changed(DENIED):
            until(lambda: status() == 403, "the policy is in effect")
        until(lambda: status() == 200, "the policy is gone")
        assert harness.active_changes() == []
