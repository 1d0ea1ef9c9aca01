"""Which samples count, where a proxy is scraped more than once, or what was scraped is stored more than once.

A pair of Prometheus servers whose replica label nobody takes out, two jobs for one pod (port 15020 by annotation, 15090 by a
PodMonitor), a server that federates from another one: each gives every request two series, which would double the evidence.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from chaos.expectations.counting import Scrapes, source_of
from chaos.istio.metrics import process_of
from chaos.values.series import Series

_SCRAPER: Final = (
    "job", "instance", "exported_job", "exported_instance",
    "prometheus", "prometheus_replica", "replica", "__replica__", "receive_replica", "monitor",
)  # fmt: skip
"""Labels that say who scraped: the target's own, and those by which servers are commonly distinguished."""
_ALONE: Final = 2
"""Samples without any other series of the same scrapes, after which a series is taken as what its process counts now."""

Labels = frozenset[tuple[str, str]]
Scraper = tuple[str, ...]


class Copies:
    """Takes the series of each process from one scraper only: that with the most samples when the process is first seen.

    One scraper reads all series of a process at the same moments. So where two series are of one scraper by its known labels, but
    were never scraped at the same moment, they come from two, and some other label is that of the replica.
    """

    def __init__(self, scrapes: Scrapes) -> None:
        self._scrapes = scrapes
        self._scrapers: dict[str, Scraper] = {}
        self._left_out: dict[Labels, str] = {}

    @property
    def told(self) -> Sequence[str]:
        """By what copies differ from what is counted, each once: ``job=envoy-stats``."""
        return sorted(set(filter(None, self._left_out.values())))

    def without(self, found: Iterable[Series], known: Mapping[Labels, object]) -> Iterator[tuple[Labels, Series]]:
        """The series that count, those that are known first; whoever takes them notes their scrapes before the next one."""
        keyed = [(frozenset(one.labels.items()), one) for one in found]
        yield from ((key, one) for key, one in keyed if key in known)
        new = [(key, one) for key, one in keyed if key not in known and key not in self._left_out]
        for key, one in sorted(new, key=lambda item: (-len(item[1].samples), sorted(item[0]))):
            if self._counts(key, one):
                yield key, one

    def _counts(self, key: Labels, one: Series) -> bool:
        process = process_of(one.labels)
        if not process:
            return True  # who counted is not known
        scraper = tuple(one.labels.get(name, "") for name in _SCRAPER)
        taken = self._scrapers.setdefault(process, scraper)
        if scraper != taken:
            self._left_out[key] = " ".join(
                f"{name}={value}"
                for name, value, other in zip(_SCRAPER, scraper, taken, strict=True)
                if value != other and name not in ("instance", "exported_instance")
            )
            return False
        scrapes, times = self._scrapes.get(source_of(one.labels), ()), [at for at, _ in one.samples]
        if not scrapes or any(at == _nearest(scrapes, at) for at in times):
            return True
        if any(scrapes[0] < at < scrapes[-1] for at in times):
            self._left_out[key] = "other moments of the scrapes"
            return False
        return len(times) >= _ALONE  # else a further sample tells


def _nearest(scrapes: Sequence[float], at: float) -> float:
    return scrapes[min(bisect_left(scrapes, at), len(scrapes) - 1)]
