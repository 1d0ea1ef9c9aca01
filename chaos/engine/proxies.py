"""Asks the callers' proxies whether they have the injected routes: side by side, and off the thread that decides.

An exec may hang or be refused; neither may hold up a run, least of all while its fault is active. What is not known from
the proxies, the counted faults tell.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from typing import Final

from chaos.engine.beside import Beside
from chaos.errors import HarnessError
from chaos.istio.workloads import workloads_of
from chaos.model.history import ProxySeen
from chaos.model.plan import Injection
from chaos.ports import Clock, Mesh

Pod = tuple[str, str]
"""``(namespace, name)``."""

PATIENCE: Final = 4.0
"""Seconds within which the next proxy must have answered; else none is asked any more."""
LONGEST: Final = 20.0
"""Seconds that a round may take."""
_AT_ONCE: Final = 8
"""Proxies that are asked at the same time."""


class Proxies:
    """The callers' proxies, asked in rounds; that a pod came or went is noticed once one does not answer.

    Args:
        mesh: The mesh.
        clock: Time.
        injections: Whose callers are asked.
        every: A proxy counts once it has all routes that its workload may have; else once it has any of them.
    """

    def __init__(self, mesh: Mesh, clock: Clock, injections: Sequence[Injection], *, every: bool) -> None:
        self._mesh = mesh
        self._clock = clock
        self._have = all if every else any
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._pods: dict[Pod, tuple[str, ...]] = {}
        """The pods to ask, each with the names of the routes that its proxy may have."""
        for caller, names in ((caller, one.route_names) for one in injections for caller in one.callers):
            workload = (caller.namespace, caller.workload)
            self._names[workload] = (*self._names.get(workload, ()), *names)
            self._pods |= {(caller.namespace, pod): self._names[workload] for pod in caller.pods}
        self._round: _Round | None = None
        self._listing: tuple[float, Beside[dict[Pod, tuple[str, ...]]]] | None = None
        known = [any(caller.pods for caller in one.callers) for one in injections]
        self.silent = not known or not all(known)
        """Whether some proxy can't be asked, so that the counts have to tell."""
        self._told = False

    def look(self, offset: float) -> ProxySeen | None:
        """How many proxies have one of the routes, as soon as all have answered; ``None`` meanwhile. Never waits.

        Args:
            offset: Seconds to add to the clock for the times of what was seen.

        Returns:
            What was seen; of no proxy, once, where they can't be asked. ``silent`` then stays true.
        """
        if self.silent:
            told, self._told = self._told, True
            return None if told else ProxySeen(at=self._clock.now() + offset, having=0, of=0)
        if self._listing is not None:
            self._take_pods(*self._listing)
            return None
        if self._round is None:
            self._round = _Round(self._mesh, self._clock, tuple(self._pods))
            return None
        begun, answers = self._round.begun, self._round.answers()
        if len(answers) < len(self._pods):
            if self._round.is_stuck(self._clock.now()):
                self._round.give_up()
                self.silent = True
            return None
        self._round = None
        if any(text is None for text in answers.values()):
            self._listing = (self._clock.now(), Beside(self._clock, self._live))
            self._take_pods(*self._listing)
            return None
        having = sum(
            self._have(f'"{name}"' in (text or "") for name in self._pods[pod]) for pod, text in answers.items()
        )
        return ProxySeen(at=self._clock.now() + offset, asked=begun + offset, having=having, of=len(answers))

    def _take_pods(self, begun: float, listing: Beside[dict[Pod, tuple[str, ...]]]) -> None:
        """Asks the pods that run now from the next round on; none, where the API server does not name them in time."""
        if listing.done:
            pods, self._listing = listing.result(), None
            self.silent, self._pods = not pods or set(pods) == set(self._pods), pods
        elif self._clock.now() - begun > PATIENCE:
            self.silent = True

    def _live(self) -> dict[Pod, tuple[str, ...]]:
        """The callers' pods that run now; the last known ones if that can't be read."""
        try:
            pods = [
                pod for namespace in {namespace for namespace, _ in self._names} for pod in self._mesh.pods(namespace)
            ]
        except HarnessError:
            return self._pods
        running = [pod for pod in pods if (pod.get("status") or {}).get("phase") != "Pending"]
        return {
            (w.namespace, pod): self._names[w.namespace, w.name]
            for w in workloads_of(running)
            if (w.namespace, w.name) in self._names
            for pod in w.proxied
        }


class _Round:
    """One question to each of several proxies."""

    def __init__(self, mesh: Mesh, clock: Clock, pods: Sequence[Pod]) -> None:
        self.begun = clock.now()
        self._mesh = mesh
        self._open: queue.SimpleQueue[Pod] = queue.SimpleQueue()
        self._answers: dict[Pod, str | None] = {}
        self._last = (0, self.begun)
        for pod in pods:
            self._open.put(pod)
        for _ in range(min(_AT_ONCE, len(pods))):
            clock.beside(self._work)

    def answers(self) -> Mapping[Pod, str | None]:
        """The answers so far."""
        return dict(self._answers)

    def is_stuck(self, now: float) -> bool:
        """Whether no further answer came for too long, or all together take too long."""
        if len(self._answers) > self._last[0]:
            self._last = (len(self._answers), now)
        return now - self._last[1] > PATIENCE or now - self.begun > LONGEST

    def give_up(self) -> None:
        """Asks nobody else; who was asked already ends by itself."""
        while True:
            try:
                self._open.get_nowait()
            except queue.Empty:
                return

    def _work(self) -> None:
        while True:
            try:
                pod = self._open.get_nowait()
            except queue.Empty:
                return
            try:
                self._answers[pod] = self._mesh.routes_of_proxy(*pod)
            except Exception:  # noqa: BLE001 - whatever it is, this proxy did not tell
                self._answers[pod] = None
