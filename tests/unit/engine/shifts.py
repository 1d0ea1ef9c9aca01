"""A shop whose orders can be shifted to a canary."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos import (
    Abort,
    Expectation,
    Experiment,
    Harness,
    Load,
    Request,
    Settings,
    Target,
)
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.model.shift import Shift
from chaos.testing.shop import Shop

CANARY = "order-svc-canary"
ROUTES: dict[str, Any] = {
    "kind": "VirtualService", "metadata": {"name": "orders", "namespace": "staging"},
    "spec": {"hosts": ["order-svc"], "http": [{"route": [
        {"destination": {"host": "order-svc"}, "weight": 100}, {"destination": {"host": CANARY}, "weight": 0},
    ]}]},
}  # fmt: skip
EXPERIMENT = Experiment(
    "orders",
    target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
    faults=[Abort(percentage=50, http_status=503)],
    load=Load(rate=50, requests=[Request("/orders/42")]),
    steady_state=[Expectation("answered", service="order-svc", status="<500", at_least="95%")],
)


class Canary:
    """A shop whose orders can be sent to a canary."""

    def __init__(self, *, spoiled: float = 0.0, **behaviour: Any) -> None:
        self.shop = Shop(spoils={CANARY: spoiled} if spoiled else {}, seed=1, **behaviour)
        self.shop.mesh.put(ROUTES)
        self.shop.clock.sleep(1)
        self.mesh: Any = self.shop.mesh

    def harness(self, folder: Path, *, settings: Settings | None = None) -> Harness:
        settings = settings or Settings(namespaces=("staging",), changes=("staging",))
        place = Place.of(self.mesh, self.shop.metrics, settings, entry="http://shop.memory")
        return Harness(
            place, load=lambda: self.shop.load, probe=lambda: self.shop.probe, clock=self.shop.clock, listeners=(),
            watchdog=lambda _watched, _folder: NoWatch(), report_dir=folder,
        )  # fmt: skip

    def shift(self, folder: Path, **options: Any) -> Shift:
        """How it went, which is also how its record is judged."""
        way = {"virtual_service": "orders", "source": "order-svc", "target": CANARY, "step": 25.0, "every": "30s"}
        found = self.harness(folder).shift(EXPERIMENT, **{**way, **options})
        again = Harness.judge_shift(folder / "shifts" / found.run)
        assert again.again is not None
        assert again.again.is_plain, again.again.differences
        assert again.model_copy(update={"again": None}) == found
        return found

    def when(self, percent: int, action: Callable[[], object], *, after: float = 5.0) -> None:
        """Has something done some seconds after a step was written."""
        write = self.shop.mesh.replace_istio_object

        def writing(obj: Any, **options: Any) -> Any:
            if not options.get("dry_run") and weights(obj)[1] == percent:
                self.shop.clock.later(after, action)
            return write(obj, **options)

        self.shop.mesh.replace_istio_object = writing  # type: ignore[method-assign]

    def routes(self) -> Any:
        return self.shop.mesh.virtual_service("staging", "orders")

    def is_clean(self) -> bool:
        return not self.shop.mesh.objects("Lease") and not self.routes()["metadata"].get("annotations")


def weights(vs: Any) -> list[int]:
    return [part["weight"] for part in vs["spec"]["http"][0]["route"]]


def subsets(*parts: tuple[str, int]) -> dict[str, Any]:
    route = [{"destination": {"host": "reviews", "subset": name}, "weight": weight} for name, weight in parts]
    return {"kind": "VirtualService", "metadata": {"namespace": "staging"}, "spec": {"http": [{"route": route}]}}
