"""Was something committed that a run of this harness wrote?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import ISTIO, Hit, Manifest, Path
from chaos.model.marks import ALPHABET, EXPERIMENT_LABEL, EXPIRES, RUN_LABEL, TARGET, UNDO, prefix_of

_ROUTE: Final = re.compile(prefix_of(f"[{ALPHABET}]{{8}}"))


def nothing_of_a_run_is_committed(linted: Linted) -> Iterator[Hit]:
    """Labels, annotations and routes of a run belong into a cluster for its minutes, never into a repository."""
    for one in linted.manifests:
        mark = next(_marks(one), None)
        if mark is not None:
            path, what = mark
            yield Hit(
                manifest=one,
                path=path,
                message=f"{one.title} carries {what}: a run of this harness wrote it",
                hint="somebody exported it during a run: delete it, and check with chaosctl status whether that run has ended",
            )


def _marks(one: Manifest) -> Iterator[tuple[Path, str]]:
    metadata = one.data["metadata"]
    for place, keys in (("labels", (RUN_LABEL, EXPERIMENT_LABEL)), ("annotations", (UNDO, EXPIRES, TARGET))):
        for key in keys:
            if key in metadata.get(place, {}):
                yield ("metadata", place, key), f"the {place[:-1]} {key}"
    for index, route in enumerate(one.spec.get("http", ()) if one.is_a("VirtualService", ISTIO) else ()):
        if _ROUTE.match(route.get("name", "")):
            yield ("spec", "http", index, "name"), f"the route {route['name']}"
