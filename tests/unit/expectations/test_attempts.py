"""How often a service is asked for each request: retries of an application, of a proxy, and of both together."""

from __future__ import annotations

import pytest

from chaos.expectations import AttemptsExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Look
from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Behaviour, Shop
from chaos.values.answers import Answer
from chaos.values.led import Led
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Requests, Side
from chaos.values.series import Series
from tests.support.shop_runs import ORDERS as LOAD
from tests.support.shop_runs import reasons, run

ORDERS = Requests(host="order-svc.staging.svc.cluster.local", side=Side.CALLED)
STOCK = "inventory-svc.staging.svc.cluster.local"
PER_ORDER = "{title: few, attempts: inventory-svc, per: order-svc, caller: order-svc, atMost: 1.3, duringFault: 2}"
IN_ALL = "{title: no storm, attempts: inventory-svc, atMost: baseline * 2}"


@pytest.mark.parametrize(("behaviour", "expected"), [
    (Behaviour(), IN_ALL), (Behaviour(tries=2), PER_ORDER), (Behaviour(retries=3), PER_ORDER),
])  # fmt: skip
def test_few_attempts_hold(behaviour: Behaviour, expected: str) -> None:
    verdict = run(Shop(**behaviour), expected)
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize("lag", [3.0, 8.0, 15.0])
def test_samples_that_come_late_are_no_attempts_that_came_in_bursts(lag: float) -> None:
    shop = Shop()
    shop.metrics.storage.lag = lag
    verdict = run(
        shop, "{title: few, attempts: inventory-svc, atMost: 1.3, duringFault: 3}", load=LOAD.replace("20", "40")
    )
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize(("behaviour", "title"), [
    (Behaviour(tries=8), "no storm"),
    (Behaviour(tries=3, retries=2, bears=0.0), "no storm"),
])  # fmt: skip
def test_retries_multiply_over_two_layers(behaviour: Behaviour, title: str) -> None:
    """The application alone may try often; beside the gateway's retries, a few tries of each are as many."""
    fault = "abort: {percentage: 80, httpStatus: 503}"
    verdict = run(Shop(**behaviour), IN_ALL, fault=fault)
    assert verdict.outcome is Outcome.FAILED
    assert title in reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]


def test_retries_without_end_are_found_at_the_edge() -> None:
    verdict = run(Shop(tries=9), PER_ORDER, fault="abort: {percentage: 80, httpStatus: 503}")
    assert verdict.outcome is Outcome.FAILED
    told = reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]
    assert "expected at most 2 attempts of order-svc at inventory-svc for each request of order-svc; observed " in told


def test_retries_of_the_proxies_before_the_caller_are_not_the_edges() -> None:
    """They are requests of ``order-svc`` too; only for each request of the load they are attempts more."""
    shop = Behaviour(retries=4, bears=0.0)
    assert run(Shop(**shop), PER_ORDER).passed
    assert run(Shop(**shop), "{title: few, attempts: order-svc, atMost: 1.3}").outcome is Outcome.FAILED


def test_the_hint_names_the_key_that_there_is() -> None:
    verdict = run(Shop(), "{title: few, attempts: order-svc, atMost: 0.5}")
    assert [reason.code for reason in verdict.reasons] == [ReasonCode.NOT_STEADY_BEFORE]
    assert "(atMost)" in str(verdict.reasons[0].hint)


def test_a_storm_that_outlives_its_fault_is_no_recovery() -> None:
    shop = Shop()
    restore = shop.mesh.remove

    def remove(kind: str, namespace: str, name: str) -> bool:
        shop.traffic.asks = 5
        return restore(kind, namespace, name)

    shop.mesh.remove = remove  # type: ignore[method-assign]
    verdict = run(shop, IN_ALL)
    assert set(reasons(verdict)) == {ReasonCode.NOT_RECOVERED}


def at_both(attempts: int, requests: int, *, later: int = 0, answered: bool = True) -> Evidence:
    """So many attempts and requests a second for 30 seconds; the requests are answered some seconds later."""
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    if attempts:
        rising = tuple((at + 0.5, float(attempts * at)) for at in range(31))
        found.add(Requests(host=STOCK, side=Side.CALLED), [Series(labels={"instance": "stock"}, samples=rising)])
    rising = tuple((at + 0.5, float(requests * max(0, at - later))) for at in range(31))
    found.add(ORDERS, [Series(labels={"instance": "order"}, samples=rising)])
    cell = LoadCell(request="orders", status=200, latencies={later * 1000.0: requests})
    cells = [(cell,) if at >= later and answered else () for at in range(31)]
    found.load.add(LoadSecond(at=float(at), intended=requests, sent=requests, cells=cells[at]) for at in range(31))
    return found


IN_ALL_FEW = AttemptsExpectation("few in all", attempts="inventory-svc", at_most=1.5)
PLAIN = AttemptsExpectation("few", attempts="inventory-svc", per="order-svc", at_most=1.5)


def look(end: float) -> Look:
    return Look(phase="fault", window=Window(0, end), namespace="staging", confidence=0.99)


@pytest.mark.parametrize("until", range(2, 31))
def test_attempts_of_requests_that_are_under_way_are_no_storm(until: int) -> None:
    """An attempt is counted when it ends, and the request that caused it ends later: at first there are attempts only."""
    assert PLAIN.decide(at_both(20, 20, later=5), look(until)).answer is not Answer.VIOLATED
    assert PLAIN.decide(at_both(20, 20, later=5, answered=False), look(until)).answer is not Answer.VIOLATED


@pytest.mark.parametrize(("attempts", "answer"), [(20, Answer.HOLDS), (30, Answer.UNDECIDED), (60, Answer.VIOLATED)])
def test_the_mean_number_decides(attempts: int, answer: Answer) -> None:
    assert PLAIN.decide(at_both(attempts, 20), look(30)).answer is answer


def test_a_service_whose_proxies_count_nothing_is_not_called_calm() -> None:
    found = PLAIN.decide(at_both(0, 20), look(30))
    assert found.answer is Answer.UNDECIDED
    assert "no attempt that the proxies of inventory-svc saw" in PLAIN.tell(found, "fault").observed


@pytest.mark.parametrize("one", [PLAIN, IN_ALL_FEW], ids=str)
def test_a_single_slow_answer_keeps_nothing_from_being_decided(one: AttemptsExpectation) -> None:
    found = at_both(20, 20)
    slow = LoadCell(request="orders", status=200, latencies={25_000.0: 1})
    found.load.add([LoadSecond(at=31.0, intended=0, sent=0, cells=(slow,))])
    assert (
        one.decide(found, Look(phase="fault", window=Window(0, 33), namespace="staging", confidence=0.99)).answer
        == "holds"
    )


def test_attempts_of_requests_that_hang_may_still_come() -> None:
    """So where the load is what they are counted for, their number is not known, and nothing holds."""
    assert IN_ALL_FEW.decide(at_both(20, 20), look(30)).answer is Answer.HOLDS
    assert IN_ALL_FEW.decide(at_both(1, 20, answered=False), look(30)).answer is Answer.UNDECIDED


def so_far(until: float) -> Evidence:
    """One attempt for each request, as far as proxies were scraped and the load has told, each at its own moments."""
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    for question, offset, late in ((Requests(host=STOCK, side=Side.CALLED), 0.9, 0.8), (ORDERS, 0.2, 0.1)):
        samples = tuple((at + offset, 20.0 * at) for at in range(60) if at + offset + late <= until)
        found.add(question, [Series(labels={"instance": question.host}, samples=samples)])
    cells = (LoadCell(request="orders", status=200, latencies={30.0: 20}),)
    seconds = (LoadSecond(at=float(at), intended=20, sent=20, cells=cells) for at in range(60))
    found.load.add(second for second in seconds if second.at + 1.4 <= until)
    return found


@pytest.mark.parametrize("per", ["order-svc", None])
def test_what_held_at_its_first_look_holds_when_the_rest_has_come_in(per: str | None) -> None:
    """Else a phase would end as decided, and the verdict would be that it was not."""
    looks = [12 + number * 0.37 for number in range(120)]
    seen, whole = [so_far(at) for at in looks], [so_far(at + 3) for at in looks]
    for tenths in range(13, 30):
        one = AttemptsExpectation("few", attempts="inventory-svc", per=per, at_most=tenths / 10)
        first = next(n for n, at in enumerate(looks) if one.decide(seen[n], look(at)).answer is Answer.HOLDS)
        assert one.decide(whole[first], look(looks[first])).answer is Answer.HOLDS, (tenths, looks[first])


@pytest.mark.parametrize("per", ["order-svc", None])
@pytest.mark.parametrize("seen", [(0.0, 18.0), (12.0, 30.0), (0.0, 30.0)], ids=["no more", "late", "always"])
def test_attempts_that_nobody_scraped_are_not_taken_for_none(per: str | None, seen: tuple[float, float]) -> None:
    """There are two for each request all the time, be the service's proxies scraped or not."""
    whole = at_both(40, 20)
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    found.load.add(whole.load.seconds)
    for question, (one,) in whole.answered():
        samples = zip(one.times, one.values, strict=True)
        kept = tuple((at, n) for at, n in samples if question == ORDERS or seen[0] <= at <= seen[1])
        found.add(question, [Series(labels=one.labels, samples=kept)])
    few = AttemptsExpectation("few", attempts="inventory-svc", per=per, at_most=1.8)
    assert all(few.decide(found, look(until)).answer is not Answer.HOLDS for until in range(2, 31))


def test_a_baseline_without_attempts_is_none_to_compare_with() -> None:
    """Two scrapes are not over yet, or nobody asks the service."""
    found = at_both(40, 20)
    one = AttemptsExpectation("not more", attempts="inventory-svc", at_most="baseline * 3")
    before = Look(phase="baseline", window=Window(0, 1.2), namespace="staging", confidence=0.99)
    assert one.decide(found, before).answer is Answer.UNDECIDED
    quiet = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    still = Series(labels={"instance": "stock"}, samples=tuple((at + 0.5, 7.0) for at in range(31)))
    quiet.add(Requests(host=STOCK, side=Side.CALLED), [still])
    quiet.load.add(found.load.seconds)
    before = Look(phase="baseline", window=Window(0, 30), namespace="staging", confidence=0.99)
    assert one.decide(quiet, before).answer is Answer.UNDECIDED


def test_what_others_send_to_the_same_pods_by_another_name_is_not_counted() -> None:
    found = at_both(0, 20)
    heads = "stock.staging.svc.cluster.local"
    found.lead([Led(host=STOCK, destination=heads, side=Side.CALLED)])

    def sent_by(workload: str, each: float) -> Series:
        rising = tuple((at + 0.5, each * at) for at in range(31))
        labels = {"instance": "stock", "source_workload_namespace": "staging", "source_workload": workload}
        return Series(labels=labels, samples=rising)

    found.add(Requests(host=STOCK), [sent_by("order-svc", 20.0)])
    found.add(Requests(host=heads, side=Side.CALLED), [sent_by("order-svc", 20.0), sent_by("report", 500.0)])
    told = PLAIN.tell(PLAIN.decide(found, look(30)), "fault")
    assert told.answer is Answer.HOLDS, told.observed
    assert " = 1.0" in told.observed
