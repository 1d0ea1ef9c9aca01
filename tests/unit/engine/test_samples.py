"""Samples as they come: late, more than once, at other intervals than were said. Each twin with a defect is red, each healthy one green."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest

from chaos.adapters.experiment_file import parse_experiment
from chaos.engine.place import Place
from chaos.engine.surroundings import NoWatch
from chaos.harness.harness import Harness
from chaos.istio.metrics import BUCKETS_MS
from chaos.model.history import Mark
from chaos.model.settings import Settings
from chaos.model.verdict import ReasonCode
from chaos.ports import Result
from chaos.testing.shop import Shop
from chaos.testing.storage import FEDERATED, REPLICAS, TWO_JOBS, Copy

EXPERIMENT = """\
experiment: orders-survive-inventory
profile: quick
target: {namespace: staging, service: inventory-svc, callers: {app: order-svc}}
faults: [{abort: {percentage: 50, httpStatus: 503}}]
load: {rate: 40, requests: [{path: /orders/42}]}
steadyState:
- {title: orders are answered, service: order-svc, good: {status: "<500"}, atLeast: 90%}
- {title: orders are quick, service: order-svc, good: {within: 1s}, atLeast: 90%}
recovery: {within: 30s}
"""
UNKNOWN = (Copy({"team": "a"}), Copy({"team": "b"}, shift=0.4))
"""A pair whose replica label has a name of somebody's own."""
WAYS = {"replicas": REPLICAS, "two jobs": TWO_JOBS, "federated": FEDERATED, "a label of its own": UNKNOWN}


def run(shop: Shop, tmp_path: object, text: str = EXPERIMENT) -> Result:
    return shop.harness(report_dir=str(tmp_path)).run(parse_experiment(text))


def be_busy(shop: Shop) -> None:
    """Something was counted before the run."""
    shop.traffic.rate = 1.0
    shop.clock.sleep(20)
    shop.traffic.catch_up()
    shop.traffic.rate = 0.0


@pytest.mark.parametrize("copies", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("bears", [1.0, 0.0])
def test_copies_count_once(copies: Sequence[Copy], bears: float, tmp_path: object) -> None:
    plain, doubled = Shop(bears=bears), Shop(bears=bears)
    doubled.metrics.storage.copies = copies
    one, two = (run(shop, tmp_path) for shop in (plain, doubled))
    assert [reason.code for reason in two.verdict.reasons] == [reason.code for reason in one.verdict.reasons]
    assert two.verdict.passed == (bears == 1.0)
    for alone, both in zip(one.verdict.results, two.verdict.results, strict=True):
        assert abs(both.tally.total - alone.tally.total) < 0.2 * alone.tally.total + 50, (alone, both)
    assert one.verdict.proof
    assert two.verdict.proof
    assert two.verdict.proof.counted < 1.3 * one.verdict.proof.counted


def test_a_label_of_the_requests_own_is_no_copy(tmp_path: object) -> None:
    shop = Shop()
    shop.metrics.storage.copies = (Copy({"request_method": "GET"}), Copy({"request_method": "POST"}))
    result = run(shop, tmp_path)
    (answered, *_) = result.verdict.baseline
    window = result.history.marks[Mark.BASELINE_UNTIL] - result.history.marks[Mark.BASELINE_FROM]
    assert answered.tally.total > 1.6 * 40 * (window - 2), "both are counted"


@pytest.mark.parametrize(("seconds", "interval"), [(15.0, 1.0), (60.0, 5.0)])
@pytest.mark.parametrize(("bears", "code"), [(1.0, ReasonCode.ALL_HELD), (0.0, ReasonCode.EXPECTATION_VIOLATED)])
def test_samples_that_come_late_are_waited_for(
    bears: float, code: ReasonCode, seconds: float, interval: float, tmp_path: object
) -> None:
    shop = Shop(bears=bears, scrape_interval=interval)
    shop.metrics.storage.lag = seconds
    result = run(shop, tmp_path)
    assert {reason.code for reason in result.verdict.reasons} == {code}, result.verdict.reasons
    assert result.history.environment.lag == pytest.approx(seconds, abs=interval)


@pytest.mark.parametrize(("idle", "said"), [(True, 20.0), (False, 300.0)])
def test_the_interval_is_that_of_the_samples(said: float, idle: bool, tmp_path: object) -> None:
    """Whatever the back end says of its targets."""
    shop = Shop()
    shop.metrics.said = said
    if not idle:
        be_busy(shop)
    began = shop.clock.now()
    result = run(shop, tmp_path)
    assert result.verdict.passed, result.verdict.reasons
    assert result.history.environment.scrape_interval == 1.0
    assert shop.clock.now() - began < 60


def test_an_interval_that_is_set_is_taken(tmp_path: object) -> None:
    shop = Shop()
    settings = Settings(namespaces=("staging",), scrape_interval="4s")
    place = Place.of(shop.mesh, shop.metrics, settings, entry="http://shop.memory")
    with Harness(
        place,
        load=lambda: shop.load, probe=lambda: shop.probe, clock=shop.clock, listeners=(), report_dir=str(tmp_path),
        watchdog=lambda _plan, _folder: NoWatch(),
    ) as harness:  # fmt: skip
        assert harness.run(parse_experiment(EXPERIMENT)).history.environment.scrape_interval == 4.0


def test_a_recovery_that_the_samples_can_not_show_is_found_by_the_plan_or_by_the_baseline(tmp_path: object) -> None:
    text = EXPERIMENT.replace("within: 30s}", "within: 2s}")
    shop = Shop(scrape_interval=5.0)
    shop.metrics.said = 1.0
    idle = run(shop, tmp_path, text).verdict
    assert [reason.code for reason in idle.reasons] == [ReasonCode.METRICS_INCOMPLETE]
    assert "recovery.within is 2 s, and the metrics are scraped every 5 s" in idle.reasons[0].message
    assert not shop.mesh.injected()
    known = run(shop, tmp_path, text).verdict
    assert [reason.code for reason in known.reasons] == [ReasonCode.CANNOT_DECIDE], "nothing is begun"


LACKS = {
    "reporter": "no series of istio_requests_total has the label reporter",
    "destination_service": "no series of istio_requests_total has the label destination_service",
    "source_workload": "no series of istio_requests_total has the label source_workload,",
    "source_workload_namespace": "no series of istio_requests_total has the label source_workload_namespace",
    "response_code": "no series of istio_requests_total has the label response_code",
    "response_flags": "no series of istio_requests_total has the label response_flags",
    1000.0: 'no histogram istio_request_duration_milliseconds has the bucket le="1000"; there are: 0.5, 1, 5,',
}


@pytest.mark.parametrize(("lack", "idle"), [*product(LACKS, [True]), ("response_flags", False), (1000.0, False)])
def test_what_the_metrics_lack_is_named(lack: str | float, idle: bool, tmp_path: object) -> None:
    shop = Shop()
    if isinstance(lack, str):
        shop.metrics.storage.without_labels = (lack,)
    else:
        shop.metrics.storage.without_buckets = (lack,)
    if not idle:
        be_busy(shop)
    (reason,) = run(shop, tmp_path).verdict.reasons
    assert reason.code is (ReasonCode.METRICS_INCOMPLETE if idle else ReasonCode.CANNOT_DECIDE)
    assert LACKS[lack] in reason.message
    assert reason.hint
    assert not shop.mesh.injected()


def test_where_no_classic_histogram_is_kept_the_cure_is_named(tmp_path: object) -> None:
    shop = Shop()
    shop.metrics.storage.without_buckets = BUCKETS_MS
    (reason,) = run(shop, tmp_path).verdict.reasons
    assert "there are: none" in reason.message
    assert "always_scrape_classic_histograms" in str(reason.hint)


def test_a_plan_tells_of_copies_and_of_samples_that_come_late(tmp_path: object) -> None:
    shop = Shop()
    shop.metrics.storage.copies, shop.metrics.storage.lag = TWO_JOBS, 30.0
    idle = run(shop, tmp_path)
    assert idle.verdict.passed, idle.verdict.reasons
    assert {warning.code for warning in idle.history.plan.warnings} == {"no-calls-yet"}
    noted = [event.sentence for event in idle.history.events if event.kind == "metrics"]
    assert len(noted) == 2
    known = run(shop, tmp_path).history
    assert [warning.code for warning in known.plan.warnings] == ["samples-late", "counted-twice"]
    assert all("job=envoy-stats" in text for text in (noted[1], known.plan.warnings[1].message))
