"""Others write the object while our fault is in it: what is theirs survives, what is ours vanishes, whoever removes it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chaos.engine.injecting import Injector, Overtaken
from chaos.errors import MeshError
from chaos.faults.patching import carries, taken_out
from chaos.faults.strategy import choose
from chaos.lab.api.errors import ApiError
from chaos.lab.api.resources import LEASES, NAMESPACES, VIRTUAL_SERVICES
from chaos.lab.api.store import Store
from chaos.model.document import parse_experiment
from chaos.model.marks import RUN_LABEL, new_run
from chaos.model.plan import Injection
from chaos.model.situation import Situation
from chaos.safety.marks import is_ours, run_of
from chaos.safety.sweep import sweep
from chaos.safety.watchdog import Deeds, clean
from tests.conftest import FIGURE

Object = dict[str, Any]
Edit = Callable[[Object], None]
NAME, HOST = "inventory", "inventory-svc"
EXPERIMENTS = [
    parse_experiment(
        f"""\
experiment: orders
owner: checkout
target: {{namespace: staging, service: {HOST}{scope}}}
faults: [abort: {{percentage: 50, httpStatus: 503}}]
load: {{rate: 10, requests: [{{path: /}}]}}
steadyState: [{{title: answered, service: order-svc, good: {{status: "<500"}}, atLeast: 99%}}]
"""
    )
    for scope in (
        "",
        ", callers: {app: order-svc}",
        ", match: [{uri: {prefix: /v}}, {method: {exact: GET}}]",
        ", onlyOurLoad: true",
    )
]


class StoreMesh:
    """The lab's own store as the ``Mesh`` port; somebody else may get in right before our next write."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sneak: list[Callable[[], None]] = []

    def _do(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ApiError as error:
            raise MeshError(str(error), status=error.code) from error

    def _write(self, call: Callable[[], Any]) -> Any:
        while self.sneak:
            self.sneak.pop(0)()
        return self._do(call)

    def server_time(self) -> float:
        return datetime.now(UTC).timestamp()

    def virtual_service(self, namespace: str, name: str) -> Object | None:
        found = self.store.find(VIRTUAL_SERVICES, namespace, name)
        return copy.deepcopy(found) if found is not None else None

    def virtual_services(self, namespace: str | None = None) -> Sequence[Object]:
        return copy.deepcopy(self.store.list(VIRTUAL_SERVICES, namespace))

    def create_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, tuple[str, ...]]:
        return self._write(lambda: self.store.create(VIRTUAL_SERVICES, obj)), ()

    def replace_virtual_service(self, obj: Object, *, dry_run: bool = False) -> tuple[Object, tuple[str, ...]]:
        return self._write(lambda: self.store.replace(VIRTUAL_SERVICES, "staging", obj["metadata"]["name"], obj)), ()

    def delete_virtual_service(self, namespace: str, name: str, *, uid: str | None = None) -> bool:
        try:
            self._write(lambda: self.store.delete(VIRTUAL_SERVICES, namespace, name, uid=uid))
        except MeshError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    def injected(self, namespace: str | None = None, *, run: str | None = None) -> Sequence[Object]:
        everything = [*self.store.list(VIRTUAL_SERVICES, namespace), *self.store.list(LEASES, namespace)]
        return copy.deepcopy([obj for obj in everything if is_ours(obj) and run in (None, run_of(obj))])

    def record_event(self, involved: Object, **told: Any) -> None:
        pass


class StepClock:
    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def manifest(label: str, weight: int, *, faulted: bool) -> Object:
    """The object as its owner has it in Git."""
    delay = {"fault": {"delay": {"percentage": {"value": 1}, "fixedDelay": "1s"}}} if faulted else {}
    return {
        "metadata": {"name": NAME, "namespace": "staging", "labels": {"team": label}},
        "spec": {
            "hosts": [HOST],
            "exportTo": ["."],
            "http": [
                {"name": "v2", "match": [{"uri": {"prefix": "/v2"}}], "route": [{"destination": {"host": HOST}}], **delay},
                {"name": "rest", "route": [{"destination": {"host": HOST}, "weight": weight}]},
            ],
        },
    }  # fmt: skip


def routes(obj: Object, name: str) -> list[Object]:
    return [route for route in obj["spec"]["http"] if route.get("name") == name]


words = st.sampled_from(["a", "b", "c"])
edits = st.one_of(
    st.builds(lambda key, value: ("label", key, value), words, words),
    st.builds(lambda key: ("unlabel", key), words),
    st.builds(lambda key, value: ("annotate", key, value), words, words),
    st.builds(lambda name, value: ("append", name, value), words, st.integers(1, 9)),
    st.builds(lambda name, value: ("prepend", name, value), words, st.integers(1, 9)),
    st.builds(lambda name: ("remove", name), words),
    st.builds(lambda weight: ("weights", weight), st.integers(0, 100)),
    st.builds(lambda name, share: ("fault", name, share), st.sampled_from(["a", "b", "v2", "rest"]), st.integers(1, 100)),
    st.builds(lambda name: ("unfault", name), st.sampled_from(["a", "b", "v2", "rest"])),
    st.builds(lambda seconds: ("timeout", seconds), st.integers(1, 9)),
)  # fmt: skip


def apply(edit: tuple[Any, ...], obj: Object) -> None:
    """Somebody's change of the object as it is; of routes by their names, or of all routes alike, ours included."""
    kind, *values = edit
    meta, http = obj["metadata"], obj["spec"]["http"]
    if kind in ("label", "annotate"):
        meta.setdefault("labels" if kind == "label" else "annotations", {})[values[0]] = values[1]
    elif kind == "unlabel":
        meta.get("labels", {}).pop(values[0], None)
    elif kind in ("append", "prepend"):
        made = {
            "name": values[0],
            "match": [{"uri": {"exact": f"/{values[1]}"}}],
            "route": [{"destination": {"host": HOST}}],
        }
        http.insert(len(http) if kind == "append" else 0, made)
    elif kind == "remove":
        obj["spec"]["http"] = [route for route in http if route.get("name") != values[0]]
    elif kind == "weights":
        for route in http:
            route["route"][0]["weight"] = values[0]
    elif kind == "timeout":
        for route in http:
            route["timeout"] = f"{values[0]}s"
    elif kind == "fault":
        for route in routes(obj, values[0]):
            route["fault"] = {"abort": {"percentage": {"value": values[1]}, "httpStatus": 500}}
    elif kind == "unfault":
        for route in routes(obj, values[0]):
            route.pop("fault", None)


STEPS = 0
INJECTED: Counter[str] = Counter()


class OtherWriters(RuleBasedStateMachine):
    """``theirs`` is the object as it would be without us; the store has it with our fault in it, or without."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.store.create(NAMESPACES, {"metadata": {"name": "staging"}})
        self.mesh = StoreMesh(self.store)
        self.theirs: Object | None = None
        self.run = ""
        self.injector: Injector | None = None
        self.dump: Object | None = None

    # --- others ----------------------------------------------------------------------------------------------------

    @initialize(label=words, weight=st.integers(0, 100), faulted=st.booleans())
    def begin(self, label: str, weight: int, faulted: bool) -> None:
        self._recreate(manifest(label, weight, faulted=faulted))

    def _recreate(self, obj: Object) -> None:
        self.theirs = copy.deepcopy(obj)
        self.store.create(VIRTUAL_SERVICES, {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", **obj})

    def _edit(self, edit: tuple[Any, ...]) -> None:
        live = self.mesh.virtual_service("staging", NAME)
        if live is None or self.theirs is None:
            return
        apply(edit, live)
        apply(edit, self.theirs)
        self.store.replace(VIRTUAL_SERVICES, "staging", NAME, live)

    @rule(edit=edits)
    def somebody_edits(self, edit: tuple[Any, ...]) -> None:
        self._edit(edit)

    @rule(edit=st.lists(edits, min_size=1, max_size=9))
    def somebody_will_be_faster_than_our_next_write(self, edit: list[tuple[Any, ...]]) -> None:
        self.mesh.sneak = [lambda one=one: self._edit(one) for one in edit]

    @rule(label=words, weight=st.integers(0, 100), faulted=st.booleans())
    def argo_resets_all_of_it(self, label: str, weight: int, faulted: bool) -> None:
        if self.theirs is not None:
            wanted = manifest(label, weight, faulted=faulted)
            self.theirs = copy.deepcopy(wanted)
            self.store.replace(VIRTUAL_SERVICES, "staging", NAME, wanted)

    @rule(weight=st.integers(0, 100))
    def flagger_rewrites_the_routes(self, weight: int) -> None:
        live = self.mesh.virtual_service("staging", NAME)
        if live is not None and self.theirs is not None:
            made = [
                {
                    "route": [
                        {"destination": {"host": HOST}, "weight": weight},
                        {"destination": {"host": HOST}, "weight": 100 - weight},
                    ]
                }
            ]
            live["spec"]["http"] = made
            self.theirs["spec"]["http"] = copy.deepcopy(made)
            self.store.replace(VIRTUAL_SERVICES, "staging", NAME, live)

    @rule()
    def somebody_takes_our_labels_off(self) -> None:
        live = self.mesh.virtual_service("staging", NAME)
        if live is not None and self.theirs is not None:
            live["metadata"]["labels"] = dict(self.theirs["metadata"].get("labels") or {})
            self.store.replace(VIRTUAL_SERVICES, "staging", NAME, live)

    @rule(rarely=st.integers(0, 3))
    def somebody_deletes_it(self, rarely: int) -> None:
        if self.theirs is not None and not rarely:
            self.store.delete(VIRTUAL_SERVICES, "staging", NAME)
            self.theirs = None

    @rule(label=words, weight=st.integers(0, 100))
    def somebody_creates_it_again(self, label: str, weight: int) -> None:
        if self.theirs is None:
            self._recreate(manifest(label, weight, faulted=False))

    @precondition(lambda self: self.theirs is not None)
    @rule()
    def somebody_restores_a_dump_that_has_our_fault(self) -> None:
        """``kubectl get -o yaml``, delete, create: marks, fault and all."""
        live = self.mesh.virtual_service("staging", NAME)
        assert live is not None
        for key in ("uid", "resourceVersion", "creationTimestamp", "generation"):
            live["metadata"].pop(key, None)
        self.store.delete(VIRTUAL_SERVICES, "staging", NAME)
        self.store.create(VIRTUAL_SERVICES, live)

    # --- us --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.injector is None)
    @rule(experiment=st.sampled_from(EXPERIMENTS))
    def we_inject(self, experiment: Any) -> None:
        self._inject(experiment)

    @precondition(lambda self: self.injector is None)
    @rule(experiment=st.sampled_from(EXPERIMENTS), edit=st.lists(edits, max_size=3))
    def we_inject_while_somebody_writes(self, experiment: Any, edit: list[tuple[Any, ...]]) -> None:
        self.mesh.sneak = [lambda one=one: self._edit(one) for one in edit]
        self._inject(experiment)

    def _inject(self, experiment: Any) -> None:
        run = new_run()
        now = datetime.now(UTC)
        target = {
            "metadata": {"name": HOST, "namespace": "staging"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        }
        situation = Situation(
            cluster="", namespaces={}, services=(target,), virtual_services=self.mesh.virtual_services()
        )
        chosen = choose(experiment, situation, run=run, expires=now + timedelta(minutes=5))
        if not isinstance(chosen, Injection):
            return
        injector = Injector(self.mesh, chosen, run, StepClock())  # type: ignore[arg-type]
        try:
            injector.write(owner=None)
        except Overtaken:
            return
        except MeshError as error:
            if error.status not in (404, 409):  # deleted, or rewritten, meanwhile
                raise
            return
        INJECTED[chosen.strategy] += 1
        self.injector, self.run = injector, run

    @precondition(lambda self: self.injector is not None)
    @rule(who=st.sampled_from(["run", "watchdog", "sweep"]))
    def we_restore(self, who: str) -> None:
        assert self.injector is not None
        if who == "run":
            assert self.injector.remove(said=lambda text: None, deadline=30) is None
        elif who == "watchdog":
            deeds = Deeds(run=self.run, pid=0)
            clean(self.mesh, ("staging",), deeds, patience=60, pause=lambda seconds: None)  # type: ignore[arg-type]
        else:
            for _ in range(3):  # each outlasts some writes by others; the next one begins anew
                sweep(self.mesh, namespaces=("staging",), run=self.run)  # type: ignore[arg-type]
        live = self.mesh.virtual_services("staging")
        assert not [vs for vs in live if carries(vs, self.run)], who
        self.injector, self.run = None, ""

    # --- what holds at any time --------------------------------------------------------------------------------------

    @invariant()
    def without_us_it_is_theirs(self) -> None:
        global STEPS
        STEPS += 1
        for live in self.mesh.virtual_services("staging"):
            found = taken_out(live, self.run) if self.run else live
            if live["metadata"]["name"] != NAME:
                assert self.run, "something of ours is left"
                continue
            assert self.theirs is not None
            assert found["spec"] == self.theirs["spec"]
            assert found["metadata"].get("labels", {}) == self.theirs["metadata"].get("labels", {})
            assert found["metadata"].get("annotations", {}) == self.theirs["metadata"].get("annotations", {})
        there = self.mesh.virtual_service("staging", NAME) is not None
        assert there == (self.theirs is not None)


@pytest.mark.timeout(300)
def test_others_edits_survive_and_ours_vanish(record_property: Callable[[str, object], None]) -> None:
    """At least 10,000 steps, at each of which the object without our part must be what it would be without us."""
    global STEPS
    STEPS = 0
    run_state_machine_as_test(
        OtherWriters,
        settings=settings(
            max_examples=220, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    told = ", ".join(f"{count} by {strategy}" for strategy, count in sorted(INJECTED.items()))
    record_property(
        FIGURE, f"other writers: {STEPS} steps, injections {told}: no edit of others lost, nothing of ours left"
    )
    assert STEPS >= 10_000
    assert INJECTED["patch"] > STEPS / 100


def test_the_marks_are_all_that_the_harness_adds_to_metadata() -> None:
    made = manifest("a", 1, faulted=False)
    assert taken_out(made, "r1") == made
    assert RUN_LABEL not in made["metadata"]["labels"]
