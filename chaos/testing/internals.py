"""The metrics of istiod and of the proxies themselves, in the shop in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, inf
from typing import Final

from chaos.values.questions import Convergence, ProcessorTime, ProxyMemory, Pushes, Question
from chaos.values.series import Series

_ISTIOD: Final = "istiod-1-a"
_PROXIES: Final = ("order-svc-1-a", "inventory-svc-1-a", "payment-svc-1-a")
"""Each gets a configuration when a VirtualService changes."""
_BOUNDS: Final = (0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0, inf)

Key = tuple[Question, str, str]
"""A question, the pod that tells, and the bound of a histogram."""


class Internals:
    """The values behind key metrics, second by second.

    Args:
        namespace: Of the proxies.
        since: When they were scraped for the first time.
    """

    def __init__(self, namespace: str, since: float) -> None:
        self._memory = ProxyMemory(namespace=namespace)
        self._pushed = 0.0
        self._values: dict[Key, float] = {(Convergence(), _ISTIOD, str(bound)): 0.0 for bound in _BOUNDS}
        self._samples: dict[Key, list[tuple[float, float]]] = {}
        self.happen(changed=False, pushes=0.0, converges=0.0, cpus=0.0, memory=0.0)
        self.scrape(since, dark=set())

    def happen(self, *, changed: bool, pushes: float, converges: float, cpus: float, memory: float) -> None:
        """A second.

        Args:
            changed: The proxies got other VirtualServices.
            pushes: Configurations that istiod sends for other reasons.
            converges: Seconds until a proxy has its configuration.
            cpus: CPUs that istiod uses.
            memory: Bytes that the last proxy has allocated; the others have half of it.
        """
        before = floor(self._pushed)
        self._pushed += pushes + (len(_PROXIES) if changed else 0)
        for bound in _BOUNDS:
            self._add(Convergence(), floor(self._pushed) - before if converges <= bound else 0, str(bound))
        self._values[Pushes(), _ISTIOD, ""] = floor(self._pushed)
        self._add(ProcessorTime(), cpus)
        for proxy in _PROXIES:
            self._values[self._memory, proxy, ""] = memory if proxy == _PROXIES[-1] else memory / 2

    def scrape(self, at: float, *, dark: set[str]) -> None:
        """Samples of this moment, but for pods that are not scraped."""
        for key, value in self._values.items():
            if key[1] not in dark:
                self._samples.setdefault(key, []).append((at, value))

    def series(self, question: Question, *, since: float, until: float) -> Sequence[Series]:
        """The samples between two moments."""
        every = [(key, [one for one in samples if since < one[0] <= until]) for key, samples in self._samples.items()]
        return [
            Series(labels=_labels(pod, bound), samples=tuple(samples))
            for (asked, pod, bound), samples in every
            if asked == question and samples
        ]

    def _add(self, question: Question, more: float, bound: str = "") -> None:
        key = (question, _ISTIOD, bound)
        self._values[key] = self._values.get(key, 0.0) + more


def _labels(pod: str, bound: str) -> Mapping[str, str]:
    labels = {"job": "istiod" if pod == _ISTIOD else "istio-proxies", "instance": pod, "pod": pod}
    return {**labels, "le": "+Inf" if bound == "inf" else bound} if bound else labels
