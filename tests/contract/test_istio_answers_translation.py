"""The lab's translation against what Istio's own code made of the same objects: routes by port, and clusters.

The recordings are beside the project and are not part of it; ``ISTIO_ANSWERS`` names other ones of the same form.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from chaos.lab.api.resources import Resource
from chaos.lab.istio.proxy import Proxy
from chaos.lab.istio.registry import Registry
from chaos.lab.istio.snapshot import Endpoint, Service, Snapshot
from chaos.lab.istio.translate import translate
from tests.contract import envoy_meaning as envoy

Object = dict[str, Any]
Difference = tuple[str, str, Any, Any]
"""What it is (a path in the configuration), where, the lab's, Istio's."""
HTTP: Final = 80


class Recorded:
    """A record's objects, where the registry reads."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._objects: dict[str, list[Object]] = {}
        for one in objects:
            self._objects.setdefault(one["kind"], []).append(one)

    def list(self, res: Resource, namespace: str | None = None) -> list[Object]:
        return [one for one in self._objects.get(res.kind, ()) if namespace in (None, one["metadata"]["namespace"])]

    def find(self, res: Resource, namespace: str | None, name: str) -> Object | None:
        return next((one for one in self.list(res, namespace) if one["metadata"]["name"] == name), None)


def proxy_of(described: Mapping[str, Any]) -> Proxy:
    name = described["name"]
    return Proxy(
        pod=name, namespace=described["namespace"], kind=described.get("type", "sidecar"), labels=described["labels"],
        workload=name, app=name, version="", service_account=name, ip=described.get("ip", "127.0.0.76"), inbound={},
        directory=Path(),
    )  # fmt: skip


def snapshot_of(record: Mapping[str, Any]) -> Snapshot:
    """As the registry reads it. Each Service has endpoints with a proxy, one for each set of labels that a subset asks for:
    without any, the lab would not say how they are secured."""
    objects = [*record["services"], *record["configs"]]
    if record["mesh"]:
        data = {"mesh": json.dumps(record["mesh"])}
        objects.append({"kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"}, "data": data})
    snapshot = Registry(Recorded(objects), {}).snapshot()
    rules = [one for one in record["configs"] if one["kind"] == "DestinationRule"]
    subsets = [subset for rule in rules for subset in rule["spec"].get("subsets") or ()]
    ends = tuple(
        Endpoint("127.0.0.9", 80, subset.get("labels") or {}, {}, uri="spiffe://of/endpoints", mutual=True)
        for subset in [{}, *subsets]
    )

    def filled(service: Service) -> Service:
        return dataclasses.replace(
            service, endpoints={} if service.headless else {p.number: ends for p in service.ports}
        )

    return dataclasses.replace(snapshot, services=tuple(map(filled, snapshot.services)))


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
            for what, where, one, two in _routes(mine, theirs, port):
                yield what, f"{record['id']} {who.pod} {name} {where}", one, two
        for what, where, one, two in _clusters(lab["clusters"], istio.get("clusters")):
            yield what, f"{record['id']} {who.pod} {where}", one, two


def _routes(mine: Object, theirs: Object, port: int | None) -> Iterator[Difference]:
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
        yield from ((what, domain, one, two) for what, one, two in envoy.differing(_host(lab), _host(istio)))


def _answers_nobody(host: Mapping[str, Any] | None) -> bool:
    """A host that nobody knows: Istio passes it through or answers 404, the lab's sidecar answers 502 (docs/reference/lab.md)."""
    return host is None or host["name"] in ("block_all", "allow_any") or host["name"].startswith("blackhole:")


def _domains(hosts: Sequence[Mapping[str, Any]], port: int | None) -> set[str]:
    found = {domain for host in hosts for domain in host["domains"]}
    if port is not None:
        found = {domain.removesuffix(f":{port}") for domain in found if domain.endswith(f":{port}")}
    return {domain for domain in found if ":" not in domain and domain != "*"} | (set() if port else found & {"*"})


def _host(found: Mapping[str, Any]) -> Any:
    left_out = ("name", "domains")
    return envoy.meaning({"routes": [], **{key: value for key, value in found.items() if key not in left_out}})


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


if __name__ == "__main__":
    import gzip
    import sys

    folder = Path("/work/shared/data/istio-answers/translation")
    for path in sorted(folder.glob("*.gz")):
        if len(sys.argv) > 1 and sys.argv[1] not in path.name:
            continue
        found: Counter[str] = Counter()
        examples: dict[str, list[Any]] = {}
        bad: set[str] = set()
        n = 0
        for line in gzip.open(path, "rt"):
            record = json.loads(line)
            n += 1
            try:
                for what, where, one, two in differences(record):
                    found[what] += 1
                    bad.add(record["id"])
                    examples.setdefault(what, []).append((where, one, two))
            except Exception as error:
                found[f"CRASH {error!r}"] += 1
                examples.setdefault(f"CRASH {error!r}", []).append((record["id"], "", ""))
        print(f"{path.name}: {sum(found.values())} differences in {len(bad)} of {n} records")
        show = int(sys.argv[2]) if len(sys.argv) > 2 else 0
        for what, count in found.most_common():
            print(f"  {count:6} {what}")
            for where, one, two in examples[what][:show]:
                print(
                    f"           {where}\n             lab   {json.dumps(one)[:400]}\n             istio {json.dumps(two)[:400]}"
                )
