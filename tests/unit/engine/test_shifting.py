"""Canary shifts, whole, in virtual time: all the way, back at once, and whatever else may happen."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chaos import (
    Harness,
    InputError,
    MeshError,
    Outcome,
)
from chaos.cli import app
from chaos.injection.weights import Way, share_of, shifted
from chaos.safety.lease import Held
from chaos.safety.sweep import sweep
from chaos.testing.shop import Shop
from tests.unit.engine.changes import Dead, Mortal
from tests.unit.engine.shifts import CANARY, ROUTES, Canary, subsets, weights


def test_a_canary_that_is_well_gets_all_and_keeps_it(tmp_path: Path) -> None:
    canary, told = Canary(), list[str]()
    found = canary.shift(tmp_path, told=lambda step: told.append(step.sentence))
    assert (found.outcome, found.reason, found.note) == (Outcome.PASSED, "", "")
    assert [step.percent for step in found.steps] == [0, 25, 50, 75, 100]
    assert all(step.end - step.start >= 30 for step in found.steps)
    assert told[1].startswith("25 %: holds after 30 s")
    assert weights(canary.routes()) == [0, 100]
    assert canary.is_clean()
    record = json.loads((tmp_path / "shifts" / found.run / "shift.json").read_text())
    assert (record["outcome"], len(record["steps"]), bool(record["history"]["recorded"])) == ("passed", 5, True)


@pytest.mark.parametrize("at", [25, 75])
def test_a_canary_that_fails_is_taken_back_at_once(tmp_path: Path, at: int) -> None:
    canary = Canary()

    def fail() -> None:
        canary.shop.traffic.catch_up()
        canary.shop.traffic.spoils = {CANARY: 0.8}

    canary.when(at, fail)
    found = canary.shift(tmp_path)
    assert (found.outcome, found.steps[-1].percent) == (Outcome.FAILED, at)
    assert found.steps[-1].end - found.steps[-1].start < 30, "before the step is over"
    assert found.reason == f"at {at} % the steady state was violated"
    assert found.headline.endswith(f"{found.reason}; all is as before")
    assert f"'answered' was violated at {found.steps[-1].percent:g} %: expected" in found.steps[-1].sentence
    assert canary.routes()["spec"] == ROUTES["spec"]
    assert canary.is_clean()


def test_nobody_knows_is_no_reason_to_go_on(tmp_path: Path) -> None:
    """At a quarter the share is right at the bound."""
    canary = Canary(spoiled=0.2)
    found = canary.shift(tmp_path)
    assert (found.outcome, found.steps[-1].percent) == (Outcome.INCONCLUSIVE, 25)
    assert "at 25 % the steady state could not be decided" in found.reason
    assert canary.routes()["spec"] == ROUTES["spec"]


def test_what_was_not_steady_before_is_not_shifted(tmp_path: Path) -> None:
    canary = Canary(broken=0.2)
    found = canary.shift(tmp_path)
    assert (found.outcome, len(found.steps)) == (Outcome.INCONCLUSIVE, 1)
    assert "before the first step, the steady state was violated" in found.reason
    assert canary.routes()["spec"] == ROUTES["spec"]


def freeze(canary: Canary) -> None:
    canary.shop.mesh.annotate_namespace("staging", "chaos-harness.dev/frozen", "release day")


def rewrite(canary: Canary) -> None:
    vs = canary.routes()
    canary.shop.mesh.put({**vs, "spec": {**vs["spec"], "hosts": ["order-svc", "orders"]}})


@pytest.mark.parametrize(
    ("happens", "reason", "spec"),
    [
        (freeze, "release day", ROUTES["spec"]),
        (lambda canary: sweep(canary.shop.mesh, namespaces=("staging",), everything=True), "was lost", ROUTES["spec"]),
        (rewrite, "somebody wrote VirtualService staging/orders", {**ROUTES["spec"], "hosts": ["order-svc", "orders"]}),
        (lambda canary: signal.raise_signal(signal.SIGTERM), "SIGTERM", ROUTES["spec"]),
        (lambda canary: setattr(canary.shop.load, "died", "killed"), "load generator died", ROUTES["spec"]),
        (lambda canary: setattr(canary.shop.metrics, "lost", "gone"), "gone", ROUTES["spec"]),
    ],
)
def test_whatever_happens_all_is_put_back(
    tmp_path: Path, happens: Callable[[Canary], object], reason: str, spec: object
) -> None:
    canary = Canary()
    canary.when(50, lambda: happens(canary))
    found = canary.shift(tmp_path)
    assert (found.outcome, found.steps[-1].percent) == (Outcome.INCONCLUSIVE, 50)
    assert reason in found.reason
    assert canary.routes()["spec"] == spec
    assert canary.is_clean()


class Hanging:
    """A mesh that answers who waits for it as late as what is done beside, while that hangs."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._aside, beside = shop, False, shop.clock.beside

        def apart(work: Callable[[], None]) -> None:
            def do() -> None:
                self._aside = True
                work()
                self._aside = False

            beside(do)

        shop.clock.beside = apart  # type: ignore[method-assign]

    def __getattr__(self, name: str) -> Any:
        if not self._aside:
            self._shop.clock.sleep(self._shop.clock.hangs)
        return getattr(self._shop.mesh, name)


@pytest.mark.parametrize(("percent", "after"), [(25, 29.8), (50, 1.0)], ids=["writing", "looking"])
def test_an_api_server_that_hangs_holds_up_no_stop_and_no_late_write_counts(
    tmp_path: Path, percent: int, after: float
) -> None:
    canary, begun, told = Canary(), list[float](), list[float]()
    clock = canary.shop.clock
    canary.mesh = Hanging(canary.shop)

    def hang() -> None:
        clock.hangs = 30.0
        begun.append(clock.now())
        clock.later(2.0, lambda: signal.raise_signal(signal.SIGTERM))

    canary.when(percent, hang, after=after)
    found = canary.shift(tmp_path, told=lambda _step: told.append(clock.now()))
    assert (found.outcome, found.steps[-1].percent) == (Outcome.INCONCLUSIVE, 50)
    assert "SIGTERM" in found.reason
    assert told[-1] - begun[0] < 3
    clock.sleep(60)
    assert canary.routes()["spec"] == ROUTES["spec"]
    assert canary.is_clean()


@pytest.mark.parametrize("how", ["before", "after", "late"])
def test_a_shift_that_is_killed_is_put_back_unless_it_was_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The lease comes first, then four steps; the lease goes, and the mark last."""
    monkeypatch.setattr(Held, "_keep", lambda self: None)
    for number in range(1, 8):
        canary = Canary()
        canary.mesh = mortal = Mortal(canary.shop.mesh, number, how)
        with pytest.raises(Dead):
            canary.shift(tmp_path, every="5s")
        over = number > 1 and not canary.shop.mesh.objects("Lease")
        for _ in range(2):
            canary.shop.clock.sleep(40)
            assert not any(swept.trouble for swept in sweep(canary.shop.mesh, namespaces=("staging",)))
            with suppress(MeshError):
                mortal.late()
        assert weights(canary.routes()) == ([0, 100] if over else [100, 0]), f"{how} write {number}"
        assert over == (number > 6 or (number == 6 and how == "after"))


def test_a_record_is_judged_by_other_values_and_knows_whether_it_was_changed(tmp_path: Path) -> None:
    found = Canary(spoiled=0.1).shift(tmp_path, step=50.0)
    folder = tmp_path / "shifts" / found.run
    assert (found.outcome, found.steps[-1].percent) == (Outcome.INCONCLUSIVE, 50)
    loose = Harness.judge_shift(folder, what_if={"atLeast": "80%"})
    assert (loose.outcome, loose.reason) == (Outcome.INCONCLUSIVE, "it ended before the last step")
    strict = Harness.judge_shift(folder, what_if={"atLeast": "99%"})
    assert (strict.outcome, strict.reason) == (Outcome.FAILED, "at 50 % the steady state was violated")
    assert strict.again is not None
    assert [one.what for one in strict.again.differences] == ["outcome", "50 %: answered"]

    record = json.loads((folder / "shift.json").read_text())
    record["steps"][1]["end"] += 1
    (folder / "shift.json").write_text(json.dumps(record))
    changed = Harness.judge_shift(folder)
    assert changed.outcome is Outcome.INCONCLUSIVE
    assert "the record was changed" in changed.reason
    told = CliRunner().invoke(app, ["judge", str(folder)])
    assert told.exit_code == Outcome.INCONCLUSIVE.exit_code
    assert "the record was changed" in told.stdout
    (folder / "shift.json").write_text("{}")
    with pytest.raises(InputError, match="expected a record of a shift"):
        Harness.judge_shift(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"virtual_service": "nothing"}, "there is no VirtualService staging/nothing"),
        ({"source": "v7", "target": "v8"}, "no HTTP route of VirtualService staging/orders leads to 'v7' or 'v8'"),
        ({"source": CANARY, "target": "order-svc"}, "go to 'order-svc' already"),
        ({"step": 0.0}, "expected a step of more than 0"),
        ({"every": "1s"}, "expected steps of at least 5 s"),
    ],
)
def test_what_can_not_be_shifted_is_told(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Canary().shift(tmp_path, **options)


# --- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "percent", "after"),
    [
        ([("v1", 100)], 10, [("v1", 90), ("v2", 10)]),
        ([("v1", 90), ("v2", 10)], 20, [("v1", 80), ("v2", 20)]),
        ([("v1", 40), ("v2", 10), ("v3", 50)], 50, [("v1", 25), ("v2", 25), ("v3", 50)]),
        ([("v3", 100)], 50, [("v3", 100)]),
    ],
)
def test_weights_move_between_two_versions_alone(
    before: list[tuple[str, int]], percent: float, after: list[tuple[str, int]]
) -> None:
    way = Way(source="v1", target="v2")
    assert shifted(subsets(*before), way, percent) == subsets(*after)["spec"]


def test_a_route_without_a_weight_has_all(tmp_path: Path) -> None:
    vs = subsets(("v1", 100))
    del vs["spec"]["http"][0]["route"][0]["weight"]
    way = Way(source="v1", target="v2")
    assert share_of(vs, way) == 0
    assert shifted(vs, way, 100) == subsets(("v1", 0), ("v2", 100))["spec"]


def test_a_route_for_testers_that_is_at_the_target_already_keeps_nobody_from_shifting_the_others() -> None:
    way, vs = Way(source="v1", target="v2"), subsets(("v1", 100))
    early = [subsets(*parts)["spec"]["http"][0] for parts in ([("v2", 100)], [("v1", 60), ("v2", 40)])]
    vs["spec"]["http"] = [*early, *vs["spec"]["http"]]
    assert share_of(vs, way) == 0
    assert shifted(vs, way, 10)["http"] == [*early, *subsets(("v1", 90), ("v2", 10))["spec"]["http"]]
