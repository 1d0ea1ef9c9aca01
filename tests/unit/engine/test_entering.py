"""The entry is looked at before anything is written, in whole runs in virtual time."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch, Watched
from chaos.errors import InputError
from chaos.expectations.mesh import Expectation
from chaos.faults.abort import Abort
from chaos.faults.target import Target
from chaos.harness.harness import Harness
from chaos.model.experiment import Experiment, Load, Request
from chaos.model.history import PhaseName
from chaos.model.settings import Settings
from chaos.ports import Result
from chaos.testing.shop import Shop
from chaos.values.entry import Contact, Hindrance

GATEWAYS_404 = Contact(status=404, by_gateway=True)


def with_load(*requests: Request, locustfile: str | None = None) -> Experiment:
    return Experiment(
        "orders-survive-inventory",
        target=Target("staging", "inventory-svc", callers={"app": "order-svc"}),
        faults=[Abort(percentage=50, http_status=503)],
        load=Load(rate=50, requests=requests, locustfile=locustfile),
        steady_state=[Expectation("answered", service="order-svc", status="<500", at_least="90%")],
    )


@pytest.mark.parametrize(("entry", "says"), [
    ("", "no entry is named"),
    ("http://me:canary@shop.memory/base?token=canary", "the entry http://shop.memory/base has a query or a fragment"),
    ("http://shop.memory/#top", "has a query or a fragment"),
])  # fmt: skip
def test_an_entry_that_no_path_can_come_after_is_told(entry: str, says: str, tmp_path: Path) -> None:
    shop = Shop()
    place = Place.of(shop.mesh, shop.metrics, Settings(namespaces=["staging"]), entry=entry)
    harness = Harness(place, load=lambda: shop.load, watchdog=lambda _plan, _folder: NoWatch(), report_dir=tmp_path)
    with pytest.raises(InputError, match=says) as caught:
        harness.run(with_load(Request.get("/orders/42")))
    assert "canary" not in str(caught.value)


def is_refused(result: Result) -> bool:
    """Whether the run ended before anything was begun."""
    (reason,) = result.verdict.reasons
    return (result.verdict.outcome, reason.code, result.history.marks) == ("refused", "entry-unusable", {})


def begun(plan: Watched, folder: Path) -> NoReturn:
    pytest.fail("the watchdog was started")


def test_a_load_that_can_not_arrive_is_not_begun(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.answers = {"/orders/42": GATEWAYS_404}
    writes = shop.mesh.changes
    result = shop.harness(report_dir=tmp_path, watchdog=begun).run(with_load(Request.get("/orders/42")))
    assert is_refused(result)
    assert "404, probably from the gateway itself" in result.verdict.reasons[0].message
    assert "load.host" in (result.verdict.reasons[0].hint or "")
    assert [span.phase for span in result.history.spans] == [PhaseName.LOCK, PhaseName.RELEASE]
    assert shop.mesh.changes == writes, "nothing was written, not even a lease"
    assert not shop.traffic.rate
    assert Harness.judge(tmp_path / "runs" / result.verdict.run) == result.verdict


def test_only_requests_that_change_nothing_are_sent(tmp_path: Path) -> None:
    shop = Shop()
    load = [
        Request.get("/a"),
        Request.post("/b"),
        Request("/c", method="HEAD"),
        Request.put("/d"),
        Request.delete("/e"),
        Request("/f", method="OPTIONS"),
    ]
    assert shop.harness(report_dir=tmp_path).run(with_load(*load)).verdict.passed
    assert shop.probe.asked == ["GET /a", "HEAD /c"]


def test_a_locustfile_s_requests_are_not_known(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.connection = Contact(hindrance=Hindrance.NO_TLS)
    assert is_refused(shop.harness(report_dir=tmp_path).run(with_load(locustfile="load.py")))
    assert shop.probe.asked == []


def test_an_entry_that_is_only_starting_is_waited_for(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.connection = Contact(hindrance=Hindrance.REFUSED)
    shop.probe.answers = {"/orders/42": GATEWAYS_404}
    shop.clock.later(2, lambda: setattr(shop.probe, "connection", Contact()))
    shop.clock.later(4, shop.probe.answers.clear)
    result = shop.harness(report_dir=tmp_path).run(with_load(Request.get("/orders/42")))
    assert result.verdict.passed, result.verdict.reasons
    lock, *_ = result.history.spans
    assert lock.end is not None
    assert 4 <= lock.end - lock.start < 5


def test_it_is_not_waited_for_longer_than_some_seconds(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.connection = Contact(hindrance=Hindrance.REFUSED)
    result = shop.harness(report_dir=tmp_path).run(with_load(Request.get("/orders/42")))
    assert is_refused(result)
    assert result.history.ended is not None
    assert 5 <= result.history.ended - result.history.started < 6


def test_whoever_stops_the_run_does_not_wait_for_the_entry(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.connection = Contact(hindrance=Hindrance.REFUSED)
    shop.clock.later(1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        shop.harness(report_dir=tmp_path).run(with_load(Request.get("/orders/42")))
    assert not shop.mesh.injected()


def test_what_is_no_reason_to_stop_is_noted(tmp_path: Path) -> None:
    shop = Shop()
    shop.probe.answers = {"/a": Contact(status=404)}
    result = shop.harness(report_dir=tmp_path).run(with_load(Request.get("/a"), Request.get("/b")))
    assert result.verdict.passed
    (noted,) = [event for event in result.history.events if event.kind == "entry"]
    assert noted.sentence.startswith("the entry http://shop.memory: GET /a: status 404; correct the path")


def test_a_port_at_which_nobody_listens_is_found_by_the_real_probe(tmp_path: Path) -> None:
    shop = Shop()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        entry = f"http://127.0.0.1:{bound.getsockname()[1]}"
        place = Place.of(shop.mesh, shop.metrics, Settings(namespaces=("staging",)), entry=entry)
        harness = Harness(
            place, load=lambda: shop.load, watchdog=begun, clock=shop.clock, listeners=(), report_dir=tmp_path
        )
        result = harness.run(with_load(Request.get("/orders/42")))
    assert is_refused(result)
    assert (
        result.verdict.reasons[0].message
        == f"the entry {entry} can't be used: nobody listens there (connection refused)"
    )
