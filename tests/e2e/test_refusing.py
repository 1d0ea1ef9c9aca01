"""What a run refuses or can't do: one clear message, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaos.lab.state import LabState
from tests.e2e.experiments import chaosctl, configured, marked, on, quick
from tests.own_report import chat, install
from tests.support.scope import one_of

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("changes", "says"),
    one_of(
        6,
        [
            ({"namespace": "production"}, "namespace-not-allowed"),
            ({"namespace": "nowhere"}, "namespace-not-found"),
            ({"namespace": "istio-system"}, "root-namespace"),
            ({"service": "no-svc"}, "service-not-found"),
            ({"callers": "{app: nobody}"}, "no-callers"),
            ({"fault": "abort: {percentage: 1, grpcStatus: UNAVAILABLE}"}, "grpc-abort-on-http"),
        ],
    ),
)
def test_a_staging_rule_says_no(lab: LabState, tmp_path: Path, changes: dict[str, str], says: str) -> None:
    file = quick(tmp_path, name="refused", **changes)
    for command in ("plan", "run"):
        more = ["--report-dir", str(tmp_path)] if command == "run" else []
        done = chaosctl(command, file, *on(lab), *more, cwd=configured(tmp_path))
        assert done.returncode == 4, done.stderr
        assert says in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert marked(lab, experiment="refused") == []


def test_without_configuration_no_cluster_is_touched(lab: LabState, tmp_path: Path) -> None:
    done = chaosctl("run", quick(tmp_path), *on(lab), "--report-dir", tmp_path, cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "namespace-not-allowed" in done.stderr


def test_the_reports_of_other_packages_hear_of_it(lab: LabState, tmp_path: Path) -> None:
    installed = install(tmp_path / "site", chat="chat_verdict:Chat", absent="absent:Chat")
    with chat() as (address, texts):
        installed["CHAT_WEBHOOK"] = address
        done = chaosctl("run", quick(tmp_path), *on(lab), "--report-dir", tmp_path, cwd=tmp_path, environment=installed)
    assert done.returncode == 4, done.stderr
    (text,) = texts
    assert text.startswith("*quick*: refused\n- staging-rule: namespace-not-allowed")
    assert "absent = absent:Chat of chat-verdict gives no listener: ModuleNotFoundError" in done.stderr


def test_what_a_report_prints_is_not_among_the_data(lab: LabState, tmp_path: Path) -> None:
    loud = "from chaos import Listener\nclass Loud(Listener):\n    def finished(self, result): print('LOUD')\n"
    installed = install(tmp_path / "site", code=loud, loud="chat_verdict:Loud")
    done = chaosctl(
        "run", quick(tmp_path), *on(lab), "--report-dir", tmp_path, "--json", cwd=tmp_path, environment=installed
    )
    (verdict,) = json.loads(done.stdout)
    assert verdict["outcome"] == "refused"
    assert "LOUD" in done.stderr


def test_another_cluster_than_the_configured_is_refused(lab: LabState, tmp_path: Path) -> None:
    where = configured(tmp_path, 'namespaces = ["staging"]\nclusters = ["another"]\n')
    done = chaosctl("run", quick(tmp_path), *on(lab), "--report-dir", tmp_path, cwd=where)
    assert done.returncode == 4, done.stderr
    assert "cluster-not-configured" in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "says"),
    one_of(
        4,
        [
            ("--context", "nope", "nope"),
            ("--kubeconfig", "/does/not/exist", "/does/not/exist"),
            ("--prometheus", "http://127.0.0.1:1", "does not answer"),
            ("--prometheus", "127.0.0.1:9090", "expected a URL"),
            ("--entry", "127.0.0.1", "expected a URL"),
        ],
    ),
)
def test_wrong_surroundings_are_wrong_input(lab: LabState, tmp_path: Path, option: str, value: str, says: str) -> None:
    options = on(lab)
    options[options.index(option) + 1] = value
    done = chaosctl("run", quick(tmp_path), *options, "--report-dir", tmp_path, cwd=configured(tmp_path))
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_folder_that_can_not_be(lab: LabState, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = tmp_path / "file" / "reports"
    done = chaosctl("run", quick(tmp_path, name="refused"), *on(lab), "--report-dir", where, cwd=configured(tmp_path))
    assert done.returncode == 2, done.stderr
    assert "records can be written to" in done.stderr
    assert "Traceback" not in done.stderr
    assert marked(lab, experiment="refused") == []


def test_half_named_surroundings_are_refused(tmp_path: Path) -> None:
    done = chaosctl("run", quick(tmp_path), "--prometheus", "http://127.0.0.1:9090", cwd=configured(tmp_path))
    assert done.returncode == 2
    assert "--context" in done.stderr


@pytest.mark.parametrize("text", one_of(5, ["a: &a [*a]", "", "[", "experiment: x", "\x00"]))
def test_nonsense_files(tmp_path: Path, text: str) -> None:
    file = tmp_path / "nonsense.yaml"
    file.write_text(text)
    for command in ("validate", "run", "plan"):
        done = chaosctl(command, file)
        assert done.returncode == 2, done.stderr
        assert "nonsense.yaml" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", one_of(3, [["run", "nowhere.yaml"], ["judge", "nowhere.json"], ["validate", "/"]])
)
def test_files_that_are_not_there(arguments: list[str], tmp_path: Path) -> None:
    done = chaosctl(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")


def test_a_record_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text('{"format": 1}')
    done = chaosctl("judge", tmp_path)
    assert done.returncode == 2
    assert "expected a record" in done.stderr


def test_plan_shows_the_object_and_writes_nothing(lab: LabState, tmp_path: Path) -> None:
    done = chaosctl("plan", quick(tmp_path, name="refused", service="payment-svc"), *on(lab), cwd=configured(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "strategy:  overlay" in done.stdout
    assert "callers:   staging/order-svc (1 pods)" in done.stdout
    assert "+  exportTo:" in done.stdout
    assert "hop-policies-not-tested" in done.stdout
    machine = chaosctl(
        "plan", quick(tmp_path, name="refused", service="user-svc"), *on(lab), "--json", cwd=configured(tmp_path)
    )
    (plan,) = json.loads(machine.stdout)
    assert plan["injections"][0]["strategy"] == "create"
    assert marked(lab, experiment="refused") == []


def test_schema_is_a_json_schema() -> None:
    done = chaosctl("schema")
    schema = json.loads(done.stdout)
    assert schema["required"] == ["experiment"]
    assert {"target", "faults", "load", "steadyState"} <= {*schema["else"]["required"]}
    assert "additionalProperties" in schema
