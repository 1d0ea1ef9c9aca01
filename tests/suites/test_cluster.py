"""The suites where the options name a cluster, which here is a lab that is reached as one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from chaos_suites.services import SHOP
from tests.suites.running import Done, run
from tests.support.labs import own_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    with own_lab(tmp_path_factory.mktemp("labs"), "cluster") as made:
        yield made


def on_cluster(lab: LabState, folder: Path, *tests: str, settings: str, services: Path | None = SHOP) -> Done:
    (folder / "chaos.toml").write_text(settings)
    options = (
        "--chaos-context", lab.context, "--chaos-kubeconfig", lab.kubeconfig, "--chaos-prometheus", lab.prometheus,
        "--chaos-entry", lab.entry,
    )  # fmt: skip
    return run(*tests, services=services, reports=folder, options=options, folder=folder)


STAGING = 'namespaces = ["staging"]\n'
MUTUAL_TLS = "security/test_mutual_tls.py"


def test_somebody_has_to_name_the_services(lab: LabState, tmp_path: Path) -> None:
    done = on_cluster(lab, tmp_path, MUTUAL_TLS, settings=STAGING, services=None)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "hint: --chaos-services services.toml" in done.stdout


def test_nothing_is_changed_unless_the_settings_name_the_namespace(lab: LabState, tmp_path: Path) -> None:
    done = on_cluster(lab, tmp_path, MUTUAL_TLS, "control_plane", settings=STAGING)
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "it changes Istio's configuration, which nothing allows in staging" in done.stdout
    assert "this test needs the embedded lab" in done.stdout
    assert "PASSED" in done.stdout, "what changes nothing is tested"


def test_where_the_settings_name_it_all_is_put_back(lab: LabState, tmp_path: Path) -> None:
    done = on_cluster(lab, tmp_path, MUTUAL_TLS, settings=STAGING + 'changes = ["staging"]\n')
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    assert "2 passed" in done.stdout
