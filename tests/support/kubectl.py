"""kubectl, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")


def run_kubectl(
    kubeconfig: str | Path, *arguments: str, context: str = "", stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs kubectl to its end. What it learns of a server it keeps beside the kubeconfig, since ports are used again."""
    assert KUBECTL is not None
    cache = Path(kubeconfig).parent / "kubectl-cache"
    return subprocess.run(
        [KUBECTL, "--kubeconfig", str(kubeconfig), "--cache-dir", str(cache), "--context", context, *arguments],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
