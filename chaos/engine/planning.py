"""From an experiment to a plan: reads the cluster, asks every staging rule, writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from chaos import guard
from chaos.errors import MeshError, MetricsError
from chaos.guard import Draft
from chaos.injection.effect import governing_of
from chaos.injection.strategy import choose
from chaos.injection.warnings import warnings
from chaos.istio.exports import Object
from chaos.istio.hosts import service_fqdn, service_of
from chaos.istio.injection import DEFAULT_REVISION
from chaos.istio.mesh_config import ROOT_NAMESPACE, default_export, mesh_config_of
from chaos.istio.metrics import is_unknown
from chaos.istio.pods import hosts_with_own_pods, other_names
from chaos.istio.virtual_services import mirrored_by
from chaos.istio.workloads import Workload, workloads_of
from chaos.judge import hopeless, longest
from chaos.model.experiment import Experiment
from chaos.model.plan import Injection, Plan, Strategy
from chaos.model.settings import Settings
from chaos.model.situation import Situation, pods_right, services_right
from chaos.ports import Mesh, Metrics
from chaos.safety.marks import rfc3339
from chaos.values.led import Led
from chaos.values.questions import TRUE, Alerts, Comparison, Durations, Question, Requests, Side
from chaos.values.remarks import Refusal, Warn
from chaos.values.series import Series

T = TypeVar("T")
R = TypeVar("R", Refusal, Warn)
_SPARE: Final = timedelta(minutes=10)
"""What an injected object may outlive the declared limits by, before it counts as expired."""
_GROUP: Final = "networking.istio.io"
_PLURAL: Final = "virtualservices"
_WRITES: Final = ("create", "update")
_ASKED: Final = 50
"""Namespaces that are asked about, two questions each; enough to see a pattern."""
_LOOK_BACK: Final = 3600
"""Seconds of metrics in which callers are looked for."""
_RECENTLY: Final = 300
"""Seconds after whose last sample Prometheus too takes a series for gone."""


def look(
    mesh: Mesh,
    metrics: Metrics | None,
    experiment: Experiment,
    *,
    cluster: str = "",
    root: str = ROOT_NAMESPACE,
    writable_outside: tuple[str, ...] = (),
) -> tuple[Situation, ...]:
    """What matters to each of the experiment's targets now; the cluster's UID is asked for where it is not known.

    Raises:
        MeshError: the API can't be read.
    """
    around = {
        namespace: look_around(mesh, namespace, cluster=cluster, root=root, writable_outside=writable_outside)
        for namespace in experiment.namespaces
    }
    unanswered = tuple(_unanswered(metrics, experiment)) if metrics is not None else ()
    others, hidden = _services_elsewhere(mesh, experiment)
    found = []
    for target in (one.target for one in experiment.each()):
        here = around[target.namespace]
        here = replace(here, services=(*here.services, *others), hidden=hidden)
        if metrics is not None and target.namespace in here.namespaces:
            callers: Sequence[tuple[str, str]] = ()
            with suppress(MetricsError):  # the run itself will say that Prometheus is gone; a plan can do without
                callers = calling(metrics, here.destinations(service_fqdn(target.service, target.namespace)))
            uncounted = dict(_uncounted(metrics, experiment, here))
            here = replace(here, calling=callers, unanswered=unanswered, uncounted=uncounted)
        found.append(here)
    return tuple(found)


def look_around(mesh: Mesh, place: str, *, cluster: str, root: str, writable_outside: tuple[str, ...]) -> Situation:
    """What matters to all targets of a namespace, except who calls them."""
    namespaces = {n["metadata"]["name"]: n for n in mesh.namespaces()}
    if place not in namespaces:
        found = mesh.namespace(place)
        if found is not None:
            namespaces[place] = found
    there = place in namespaces
    blind: list[str] = []

    def seen(read: Callable[[], Sequence[Object]], right: str) -> Sequence[Object]:
        return _seen(read, right, blind) or () if there else ()

    sidecars = seen(partial(mesh.istio_objects, "Sidecar"), "list sidecars.networking.istio.io")
    entries = seen(partial(mesh.istio_objects, "ServiceEntry"), "list serviceentries.networking.istio.io")
    routes = seen(mesh.http_routes, "list httproutes.gateway.networking.k8s.io")
    of_grpc = seen(mesh.grpc_routes, "list grpcroutes.gateway.networking.k8s.io")
    services = seen(partial(mesh.services, place), services_right(place))
    pods = seen(partial(mesh.pods, place), pods_right(place))
    workloads = workloads_of(pods)
    return Situation(
        cluster=cluster or mesh.identity().uid,
        namespaces=namespaces,
        services=services,
        virtual_services=mesh.virtual_services() if there else (),
        destination_rules=mesh.istio_objects("DestinationRule") if there else (),
        workloads=workloads,
        writable_outside=writable_outside,
        default_exports=_default_exports(mesh, root, workloads, blind) if there else {},
        sidecars=sidecars,
        service_entries=entries,
        http_routes=(*routes, *of_grpc),
        root_namespace=root,
        unreadable=tuple(blind),
    )


def _services_elsewhere(mesh: Mesh, experiment: Experiment) -> tuple[Sequence[Object], Sequence[str]]:
    """Those of further namespaces of which a Service is counted, and the namespaces where they may not be read."""
    homes = {home[0] for host in experiment.claimed if (home := service_of(host)) is not None}
    hidden: list[str] = []
    found = [
        _seen(partial(mesh.services, namespace), namespace, hidden)
        for namespace in sorted(homes - set(experiment.namespaces))
    ]
    return [service for services in found for service in services or ()], hidden


def _seen(read: Callable[[], T | None], right: str, blind: list[str]) -> T | None:
    """The objects of a read. A denied read is noted, since objects that can't be read may exist."""
    try:
        return read()
    except MeshError as error:
        if error.status != 403:
            raise
        blind.append(right)
        return None


def _default_exports(
    mesh: Mesh, root: str, workloads: Sequence[Workload], blind: list[str]
) -> Mapping[str, tuple[str, ...]]:
    """The default of ``exportTo``, by each revision that configures one of the proxies."""
    revisions = {revision for one in workloads for revision in one.revisions} or {DEFAULT_REVISION}
    found = {}
    for revision in sorted(revisions):
        right = f"get configmaps/{mesh_config_of(revision)} in {root}"
        found[revision] = default_export(_seen(partial(mesh.mesh_config, root, revision), right, blind) or {})
    return found


def reach_of_credentials(mesh: Mesh, settings: Settings) -> tuple[str, ...]:
    """Namespaces outside the allowed ones in which the identity in use may write VirtualServices; ``*`` for all.

    Where the API server does not answer such questions, nothing is known, and nothing is warned of.
    """
    try:
        if any(mesh.may(verb, _PLURAL, group=_GROUP) for verb in _WRITES):
            return ("*",)
        names = [str(n["metadata"]["name"]) for n in mesh.namespaces()]
        outside = [name for name in names if not settings.lists(name)][:_ASKED]
        return tuple(
            name for name in outside if any(mesh.may(verb, _PLURAL, group=_GROUP, namespace=name) for verb in _WRITES)
        )
    except MeshError:
        return ()


def calling(metrics: Metrics, hosts: Sequence[str]) -> Sequence[tuple[str, str]]:
    """``(namespace, workload)`` that called one of these hosts in the last hour.

    Raises:
        MetricsError: the metrics do not answer.
    """
    series = [one for host in hosts for one in metrics.samples(Requests(host=host), seconds=_LOOK_BACK)]
    return sorted(
        {(s.labels.get("source_workload_namespace", ""), s.labels.get("source_workload", "")) for s in series}
    )


def _uncounted(metrics: Metrics, experiment: Experiment, situation: Situation) -> Iterator[tuple[str, int]]:
    """Hosts that are counted of which no caller's proxy counted a request, with those that callers without a proxy sent there.

    Where a caller is known by its proxy, that is there, and only not scraped.
    """
    every = experiment.every
    asked = (question for one in every for question in one.questions(experiment.target.namespace))
    hosts = {one.host for one in asked if isinstance(one, Requests | Durations) and one.side is Side.CALLERS}
    with suppress(MetricsError):
        for host in sorted(hosts):
            parts = situation.destinations(host)
            if any(
                metrics.samples(Requests(host=part), seconds=back) for back in (_RECENTLY, _LOOK_BACK) for part in parts
            ):
                continue
            questions = [Requests(host=part, side=Side.CALLED) for part in parts]
            arrived = [series for one in questions for series in metrics.samples(one, seconds=_LOOK_BACK)]
            if all(is_unknown(series.labels) for series in arrived):
                yield host, round(sum(series.samples[-1][1] - series.samples[0][1] for series in arrived))


def _unanswered(metrics: Metrics, experiment: Experiment) -> Iterator[Question]:
    """Where the metrics do not answer at all, nothing is known: the run will say so."""
    every = experiment.every
    for question in dict.fromkeys(asked for one in every for asked in one.answered_always(experiment.target.namespace)):
        with suppress(MetricsError):
            if not any(_is_answer(question, one) for one in metrics.samples(question, seconds=_RECENTLY)):
                yield question


def _is_answer(question: Question, found: Series) -> bool:
    """Whether a series is the one that is asked about: alerts of other names come along, and a comparison always has a sample."""
    if isinstance(question, Comparison):
        return found.samples[-1][1] == TRUE
    return not isinstance(question, Alerts) or found.labels.get("alertname") == question.name


def make_plan(
    experiment: Experiment,
    situations: Sequence[Situation],
    settings: Settings,
    *,
    run: str,
    now: float,
    file: str = "",
    declared: str = "",
) -> Plan:
    """The plan, refused or not. Pure but for its inputs: the same situations give the same plan.

    Args:
        experiment: What to plan.
        situations: One for each of its faults.
        settings: What may be touched.
        run: The run's id.
        now: On the API server's clock, by which sweeps anywhere decide what has expired.
        file: Where the experiment was declared.
        declared: Its text as declared.
    """
    expires = datetime.fromtimestamp(now, UTC) + longest(experiment) + _SPARE
    injections: list[Injection] = []
    refused: dict[str, Sequence[Refusal]] = {}
    planned = list(zip(experiment.each(), situations, strict=True))
    for one, situation in planned:
        chosen = choose(one, situation, run=run, expires=expires, file=file, since=rfc3339(now))
        injection = chosen if isinstance(chosen, Injection) else None
        found = [
            refusal
            for stage in (injection.different if injection else (None,))
            for refusal in guard.check(Draft(experiment=one, situation=situation, settings=settings, injection=stage))
        ]
        refused[str(one.target)] = [*found, chosen] if isinstance(chosen, Refusal) else found
        injections += [injection] if injection is not None else []
    refusals = (*_by_target(refused), *(one.refusal for one in hopeless(experiment)))
    led = tuple(led_in(experiment, situations))
    warned: dict[str, Sequence[Warn]] = {}
    if not refusals:
        for (one, situation), injection in zip(planned, injections, strict=True):
            warned[str(one.target)] = tuple(warnings(one, situation, injection, host=injection.host))
    return Plan(
        run=run,
        experiment=experiment,
        file=file,
        declared=declared,
        injections=tuple(injections),
        compared=tuple(sorted({host for one in situations for host in _compared(one)})),
        led=led,
        warnings=tuple(_by_target(warned)),
        refusals=refusals,
    )


def led_in(experiment: Experiment, situations: Sequence[Situation]) -> Iterator[Led]:
    """Where requests to the hosts that a run counts are counted beside them: where routes may send them, and as what their pods know them."""
    targets = [one.target for one in experiment.each()]
    homes = dict(zip([one.namespace for one in targets], situations, strict=True))
    hosts = (*(service_fqdn(one.service, one.namespace) for one in targets), *experiment.claimed)
    for host in dict.fromkeys(hosts):
        home, _ = service_of(host) or ("", "")
        situation = homes.get(home, situations[0])
        destinations = situation.destinations(host)
        yield from (Led(host=host, destination=one) for one in destinations[1:])
        for name in other_names(host, situation.services, situation.workloads):
            if name not in destinations:
                yield Led(host=host, destination=name, side=Side.CALLED)


def _compared(situation: Situation) -> Iterator[str]:
    """The hosts at which nothing arrives but what their callers sent to them."""
    copied = {host for vs in situation.virtual_services for host in mirrored_by(vs)}
    # Situations of several namespaces have the Services of each.
    for namespace in {one["metadata"]["namespace"] for one in situation.services}:
        services = [one for one in situation.services if one["metadata"]["namespace"] == namespace]
        yield from (host for host in hosts_with_own_pods(services, situation.workloads) if host not in copied)


def _by_target(found: Mapping[str, Sequence[R]]) -> Iterator[R]:
    """The warnings of all targets, each with its target; one that is the same for all of several is there once."""
    every = [one for remarks in found.values() for one in remarks]
    for one in dict.fromkeys(every):
        whose = [target for target, remarks in found.items() if one in remarks]
        if len(whose) == len(found):
            yield one
        else:
            yield one.model_copy(update={"message": f"{', '.join(whose)}: {one.message}"})


def dry_run(mesh: Mesh, plan: Plan) -> Plan:
    """The plan, with the API server's own opinion of its objects: warnings, or a refusal."""
    if not plan.allowed:
        return plan
    refusals, warned = list(plan.refusals), list(plan.warnings)
    for injection in plan.injections:
        patches = injection.strategy is Strategy.PATCH
        write = mesh.replace_virtual_service if patches else mesh.create_virtual_service
        try:
            _, said = write(injection.after, dry_run=True)
        except MeshError as error:
            if not error.refused:
                raise
            refusals.append(
                Refusal(
                    rule="rejected-by-api",
                    value=injection.place,
                    message=f"the API server rejects the object: {error.message}",
                    hint=error.hint or "see the object with `chaosctl plan`",
                )
            )
        else:
            warned += [Warn(code="api-warning", message=text) for text in said]
    return plan.model_copy(update={"refusals": tuple(refusals), "warnings": tuple(warned)})


def governing_now(mesh: Mesh, experiment: Experiment, situation: Situation) -> Object | None:
    """The VirtualService that governs the target's callers at this moment; all else is as the situation has it."""
    found = governing_of(experiment, replace(situation, virtual_services=mesh.virtual_services()))
    return None if isinstance(found, Refusal) else found
