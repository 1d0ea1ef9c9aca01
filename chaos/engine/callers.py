"""Learns by their labels whether callers that a plan does not know are declared ones: a rollout may have brought them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from chaos.engine.beside import Beside
from chaos.errors import HarnessError
from chaos.istio.workloads import workload_name, workloads_of
from chaos.model.plan import Caller, Injection
from chaos.ports import Clock, Mesh

PATIENCE: Final = 1.5
"""Seconds for an answer of the API; after that, a caller of whom nobody can tell counts as none that was declared."""


class Newcomers:
    """Asks for the pods of a namespace, off the thread that decides, once for each caller that is not known."""

    def __init__(self, mesh: Mesh, clock: Clock) -> None:
        self._mesh = mesh
        self._clock = clock
        self._asked: dict[tuple[str, str], tuple[float, Beside[Caller | None]]] = {}

    def is_unclear(self, injection: Injection, name: str) -> bool:
        """Whether it is not known yet if a caller, ``namespace/workload``, has the labels of the declared ones. Never waits."""
        key = (str(injection.target), name)
        if key not in self._asked:
            self._asked[key] = self._clock.now(), Beside(self._clock, partial(self._ask, injection, name))
        begun, asking = self._asked[key]
        return not asking.done and self._clock.now() - begun < PATIENCE

    def declared(self, injection: Injection) -> Iterator[Caller]:
        """Workloads that turned out to be declared callers of a target, besides the known ones."""
        known = {(one.namespace, one.workload) for one in injection.callers}
        for (target, _), (_, asking) in self._asked.items():
            found = asking.result() if target == str(injection.target) and asking.done else None
            if found is not None and (found.namespace, found.workload) not in known:
                yield found

    def _ask(self, injection: Injection, name: str) -> Caller | None:
        namespace, _, workload = name.partition("/")
        wanted = injection.target.callers.items()
        try:
            pods = [
                pod
                for pod in self._mesh.pods(namespace)
                if workload_name(pod) == workload and wanted <= (pod["metadata"].get("labels") or {}).items()
            ]
        except HarnessError:
            return None  # nobody can tell
        if not pods:
            return None
        running = (one.proxied for one in workloads_of(pods))  # those that are about to end called, too
        return Caller(namespace=namespace, workload=workload, pods=next(running, ()))
