"""What the load generator did and got."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.values.frozen import Frozen


class LoadCell(Frozen):
    """Answers of one second that have the same name, status and markers, and for which the generator was equally late.

    Latency counts from the intended start. What the generator itself was late with is in it, but not the system's.

    Args:
        request: The request's name.
        status: HTTP status; 0 where no answer came.
        error: Why none came, in a word or two; empty where one came.
        matched: The declared markers that their content has, in words.
        judged: What the locustfile said of them by ``failure()`` or ``success()``; ``None`` where it said nothing.
        lag: Milliseconds by which the generator started them late, at least.
        held: Milliseconds for which the generator was blocked while they were under way, at most: it may have read them late.
        latencies: Count by milliseconds from the *intended* start, rounded up to three significant digits.
    """

    request: str
    status: int
    error: str = ""
    matched: tuple[str, ...] = ()
    judged: bool | None = None
    lag: float = 0.0
    held: float = 0.0
    latencies: Mapping[float, int]

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.latencies.values())


class LoadSecond(Frozen):
    """What the load generator did and got in one second.

    Args:
        at: Start of the second.
        intended: Arrivals that the declared rate asked for.
        sent: Requests that were started.
        worst_lag: Longest time in seconds by which a request started after its intended moment.
        waiting: Seconds for which requests had waited that were under way when it ended, where that was over one; told for
            a locustfile only, whose requests are counted when they end.
        cpu: Share of one processor that the generator's process had; ``None`` where that was not recorded.
        cells: Answers that came in this second.
    """

    at: float
    intended: int
    sent: int
    worst_lag: float = 0.0
    waiting: tuple[float, ...] = ()
    cpu: float | None = None
    cells: tuple[LoadCell, ...] = ()

    @property
    def answered(self) -> int:
        """Answers that came, and requests that ended without one."""
        return sum(cell.count for cell in self.cells)

    @property
    def errors(self) -> int:
        """Requests that ended without an answer, or with a status of 500 and above."""
        return sum(cell.count for cell in self.cells if cell.status == 0 or cell.status >= 500)

    def quantile(self, share: float) -> float | None:
        """The latency in milliseconds that this share of the answers did not exceed; ``None`` where no answer came."""
        took = sorted((value, count) for cell in self.cells for value, count in cell.latencies.items())
        left = round(share * sum(count for _, count in took), 6)
        for value, count in took:
            left -= count
            if left <= 0:
                return value
        return None
