"""``chaosctl lint`` as its users have it: repositories, pipes, every format, nonsense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from chaos.cli import app
from chaos.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
BOOKINFO = ROOT.parent / "shared" / "data" / "bookinfo"
FAULT = """apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  exportTo: ['.']
  http:
  - fault: {abort: {percentage: {value: 50}, httpStatus: 503}}
    route: [{destination: {host: reviews}}]
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: reviews}\n"


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / "chaos.toml").write_text('namespaces = ["staging"]\n', encoding="utf-8")
    return tmp_path


def write(name: str, text: str) -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def chaosctl(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["lint", *arguments], input=stdin)


def places(done: Result) -> list[tuple[str, int, str]]:
    return [(one["file"], one["line"], one["rule"]) for one in json.loads(done.stdout)["findings"]]


def test_a_fault_that_was_committed_to_production() -> None:
    write("overlays/production/vs.yaml", FAULT.replace("{name: reviews}", "{name: reviews, namespace: shop}"))
    write("overlays/staging/vs.yaml", FAULT.replace("{name: reviews}", "{name: reviews, namespace: staging}"))
    done = chaosctl(".")
    assert done.exit_code == 1
    assert [line.partition(": error")[0] for line in done.stdout.splitlines() if "error" in line] == [
        "overlays/production/vs.yaml:8:5"
    ] * 2
    assert "[fault-outside-staging]" in done.stdout
    assert "[fault-in-production-path]" in done.stdout
    assert done.stderr == (
        "2 files read, 2 objects checked: 2 findings (2 errors, 0 warnings); the rules are in docs/reference/lint.md\n"
    )


def test_nothing_found_is_nothing_on_stdout() -> None:
    write("overlays/staging/vs.yaml", FAULT)
    done = chaosctl("overlays", "--namespace", "staging")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "1 file read, 1 object checked: no findings\n"


def test_what_helm_renders_is_judged_and_named_by_its_template() -> None:
    rendered = f"---\n# Source: shop/templates/svc.yaml\n{SERVICE}---\n# Source: shop/templates/vs.yaml\n{FAULT}"
    done = chaosctl("-", "-n", "shop", stdin=rendered)
    assert done.exit_code == 1
    assert done.stdout.startswith("shop/templates/vs.yaml (stdin:15:5): error: VirtualService shop/reviews has a fault")
    assert chaosctl("-", "-n", "staging", stdin=rendered).exit_code == 0


def test_what_kustomize_renders_is_judged() -> None:
    done = chaosctl("-", "--json", stdin=f"{SERVICE}---\n{FAULT}")
    assert (done.exit_code, places(done)) == (1, [("-", 12, "fault-outside-staging")])


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_formats_for_machines_are_whole_documents_whatever_was_found(form: str) -> None:
    write("vs.yaml", FAULT)
    assert json.loads(chaosctl(".", "--format", form).stdout)
    assert json.loads(chaosctl(".", "--format", form, "-n", "staging").stdout)
    assert chaosctl(".", "--format", form, "-n", "staging").exit_code == 0


def test_annotations_for_github() -> None:
    write("vs.yaml", FAULT)
    [line] = chaosctl("vs.yaml", "--format", "github").stdout.splitlines()
    assert line.startswith("::error file=vs.yaml,line=8,col=5,title=fault-outside-staging::VirtualService reviews has")


def test_items_of_a_list_have_their_own_places() -> None:
    items = "".join(f"- {one}".replace("\n", "\n  ").rstrip() + "\n" for one in (SERVICE, FAULT))
    done = chaosctl("-", "--json", stdin=f"kind: List\napiVersion: v1\nitems:\n{items}")
    assert places(done) == [("-", 14, "fault-outside-staging")]


def test_suppressions_show_in_the_summary() -> None:
    write("vs.yaml", "# chaos-lint: ignore=fault-outside-staging -- the drill of May\n" + FAULT)
    done = chaosctl(".")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.endswith("no findings, 1 ignored by comments\n")


def test_what_is_not_judged_is_said() -> None:
    write("charts/a/Chart.yaml", "name: a\n")
    write("charts/a/templates/vs.yaml", "{{ if .Values.x }}\n" + FAULT)
    write("latin.yaml", "")
    Path("latin.yaml").write_bytes((FAULT + "# caf\xe9\n").encode("latin-1"))
    Path("wide.yaml").write_bytes(FAULT.encode("utf-16"))
    Path("binary.yaml").write_bytes(b"kind: Service\0\1")
    write("service.yaml", "kind: Service\nx: {{ y }}: z\n")
    done = chaosctl(".", "--json")
    assert places(done) == [
        ("latin.yaml", 8, "fault-outside-staging"),
        ("wide.yaml", 8, "fault-outside-staging"),
    ]
    assert [note.partition(": ")[0] for note in json.loads(done.stdout)["notes"]] == [
        "binary.yaml",
        "latin.yaml",
        "service.yaml:2",
        "charts/a/templates",
    ]
    assert done.stderr.count("note: ") == 4


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["nowhere"], None, "nowhere: expected a file or folder of manifests"),
        ([".git"], None, ".git: expected manifests"),
        (["-"], "", "expected manifests on standard input, found nothing"),
        (["-"], " \n", "expected manifests on standard input, found nothing"),
        (["-"], "Error: chart not found\n", "found text without any object"),
        (["-"], b"\x00\x01", "found binary data"),
    ],
)
def test_wrong_input_is_not_a_clean_bill(arguments: list[str], stdin: str | bytes | None, message: str) -> None:
    done = chaosctl(*arguments, stdin=stdin)
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert done.exception.exit_code == 2


@pytest.mark.parametrize("arguments", [[], [".", "--format", "xml"], [".", "--select", "x"]])
def test_wrong_options(arguments: list[str]) -> None:
    assert chaosctl(*arguments).exit_code == 2


def test_settings_that_are_wrong_are_told_before_anything_is_judged() -> None:
    write("chaos.toml", "namespaces = ['*']\n")
    assert isinstance(chaosctl(".").exception, InputError)


@pytest.mark.parametrize("form", ["text", "sarif"])
def test_as_a_process(repository: Path, form: str) -> None:
    program = Path(sys.executable).parent / "chaosctl"
    for number in range(300):
        write(f"{number}.yaml", FAULT)
    arguments = [str(program), "lint", "--format", form]
    done = subprocess.run([*arguments, "."], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    missing = subprocess.run([*arguments, "nowhere"], capture_output=True, text=True, check=False, timeout=60)
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("error: nowhere: expected")
    # Whoever reads only the first line closes the pipe.
    first = subprocess.Popen([*arguments, "."], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.readline()
    first.stdout.close()
    assert "Traceback" not in first.stderr.read()
    first.stderr.close()
    assert first.wait(60) != 0
    # Ctrl-C while a pipe is waited for: opening it for writing returns once the other side reads.
    os.mkfifo("pipe")
    waiting = subprocess.Popen([program, "lint", "pipe"], stderr=subprocess.PIPE)
    assert waiting.stderr is not None
    with Path("pipe").open("wb"):
        waiting.send_signal(signal.SIGINT)
        assert b"Traceback" not in waiting.stderr.read()
        assert waiting.wait(60) == 130
    waiting.stderr.close()


# ------------------------------------------------------------------------------------------------------ real files


@pytest.mark.skipif(not BOOKINFO.is_dir(), reason="Bookinfo's manifests are not beside this checkout")
@pytest.mark.parametrize("namespace", [None, "bookinfo", "staging"])
def test_bookinfo_has_three_public_faults_and_nothing_else(namespace: str | None) -> None:
    done = chaosctl(str(BOOKINFO), "--json", *(["-n", namespace] if namespace else []))
    folder = BOOKINFO / "networking"
    told = ["fault-public"] if namespace == "staging" else ["fault-outside-staging", "fault-public"]
    assert places(done) == [
        (str(folder / name), line, rule)
        for name, line in (
            ("fault-injection-details-v1.yaml", 9),
            ("virtual-service-ratings-test-abort.yaml", 13),
            ("virtual-service-ratings-test-delay.yaml", 13),
        )
        for rule in told
    ]
    assert json.loads(done.stdout)["notes"] == []


def test_this_repository_has_no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = chaosctl(".", "--json")
    assert (places(done), done.exit_code) == ([], 0)


def test_the_hook_runs_what_there_is() -> None:
    [hook] = YAML(typ="safe").load(ROOT / ".pre-commit-hooks.yaml")
    assert hook["id"] == "chaosctl-lint"
    assert hook["language"] == "python"
    assert hook["types_or"] == ["yaml", "json"]
    # Rules look across files: what is committed alone would hide the Services that a host is held against.
    assert hook["pass_filenames"] is False
    command, *arguments = hook["entry"].split()
    write("vs.yaml", FAULT)
    assert command == "chaosctl"
    assert CliRunner().invoke(app, [*arguments, *hook["args"]]).exit_code == 1
