"""A user's mistakes: each marked line is an error to the type checkers, before anything runs."""

from chaos import (  # fmt: skip
    Abort,
    AlertExpectation,
    AttemptsExpectation,
    BreakerExpectation,
    ClientExpectation,
    Delay,
    EjectionExpectation,
    Expectation,
    Experiment,
    FallbackExpectation,
    Fault,
    FlagsExpectation,
    Good,
    Harness,
    Limits,
    Listener,
    Load,
    Match,
    MetricExpectation,
    NoWatch,
    Observe,
    Place,
    PromqlExpectation,
    Recovery,
    ReplicaExpectation,
    Request,
    Result,
    Settings,
    Stage,
    StringMatch,
    Target,
    ThroughputExpectation,
    UnaffectedExpectation,
    Verdict,
    library,
)

LOAD = Load(requests=[Request("/orders")])
TARGET = Target("staging", "payment-svc")
ABORT = Abort(percentage=100, http_status=503)
ANSWERED = Expectation("orders are taken", service="order-svc", status="<500", at_least="95%")

EXPERIMENT = Experiment("orders", target=TARGET, faults=[ABORT], load=LOAD, steady_state=[ANSWERED])

Abort(http_status=503)  # wrong
Abort(100, http_status=503)  # wrong
Abort(percentage="100", http_status=503)  # wrong
Abort(percentage=100, httpStatus=503)  # wrong
Delay(percentage=30, fixed_delay=3)  # wrong
Delay(percentage=30)  # wrong
Fault(abort=Delay(percentage=30, fixed_delay="3s"))  # wrong
Target("staging")  # wrong
Target("staging", "payment-svc", {"app": "order-svc"})  # wrong
Target("staging", "payment-svc", callers="order-svc")  # wrong
Request.post("/orders", wieght=3)  # wrong
Request("/orders", method="SEND")  # wrong
Load(rate="40", requests=[])  # wrong
Load(timeout=30, requests=[])  # wrong
Recovery(30)  # wrong
Limits(fault=120)  # wrong
Match(uri="/orders")  # wrong
StringMatch("/orders")  # wrong
Expectation("orders are taken", service="order-svc", status="<500")  # wrong
Expectation("orders are taken", service="order-svc", status=500, at_least="95%")  # wrong
Expectation(service="order-svc", status="<500", at_least="95%")  # wrong
MetricExpectation("small", metric="memory")  # wrong
MetricExpectation("small", metric="proxy-memory", at_least="256Mi")  # wrong
ReplicaExpectation("each", service="order-svc", status="<500", at_least="99%", request="GET /")  # wrong
ClientExpectation("felt", service="order-svc", within="1s", at_least="99%")  # wrong
ClientExpectation("felt", within=1, at_least="99%")  # wrong
AttemptsExpectation("few", attempts="inventory-svc", per="order-svc")  # wrong
AttemptsExpectation("few", attempts=3, at_most=2)  # wrong
AttemptsExpectation("few", "inventory-svc", at_most=2)  # wrong
FlagsExpectation("none", service="order-svc", at_most="1%")  # wrong
FlagsExpectation("none", service="order-svc", flags=4, at_most="1%")  # wrong
FlagsExpectation("none", service="order-svc", flag="UO", at_most="1%")  # wrong
BreakerExpectation("opens", breaker="order-svc", opens_within=8)  # wrong
BreakerExpectation("opens", breaker="order-svc")  # wrong
EjectionExpectation("out", ejection="order-svc", within=20)  # wrong
EjectionExpectation("out", ejection="order-svc", opens_within="20s")  # wrong
FallbackExpectation("cached", fallback="cached", at_least="20%")  # wrong
FallbackExpectation("cached", fallback=Good(body="cached"))  # wrong
ThroughputExpectation("as before", throughput="order-svc", at_least=None)  # wrong
ThroughputExpectation("as before", service="order-svc")  # wrong
AlertExpectation("told", alert="OrdersFail", fires_within=60)  # wrong
AlertExpectation("told", rule="OrdersFail")  # wrong
UnaffectedExpectation("the rest", unaffected=7)  # wrong
UnaffectedExpectation("the rest", unaffected=["cart-svc"], margn="1%")  # wrong
PromqlExpectation("up", query="sum(up) >= 3")  # wrong
Good(status=200)  # wrong
Good(json_path="order.id")  # wrong
Stage(10)  # wrong
Stage("10s", percent=10)  # wrong
Fault(abort=ABORT, stages=Stage("10s"))  # wrong
Fault(abort=ABORT, repeat="2")  # wrong
Fault(target="inventory-svc", abort=ABORT)  # wrong
Observe(20)  # wrong
Settings(namespaces=3)  # wrong
Experiment("orders", target=TARGET, faults=[ABORT], load=LOAD)  # wrong
Experiment("orders", target="payment-svc", faults=[ABORT], load=LOAD, steady_state=[ANSWERED])  # wrong
Experiment("orders", target=TARGET, faults=[TARGET], load=LOAD, steady_state=[ANSWERED])  # wrong
Experiment("orders", target=TARGET, faults=[ABORT], load=LOAD, steady_state=["orders are taken"])  # wrong
Experiment("orders", target=TARGET, faults=[ABORT], load=LOAD, steady_state=[ANSWERED], severity="high")  # wrong
library.dependency_down("down", path="/orders/42")  # wrong
library.dependency_down("down", service="inventory-svc", path="/orders/42", protocol="tcp")  # wrong
library.dependency_slow("slow", service="inventory-svc", path="/orders/42", delay=5)  # wrong
library.hanging("hang", service="inventory-svc", pth="/orders/42")  # wrong
library.slower_than_its_time_out("cut", service="order-svc", path="/orders/42")  # wrong
library.flapping("flap", service="inventory-svc", path="/orders/42", target=TARGET)  # wrong


def test_orders(harness: Harness) -> None:
    verdict: Verdict = harness.check("orders")  # wrong
    verdict.outcom  # wrong
    Harness.connect()  # wrong
    Harness.on_lab(prometheus="http://127.0.0.1:9090")  # wrong
    harness.run(ABORT)  # wrong
    harness.shift(EXPERIMENT, virtual_service="reviews", source="v1", to="v2")  # wrong
    harness.shift(EXPERIMENT, virtual_service="reviews", source="v1", target="v2", every=60)  # wrong
    harness.changed(3)  # wrong
    Harness.judge(3)  # wrong
    harness.doctor(quick="yes")  # wrong
    harness.backup()  # wrong
    harness.backup("mesh").restore(prun=True)  # wrong
    harness.freeze()  # wrong


def test_elsewhere(place: Place) -> None:
    Harness(place, watchdog=NoWatch)  # wrong
    Harness(place, wait=60)  # wrong
    Harness(place, profile="fast")  # wrong
    Harness("staging")  # wrong


class Chat(Listener):
    def finished(self, result: Verdict) -> None:  # wrong
        print(result)


class Page(Listener):
    def finished(self, result: Result) -> None:
        print(result.verdikt)  # wrong


Harness.on_lab(listeners=[Chat])  # wrong
