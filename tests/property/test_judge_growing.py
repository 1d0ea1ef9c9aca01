"""A run is judged while its evidence grows; at every moment that is what the same facts give from scratch."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaos.engine.recorder import Recorder
from chaos.judge import Facts, stand
from chaos.model.history import History, PhaseName, ProxySeen
from chaos.values.led import Led
from chaos.values.load import LoadCell, LoadSecond
from chaos.values.questions import (
    Comparison,
    Convergence,
    ProcessorTime,
    ProxyMemory,
    Pushes,
    Question,
    Requests,
    Side,
)
from chaos.values.series import Recorded, Series
from tests.support.histories import (
    EXPERIMENT,
    ORDERS,
    SHARES,
    grow,
    history,
    is_faulted,
    orders,
    plan,
    requests_to_target,
    through_json,
)
from tests.support.scope import EVERY

MORE = (
    "{title: up, promql: sum(up) > 3}",
    "{title: each, service: order-svc, per: replica, good: {status: '<500'}, atLeast: 95%}",
    "{title: few, attempts: inventory-svc, per: order-svc, atMost: baseline * 3}",
    "{title: few in all, attempts: order-svc, caller: gateway, atMost: 1.5}",
    "{title: no flag, service: inventory-svc, flags: [UO, UC], atMost: 5%, duringFault: at least 10%}",
    "{title: opens, breaker: inventory-svc, opensWithin: 8s}",
    "{title: out, ejection: order-svc, within: 20s}",
    "{title: refills, throughput: order-svc, atLeast: 80%, duringFault: 50%}",
    "{title: the rest, unaffected: [order-svc], margin: 2%}",
    "{title: no storm, metric: request-rate, service: order-svc}",
    "{title: sent soon, metric: convergence}",
    "{title: sent rarely, metric: pushes}",
    "{title: small, metric: proxy-memory}",
    "{title: idle, metric: istiod-cpu, atMost: 500m}",
    "{title: degraded, fallback: {status: '503'}, atLeast: 1%, atMost: 5%}",
)


def text(chance: random.Random) -> str:
    """The experiment with some expectations of the other kinds, of which each takes its time."""
    more = "".join(f"  - {one}\n" for one in chance.sample(MORE, 3))
    return EXPERIMENT.replace("guardrails:", more + "guardrails:").replace(
        "duringFault: 90%", "duringFault: baseline - 2%"
    )


def internals(chance: random.Random) -> Iterator[Recorded]:
    """What istiod and the proxies tell of themselves."""
    pushed, busy = (chance.choice([0.0, 0.2, 5.0]) for _ in range(2))
    of_istiod = {"job": "istiod", "instance": "istiod:15014", "pod": "istiod-1"}
    buckets = [grow({**of_istiod, "le": bound}, lambda _: pushed) for bound in ("0.5", "1", "+Inf")]
    memory = [(second + 0.3, chance.uniform(50e6, 250e6)) for second in range(995, 1096)]
    yield Recorded(question=Pushes(), query="q", series=(grow(of_istiod, lambda _: pushed),))
    yield Recorded(question=Convergence(), query="q", series=tuple(buckets))
    yield Recorded(question=ProcessorTime(), query="q", series=(grow(of_istiod, lambda _: busy),))
    proxy = Series(labels={"instance": "order-svc:15020", "pod": "order-svc-1"}, samples=tuple(memory))
    yield Recorded(question=ProxyMemory(namespace="staging"), query="q", series=(proxy,))


def spoiled(series: Series, chance: random.Random) -> Series:
    """The series with a birth, a restart, an end or a gap."""
    born, dead, restart = chance.choice([0, 1001, 1031]), chance.choice([2000, 2000, 1050]), chance.choice([0, 0, 1040])
    base, samples = 0.0, []
    for at, value in series.samples:
        if restart and not base and at > restart:
            base = value
        if born <= at <= dead and chance.random() > 0.02:
            samples.append((at, value - base))
    return series.model_copy(update={"samples": tuple(samples)})


def at_replicas(order: Recorded) -> Recorded:
    """The same orders as two replicas count them."""
    series = (
        one.model_copy(update={"labels": {**one.labels, "reporter": "destination", "instance": replica}})
        for one in order.series
        for replica in ("a:15020", "b:15020")
    )
    return Recorded(question=Requests(host=ORDERS, side=Side.CALLED), query="q", series=tuple(series))


def at_canary(order: Recorded) -> Recorded:
    """As many orders once more, which routes sent to another host."""
    host = f"canary-{ORDERS}"
    series = [one.model_copy(update={"labels": {**one.labels, "destination_service": host}}) for one in order.series]
    return order.model_copy(
        update={"question": order.question.model_copy(update={"host": host}), "series": tuple(series)}
    )


def load(chance: random.Random) -> tuple[LoadSecond, ...]:
    """Some requests hang, some are slow, some fail, and a second is missing now and then."""
    bad, slow, hang = (chance.choice([0.0, 0.05, 0.3]) for _ in range(3))
    found = []
    for second in range(1000, 1095):
        part = [count if is_faulted(second) else 0 for count in (int(100 * bad), int(100 * slow), int(100 * hang))]
        fine = LoadCell(
            request="GET /orders/42", status=200, latencies={20.0: 100 - sum(part), 2500.0 + second % 7: part[1]}
        )
        failed = LoadCell(request="GET /orders/42", status=503, latencies={float(30 + second % 5): part[0]})
        if chance.random() > 0.02:
            found.append(LoadSecond(at=float(second), intended=100, sent=100, cells=(fine, failed)))
    return tuple(found)


def some_history(chance: random.Random) -> History:
    bad, slow = chance.choice([0.0, 0.004, 0.3]), chance.choice([0.0, 0.05])
    order = orders(
        bad=lambda second: bad if is_faulted(second) else 0.0, slow=lambda second: slow if is_faulted(second) else 0.0
    )
    shed = requests_to_target({"UO": 0.2}, caller="batch")
    elsewhere = requests_to_target({"FI": 0.2}, caller="other", namespace=chance.choice(["staging", "production"]))
    target = (
        requests_to_target(SHARES)
        + (elsewhere if chance.random() < 0.3 else [])
        + (shed if chance.random() < 0.5 else [])
    )
    order += [at_canary(each) for each in order]
    one = history(
        target=target,
        order=[*order, at_replicas(order[0]), *internals(chance)],
        load=load(chance),
        plan=plan(text(chance)),
    )
    recorded = [
        each.model_copy(update={"series": tuple(spoiled(series, chance) for series in each.series)})
        for each in one.recorded
    ]
    looks = tuple((1000.5 + half / 2, float(chance.random() > 0.001)) for half in range(190))
    up = Recorded(question=Comparison(promql="sum(up) > 3"), query="q", series=(Series(labels={}, samples=looks),))
    proxies = (
        *one.proxies,
        *(ProxySeen(at=at, asked=at - 0.1, having=chance.choice([0, 1]), of=1) for at in (1061.0, 1064.0)),
    )
    return one.model_copy(update={"recorded": (*recorded, up), "proxies": proxies})


def until(series: Series, since: float, moment: float) -> Series:
    return series.model_copy(update={"samples": tuple(x for x in series.samples if since < x[0] <= moment)})


def phase_at(one: History, moment: float) -> PhaseName:
    return next(span.phase for span in reversed(one.spans) if span.start <= moment)


@settings(max_examples=25 if EVERY else 12)
@given(seed=st.integers(0, 10**9))
@example(seed=869)  # a scrape that only one of two series has, at the edge of a batch
def test_growing_evidence_is_judged_as_the_whole(seed: int) -> None:
    chance = random.Random(seed)
    whole = some_history(chance)
    recorder = Recorder(whole.plan, whole.environment, clock_offset=0.0, started=whole.started)
    now, seen = 1000.0, 0
    answered: dict[Question, float] = {}
    led = [
        Led(host=ORDERS, destination=f"canary-{ORDERS}", since=since)
        for since in chance.choice([(), (1005.0,), (1040.0,)])
    ]
    while (now := now + chance.uniform(0.3, 6.0)) < 1096:
        for mark, at in whole.marks.items():
            if at <= now:
                recorder.mark(mark, at)
        while led and (led[0].since or 0.0) + 2 < now:
            recorder.lead([led.pop()])
        recorder.proxies.extend(one for one in whole.proxies if one.at <= now and one not in recorder.proxies)
        for recorded in whole.recorded:
            if chance.random() > 0.05:  # else Prometheus does not answer now, and is asked for more later
                since = answered.get(recorded.question, 0.0) - chance.choice([0, 3])
                found = [until(series, since, now) for series in recorded.series]
                recorder.samples(recorded.question, "q", [series for series in found if series.samples])
                answered[recorded.question] = now
        ended = [second for second in whole.load if second.at + 1 <= now]
        recorder.load(ended[seen:])
        seen = len(ended)
        phase = phase_at(whole, now)
        assert stand(recorder.facts, phase, now) == stand(Facts.of(through_json(recorder.history())), phase, now)
