"""The lab's translation against what Istio's own code made of the same objects: routes by port, and clusters.

The recordings are beside the project and are not part of it; ``ISTIO_ANSWERS`` names other ones of the same form.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import pytest

from chaos.lab.istio.translate import translate
from tests.contract import answers
from tests.contract import envoy_meaning as envoy
from tests.contract.recorded_mesh import proxy_of, snapshot_of

Object = dict[str, Any]
Difference = tuple[str, str, Any, Any]
"""What it is (a path in the configuration), where, the lab's, Istio's."""
HTTP: Final = 80
FILES: Final = answers.files("translation")
pytestmark = answers.needed("translation")


def differences(record: Mapping[str, Any]) -> Iterator[Difference]:
    snapshot = snapshot_of(record)
    for described, istio in zip(record["proxies"], record["istio"], strict=True):
        who = proxy_of(described)
        lab = json.loads(json.dumps(translate(who, snapshot)))
        routes = {one["name"]: one for one in lab["routes"]}
        for name, theirs in istio["routes"].items():
            if who.kind == "router":
                mine, port = routes.get(name, {"virtual_hosts": []}), None
            else:
                mine, port = routes["outbound"], int(name)
            known = {envoy.listening(one["name"]) for one in istio.get("clusters") or ()} or None
            for what, where, one, two in _routes(mine, theirs, port, known):
                yield what, f"{record['id']} {who.pod} {name} {where}", one, two
        for what, where, one, two in _clusters(lab["clusters"], istio.get("clusters")):
            yield what, f"{record['id']} {who.pod} {where}", one, two


def _routes(mine: Object, theirs: Object, port: int | None, known: Collection[str] | None) -> Iterator[Difference]:
    """``known``: hosts with their ports of which there are clusters; ``None`` where none were recorded."""
    for key in ("max_direct_response_body_size_bytes", "validate_clusters"):
        if mine.get(key) != theirs.get(key):
            yield f"routes .{key}", "", mine.get(key), theirs.get(key)
    own = mine["virtual_hosts"]
    for domain in sorted(_domains(own, port) | _domains(theirs.get("virtual_hosts") or (), None)):
        asked = domain.replace("*", "any-other", 1)
        lab = envoy.chosen(own, asked if port in (None, HTTP) else f"{asked}:{port}")
        istio = envoy.chosen(theirs.get("virtual_hosts") or (), asked)
        nobody = _answers_nobody(lab), _answers_nobody(istio)
        if lab is None or istio is None or any(nobody):
            if nobody[0] != nobody[1]:
                yield "domain of one alone", domain, not nobody[0], not nobody[1]
            continue
        yield from (
            (what, domain, one, two)
            for what, one, two in envoy.differing(envoy.virtual_host(lab, known), envoy.virtual_host(istio, known))
        )


def _answers_nobody(host: Mapping[str, Any] | None) -> bool:
    """A host that nobody knows: Istio passes it through or answers 404, the lab's sidecar answers 502 (docs/reference/lab.md)."""
    return host is None or host["name"] in ("block_all", "allow_any") or host["name"].startswith("blackhole:")


def _domains(hosts: Sequence[Mapping[str, Any]], port: int | None) -> set[str]:
    found = {domain for host in hosts for domain in host["domains"]}
    if port is not None:
        found = {domain.removesuffix(f":{port}") for domain in found if domain.endswith(f":{port}")}
    return {domain for domain in found if ":" not in domain and domain != "*"} | (set() if port else found & {"*"})


def _clusters(mine: Sequence[Object], theirs: Sequence[Object] | None) -> Iterator[Difference]:
    if theirs is None:
        return
    lab, istio = ({one["name"]: one for one in side if one["name"].startswith("outbound|")} for side in (mine, theirs))
    for name in sorted({*lab, *istio}):
        if name not in lab or name not in istio:
            yield "cluster of one alone", name, name in lab, name in istio
            continue
        found = envoy.differing(envoy.cluster(lab[name]), envoy.cluster(istio[name]))
        yield from ((f"cluster {what}", name, one, two) for what, one, two in found)


@pytest.mark.parametrize("name", FILES)
def test_the_lab_translates_as_istio_does(name: str, record_property: Callable[[str, object], None]) -> None:
    found: Counter[str] = Counter()
    examples: dict[str, str] = {}
    records = list(answers.records(name))
    for record in records:
        for what, where, lab, istio in differences(record):
            found[what] += 1
            examples.setdefault(what, f"{where}: the lab says {lab}, Istio {istio}")
    told = [f"{count} times {what}, as at {examples[what]}" for what, count in found.most_common()]
    record_property("figure", f"translation: {name}: {len(records)} meshes, {found.total()} differences")
    assert records, "no record at all"
    assert not told, "\n".join(told)
