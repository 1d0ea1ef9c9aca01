"""Response flags as shares, a breaker that opens and closes, a replica that is ejected and comes back."""

from __future__ import annotations

import pytest

from chaos.errors import InputError
from chaos.expectations import BreakerExpectation, EjectionExpectation, FlagsExpectation
from chaos.expectations.evidence import Evidence, Window
from chaos.expectations.kind import Look
from chaos.model.experiment import Profile
from chaos.model.verdict import Outcome, ReasonCode
from chaos.testing.shop import Behaviour, Shop
from chaos.testing.traffic import Times
from chaos.values.answers import Answer
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import Requests, Side
from chaos.values.series import Series
from tests.support.shop_runs import reasons, run

NEVER_SHED = "{title: none is shed, service: order-svc, flags: UO, atMost: 5%}"
SHED = "{title: some are shed, service: order-svc, caller: ingress, flags: [UO, UH], atMost: 5%, duringFault: at least 10%}"
RETRIED = "{title: few are given up, service: order-svc, flags: [URX], atMost: 5%, duringFault: at most 40%}"
BREAKER = "{title: it opens, breaker: order-svc, opensWithin: 8s}"
EJECTED = "{title: the bad one is out, ejection: order-svc, within: 15s}"

HEALTHY = [
    (NEVER_SHED, Behaviour()),
    (SHED, Behaviour(breaker=Times(0.0))),
    (RETRIED, Behaviour(bears=0.0, retries=2)),
    (BREAKER, Behaviour(breaker=Times(3.0, 5.0))),
]
BROKEN = [
    ("shed although it must not", NEVER_SHED, Behaviour(breaker=Times(0.0)), ReasonCode.EXPECTATION_VIOLATED),
    ("nothing is shed", SHED, Behaviour(bears=0.0), ReasonCode.EXPECTATION_VIOLATED),
    ("too many are given up", RETRIED, Behaviour(bears=0.0, spoilt=0.3, retries=1), ReasonCode.EXPECTATION_VIOLATED),
    ("never opens", BREAKER, Behaviour(), ReasonCode.EXPECTATION_VIOLATED),
    ("opens too late", BREAKER, Behaviour(breaker=Times(12.0, 5.0)), ReasonCode.EXPECTATION_VIOLATED),
    ("never closes", BREAKER, Behaviour(breaker=Times(3.0, 999.0)), ReasonCode.NOT_RECOVERED),
    ("goes on shedding", SHED, Behaviour(breaker=Times(0.0, 999.0)), ReasonCode.NOT_RECOVERED),
]


@pytest.mark.parametrize(("expected", "behaviour"), HEALTHY)
def test_a_mesh_that_does_what_is_expected_passes(expected: str, behaviour: Behaviour) -> None:
    verdict = run(Shop(**behaviour), expected)
    assert verdict.passed, verdict.reasons


@pytest.mark.parametrize(
    ("expected", "behaviour", "reason"), [one[1:] for one in BROKEN], ids=[one[0] for one in BROKEN]
)
def test_one_that_does_not_is_found_out(expected: str, behaviour: Behaviour, reason: ReasonCode) -> None:
    verdict = run(Shop(**behaviour), expected)
    assert verdict.outcome is Outcome.FAILED, verdict.reasons
    assert set(reasons(verdict)) == {reason}


def test_the_share_of_those_with_the_flag_is_told() -> None:
    verdict = run(Shop(breaker=Times(0.0), sheds=0.5), NEVER_SHED)
    told = reasons(verdict)[ReasonCode.EXPECTATION_VIOLATED]
    assert "expected at most 5% of requests to order-svc with flag UO; observed " in told
    tally = verdict.fault[0].tally
    assert f"{tally.total - tally.good} of {tally.total} = " in told


def test_a_spoilt_replica_is_ejected_and_back() -> None:
    verdict = run(Shop(replicas=3, spoilt=0.9, ejected=Times(5.0, 4.0)), EJECTED)
    assert verdict.passed, verdict.reasons
    assert "order-svc-1-c of 3 replicas got none from " in verdict.fault[0].observed


@pytest.mark.parametrize(("ejected", "reason"), [
    (Times(None), ReasonCode.EXPECTATION_VIOLATED), (Times(25.0, 4.0), ReasonCode.EXPECTATION_VIOLATED),
    (Times(5.0, 999.0), ReasonCode.NOT_RECOVERED),
], ids=["never", "too late", "never back"])  # fmt: skip
def test_an_ejection_that_is_not_as_expected_is_found_out(ejected: Times, reason: ReasonCode) -> None:
    verdict = run(Shop(replicas=3, ejected=ejected), EJECTED)
    assert verdict.outcome is Outcome.FAILED, verdict.reasons
    assert set(reasons(verdict)) == {reason}


@pytest.mark.parametrize(("profile", "every", "outcome"), [
    ("quick", 1, Outcome.INCONCLUSIVE), ("default", 1, Outcome.PASSED), ("default", 5, Outcome.INCONCLUSIVE),
])  # fmt: skip
def test_a_short_ejection_is_told_from_chance_by_a_long_baseline_and_is_never_denied(
    profile: Profile, every: float, outcome: Outcome
) -> None:
    """Between two scrapes that are 5 s apart, it leaves no gap at all."""
    shop = Shop(replicas=3, spoilt=0.9, ejected=Times(3.0, 4.0, of_every=(3.0, 6.0)), scrape_interval=every)
    assert run(shop, EJECTED, profile=profile).outcome is outcome


def test_one_replica_alone_is_never_ejected_from_others() -> None:
    verdict = run(Shop(), EJECTED)
    assert verdict.outcome is Outcome.REFUSED
    assert "order-svc has one pod" in reasons(verdict)[ReasonCode.STAGING_RULE]
    shop = Shop(replicas=2)
    shop.traffic.replicas = 1
    found = run(shop, EJECTED)
    assert set(reasons(found)) == {ReasonCode.UNDECIDED_BEFORE}, "its pod is there, but gets no request"
    told = " ".join(f"{one.message} {one.hint}" for one in found.reasons)
    assert "stayed undecided before the fault" in told
    assert "too few events" not in told, "what is missing need not be events"
    assert "true share" not in told, "there is no share"


ORDERS = Requests(host="order-svc.staging.svc.cluster.local")
OPENS = BreakerExpectation("t", breaker="order-svc", opens_within="10s")


def at_scrapes(*shed: float, every: float = 5.0, until: float = 60.0) -> Evidence:
    """Requests all along, and one that is refused at each of these moments, seen by scrapes so many seconds apart."""
    found = Evidence(scrape_interval=every, histogram_lag=5.0)
    scrapes = [at * every for at in range(int(until / every) + 1)]
    labels = {"instance": "web", "source_workload": "web", "source_workload_namespace": "staging"}
    plain = Series(labels={**labels, "response_flags": "-"}, samples=tuple((at, 100 * at) for at in scrapes))
    counted = ((at, float(sum(moment <= at for moment in shed))) for at in scrapes)
    flagged = Series(labels={**labels, "response_flags": "URX,UO"}, samples=tuple(one for one in counted if one[1]))
    found.add(ORDERS, [plain, flagged] if flagged.samples else [plain])
    return found


@pytest.mark.parametrize(("shed", "until", "answer"), [
    ((), 15, "undecided"), ((), 20, "violated"), ((14,), 20, "holds"), ((21,), 25, "violated"), ((19,), 20, "holds"),
    ((17,), 20, "holds"), ((8, 30), 40, "violated"),
])  # fmt: skip
def test_a_breaker_opens_between_two_scrapes(shed: tuple[float, ...], until: float, answer: str) -> None:
    """The fault begins at second 10, and the breaker may take 10 s; what was refused before does not count."""
    look = Look(phase="fault", window=Window(10, until), namespace="staging", confidence=0.99)
    assert OPENS.decide(at_scrapes(*shed, until=until), look).answer == answer


def test_whether_it_opened_in_time_may_stay_open() -> None:
    look = Look(phase="fault", window=Window(8, 60), namespace="staging", confidence=0.99)
    assert OPENS.decide(at_scrapes(17), look).answer is Answer.UNDECIDED, "between 15 and 20, and 18 was allowed"


@pytest.mark.parametrize(("answered", "answer"), [(60, Answer.HOLDS), (40, Answer.UNDECIDED)])
def test_a_replica_that_hangs_is_not_ejected(answered: int, answer: Answer) -> None:
    """Its requests are not counted because they do not end; those of an ejected one go to the others."""
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    orders = Requests(host=ORDERS.host, side=Side.CALLED)
    for pod, end in (("a", 999), ("b", 999), ("c", 55)):
        samples = tuple((float(at), 20.0 * min(at, end)) for at in range(101))
        found.add(orders, [Series(labels={"pod": pod, "instance": pod}, samples=samples)])
    cells = [LoadCell(request="orders", status=200, latencies={20.0: 60 if at < 55 else answered}) for at in range(100)]
    found.load.add(LoadSecond(at=float(at), intended=60, sent=60, cells=(cells[at],)) for at in range(100))
    one = EjectionExpectation("t", ejection="order-svc", within="10s")
    look = Look(phase="fault", window=Window(50, 100), namespace="staging", confidence=0.99, baseline=Window(0, 50))
    decided = one.decide(found, look)
    assert decided.answer is answer
    assert ("requests hang" in one.tell(decided, "fault").observed) is (answer is Answer.UNDECIDED)


def test_a_replica_that_got_nothing_from_the_beginning_is_no_steady_state() -> None:
    found = Evidence(scrape_interval=1.0, histogram_lag=5.0)
    for pod, rate in (("a", 20.0), ("b", 20.0), ("c", 0.0)):
        samples = tuple((float(at), 100 + rate * at) for at in range(51))
        orders = Requests(host=ORDERS.host, side=Side.CALLED)
        found.add(orders, [Series(labels={"pod": pod, "instance": pod}, samples=samples)])
    one = EjectionExpectation("t", ejection="order-svc", within="10s")
    decided = one.decide(found, Look(phase="baseline", window=Window(0, 50), namespace="staging", confidence=0.99))
    assert decided.answer is Answer.UNDECIDED
    assert one.tell(decided, "baseline").observed == "2000 requests, and some replica got none"


def test_what_users_get_wrong_is_told() -> None:
    with pytest.raises(InputError, match=r"flags: expected response flags of Envoy \(.*UO.*\), not XX"):
        FlagsExpectation("t", service="s", flags=["UO", "XX"], at_most="1%")
    with pytest.raises(InputError, match="those of injected faults are for the proof"):
        FlagsExpectation("t", service="s", flags="FI", at_most="1%")
    with pytest.raises(InputError, match="expected 'at most 5%' or 'at least 20%'"):
        FlagsExpectation("t", service="s", flags="UO", at_most="1%", during_fault="20%")
    with pytest.raises(InputError, match="flags: expected at least one entry"):
        BreakerExpectation("t", breaker="s", flags=[], opens_within="3s")
    for one in (OPENS, EjectionExpectation("t", ejection="s", within="3s")):
        with pytest.raises(ValueError, match="declare it in steadyState"):
            one.as_guardrail()
