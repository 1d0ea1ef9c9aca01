"""What is true of every kind of fault, and of each alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from chaos.faults.abort import Abort
from chaos.faults.delay import Delay
from chaos.faults.fault import KINDS, Fault, felt_by, without_faults
from chaos.faults.kind import Kind
from chaos.injection.patching import put_in, without_fault
from chaos.lab.istio.validation.virtual_service import validate_virtual_service
from chaos.model.experiment import Experiment
from tests.support.documented_fault import documented, fault_of
from tests.support.situations import experiment, virtual_service

ABORT, DELAY = Abort(percentage=30, http_status=503), Delay(percentage=20, fixed_delay="3s")


SAMPLES: tuple[Kind, ...] = (ABORT, Abort(percentage=0.5, grpc_status="UNAVAILABLE"), DELAY, documented())
ROUTE: Mapping[str, Any] = {
    "name": "own",
    "match": [{"uri": {"prefix": "/"}}],
    "route": [{"destination": {"host": "inventory-svc"}, "weight": 100}],
    "timeout": "2s",
}


def labels(flags: str = "-", code: str = "200") -> dict[str, str]:
    return {"response_flags": flags, "response_code": code}


each = pytest.mark.parametrize("kind", SAMPLES, ids=str)


def test_the_list_is_whole() -> None:
    fields = list(Fault.model_fields.values())[: len(KINDS)]  # the others say whom it hits
    assert [field.annotation for field in fields] == [kind | None for kind in KINDS]
    assert [field.alias for field in fields] == [kind.key for kind in KINDS]
    assert {type(one) for one in SAMPLES} >= set(KINDS), "each has a sample, so that the tests here ask it"
    for told in ("key", "done", "colour"):
        assert len({getattr(kind, told) for kind in KINDS}) == len(KINDS), f"{told} tells them apart"


@each
def test_what_it_writes_it_also_takes_out_and_istio_takes_it(kind: Kind) -> None:
    before = copy.deepcopy(ROUTE)
    made = kind.put_into(ROUTE)
    assert before == ROUTE, "the route that was given is not changed"
    assert made != ROUTE
    assert kind.taken_from(made) == ROUTE
    assert kind.taken_from(ROUTE) == ROUTE, "and nothing where there is none"
    found = validate_virtual_service(virtual_service(hosts=["inventory-svc"], http=[made]))
    assert found.accepted, found.causes


@each
def test_put_into_an_object_it_can_be_taken_out_whatever_else_is_gone(kind: Kind) -> None:
    base = virtual_service(hosts=["inventory-svc"], http=[dict(ROUTE)])
    fault = fault_of(kind)
    there = put_in(base, fault, run="r1", name="chaos-r1-x", scope=[{}], labels={}, annotations={})
    assert [route.get("name") for route in there["spec"]["http"]] == ["chaos-r1-x", "own"]
    assert there["spec"]["http"][0] == {**kind.put_into(ROUTE), "name": "chaos-r1-x"}
    assert without_fault(there, "r1")["spec"] == base["spec"]


@pytest.mark.parametrize("kind", [one for one in SAMPLES if type(one) in KINDS], ids=str)
def test_where_only_our_route_is_left_it_stays_without_the_fault(kind: Kind) -> None:
    there = put_in(
        virtual_service(hosts=["inventory-svc"], http=[dict(ROUTE)]),
        fault_of(kind), run="r1", name="chaos-r1-x", scope=[{}], labels={}, annotations={},
    )  # fmt: skip
    there["spec"]["http"] = there["spec"]["http"][:1]
    (left,) = without_fault(there, "r1")["spec"]["http"]
    assert left == {key: value for key, value in ROUTE.items() if key != "name"}


def test_a_fault_that_the_route_had_is_not_ours() -> None:
    theirs = {**ROUTE, "fault": {"delay": {"percentage": {"value": 100}, "fixedDelay": "9s"}}}
    assert Fault(abort=ABORT).put_into(theirs)["fault"] == {"abort": ABORT.written()}
    assert without_faults(theirs) == ROUTE


@pytest.mark.parametrize("written", [[ABORT], [Fault(abort=ABORT)], [{"abort": {"percentage": 30, "httpStatus": 503}}]])
def test_a_kind_alone_stands_for_a_fault(written: list[Any]) -> None:
    raw = experiment().model_dump(by_alias=True)
    made = Experiment.model_validate({**raw, "faults": written})
    assert made.faults == (Fault(abort=ABORT),)
    assert made.kinds == (ABORT,)
    assert Experiment.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_a_kind_that_is_not_listed_is_told_by_its_name() -> None:
    with pytest.raises(ValidationError, match="misroute"):
        Fault.model_validate(documented())


@pytest.mark.parametrize(
    ("found", "aborted", "delayed", "drew_an_abort"),
    [
        (labels(), False, False, True),
        (labels("FI", "503"), True, False, True),
        (labels("DI"), False, True, True),
        (labels("DI,FI", "503"), True, True, True),
        (labels("DI,DC", "0"), False, True, False),  # the client left while it was held back
        (labels("DC", "0"), False, False, True),
        (labels("UF,URX", "503"), False, False, True),
        ({}, False, False, True),
    ],
)
def test_how_the_metrics_tell_them(found: dict[str, str], aborted: bool, delayed: bool, drew_an_abort: bool) -> None:
    assert ABORT.felt(found) is aborted
    assert DELAY.felt(found) is delayed
    assert ABORT.drawn(found) is drew_an_abort
    assert DELAY.drawn(found)


def test_faults_of_others_are_told_by_their_flag_and_ours_by_what_is_declared() -> None:
    assert felt_by(labels("DI"), [ABORT]) == {Delay}, "ours is an abort alone, and somebody delays"
    assert felt_by(labels("DI,FI"), []) == {Abort, Delay}
    ours = documented()
    assert felt_by(labels(code="404"), [ours]) == {type(ours)}
    assert felt_by(labels(code="404"), [ABORT]) == set()
    assert felt_by({"response_flags": ""}, [ABORT]) == set()


def test_they_are_told_in_words() -> None:
    assert str(Fault(abort=ABORT, delay=DELAY)) == "abort of 30% with 503 and delay of 20% by 3s"
    assert str(SAMPLES[1]) == "abort of 0.5% with UNAVAILABLE"
