"""A user's mistakes: each marked line is an error to the type checkers, before anything runs."""

from chaos import (  # fmt: skip
    Abort,
    Delay,
    Expectation,
    Experiment,
    Fault,
    Harness,
    Limits,
    Listener,
    Load,
    Match,
    MetricExpectation,
    Recovery,
    Request,
    Result,
    StringMatch,
    Target,
    Verdict,
    library,
)

LOAD = Load(requests=[Request("/orders")])
TARGET = Target("staging", "payment-svc")
ABORT = Abort(percentage=100, http_status=503)
ANSWERED = Expectation("orders are taken", service="order-svc", status="<500", at_least="95%")

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


class Chat(Listener):
    def finished(self, result: Verdict) -> None:  # wrong
        print(result)


class Page(Listener):
    def finished(self, result: Result) -> None:
        print(result.verdikt)  # wrong


Harness.on_lab(listeners=[Chat])  # wrong
