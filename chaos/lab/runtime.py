"""The containers of a lab: which workloads have a process of the user's, and what each of them is given."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from chaos.istio.pods import selects
from chaos.istio.workloads import workload_name
from chaos.lab import injection
from chaos.lab.addresses import free_port
from chaos.lab.api.resources import SERVICE_ENTRIES, SERVICES
from chaos.lab.api.store import Event, Store
from chaos.lab.behaviours import Behaviours
from chaos.lab.containers.container import Container
from chaos.lab.containers.directory import described
from chaos.lab.containers.environment import application, environment, not_mounted
from chaos.lab.containers.init import Order
from chaos.lab.containers.probes import Probes
from chaos.lab.containers.process import Process
from chaos.lab.istio.proxy import OUTBOUND_PORT
from chaos.lab.services import target_ports
from chaos.lab.state import write_atomically

_KEPT: Final = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""What a process has of the environment in which the lab was started: a cluster has nothing of it, but programs are found by it."""
_GIVEN: Final = {"PYTHONUNBUFFERED": "1", "GRPC_DNS_RESOLVER": "native"}
"""So that logs come as they are written; and since gRPC's own resolver takes no answer of our DNS."""
_GRACE: Final = 30.0
"""Seconds that Kubernetes gives a pod by default."""
Object = Mapping[str, Any]


class Runtime:
    """Makes the containers.

    Args:
        behaviours: What the user says of workloads.
        store: The cluster's objects.
        directory: The lab's folder.
    """

    def __init__(self, behaviours: Behaviours, store: Store, directory: Path) -> None:
        self._behaviours = behaviours
        self._store = store
        self._folder = directory / "containers"
        self._logs = directory / "logs"
        self._services = self._folder / "services.json"
        self._endpoints: dict[str, list[str]] = {}
        if behaviours.processes:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write()
            store.subscribe(self._notice)

    def process_of(self, pod: Object) -> Process | None:
        """What answers for a pod; ``None`` where a stand-in does."""
        name = self._behaviours.name_of(workload_name(pod), pod["metadata"].get("labels") or {})
        return self._behaviours.processes.get(name) if name is not None else None

    def learn(self, endpoints: Mapping[str, list[str]]) -> None:
        """Tells processes where services are."""
        self._endpoints = dict(endpoints)
        self._write()

    def ports(self, pod: Object) -> list[int]:
        """Where a pod is asked: its container ports; for a process also those that only its Services know, as on a cluster."""
        declared, process = injection.app_ports(pod), self.process_of(pod)
        if process is None:
            return declared
        selecting = [
            service
            for service in self._store.list(SERVICES, pod["metadata"]["namespace"])
            if selects(service, pod["metadata"].get("labels") or {})
        ]
        asked = {port["port"] for service in selecting for port in target_ports(service, pod)}
        return sorted({*declared, *asked, *process.ports})

    def inbound(self, process: Process, ip: str, ports: list[int], *, proxied: bool) -> dict[int, int]:
        """By container port, where the process is to listen: behind a sidecar the port itself is Envoy's.

        Ports of several containers may lead to the one on which the process listens: that of a web server before it, and its own.
        """
        if not proxied:
            return {port: port for port in ports}
        own = {listens: free_port(ip) for listens in {process.ports.get(port, port) for port in ports}}
        return {port: own[process.ports.get(port, port)] for port in ports}

    def container(
        self,
        pod: Object,
        process: Process,
        *,
        ip: str,
        inbound: Mapping[int, int],
        proxied: bool,
        changed: Callable[[], None],
    ) -> Container:
        """The container of a pod, not started yet; raises ``LabError`` where its environment lacks something."""
        meta = pod["metadata"]
        declared, remarks = application(pod, process.container)
        probes = Probes.of(declared, ip, inbound, injection.named_ports(pod))
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        services = self._store.list(SERVICES, meta["namespace"])
        env |= {**_GIVEN, **environment(pod, declared, ip, services=services, find=self._store.find), **process.env}
        order = Order(
            command=list(process.command),
            folder=str(process.directory),
            env=env,
            namespace=meta["namespace"],
            ip=ip,
            ports={
                process.ports.get(port, port): inbound[port] for port in sorted(inbound, key=process.ports.__contains__)
            },
            proxy=OUTBOUND_PORT if proxied else None,
            services=str(self._services),
            grace=float(pod["spec"].get("terminationGracePeriodSeconds", _GRACE)),
        )
        return Container(
            f"{meta['namespace']}/{meta['name']}",
            order,
            replace(probes, remarks=(*remarks, *not_mounted(pod, declared), *probes.remarks)),
            folder=self._folder,
            logs=self._logs,
            changed=changed,
            env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.environ.get("PATH", os.defpath)},
        )

    def _notice(self, event: Event) -> None:
        if event.object["kind"] == SERVICE_ENTRIES.kind:
            self._write()

    def _write(self) -> None:
        if self._behaviours.processes:
            text = described(self._store.list(SERVICES), self._store.list(SERVICE_ENTRIES), self._endpoints)
            write_atomically(self._services, text)
