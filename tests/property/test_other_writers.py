"""Others write the object while our fault is in it: what is theirs survives, what is ours vanishes, whoever removes it."""

from __future__ import annotations

import contextlib
import copy
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

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

from chaos.adapters.experiment_file import parse_experiment
from chaos.engine.injecting import Injector, Overtaken, restore_all
from chaos.errors import MeshError
from chaos.injection.ownership import others, owners_of
from chaos.injection.patching import carries, without_fault
from chaos.injection.strategy import choose
from chaos.lab.api import ownership
from chaos.lab.api.errors import ApiError
from chaos.model.marks import FIELD_MANAGER, RUN_LABEL, new_run
from chaos.model.plan import Injection
from chaos.model.situation import Situation
from chaos.ports import Mesh
from chaos.safety.marks import is_ours, run_of
from chaos.safety.removal import restore
from chaos.safety.sweep import sweep
from chaos.safety.watchdog_process import Deeds, clean
from chaos.testing.clock import VirtualClock
from chaos.values.managed_fields import fields_of, with_fields
from tests.conftest import FIGURE
from tests.property.owned import KIND, NAME, Owned, StoreMesh, writer
from tests.support.owners import same_owners

Object = dict[str, Any]
Edit = Callable[[Object], None]
HOST = "inventory-svc"
EXPERIMENTS = [
    parse_experiment(
        f"""\
experiment: orders
owner: checkout
target: {{namespace: staging, service: {HOST}{scope}}}
faults: [{{abort: {{percentage: 50, httpStatus: 503}}, stages: [{{for: 5s}}, {{for: 5s, off: true}}, {{for: 5s, percentage: 9}}]}}]
load: {{rate: 10, requests: [{{path: /}}]}}
profile: quick
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


def without_maps(owners: Sequence[Any]) -> list[Any]:
    """The entries without labels and annotations as such: who adds the first one owns these, and that may have been us."""
    maps = {("f:metadata", "f:labels"), ("f:metadata", "f:annotations")}
    return [with_fields(entry, kept) for entry in owners if (kept := fields_of(entry) - maps)]


STEPS = 0
INJECTED: Counter[str] = Counter()
STAGED: Counter[str] = Counter()
COMPARED: Counter[str] = Counter()
"""Restores after which the owners had to be exactly those of the world without us, by who restored."""


class OtherWriters(RuleBasedStateMachine):
    """``here`` has our fault in the object, or not; ``without`` is the same world, in which we never were."""

    def __init__(self) -> None:
        super().__init__()
        self.here, self.without = Owned(), Owned()
        self.mesh = StoreMesh(self.here)
        self.port = cast("Mesh", self.mesh)  # it has of the port what restoring needs
        self.run = ""
        self.injector: Injector | None = None
        self.stage = 0
        self.routes_written = False
        """Whether somebody wrote the routes while ours were among them, and so became their owner by that alone."""

    @property
    def theirs(self) -> Object | None:
        return self.without.find()

    # --- others ----------------------------------------------------------------------------------------------------

    @initialize(label=words, weight=st.integers(0, 100), faulted=st.booleans())
    def begin(self, label: str, weight: int, faulted: bool) -> None:
        self._both(lambda world: world.apply(manifest(label, weight, faulted=faulted), "team"))

    def _both(self, write: Callable[[Owned], object], *, routes: bool = False) -> None:
        for world in (self.here, self.without):
            write(world)
        self.routes_written = self.routes_written or (routes and bool(self.run))

    def _edit(self, edit: tuple[Any, ...]) -> None:
        def write(world: Owned) -> None:
            obj = world.find()
            if obj is not None:
                apply(edit, obj)
                world.replace(obj, "somebody")

        self._both(write, routes=edit[0] not in ("label", "unlabel", "annotate"))

    @rule(edit=edits)
    def somebody_edits(self, edit: tuple[Any, ...]) -> None:
        self._edit(edit)

    @rule(edit=st.lists(edits, min_size=1, max_size=9))
    def somebody_will_be_faster_than_our_next_writes(self, edit: list[tuple[Any, ...]]) -> None:
        self.mesh.sneak = [partial(self._edit, one) for one in edit]

    @rule(label=words, weight=st.integers(0, 100), faulted=st.booleans(), force=st.booleans())
    def the_team_applies_on_the_server(self, label: str, weight: int, faulted: bool, force: bool) -> None:
        """Where one of the worlds refuses, both must; but for what our fault is in the way of."""
        if self.theirs is None:
            return
        wanted = manifest(label, weight, faulted=faulted)
        refused = [self._refuses(world, wanted) for world in (self.here, self.without)]
        if not self.run and not self.routes_written:
            assert refused[0] == refused[1]
        if force or not any(refused):
            self._both(lambda world: world.apply(wanted, "team", force=force), routes=True)

    @staticmethod
    def _refuses(world: Owned, wanted: Object) -> str:
        try:
            ownership.apply(world.find(), {**KIND, **wanted}, writer("team"), force=False)
        except ApiError as error:
            return str(error)
        return ""

    @rule(label=words, weight=st.integers(0, 100), faulted=st.booleans())
    def argo_resets_all_of_it(self, label: str, weight: int, faulted: bool) -> None:
        if self.theirs is not None:
            self._both(lambda world: world.replace(manifest(label, weight, faulted=faulted), "argo"), routes=True)

    @rule(weight=st.integers(0, 100))
    def flagger_rewrites_the_routes(self, weight: int) -> None:
        shares = [{"destination": {"host": HOST}, "weight": part} for part in (weight, 100 - weight)]

        def write(world: Owned) -> None:
            obj = world.find()
            if obj is not None:
                obj["spec"]["http"] = [{"route": copy.deepcopy(shares)}]
                world.replace(obj, "flagger")

        self._both(write, routes=True)

    @rule()
    def somebody_takes_our_labels_off(self) -> None:
        live, theirs = self.here.find(), self.theirs
        if live is not None and theirs is not None:
            live["metadata"]["labels"] = dict(theirs["metadata"].get("labels") or {})
            self.here.replace(live, "somebody")

    @rule(rarely=st.integers(0, 3))
    def somebody_takes_our_annotations_off(self, rarely: int) -> None:
        """The owners are lost with them."""
        live, theirs = self.here.find(), self.theirs
        if live is not None and theirs is not None and not rarely:
            live["metadata"].pop("annotations", None)  # an empty map would be dropped by a server
            if theirs["metadata"].get("annotations"):
                live["metadata"]["annotations"] = dict(theirs["metadata"]["annotations"])
            self.here.replace(live, "somebody")
            self.routes_written = self.routes_written or bool(self.run)

    @rule(rarely=st.integers(0, 3))
    def somebody_deletes_it(self, rarely: int) -> None:
        if self.theirs is not None and not rarely:
            self._both(Owned.delete)

    @rule(label=words, weight=st.integers(0, 100))
    def somebody_creates_it_again(self, label: str, weight: int) -> None:
        if self.theirs is None:
            self._both(lambda world: world.apply(manifest(label, weight, faulted=False), "team"))
            self.routes_written = False

    @precondition(lambda self: self.theirs is not None)
    @rule()
    def somebody_restores_a_dump_that_has_our_fault(self) -> None:
        """``kubectl get -o yaml``, delete, create: marks, fault and all."""

        def write(world: Owned) -> None:
            obj = world.find()
            assert obj is not None
            for key in ("uid", "resourceVersion", "creationTimestamp", "generation"):
                obj["metadata"].pop(key, None)
            world.delete()
            world.create(obj, "somebody")

        self._both(write)

    # --- us --------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.injector is None)
    @rule(experiment=st.sampled_from(EXPERIMENTS), further=st.integers(0, 2))
    def we_inject(self, experiment: Any, further: int) -> None:
        """Stages may follow before anybody else writes."""
        self._inject(experiment)
        for _ in range(further if self.injector is not None else 0):
            self.we_go_on_to_the_next_stage()

    @precondition(lambda self: self.injector is None)
    @rule(experiment=st.sampled_from(EXPERIMENTS), edit=st.lists(edits, max_size=3))
    def we_inject_while_somebody_writes(self, experiment: Any, edit: list[tuple[Any, ...]]) -> None:
        self.mesh.sneak = [partial(self._edit, one) for one in edit]
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
        injector = Injector(self.port, chosen, run, VirtualClock())
        self.routes_written = not self._owners_agree()
        try:
            injector.write(owner=None)
        except Overtaken:
            return
        except MeshError as error:
            if error.status not in (404, 409):  # deleted, or rewritten, meanwhile
                raise
            return
        INJECTED[chosen.strategy] += 1
        self.injector, self.run, self.stage = injector, run, 0

    @precondition(lambda self: self.injector is not None)
    @rule()
    def we_go_on_to_the_next_stage(self) -> None:
        """Only where nobody wrote the spec meanwhile; else the run restores."""
        assert self.injector is not None
        changes = self.injector.injection.changes
        if self.stage < len(changes):
            with contextlib.suppress(Overtaken, MeshError):  # written by others, or three times in a row
                self.injector.change(changes[self.stage])
                self.stage += 1
                STAGED[self.injector.injection.strategy] += 1

    @precondition(lambda self: self.injector is not None)
    @rule()
    def we_take_the_fault_out_and_die(self) -> None:
        """Before its fields are given back."""
        for vs in self.mesh.virtual_services("staging"):
            if carries(vs, self.run):
                with contextlib.suppress(MeshError):  # others wrote eight times in a row
                    restore(self.port, vs, run=self.run)

    @precondition(lambda self: self.injector is not None)
    @rule(who=st.sampled_from(["run", "watchdog", "sweep"]))
    def we_restore(self, who: str) -> None:
        assert self.injector is not None
        here = self.here.find()
        nobodys = who != "run" and here is not None and is_ours(here) and not run_of(here)
        if who == "run":
            assert restore_all([self.injector], clock=VirtualClock(), said=lambda text: None, deadline=30) == ""
            for _ in range(3):
                self.injector.give_back(said=lambda text: None)
        elif who == "watchdog":
            deeds = Deeds(run=self.run, pid=0)
            clean(self.port, ("staging",), deeds, patience=60, pause=lambda seconds: None)
        else:
            for _ in range(3):  # each outlasts some writes by others; the next one begins anew
                sweep(self.port, namespaces=("staging",), run=self.run)
        if (
            nobodys
        ):  # the fault is out, and the marks that tell whose fields are owed are gone: the next session's sweep knows
            sweep(self.port, namespaces=("staging",))
        live = self.mesh.virtual_services("staging")
        assert not [vs for vs in live if carries(vs, self.run)], who
        self.injector, self.run = None, ""
        self._fields_are_their_owners(who)

    @precondition(lambda self: self.injector is None)
    @rule(experiment=st.sampled_from(EXPERIMENTS), who=st.sampled_from(["run", "watchdog", "sweep"]))
    def we_inject_and_restore_at_once(self, experiment: Any, who: str) -> None:
        """With nobody between, so that the owners can be compared whatever else is drawn."""
        self._inject(experiment)
        if self.injector is not None:
            self.we_restore(who=who)

    def _fields_are_their_owners(self, who: str) -> None:
        here = self.here.find()
        if here is None:
            return
        owners = owners_of(here)
        assert others(owners) == list(owners), "something is still ours"
        refused = self._refuses(self.here, manifest("changed", 1, faulted=True))
        assert FIELD_MANAGER not in refused
        if not self.routes_written:
            COMPARED[who] += 1
            assert self._owners_agree()
            assert refused == self._refuses(self.without, manifest("changed", 1, faulted=True))

    def _owners_agree(self) -> bool:
        here, without = (world.find() for world in (self.here, self.without))
        if here is None or without is None:
            return here is without
        return same_owners(without_maps(owners_of(here)), without_maps(owners_of(without)))

    # --- what holds at any time --------------------------------------------------------------------------------------

    @invariant()
    def without_us_it_is_theirs(self) -> None:
        global STEPS
        STEPS += 1
        for live in self.mesh.virtual_services("staging"):
            found = without_fault(live, self.run) if self.run else live
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
            max_examples=220,
            stateful_step_count=60,
            suppress_health_check=list(HealthCheck),
        ),
    )
    told = ", ".join(f"{count} by {strategy}" for strategy, count in sorted(INJECTED.items()))
    record_property(
        FIGURE,
        f"other writers: {STEPS} steps, injections {told}, {STAGED.total()} changes of stage: no edit of others lost, nothing of ours left; owners of fields "
        f"as without us after {COMPARED.total()} restores, ours after none",
    )
    assert STEPS >= 10_000
    assert min(COMPARED[who] for who in ("run", "watchdog", "sweep")) > STEPS / 1000
    assert INJECTED["patch"] > STEPS / 100
    assert STAGED["patch"] > STEPS / 500


def test_the_marks_are_all_that_the_harness_adds_to_metadata() -> None:
    made = manifest("a", 1, faulted=False)
    assert without_fault(made, "r1") == made
    assert RUN_LABEL not in made["metadata"]["labels"]
