"""Runs every client on one lab and prints a table: ``make clients``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx

from chaos.lab import commands
from chaos.lab.state import LabState

HERE = Path(__file__).parent
HOME = Path(sys.prefix) / "clients"
PYTHON_CLIENTS = {"official": "official.py", "kr8s": "kr8s_client.py", "lightkube": "lightkube_client.py", "chaostoolkit": "chaostoolkit_client.py"}  # fmt: skip
KUBECTL_MODULES = ("v0.27.16", "v0.35.0")
"""Of k8s.io/kubectl: 0.27 is kubectl 1.27."""
KNOWN = {("kubectl v1.27.16 (built)", "exec"): "speaks SPDY only, which the lab does not"}
"""Steps that a client can't do, and why; with any other failure, or none here, the run is red."""
MAIN = """\
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
)

func main() {
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err)
	}
	os.Exit(0)
}
"""


def interpreter(name: str) -> Path:
    """The Python of a client's own environment, which is made where it isn't there."""
    folder = HOME / name
    lock = HERE / f"{name}.txt"
    stamp = folder / "stamp"
    if not stamp.is_file() or stamp.read_text() != lock.read_text():
        say(f"installing {lock.name}")
        venv.create(folder, with_pip=True, clear=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*command, "--require-hashes", "-r", lock], check=True)
        stamp.write_text(lock.read_text())
    return folder / "bin" / "python"


def kubectls() -> Iterator[tuple[str, Path]]:
    """Name and path of every kubectl that can be had."""
    found = shutil.which("kubectl")
    if found:
        said = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=False).stdout
        yield f"kubectl {said.split('Version: ')[1].split()[0] if 'Version: ' in said else '(of PATH)'}", Path(found)
    go = shutil.which("go")
    if go is None:
        say("Go is not installed: no other kubectl can be built")
        return
    for version in KUBECTL_MODULES:
        folder = HOME / f"kubectl-{version}"
        binary = folder / "kubectl"
        if not binary.is_file():
            say(f"building k8s.io/kubectl {version}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "main.go").write_text(MAIN)
            (folder / "go.mod").write_text("module kubectl\n\ngo 1.20\n")
            for arguments in (
                ("get", f"k8s.io/kubectl@{version}", f"k8s.io/component-base@{version}"),
                ("mod", "tidy"),
                ("build", "-o", "kubectl", "."),
            ):
                subprocess.run([go, *arguments], cwd=folder, check=True, capture_output=True)
        yield f"kubectl {version.replace('v0', 'v1', 1)} (built)", binary


def say(text: str) -> None:
    sys.stderr.write(f"clients: {text}\n")


def main() -> int:
    tables: dict[str, dict[str, str]] = {}
    commands.down("clients")
    state = commands.up("clients", attached=True)
    try:
        environment = {**os.environ, **around(state)}
        for name, binary in kubectls():
            say(name)
            tables[name] = outcomes([sys.executable, HERE / "kubectl_client.py", binary], environment, state)
        for name, script in PYTHON_CLIENTS.items():
            python = interpreter(name)
            say(name)
            tables[f"{name} {version(python, name)}"] = outcomes([python, HERE / script], environment, state)
    finally:
        commands.down("clients")
    show(tables)
    failed = {(name, step) for name, steps in tables.items() for step, said in steps.items() if said != "ok"}
    return failed != {known for known in KNOWN if known[0] in tables}


def around(state: LabState) -> dict[str, str]:
    """What the scripts are told by their environment."""
    path, choice = f"{state.api}/api/v1/namespaces/staging/pods", {"labelSelector": "app=order-svc"}
    pods = httpx.get(path, params=choice, trust_env=False).json()["items"]
    proxy = f"http://{pods[0]['status']['podIP']}:15001"
    return {"KUBECONFIG": state.kubeconfig, "CALLERS_PROXY": proxy, "PROMETHEUS": state.prometheus}


def version(python: Path, name: str) -> str:
    package = {"official": "kubernetes"}.get(name, name)
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def outcomes(command: list[str | Path], environment: Mapping[str, str], state: LabState) -> dict[str, str]:
    """What a client printed, by step; what it left behind is taken away."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    steps = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    if done.returncode or not steps:
        steps["run"] = f"FAILED: {' '.join(done.stderr.split())[-300:]}"
    for name in ("client", "broken"):
        httpx.delete(
            f"{state.api}/apis/networking.istio.io/v1/namespaces/staging/virtualservices/{name}", trust_env=False
        )
    return steps


def show(tables: Mapping[str, Mapping[str, str]]) -> None:
    """As Markdown: what is the same for all clients in one table, then each failure."""
    steps = list(dict.fromkeys(step for told in tables.values() for step in told))
    sys.stdout.write(f"| | {' | '.join(tables)} |\n|---|{'---|' * len(tables)}\n")
    for step in steps:
        cells = [told.get(step, "-") for told in tables.values()]
        sys.stdout.write(f"| {step} | {' | '.join('✓' if c == 'ok' else c if c == '-' else '✗' for c in cells)} |\n")
    for name, told in tables.items():
        for step, said in told.items():
            if said != "ok":
                sys.stdout.write(f"\n{name}: {step}: {said}\n")


if __name__ == "__main__":
    sys.exit(main())
