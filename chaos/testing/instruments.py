"""What a run sees the shop in memory by: its metrics, its load, and a probe of its entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from chaos.errors import LoadError, MetricsError
from chaos.model.experiment import Load as LoadSpec
from chaos.model.experiment import Request
from chaos.ports import Clock
from chaos.testing.storage import Storage
from chaos.testing.traffic import Traffic
from chaos.values.content import Marker
from chaos.values.entry import Contact
from chaos.values.held import Held
from chaos.values.load import LoadSecond
from chaos.values.questions import FALSE, NO_DATA, TRUE, WAITS, Alerts, Comparison, Question
from chaos.values.series import Series


class ShopMetrics:
    """The ``Metrics`` port over the shop's traffic."""

    def __init__(self, clock: Clock, traffic: Traffic) -> None:
        self._clock = clock
        self._traffic = traffic
        self.lost = ""
        """Why they do not answer; nothing while they do."""
        self.untrue: set[str] = set()
        """Comparisons that are false; all others are true."""
        self.unknown: set[str] = set()
        """Comparisons for which there are no data."""
        self.said = 0.0
        """What they say the scrape interval is; 0: as it is."""
        self.storage = Storage()
        """What becomes of samples before they are read."""

    def now(self) -> float:
        """The shop's clock."""
        self._answer()
        return self._clock.now()

    def version(self) -> str:
        """None."""
        return ""

    def scrape_interval(self) -> float:
        """The shop's, or what was said to be it."""
        return self.said or self._traffic.scrape_interval

    def held(self) -> Held:
        """All labels and buckets that the storage has, once something was counted."""
        self._answer()
        return self.storage.held(self._traffic)

    def samples(self, question: Question, *, seconds: float, at: float | None = None) -> Sequence[Series]:
        """Raw samples of the seconds up to a moment."""
        self._answer()
        at = self._clock.now() if at is None else at
        if isinstance(question, Comparison):
            known = NO_DATA if question.promql in self.unknown else TRUE
            held = FALSE if question.promql in self.untrue else known
            return [Series(labels={}, samples=((at, held),))]
        if isinstance(question, Alerts):
            fires = self._traffic.alerting(question.name).items()
            waits = {WAITS: f"{self._traffic.waits:g}"}
            return [
                Series(
                    labels={"alertname": name, **(waits if name == question.name else {})}, samples=((at, float(now)),)
                )
                for name, now in fires
            ]
        return self.storage.find(self._traffic, question, seconds=seconds, at=at, now=self._clock.now())

    def wording(self, question: Question) -> str:
        """The question in words."""
        return str(question)

    def _answer(self) -> None:
        self._traffic.catch_up()
        if self.lost:
            raise MetricsError(self.lost)


class ShopProbe:
    """The ``Probe`` port: the shop's entry, which answers everything with 200 unless it is told what to do."""

    def __init__(self) -> None:
        self.connection = Contact()
        """What becomes of a connection."""
        self.answers: dict[str, Contact] = {}
        """What becomes of requests, by their paths."""
        self.asked: list[str] = []
        """The labels of the requests that were sent."""

    def connect(self, entry: str, *, host: str | None) -> Contact:  # noqa: ARG002
        """As ``connection`` says."""
        return self.connection

    def ask(self, entry: str, request: Request, *, host: str | None) -> Contact:  # noqa: ARG002
        """As ``answers`` says."""
        self.asked.append(request.label)
        return self.answers.get(request.path, Contact(status=200))


class ShopLoad:
    """The ``Load`` port: orders at the declared rate."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._rate = 0.0
        self.died = ""
        """Why it is not running; nothing while it is well."""

    def prepare(
        self,
        spec: LoadSpec,
        *,
        entry: str,  # noqa: ARG002
        headers: Mapping[str, str],  # noqa: ARG002
        base: Path,  # noqa: ARG002
        markers: Sequence[Marker] = (),
    ) -> None:
        """Takes note of the rate, the requests and the markers; ``LoadError`` where it has died."""
        if self.died:
            raise LoadError(self.died)
        self._rate, self._traffic.markers = spec.rate, markers
        weights = {one.label: one.weight for one in spec.requests}
        of_all = sum(weights.values())
        if of_all:
            self._traffic.requests = {label: weight / of_all for label, weight in weights.items()}

    def start(self) -> None:
        """Orders from now on."""
        self._traffic.catch_up()
        self._traffic.rate = self._rate

    def poll(self) -> Sequence[LoadSecond]:
        """The seconds that were finished since the last call."""
        return self._traffic.told()

    def failure(self) -> str | None:
        """Why it is no longer running; ``None`` while it is well."""
        return self.died or None

    def stop(self) -> None:
        """Orders no more."""
        self._traffic.catch_up()
        self._traffic.rate = 0.0

    def log(self) -> str:
        """Nothing."""
        return ""
