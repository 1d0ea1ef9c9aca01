"""The documented way from an empty repository to a cluster, as it is written: the commands are those of the pages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from tests.support.kubectl import needs_kubectl
from tests.support.repository import ROOT

pytestmark = [pytest.mark.lab, needs_kubectl]


def commands_before(step: str) -> str:
    """What a user types of the page on staging clusters, up to a step."""
    page = (ROOT / "docs" / "how-to" / "staging-cluster.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", page[: page.index(step)], re.DOTALL | re.MULTILINE)
    return "\n".join(line.removeprefix("$ ") for block in blocks for line in textwrap.dedent(block).splitlines())


def test_it_leads_to_an_identity_that_may_plan_and_no_more(lab: LabState, tmp_path: Path) -> None:
    administrator = json.loads(Path(lab.kubeconfig).read_text())
    administrator["contexts"][0]["name"] = "staging"
    (tmp_path / "config").write_text(json.dumps(administrator))
    (tmp_path / ".git").mkdir()
    typed = f"""
        set -euo pipefail
        chaosctl init
        {commands_before("4. Make Prometheus")}
        chaosctl plan experiments/ --json --context staging --prometheus {lab.prometheus} --entry {lab.entry} >plan.json
        kubectl --context staging auth can-i create virtualservices -n staging
        ! kubectl --context staging auth can-i create virtualservices -n production
        stat -c %a chaos-harness.kubeconfig
    """
    done = subprocess.run(
        ["bash", "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "KUBECONFIG": str(tmp_path / "config"), "HOME": str(tmp_path),
             "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-3:] == ["yes", "no", "600"], "the file is for its owner alone"
    (plan,) = json.loads((tmp_path / "plan.json").read_text())
    assert plan["refusals"] == []
    assert not [one for one in plan["warnings"] if "credentials" in json.dumps(one)], "it may write nowhere else"
