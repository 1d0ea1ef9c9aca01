"""The guard against an oracle: over random meshes it never allows what would change a caller outside staging.

What the harness makes and the guard allows takes effect, on declared callers only, and changes nothing but the fault.

Two kinds of candidates are held against it. *Ours* are what the strategies make of an experiment: of those that change
staging only, next to none may be refused, or the guard would be of no use. *Tampered* ones are what a bug or an attacker
would write. Many of them happen to change staging only and are refused all the same, and rightly so: by a rule of their
own that says another host, more callers than were declared, or somebody's object changed beyond the fault. So the limit of
2 % is for ours, and of tampered ones it only counts that none gets out. Where no object could be made (a wildcard governs,
routes are delegated, the callers follow different VirtualServices) there is no candidate; how often is printed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from chaos.guard import Draft, check
from chaos.injection.strategy import choose
from chaos.model.plan import Injection
from tests.conftest import FIGURE
from tests.property import meshes
from tests.property.mesh_oracle import changed, differs_by, leaves

MESHES = 5_000 if os.environ.get("ISTIO_ANSWERS_WHOLE") else 2_500
"""Of each seed, so that they are shared among the workers."""
SEEDS = range(20261123, 20261127 if os.environ.get("ISTIO_ANSWERS_WHOLE") else 20261124)
"""2,500 meshes with ``make test``, 20,000 with ``make answers``."""
MOST = 0.02
"""Of the candidates that change staging only, the part that may be refused."""
TO_TARGET = [number for number, one in enumerate(meshes.REQUESTS) if one.host == meshes.TARGET]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_guard_never_allows_what_changes_a_caller_outside_staging(
    seed: int, record_property: Callable[[str, object], None]
) -> None:
    draw = random.Random(seed)
    asked = meshes.experiments(50)
    seen: Counter[str] = Counter()
    for number in range(MESHES):
        mesh, experiment = meshes.a_mesh(draw), draw.choice(asked)
        found = mesh.situation()
        made = choose(experiment, found, run=meshes.RUN, expires=meshes.EXPIRES)
        if not isinstance(made, Injection):
            seen[f"not made ({made.rule})"] += 1
            continue
        kind = "tampered" if number % 2 else "ours"
        injection = meshes.tampered(draw, mesh, experiment, made) if number % 2 else made
        refusals = check(Draft(experiment=experiment, situation=found, settings=mesh.settings, injection=injection))
        proxies = [*meshes.PROXIES, meshes.GATEWAY, meshes.OWN_GATEWAY]
        hit = changed(mesh.world(), mesh.with_(injection).world(), proxies, meshes.REQUESTS)
        # Where nobody listens, only whether others than staging's change is of interest.
        heard = [number for number, one in enumerate(meshes.REQUESTS) if mesh.listens(one)]
        felt = {proxy: pairs for proxy, pairs in hit.items() if any(pairs[one][0] != pairs[one][1] for one in heard)}
        outside = {proxy for proxy in hit if proxy.namespace not in mesh.inside or proxy.gateway}
        told = f"mesh {number}: {injection.after['spec']}; Sidecars {[one['spec'] for one in mesh.sidecars]}"
        if outside:
            seen[f"{kind}: outside"] += 1
            assert refusals, f"allowed, and {outside} would change: {told}"
        elif any(leaves([pairs[one][1] for one in TO_TARGET], mesh.inside) for pairs in hit.values()):
            seen[f"{kind}: leads out"] += 1
            assert refusals, f"allowed, and requests go on to other namespaces: {told}"
        elif felt:
            seen[f"{kind}: staging only"] += 1
            if refusals:
                seen[f"{kind}: staging only, refused"] += 1
                seen.update(f"{kind}: refused by {rule}" for rule in {one.rule for one in refusals})
        elif not refusals:
            seen[f"{kind}: allowed, nothing changes"] += 1
        if kind == "ours" and not refusals:
            callers, fault = experiment.target.callers, experiment.fault.put_into({})["fault"]
            for proxy, pairs in felt.items():
                assert proxy.app == callers.get("app", proxy.app), f"{proxy} was not declared: {told}"
                assert differs_by([pairs[number] for number in heard], fault), (
                    f"{proxy} is routed elsewhere, too: {told}"
                )
    wrongly = seen["ours: staging only, refused"] / seen["ours: staging only"]
    out = seen["ours: outside"] + seen["tampered: outside"]
    record_property(
        FIGURE,
        f"guard against oracle, {MESHES} meshes (seed {seed}): 0 of {out} that change others allowed; of those that change staging only "
        f"refused: {wrongly:.2%} of {seen['ours: staging only']} ours, "
        f"{seen['tampered: staging only, refused'] / seen['tampered: staging only']:.0%} of "
        f"{seen['tampered: staging only']} tampered; " + ", ".join(f"{key} {n}" for key, n in sorted(seen.items())),
    )
    assert wrongly <= MOST
    assert seen["ours: allowed, nothing changes"] <= MESHES / 1000, "what is written takes effect"
    assert seen["ours: staging only"] > MESHES / 10
    assert seen["tampered: outside"] > MESHES / 100
    assert seen["tampered: leads out"] > MESHES / 100


def test_what_is_drawn_is_what_a_cluster_would_take() -> None:
    draw = random.Random(1)
    for sure in (False, True) * 150:
        mesh = meshes.a_mesh(draw, sure=sure)
        refused = [
            one["spec"]
            for one in (*mesh.virtual_services, *mesh.service_entries, *mesh.sidecars)
            if not meshes.taken(one)
        ]
        assert not refused
