"""Whom an injection hits, as Istio's own code answered it before and after: recorded meshes and objects.

The objects are what the harness once made of an experiment, and tampered forms of them. What is allowed takes effect on
whom the harness says that it does, and on nobody else; and so it is with what the harness makes of the same meshes now, by
the model that ``test_istio_answers_governing.py`` holds against Istio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from chaos.guard import Draft, check
from chaos.injection.strategy import choose
from chaos.istio.governing import Mesh
from chaos.istio.virtual_services import has_route_for, title
from chaos.istio.workloads import Workload
from chaos.model.experiment import Experiment
from chaos.model.marks import own_name
from chaos.model.plan import Injection, Strategy
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from tests.contract.answers import Proxy, Record, all_of, files, needed, of_kind, proxies
from tests.contract.governing import by_the_lab, differences, mesh_of
from tests.property.meshes import RUN, TARGET, experiments

INJECTIONS = files("injections")
SOME = 65
"""Records of each file that are asked about where not all are."""
STAGING = "staging"
SETTINGS = Settings(namespaces=(STAGING,))
EXPIRES = datetime(2026, 12, 1, tzinfo=UTC)
EXPERIMENTS = experiments(50)
Governors = Mapping[tuple[int, str], str]
"""By port and name, who governs."""


def after_of(record: Record) -> list[Record]:
    """The objects with the one that was written, in the place of the one of its name."""
    written = {(one["kind"], title(one)) for one in record["written"]}
    return [*(one for one in record["configs"] if (one["kind"], title(one)) not in written), *record["written"]]


def situation_of(record: Record) -> Situation:
    """What planning would have found: only staging is staging."""
    labels = {STAGING: {"env": STAGING}}
    names = sorted(
        {one["metadata"]["namespace"] for one in record["services"]} | {one.namespace for one in proxies(record)}
    )
    config = record["mesh"]
    return Situation(
        cluster="c",
        namespaces={name: {"metadata": {"name": name, "labels": labels.get(name, {})}} for name in names},
        services=record["services"],
        virtual_services=of_kind(record["configs"], "VirtualService"),
        sidecars=of_kind(record["configs"], "Sidecar"),
        service_entries=of_kind(record["configs"], "ServiceEntry"),
        workloads=[
            Workload(one.name, one.namespace, one.labels, proxied=(f"{one.name}-1",))
            for one in proxies(record)
            if one.namespace == STAGING
        ],
        default_exports={"default": tuple(config.get("defaultVirtualServiceExportTo") or ("*",))},
    )


def injection_of(record: Record) -> Injection:
    """The object that was written, as a plan would have it."""
    (written,) = record["written"]
    before = next((one for one in of_kind(record["configs"], "VirtualService") if title(one) == title(written)), None)
    meta = written["metadata"]
    experiment = EXPERIMENTS[0]
    name = own_name(RUN, experiment.target.service)
    # The recordings were made when a run's routes had names without the Service's.
    http = [
        {**one, "name": name} if one.get("name") == f"chaos-{RUN}" else one for one in written["spec"].get("http") or ()
    ]
    written = {**written, "spec": {**written["spec"], "http": http}}
    return Injection(
        target=experiment.target,
        fault=experiment.fault,
        strategy=Strategy.CREATE if before is None else Strategy.PATCH,
        namespace=meta["namespace"],
        name=meta["name"],
        before=before,
        after=written,
        route_name=name,
    )


def answered(answers: Sequence[Record]) -> list[Governors]:
    """Istio's own answers, by proxy."""
    return [
        {
            (int(port.removeprefix("http.")), name): governor
            for port, names in one["governs"].items()
            for name, governor in names.items()
        }
        for one in answers
    ]


def by_the_model(mesh: Mesh, record: Record) -> list[Governors]:
    """The model's answers for the sidecars, by proxy."""
    return [
        {
            (port, name): title(host.governor) if host.governor else "default"
            for port in mesh.ports
            for host in mesh.virtual_hosts(one.namespace, one.labels, port)
            for name in host.domains
        }
        for one in proxies(record)
        if not one.router
    ]


def broken_claims(
    injection: Injection,
    experiment: Experiment,
    situation: Situation,
    record: Record,
    before: Sequence[Governors],
    after: Sequence[Governors],
) -> Iterator[str]:
    """What of the claim does not hold: every caller that knows the target feels it, and nobody outside of staging does."""
    yield from changed_outside(injection, record, before, after)
    felt = []
    for proxy, now in zip(proxies(record), after, strict=False):
        if proxy.namespace != STAGING or not is_caller(proxy, experiment):
            continue
        for port in situation.ports_of(TARGET):
            if (port, TARGET) not in now:
                continue  # it does not know the target there
            felt.append(proxy)
            if not feels(proxy, injection, {(port, TARGET): now[port, TARGET]}):
                yield f"{proxy.name} at {port} does not feel it and follows {now[port, TARGET]}"
    if not felt:
        yield "nobody feels it"


def changed_outside(
    injection: Injection, record: Record, before: Sequence[Governors], after: Sequence[Governors]
) -> Iterator[str]:
    """Who follows somebody else than before: outside of staging nobody, and in staging only us instead."""
    ours = title(injection.after)
    for proxy, was, now in zip(proxies(record), before, after, strict=False):
        changed = {asked for asked in was.keys() | now.keys() if was.get(asked) != now.get(asked)}
        inside = proxy.namespace == STAGING and not proxy.router
        if (changed or ours in now.values()) and not inside:
            yield f"{proxy.namespace}/{proxy.name} is changed: {sorted(changed)}"
        elif any(now.get(asked) != ours for asked in changed):
            yield f"{proxy.name} follows neither us nor whom it followed before"


def feels(proxy: Proxy, injection: Injection, names: Governors) -> bool:
    """Whether any of these names is governed by the object, with a route that carries the fault for this proxy."""
    routes = injection.after["spec"].get("http") or ()
    fault = {"spec": {"http": [one for one in routes if one.get("name") == injection.route_name]}}
    return any(
        governor == title(injection.after)
        and has_route_for(fault, labels=proxy.labels, namespace=proxy.namespace, port=port)
        for (port, _), governor in names.items()
    )


def is_caller(proxy: Proxy, experiment: Experiment) -> bool:
    return experiment.target.callers.items() <= proxy.labels.items()


@needed("injections")
def test_who_governs_before_and_after() -> None:
    wrong: list[str] = []
    for record in all_of(INJECTIONS, some=SOME):
        wrong += differences(mesh_of(record, record["configs"]), record, record["istio"]["before"])
        wrong += differences(mesh_of(record, after_of(record)), record, record["istio"]["after"])
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])


@needed("injections")
def test_who_governs_at_the_gateway_by_the_lab() -> None:
    """A gateway appends the routes of all VirtualServices of a host."""
    wrong: list[str] = []
    for record in all_of(INJECTIONS, some=SOME):
        at = [number for number, one in enumerate(proxies(record)) if one.router]
        for when, objects in (("before", record["configs"]), ("after", after_of(record))):
            for number in at:
                (recorded,) = record["istio"][when][number]["governs"].values()
                found = by_the_lab({**record, "configs": objects}, record["proxies"][number])
                if {name: one for name, one in recorded.items() if one} != found:
                    wrong.append(f"{record['id']} {when}: Istio {recorded}, the lab {found}")
    assert not wrong, f"{len(wrong)} differences: " + "\n".join(wrong[:20])


@needed("injections")
def test_what_is_allowed_hits_whom_it_says_and_nobody_else() -> None:
    """The recorded objects, tampered ones among them, under the experiment for which the guard allows them, if any."""
    wrong, allowed = [], 0
    for record in all_of(INJECTIONS, some=SOME):
        if not record["written"]:
            continue
        situation, injection = situation_of(record), injection_of(record)
        before, after = (answered(record["istio"][when]) for when in ("before", "after"))
        drafts = [
            Draft(experiment=experiment, situation=situation, settings=SETTINGS, injection=injection)
            for experiment in EXPERIMENTS
        ]
        draft = next((one for one in drafts if not check(one)), None)
        if draft is None:
            continue
        allowed += 1
        wrong += [f"{record['id']}: {one}" for one in changed_outside(injection, record, before, after)]
        claimed = {one.name for one in draft.felt.workloads} if draft.felt else set()
        hit = {one.name for one, names in zip(proxies(record), after, strict=True) if feels(one, injection, names)}
        if not hit or hit != claimed:
            wrong.append(f"{record['id']}: Istio hits {sorted(hit)}, the plan says {sorted(claimed)}")
    assert allowed
    assert not wrong, f"{len(wrong)} claims do not hold: " + "\n".join(wrong[:20])


@needed("injections")
def test_what_the_harness_makes_of_these_meshes_now_does_as_well() -> None:
    wrong, allowed = [], 0
    for record in all_of(INJECTIONS, some=SOME):
        situation = situation_of(record)
        for experiment in EXPERIMENTS:
            made = choose(experiment, situation, run=RUN, expires=EXPIRES)
            if not isinstance(made, Injection):
                continue
            if check(Draft(experiment=experiment, situation=situation, settings=SETTINGS, injection=made)):
                continue
            allowed += 1
            before = by_the_model(situation.mesh, record)
            after = by_the_model(situation.with_(made.after).mesh, record)
            found = list(broken_claims(made, experiment, situation, record, before, after))
            wrong += [f"{record['id']} {experiment.target.callers}: {one}" for one in found]
    assert not wrong, f"{len(wrong)} claims of {allowed} do not hold: " + "\n".join(wrong[:20])
    assert allowed
