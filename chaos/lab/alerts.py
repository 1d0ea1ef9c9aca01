"""PrometheusRules: alert and recording rules for the lab's Prometheus, as the Prometheus Operator loads them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

from chaos.lab.api.resources import PROMETHEUS_RULES
from chaos.lab.api.store import Event, Store
from chaos.lab.api.validation import Validation, Validator
from chaos.lab.istio.validation import schema as s

_LIMIT: Final = 20
_RULE: Final = s.obj(
    {
        "alert": s.STRING, "record": s.STRING, "expr": s.Node(kind="any"), "for": s.STRING, "keep_firing_for": s.STRING,
        "labels": s.LABELS, "annotations": s.LABELS,
    },
    required=("expr",),
)  # fmt: skip
SPEC: Final = s.obj(
    {
        "groups": s.array(
            s.obj(
                {
                    "name": s.STRING, "interval": s.STRING, "limit": s.INT32, "query_offset": s.STRING,
                    "labels": s.LABELS, "partial_response_strategy": s.STRING, "rules": s.array(_RULE),
                },
                required=("name",),
            )
        )
    }
)  # fmt: skip
_NOT_PROMETHEUS: Final = ("partial_response_strategy",)


def validator(promtool: Path | None) -> Validator:
    """Checks PrometheusRules by the operator's schema, and their rules by Prometheus' own checker if it is there."""

    def validate(obj: dict[str, Any]) -> Validation:
        spec = obj.get("spec") or {}
        found = s.check(SPEC, spec, ("spec",))
        if found.causes:
            return Validation(causes=found.causes, unknown=found.unknown)
        names = [group["name"] for group in spec.get("groups") or ()]
        twice = sorted({name for name in names if names.count(name) > 1})
        denied = f"groups must have names of their own: {', '.join(twice)}" if twice else ""
        if not denied and promtool is not None:
            denied = _check(promtool, rule_file([obj]))
        return Validation(denied=denied, unknown=found.unknown)

    return validate


def _check(promtool: Path, text: str) -> str:
    """What promtool says against the rules; empty where it takes them."""
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        command = [str(promtool), "check", "rules", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    if done.returncode == 0:
        return ""
    lines = [line.strip().removeprefix(f"{file.name}: ") for line in done.stderr.splitlines()]
    return " ".join([line for line in lines if line and line != "FAILED:"][:3]) or "promtool rejects the rules"


def rule_file(rules: Iterable[Mapping[str, Any]]) -> str:
    """The objects' groups as one file for Prometheus; a group's name has the object that it is from."""
    groups = [
        {
            **{key: value for key, value in group.items() if key not in _NOT_PROMETHEUS},
            "name": f"{one['metadata'].get('namespace', '')}/{one['metadata'].get('name', '')}/{group['name']}",
        }
        for one in rules
        for group in (one.get("spec") or {}).get("groups") or ()
    ]
    return json.dumps({"groups": groups}, indent=1)


def follow(store: Store, load: Callable[[str], None]) -> None:
    """Hands all rules to ``load`` whenever a PrometheusRule changes."""

    def notice(event: Event) -> None:
        if event.resource is PROMETHEUS_RULES:
            load(rule_file(store.list(PROMETHEUS_RULES)))

    store.subscribe(notice)
