"""A user's suite: all that the public API takes, in each form in which it takes it."""

from datetime import timedelta
from pathlib import Path

import pytest

from chaos import (
    Abort,
    AlertExpectation,
    AttemptsExpectation,
    BackupFolder,
    BreakerExpectation,
    Caps,
    ChaosError,
    Checked,
    ClientExpectation,
    Delay,
    Difference,
    DocumentError,
    EjectionExpectation,
    Event,
    Expectation,
    Experiment,
    ExperimentFailed,
    ExperimentInconclusive,
    ExperimentRefused,
    FallbackExpectation,
    Fault,
    FlagsExpectation,
    Good,
    Harness,
    HarnessError,
    History,
    InputError,
    LabError,
    Level,
    Limits,
    Listener,
    Load,
    LoadError,
    Match,
    MeshAccess,
    MeshError,
    MetricExpectation,
    MetricsError,
    NotPassed,
    NoWatch,
    Observe,
    Outcome,
    Place,
    Plan,
    Progress,
    Prometheus,
    PromqlExpectation,
    ReasonCode,
    Recovery,
    Refused,
    ReplicaExpectation,
    Request,
    Result,
    Settings,
    Shift,
    Stage,
    Stopped,
    StringMatch,
    Target,
    ThroughputExpectation,
    UnaffectedExpectation,
    Verdict,
    library,
    parse_experiment,
    read_experiment,
)
from chaos.model.events import GuardrailTripped, Injected, Restored, Troubled

ANSWERED = Expectation("orders are taken", service="order-svc", status="<500", at_least="95%")
SOON = Expectation(
    "orders are taken soon",
    service="order-svc",
    within=timedelta(seconds=1),
    at_least=0.99,
    during_fault="baseline - 0.5%",
)


def orders(status: int, *, wait: timedelta | str = "3s") -> Experiment:
    return Experiment(
        "orders-survive-payment",
        title="Orders are taken without payment",
        owner="checkout",
        severity="critical",
        tags=["nightly"],
        target=Target(
            "staging",
            "payment-svc",
            callers={"app": "order-svc"},
            match=[Match(uri=StringMatch(prefix="/pay"), headers={"x-user": StringMatch(exact="1")})],
            only_our_load=False,
        ),
        faults=[
            Fault(abort=Abort(percentage=50, http_status=status), delay=Delay(percentage=30, fixed_delay=wait)),
            Fault(
                target=Target("staging", "inventory-svc"),
                delay=Delay(percentage=30, fixed_delay="1s"),
                stages=[Stage("10s", percentage=10), Stage(timedelta(seconds=10), off=True)],
                repeat=2,
            ),
        ],
        load=Load(
            rate=40,
            requests=(Request.post("/orders", weight=3, body="{}"), Request("/orders/42", headers={"x-user": "1"})),
            timeout=timedelta(seconds=10),
        ),
        steady_state=[
            ANSWERED,
            SOON,
            AttemptsExpectation(
                "few tries", attempts="inventory-svc", per="order-svc", at_most=1.5, during_fault="baseline * 2"
            ),
            MetricExpectation("no storm", metric="request-rate", service="order-svc", at_most="baseline * 2"),
            MetricExpectation("istiod is idle", metric="istiod-cpu", at_most=0.5),
            FlagsExpectation("none is shed", service="shop/order-svc", caller="web", flags="UO", at_most="1%"),
            FlagsExpectation(
                "some are", service="order-svc", flags=["UO", "UH"], at_most=0.01, during_fault="at least 5%"
            ),
            BreakerExpectation("it opens", breaker="order-svc", opens_within=timedelta(seconds=8)),
            EjectionExpectation("the bad one is out", ejection="order-svc", within="20s"),
            ReplicaExpectation("all are fine", service="order-svc", good=Good(grpc="OK|NOT_FOUND"), at_least="99%"),
            ClientExpectation("soon, as customers feel it", request="GET /orders/42", within="300ms", at_least=0.95),
            ClientExpectation(
                "the right order",
                good=Good(
                    status="2xx",
                    header={"content-type": "application/json"},
                    json_path={"order.id": "42", "paid": True},
                ),
                at_least="99%",
                during_fault="baseline - 1%",
            ),
            FallbackExpectation(
                "from a cache", fallback=Good(body="cached"), at_least="20%", at_most=0.02, request="GET /x"
            ),
            ThroughputExpectation(
                "as many as before",
                throughput="order-svc",
                caller="web",
                good=Good(within=timedelta(seconds=1)),
                at_least=0.9,
            ),
            AlertExpectation("somebody is told", alert="OrdersFail", fires_within=timedelta(minutes=1), only=True),
            AlertExpectation("nobody is woken", alert="EverythingIsDown"),
            UnaffectedExpectation("the rest", unaffected=("cart-svc", "shop/user-svc"), margin="2%", at_least=0.95),
            PromqlExpectation("three are up", promql="sum(up) >= 3"),
        ],
        guardrails=[Expectation("checkout is on fire", service="order-svc", status="<500", at_least="50%")],
        recovery=Recovery("30s", stay_good=timedelta(seconds=10)),
        observe=Observe(timedelta(seconds=20)),
        profile="nightly",
        limits=Limits(fault=timedelta(minutes=2), baseline="1m"),
        confidence="95%",
    )


def grpc() -> Experiment:
    return Experiment(
        "orders-survive-stock",
        target=Target("staging", "inventory-svc"),
        faults=[Abort(percentage=100, grpc_status="UNAVAILABLE")],
        load=Load(locustfile="load.py", users=5),
        steady_state=(ANSWERED,),
        recovery=Recovery(within=timedelta(seconds=30)),
    )


TEMPLATES: list[Experiment] = [
    library.dependency_down(
        "down", service="inventory-svc", caller="order-svc", path="/orders/42", protocol="grpc", attempts=4,
        callers={"app.kubernetes.io/name": "orders"}, fallback=Good(json_path={"degraded": True}), owner="checkout",
    ),
    library.dependency_slow("slow", service="inventory-svc", path="/orders/42", delay=timedelta(seconds=5), within="2s"),
    library.slower_than_its_time_out(
        "cut", service="order-svc", behind="inventory-svc", time_out="1s", load=Load(requests=[Request("/orders/42")])
    ),
    library.hanging("hang", service="inventory-svc", path="/orders/42", percentage=50, limits=Limits(fault="3m")),
    library.partly_failing("part", service="inventory-svc", path="/orders/42", percentage=20, at_least=0.95),
    library.rate_limited("rate", service="inventory-svc", path="/orders/42", calls_per_request=2, steady_state=[ANSWERED]),
    library.flapping("flap", service="inventory-svc", path="/orders/42", lasts="20s", times=2, profile="nightly"),
]  # fmt: skip


@pytest.mark.parametrize("status", [429, 503])
def test_orders(harness: Harness, status: int) -> None:
    plan: Plan = harness.plan(orders(status))
    assert plan.allowed, [refusal.message for refusal in plan.refusals]
    result = harness.check(orders(status))
    verdict: Verdict = result.verdict
    assert verdict.outcome is Outcome.PASSED
    assert verdict.reasons[0].code is ReasonCode.ALL_HELD
    folder: Path | None = result.folder
    assert folder is not None
    assert Harness.judge(folder) == verdict


def test_with_another_mesh_for_a_while(harness: Harness) -> None:
    policy = {"kind": "AuthorizationPolicy", "metadata": {"name": "deny-all", "namespace": "staging"}, "spec": {}}
    with harness.changed(policy, Path("weights.yaml"), "kind: Sidecar", absent=[policy]):
        harness.check(grpc())
    assert [change.name for change in harness.active_changes()] == []
    found: Shift = harness.shift(grpc(), virtual_service="reviews", source="v1", target="v2", step=20, every="1m")
    assert found.outcome is Outcome.PASSED
    assert found.steps[-1].percent == 100


def test_the_mesh_itself(harness: Harness, tmp_path: Path) -> None:
    ill: list[Checked] = [one for one in harness.doctor(["staging"], quick=True) if one.level is Level.ERROR]
    assert [f"{one.check.id}: {finding.message} ({finding.hint})" for one in ill for finding in one.findings] == []
    mesh: BackupFolder = harness.backup(tmp_path)
    saved = mesh.save(("staging",))
    assert saved.complete, saved.unlisted
    differing: list[Difference] = [one for one in mesh.diff() if one.state != "extra"]
    restored = mesh.restore(prune=True, told=lambda compared: print(len(compared.wanted)))
    assert restored.complete, (differing, restored.left, restored.proxies)
    assert [one.before for one in harness.freeze("release day")] == [one.reason for one in harness.thaw()]
    assert not any(one.trouble for one in harness.sweep(run="k3x9q2ab", dry_run=True))


RAMP: list[Abort | Delay | Fault] = [
    Fault(abort=Abort(percentage=50, grpc_status="UNAVAILABLE"), stages=(Stage("30s", percentage=0.5), Stage("30s"))),
    Delay(percentage=30, fixed_delay=timedelta(milliseconds=1500)),
]


def test_a_place_of_ones_own(place: Place, tmp_path: Path) -> None:
    with Harness(
        place,
        watchdog=lambda watched, folder: NoWatch(),
        report_dir=tmp_path,
        wait=timedelta(minutes=1),
        listeners=(Chat(),),
        profile="quick",
    ) as own:
        history: History = own.run(grpc()).history
        supposed: Verdict = own.judge(tmp_path / "runs" / history.run, what_if={"atLeast": "99.5%"})
        assert supposed.again is not None
        assert supposed.reasons[0].hint or supposed.proof is None


def test_only_on_the_lab(lab: MeshAccess) -> None:
    namespaces: tuple[str, ...] = lab.staging
    assert lab.entry
    assert namespaces == ("staging",)


def whose_fault(file: str) -> str:
    try:
        read_experiment(Path(file))
    except DocumentError as error:
        return "\n".join(f"{problem.line}: {problem.message}" for problem in error.problems)
    except (Refused, MeshError, MetricsError, LoadError, LabError) as error:
        return f"{error.message} ({error.hint})"
    except NotPassed as error:
        return str(error)
    except Stopped as error:
        return str(error.code)
    return ""


def test_that_it_fails(harness: Harness) -> None:
    with pytest.raises(ExperimentFailed) as caught:
        harness.check(grpc())
    run: str = caught.value.run
    reasons: tuple[str, ...] = caught.value.reasons
    assert run
    assert "expectation-violated" in reasons


def without_pytest(file: Path) -> int:
    experiment, text = read_experiment(file)
    assert parse_experiment(text) == experiment
    try:
        with Harness.on_lab(report_dir="reports", wait="10m") as lab:
            lab.check(experiment, file=file, declared=text)
        cluster = Harness.connect(
            "staging",
            prometheus="http://127.0.0.1:9090",
            entry="http://127.0.0.1:8080",
            settings=Settings(
                namespaces=["team-a-staging"],
                caps=Caps(percentage=50, delay="5s"),
                prometheus=Prometheus(
                    "https://metrics.example", headers={"X-Scope-OrgID": "staging"}, bearer="env:TOKEN"
                ),
            ),
        )
        for swept in cluster.sweep():
            print(swept.kind, swept.name)
    except (ExperimentInconclusive, ExperimentRefused) as error:
        print(error.outcome)
    except InputError as error:
        print(error.message, error.hint)
    except HarnessError as error:
        return error.exit_code
    except ChaosError:
        return 1
    return 0


class Chat(Listener):
    """Overrides what it needs."""

    def event(self, run: str, event: Event) -> None:
        at: float = event.at
        kind: str = event.kind
        print(run, at, kind, event.sentence)
        if isinstance(event, GuardrailTripped):
            title: str = event.title
            print(title)
        elif isinstance(event, Injected):
            print(event.strategy, event.stored["metadata"])
        elif isinstance(event, Restored):
            exact: bool | None = event.exact
            print(exact)
        elif isinstance(event, Troubled):
            print(event.trouble, event.message)

    def progress(self, progress: Progress) -> None:
        print(progress.phase, progress.elapsed, [expectation.answer for expectation in progress.expectations])

    def finished(self, result: Result) -> None:
        verdict: Verdict = result.verdict
        folder: Path | None = result.folder
        print(verdict.outcome, folder, [event.sentence for event in result.history.events])


def pytest_chaos_listeners(item: pytest.Item) -> list[Listener]:
    return [Chat()]


def heard(experiment: Experiment) -> Result:
    with Harness.on_lab(listeners=[Chat()]) as lab:
        return lab.run(experiment)
