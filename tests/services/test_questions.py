"""Small real services with defects, as processes on the lab: the library's questions find each, and pass the mended ones.

They know nothing of the lab. `make services` runs them: each takes as long as a run on a cluster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import chaosctl, configured, on
from tests.e2e.own_services import door, workload
from tests.support.labs import own_lab

HERE: Final = Path(__file__).parent
pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not os.environ.get("CHAOS_EVERY"), reason="takes minutes: make services"),
]


@dataclass(frozen=True)
class Service:
    """A service with a defect.

    Attributes:
        command: What runs it; mended, it has the variable ``MENDED``.
        uses: The question that finds the defect.
        given: Parameters of the question, beside who is asked about whom.
        more: What else is declared.
        violated: What the verdict says of the defect: a part of the title of an expectation that does not hold.
        reason: Why the verdict on the defect is red.
    """

    command: list[str]
    uses: str
    violated: str
    given: Mapping[str, Any] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    reason: str = "expectation-violated"


DEGRADED: Final = {"fallback": {"jsonPath": {"degraded": True}}}
SERVICES: Final = {
    "no-time-out": Service([sys.executable, "no_time_out.py"], "dependency-slow", "within 1s"),
    "waits-for-ever": Service(
        [sys.executable, "no_time_out.py"], "hanging", "answers with"
    ),  # in time or without errors
    "unbounded-retries": Service(
        [sys.executable, "unbounded_retries.py"],
        "dependency-down",
        "no retry storm",
        {"within": "2500ms"},  # ten calls take their time
        {"load": {"rate": 20}},
    ),
    "throwing-fallback": Service(["node", "throwing_fallback.mjs"], "dependency-down", "without errors"),
    "cached-fallback": Service(
        ["./orders"], "dependency-down", "degraded", DEGRADED, {"recovery": {"within": "10s"}}, "not-recovered"
    ),
    "error-as-200": Service(
        [sys.executable, "error_as_200.py"], "dependency-down", "content", {"answer": {"jsonPath": {"item": "42"}}}
    ),
}
NEEDED: Final = {"throwing-fallback": "node", "cached-fallback": "go"}


def there() -> list[str]:
    """Those that this machine can run."""
    return [name for name in SERVICES if name not in NEEDED or shutil.which(NEEDED[name])]


@pytest.fixture(scope="module")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    """With those that are asked for, and no others."""
    chosen = [one for one in there() if any(f"[{one}]" in item.name for item in request.session.items)]
    folder = tmp_path_factory.mktemp("services") / "here"
    shutil.copytree(HERE, folder)
    if "cached-fallback" in chosen:
        subprocess.run(["go", "build", "-o", "../orders"], cwd=folder / "cached_fallback", check=True)
    names = [name for one in chosen for name in (one, f"{one}-mended")]
    processes: dict[str, Any] = {"stock": {"process": {"command": [sys.executable, "stock.py"]}}}
    for name in chosen:
        processes[name] = {"process": {"command": SERVICES[name].command}}
        processes[f"{name}-mended"] = {"process": {"command": SERVICES[name].command, "env": {"MENDED": "1"}}}
    routes = {f"/{name}/": name for name in names}
    (folder / "all.yaml").write_text("---\n".join([*map(workload, ["stock", *names]), door(routes)]))
    (folder / "behaviours.yaml").write_text(json.dumps(processes))
    with own_lab(
        tmp_path_factory.mktemp("labs"),
        "services",
        manifests=[folder / "all.yaml"],
        behaviours=folder / "behaviours.yaml",
    ) as made:
        yield made


def verdict_on(lab: LabState, folder: Path, name: str, service: Service) -> dict[str, Any]:
    given = {
        "namespace": "default",
        "service": "stock",
        "caller": name,
        "path": f"/{name}/1",
        "atLeast": "90%",
        **service.given,
    }
    file = folder / "experiment.yaml"
    declared = {
        "experiment": name,
        "uses": service.uses,
        "with": given,
        "profile": "quick",
        "confidence": "80%",
        **service.more,
    }
    file.write_text(json.dumps(declared))
    where = configured(folder, 'namespaces = ["default"]\n')
    done = chaosctl("run", file, *on(lab), "--report-dir", folder, "--json", cwd=where, within=400)
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout)[0])


@pytest.mark.parametrize("name", there())
def test_a_question_finds_the_defect(lab: LabState, tmp_path: Path, name: str) -> None:
    verdict = verdict_on(lab, tmp_path, name, SERVICES[name])
    assert verdict["outcome"] == "failed", verdict["reasons"]
    assert any(
        one["code"] == SERVICES[name].reason and SERVICES[name].violated in one["message"] for one in verdict["reasons"]
    ), verdict["reasons"]


@pytest.mark.parametrize("name", there())
def test_and_passes_the_mended_one(lab: LabState, tmp_path: Path, name: str) -> None:
    verdict = verdict_on(lab, tmp_path, f"{name}-mended", SERVICES[name])
    assert verdict["outcome"] == "passed", verdict["reasons"]
