"""An experiment of Chaos Toolkit with its extensions for Kubernetes, Istio and Prometheus."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scenario import APPLICATION, CALLER, NAME, NAMESPACE, virtual_service

ROUTES = [{"destination": {"host": APPLICATION}}]
HERE = {"virtual_service_name": NAME, "routes": ROUTES, "ns": NAMESPACE, "version": "networking.istio.io/v1"}
QUERY = f'sum(istio_requests_total{{destination_service_name="{APPLICATION}",response_flags="FI"}})'


def provider(module: str, function: str, /, **arguments: Any) -> dict[str, Any]:
    return {"type": "python", "module": module, "func": function, "arguments": arguments}


def action(title: str, module: str, function: str, /, **arguments: Any) -> dict[str, Any]:
    return {"type": "action", "name": title, "provider": provider(module, function, **arguments)}


def asks(name: str, status: int) -> dict[str, Any]:
    """What the caller gets, by the toolkit's own process provider."""
    code = f"import scenario; scenario.has_effect({status})"
    run = {"type": "process", "path": sys.executable, "arguments": ["-c", code]}
    return {"type": "probe", "name": name, "tolerance": 0, "provider": run}


EXPERIMENT = {
    "title": "faults by a VirtualService",
    "description": "what these extensions do on the lab",
    "configuration": {"prometheus_base_url": os.environ["PROMETHEUS"]},
    "steady-state-hypothesis": {
        "title": "the application is there",
        "probes": [
            {
                "type": "probe",
                "name": "read",
                "tolerance": True,
                "provider": provider(
                    "chaosk8s.deployment.probes", "deployment_fully_available", name=APPLICATION, ns=NAMESPACE
                ),
            },
        ],
    },
    "method": [
        action("create", "chaosk8s.crd.actions", "create_custom_object", group="networking.istio.io", version="v1",
               plural="virtualservices", ns=NAMESPACE, resource={**virtual_service(503), "spec": {"hosts": [APPLICATION], "http": [{"route": ROUTES}]}}),
        action("patch (abort)", "chaosistio.fault.actions", "add_abort_fault", http_status=503, percentage=100.0, **HERE),
        asks("abort reaches callers", 503),
        {"type": "probe", "name": "metrics", "provider": provider("chaosprometheus.probes", "query", query=QUERY)},
        action("patch (abort removed)", "chaosistio.fault.actions", "remove_abort_fault", **HERE),
        asks("abort is gone", 200),
        action("patch (delay)", "chaosistio.fault.actions", "add_delay_fault", fixed_delay="1s", percentage=100.0, **HERE),
        action("patch (delay removed)", "chaosistio.fault.actions", "remove_delay_fault", **HERE),
        action("scale", "chaosk8s.deployment.actions", "scale_deployment", name=CALLER, replicas=2, ns=NAMESPACE),
        {"type": "probe", "name": "scaled", "provider": provider(
            "chaosk8s.deployment.probes", "deployment_fully_available", name=CALLER, ns=NAMESPACE)},
        action("restart", "chaosk8s.pod.actions", "terminate_pods", label_selector=f"app={APPLICATION}", ns=NAMESPACE),
        {"type": "probe", "name": "restarted", "provider": provider(
            "chaosk8s.deployment.probes", "deployment_fully_available", name=APPLICATION, ns=NAMESPACE)},
        {"type": "probe", "name": "logs", "provider": provider(
            "chaosk8s.pod.probes", "read_pod_logs", label_selector=f"app={APPLICATION}", ns=NAMESPACE, container_name="app")},
    ],
    "rollbacks": [
        action("delete", "chaosk8s.crd.actions", "delete_custom_object", group="networking.istio.io", version="v1",
               plural="virtualservices", ns=NAMESPACE, name=NAME),
        action("scale back", "chaosk8s.deployment.actions", "scale_deployment", name=CALLER, replicas=1, ns=NAMESPACE),
    ],
}  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, journal = Path(folder) / "experiment.json", Path(folder) / "journal.json"
        file.write_text(json.dumps(EXPERIMENT))
        command = [
            str(Path(sys.executable).with_name("chaos")),
            "--no-version-check",
            "--log-file",
            f"{folder}/log",
            "run",
        ]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        done = subprocess.run(
            [*command, "--journal-path", journal, "--rollback-strategy", "always", file],
            capture_output=True, text=True, timeout=300, check=False, env=environment, cwd=folder,
        )  # fmt: skip
        if not journal.is_file():
            sys.stdout.write(f"run\tFAILED: {' '.join((done.stderr or done.stdout).split())[-300:]}\n")
            return
        told = json.loads(journal.read_text())
    before = (told["steady_states"]["before"] or {}).get("probes") or ()
    for one in (*before, *told["run"], *told["rollbacks"]):
        sys.stdout.write(f"{one['activity']['name']}\t{outcome(one)}\n")


def outcome(one: dict[str, Any]) -> str:
    """The extensions answer errors of the API as values; what they say is looked at too."""
    output = one.get("output")
    if one["status"] != "succeeded":
        return f"FAILED: {' '.join(''.join(one.get('exception') or ['?'])[-300:].split())}"
    if isinstance(output, dict) and output.get("status", 200) not in (200, 201, 0, "Success", "success"):
        return f"FAILED: {json.dumps(output)[:300]}"
    return "ok"


main()
