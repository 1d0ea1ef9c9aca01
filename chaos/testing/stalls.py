"""A machine that stands still for a moment, as the load generator of the shop in memory sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.values.load import LoadCell


class Arrivals:
    """What the load generator sends in each second; what a stall kept it from is sent late, in the first second after it."""

    def __init__(self) -> None:
        self._until = float("-inf")
        self._missed: list[tuple[float, int]] = []

    def stall(self, now: float, seconds: float) -> None:
        """Nothing is sent for so long."""
        self._until = now + seconds

    def stalled(self, at: float) -> bool:
        """Whether nothing can be done in the second that begins then."""
        return at < self._until

    def lags(self, at: float, number: int) -> Sequence[float]:
        """The requests that are sent in a second, each with the milliseconds by which it is late."""
        if self.stalled(at):
            self._missed.append((at, number))
            return ()
        late = [(at - intended) * 1000 for intended, missed in self._missed for _ in range(missed)]
        self._missed.clear()
        return [*late, *([0.0] * number)]


def split(cells: Sequence[LoadCell], lags: Sequence[float]) -> Iterator[LoadCell]:
    """The same answers, of which some requests were late, one kind of answer like the other."""
    late = Counter(lags)
    for cell in cells:
        for took, count in cell.latencies.items():
            left = count
            for lag in sorted(late, reverse=True):
                share = left if not lag else min(left, late[lag], round(count * late[lag] / len(lags)))
                left -= share
                if share:
                    yield cell.model_copy(update={"lag": lag, "latencies": {took + lag: share}})
