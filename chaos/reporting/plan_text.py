"""A plan for people: strategy, callers, warnings, refusals, and the object as a diff."""

from __future__ import annotations

import difflib
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML

from chaos.model.experiment import Experiment
from chaos.model.plan import Injection, Plan, Strategy
from chaos.values.quantities import format_duration

_SERVER_SIDE = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")


def plan_text(plan: Plan) -> str:
    """The whole plan as plain text."""
    experiment = plan.experiment
    lines = [f"{experiment.name}: {experiment.headline}"]
    lines += [f"about:     {' '.join(experiment.description.split())}"] if experiment.description else []
    if plan.refusals:
        lines.append("refused:")
        for refusal in plan.refusals:
            lines += [f"  {refusal.rule}: {refusal.message}", f"    hint: {refusal.hint}", f"    more: {refusal.more}"]
        return "\n".join(lines)
    for one in plan.injections:
        callers = [f"{c.namespace}/{c.workload} ({len(c.pods)} pods)" for c in one.callers]
        lines += [
            f"strategy:  {one.strategy} ({_meaning(one)})",
            f"target:    {one.host}",
            f"fault:     {one.fault}",
            f"callers:   {', '.join(callers) or 'none known yet'}",
        ]
    lines += [f"counts:    {host} also at {', '.join(others)}" for host, others in _counted(plan).items()]
    lines.append(f"observes:  {_observed(experiment)}")
    lines += [f"warning:   {warning.code}: {warning.message}" for warning in plan.warnings]
    for one in plan.injections:
        lines += ["", diff(one)]
    return "\n".join(lines)


def diff(injection: Injection) -> str:
    """The object that governs now against the one to be written, as a unified diff of their YAML."""
    before = as_yaml(injection.before) if injection.before is not None else ""
    after = as_yaml(injection.after)
    meta = injection.before["metadata"] if injection.before is not None else None
    stays = "" if injection.strategy is Strategy.PATCH else " (stays as it is)"
    source = f"{meta['namespace']}/{meta['name']}{stays}" if meta else "no VirtualService"
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            fromfile=source,
            tofile=injection.place,
            n=100,
        )
    ).rstrip()


def as_yaml(obj: Mapping[str, Any]) -> str:
    """An object as YAML, without what the API server keeps for itself."""
    shown = {key: value for key, value in obj.items() if key != "status"}
    shown["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in _SERVER_SIDE}
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.dump(_plain(shown), out)
    return out.getvalue()


def _plain(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, list | tuple) else node


def _observed(experiment: Experiment) -> str:
    """How long, and what may come in such a phase without being seen by each expectation, with the declared confidence."""
    seconds = experiment.observed_for.total_seconds()
    times = math.log(max(1, len(experiment.steady_state)) / (1 - experiment.confidence))
    stays = format_duration(experiment.stays_good_for)
    quick = " (quick: for trying only)" if experiment.profile == "quick" else ""
    return (
        f"the fault for at least {seconds:g} s, and that all stays good for {stays} afterwards{quick}; errors that come more "
        f"rarely than every {seconds / times:.1f} s on average may be missed"
    )


def _counted(plan: Plan) -> Mapping[str, Sequence[str]]:
    """Where requests to a host are counted beside it."""
    found: dict[str, list[str]] = {}
    for one in plan.led:
        found.setdefault(one.host, []).append(
            one.destination if one.side is None else f"{one.destination} (by its own pods)"
        )
    return found


def _meaning(injection: Injection) -> str:
    return {
        "create": "the host has no VirtualService: the run creates one, and deletes it afterwards",
        "overlay": "the run creates a private copy of the governing VirtualService, and deletes it afterwards",
        "patch": "the run inserts the fault into the private VirtualService that governs, and restores it afterwards",
    }.get(injection.strategy, injection.strategy.value)
