"""The scenario with the kubectl that the first argument names."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from scenario import APPLICATION, CALLER, NAME, NAMESPACE, has_effect, run, virtual_service

KUBECTL = sys.argv[1]


def kubectl(*arguments: str, stdin: Any = None, fails: bool = False) -> str:
    text = None if stdin is None else json.dumps(stdin)
    done = subprocess.run([KUBECTL, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    if (done.returncode != 0) is not fails:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout + done.stderr


def names(app: str) -> list[str]:
    return kubectl("get", "pods", "-l", f"app={app}", "-o", "jsonpath={.items[*].metadata.name}").split()


def read() -> None:
    assert NAMESPACE in kubectl("get", "namespaces", "--chunk-size=2")
    assert "2/2" in kubectl("get", "pods", "-l", f"app={CALLER}")
    assert "Containers:" in kubectl("describe", "pod", "-l", f"app={CALLER}")
    assert "virtualservices" in kubectl("api-resources")
    assert kubectl("auth", "can-i", "delete", "vs").startswith("yes")


def create() -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=virtual_service(503))
    has_effect(503)


def patch() -> None:
    assert "configured" in kubectl("apply", "-f", "-", stdin=virtual_service(418))
    has_effect(418)
    kubectl(
        "patch", "vs", NAME, "--type=json", "-p", '[{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]'
    )


def apply() -> None:
    said = kubectl(
        "apply", "--server-side", "--field-manager=another", "-f", "-", stdin=virtual_service(429), fails=True
    )
    assert "conflict" in said
    kubectl(
        "apply", "--server-side", "--field-manager=another", "--force-conflicts", "-f", "-", stdin=virtual_service(429)
    )
    has_effect(429)


def refuse() -> None:
    broken = virtual_service(700)
    broken["metadata"]["name"] = "broken"
    assert "700" in kubectl("create", "-f", "-", stdin=broken, fails=True)
    misspelt = virtual_service(503)
    misspelt["metadata"]["name"] = "broken"
    misspelt["spec"]["htpp"] = []
    assert "htpp" in kubectl("create", "-f", "-", stdin=misspelt, fails=True)


def watch() -> None:
    command = [KUBECTL, "get", "vs", NAME, "--watch", "-o", "jsonpath={.metadata.labels.seen}{'\\n'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        kubectl("label", "vs", NAME, "seen=yes")
        assert process.stdout.readline().strip() == "yes"
        process.terminate()


def scale() -> None:
    for replicas in ("2", "1"):
        kubectl("scale", f"deploy/{CALLER}", f"--replicas={replicas}")
        kubectl("rollout", "status", f"deploy/{CALLER}", "--timeout=30s")


def restart() -> None:
    (pod,) = names(APPLICATION)
    kubectl("delete", "pod", pod)
    kubectl("rollout", "status", f"deploy/{APPLICATION}", "--timeout=30s")
    assert pod not in names(APPLICATION)


def execute() -> None:
    (pod,) = names(APPLICATION)
    told = kubectl("exec", pod, "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters")
    assert "inbound|8080||" in told


def logs() -> None:
    (pod,) = names(APPLICATION)
    assert "stand-in" in kubectl("logs", pod, "-c", "app")


def delete() -> None:
    kubectl("delete", "vs", NAME)
    has_effect(200)


run(
    [
        ("read", read), ("create", create), ("patch", patch), ("server-side apply", apply), ("refuse", refuse),
        ("watch", watch), ("scale", scale), ("restart", restart), ("exec", execute), ("logs", logs), ("delete", delete),
    ]
)  # fmt: skip
