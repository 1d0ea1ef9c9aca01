"""The printed admission policy on the lab's API server, which enforces it: who may write what, and why not."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chaos.lab.api.resources import NAMESPACES
from chaos.manifests.admission import admission
from chaos.model.settings import Settings
from chaos.values.documents import as_documents
from tests.support import loopback
from tests.support.api_server import CONTEXT, ApiServer
from tests.support.kubectl import needs_kubectl, run_kubectl

VERSIONS = ("v1", "v1beta1", "v1alpha3")
HARNESS = ("chaos-harness", "chaos-harness")
OTHER = ("staging", "somebody")
RUN = "abcdefgh"
PREFIX = "chaos-harness.dev"
SETTINGS = Settings.model_validate(
    {"namespaces": ["staging", "team-*-staging"], "caps": {"percentage": 60, "delay": "5s", "duration": "10m"}}
)


def abort(share: Any = 50, **more: Any) -> dict[str, Any]:
    return {"abort": {"httpStatus": 503, "percentage": {"value": share}, **more}}


def vs(*, namespace: str = "staging", fault: Any = None, http: Any = None, **spec: Any) -> dict[str, Any]:
    route: dict[str, Any] = {"route": [{"destination": {"host": "inventory-svc"}}]}
    if fault is not None:
        route["fault"] = fault
    whole = {"hosts": ["inventory-svc"], "exportTo": ["."], "http": http if http is not None else [route], **spec}
    kept = {key: value for key, value in whole.items() if value is not None}
    kind = {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService"}
    return {**kind, "metadata": {"name": "x", "namespace": namespace}, "spec": kept}


def ours(obj: dict[str, Any], *, expires: str = "2026-01-01T00:05:00Z") -> dict[str, Any]:
    """With the marks that a run writes."""
    obj["metadata"] |= {
        "name": f"chaos-{RUN}-inventory-svc",
        "labels": {f"{PREFIX}/run": RUN},
        "annotations": {f"{PREFIX}/expires": expires},
    }
    obj["spec"]["http"][0]["name"] = f"chaos-{RUN}-inventory-svc"
    return obj


class Cluster:
    """An API server with the policy, and a client for each who asks."""

    def __init__(self, folder: Path) -> None:
        self.server = ApiServer(folder)
        host, port = self.server.address
        self.url = f"http://{host}:{port}"
        self.admin = loopback.Client(base_url=self.url)
        self._clients = [self.admin]
        labels = {
            "chaos-harness": {}, "istio-system": {"env": "staging"}, "unlabelled-staging": {}, "team-a-staging": {"env": "staging"},
            "team-b-staging": {"env": "production"}, "elsewhere": {"env": "staging"},
        }  # fmt: skip
        for name, own in labels.items():
            self.server.store.create(NAMESPACES, {"metadata": {"name": name, "labels": own}})
        self.harness, self.other = self._user(*HARNESS), self._user(*OTHER)

    def _user(self, namespace: str, name: str) -> httpx.Client:
        """A service account that RBAC lets do everything, so that only the policy says no."""
        accounts, rbac = f"/api/v1/namespaces/{namespace}/serviceaccounts", "/apis/rbac.authorization.k8s.io/v1"
        self.admin.post(accounts, json={"metadata": {"name": name}}).raise_for_status()
        rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
        self.admin.post(f"{rbac}/clusterroles", json={"metadata": {"name": name}, "rules": rules}).raise_for_status()
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        }
        self.admin.post(f"{rbac}/clusterrolebindings", json=binding).raise_for_status()
        token = self.admin.post(f"{accounts}/{name}/token", json={"spec": {}}).json()["status"]["token"]
        made = loopback.Client(base_url=self.url, headers={"authorization": f"Bearer {token}"})
        self._clients.append(made)
        return made

    def enforce(self, **options: Any) -> None:
        group = "/apis/admissionregistration.k8s.io/v1"
        policy, binding = admission(SETTINGS, home=HARNESS[0], **options)
        for plural, obj in (("validatingadmissionpolicies", policy), ("validatingadmissionpolicybindings", binding)):
            answer = self.admin.post(f"{group}/{plural}", json=obj)
            assert answer.status_code == 201, answer.text

    def close(self) -> None:
        for one in self._clients:
            one.close()
        self.server.stop()


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    made.enforce()
    yield made
    made.close()


@pytest.fixture
def cluster(enforced: Cluster) -> Iterator[Cluster]:
    """One with the policy, which a test leaves without VirtualServices."""
    yield enforced
    for obj in enforced.admin.get("/apis/networking.istio.io/v1/virtualservices").json()["items"]:
        assert enforced.admin.delete(f"{path(obj)}/{obj['metadata']['name']}").status_code == 200


def path(obj: dict[str, Any], version: str = "v1") -> str:
    return f"/apis/networking.istio.io/{version}/namespaces/{obj['metadata']['namespace']}/virtualservices"


def create(client: httpx.Client, obj: dict[str, Any], version: str = "v1") -> httpx.Response:
    return client.post(path(obj, version), json={**obj, "apiVersion": f"networking.istio.io/{version}"})


def replace(client: httpx.Client, place: str, obj: dict[str, Any], **asked: Any) -> httpx.Response:
    """A PUT on what is there now."""
    version = client.get(place).json()["metadata"]["resourceVersion"]
    return client.put(place, json={**obj, "metadata": {**obj["metadata"], "resourceVersion": version}}, **asked)


def named(answer: httpx.Response) -> str:
    """The rule that said no; empty where nobody did."""
    if answer.status_code < 400:
        return ""
    said = str(answer.json()["message"])
    assert "denied request: " in said, said
    return said.split("denied request: ")[1].partition(":")[0]


FORBIDDEN: list[tuple[str, dict[str, Any], str]] = [
    ("production", vs(namespace="production", fault=abort()), "fault-outside-staging"),
    ("production, one that governs staging", vs(namespace="production", fault=abort(), hosts=["a.staging.svc.cluster.local"]), "fault-outside-staging"),
    ("production, a delay", vs(namespace="production", fault={"delay": {"fixedDelay": "1s", "percentage": {"value": 1}}}), "fault-outside-staging"),
    ("production, a share so small", vs(namespace="production", fault=abort(0.0001)), "fault-outside-staging"),
    ("production, the second route", vs(namespace="production", http=[*vs()["spec"]["http"], *vs(fault=abort())["spec"]["http"]]), "fault-outside-staging"),
    ("production, a delegate", vs(namespace="production", fault=abort(), hosts=None, exportTo=None), "fault-outside-staging"),
    ("listed, without the label", vs(namespace="team-b-staging", fault=abort()), "fault-outside-staging"),
    ("labelled, not listed", vs(namespace="elsewhere", fault=abort()), "fault-outside-staging"),
    ("the root namespace", vs(namespace="istio-system", fault=abort()), "fault-outside-staging"),
    ("neither", vs(namespace="unlabelled-staging", fault=abort()), "fault-outside-staging"),
    ("no exportTo", vs(fault=abort(), exportTo=None), "export-outside"),
    ("everybody", vs(fault=abort(), exportTo=["*"]), "export-outside"),
    ("production sees it", vs(fault=abort(), exportTo=[".", "production"]), "export-outside"),
    ("the root sees it", vs(fault=abort(), exportTo=["istio-system"]), "export-outside"),
    ("a host of production", vs(fault=abort(), hosts=["a.production.svc.cluster.local"]), "host-outside"),
    ("one of two hosts", vs(fault=abort(), hosts=["a", "a.production.svc.cluster.local"]), "host-outside"),
    ("a wildcard", vs(fault=abort(), hosts=["*.staging.svc.cluster.local"]), "host-outside"),
    ("a name outside", vs(fault=abort(), hosts=["example.com"]), "host-outside"),
    ("not quite staging", vs(fault=abort(), hosts=["a.xstaging.svc.cluster.local"]), "host-outside"),
    ("a delegate", vs(fault=abort(), hosts=None, exportTo=["."]), "host-outside"),
    ("a gateway", vs(fault=abort(), gateways=["shared/door", "mesh"]), "gateway-bound"),
    ("a gateway by its match", vs(http=[{**vs(fault=abort())["spec"]["http"][0], "match": [{"gateways": ["door"]}]}], gateways=["door", "mesh"]), "gateway-bound"),
    ("one of two blocks at a gateway", vs(http=[{**vs(fault=abort())["spec"]["http"][0], "match": [{"gateways": ["mesh"]}, {"uri": {"prefix": "/"}}]}], gateways=["door", "mesh"]), "gateway-bound"),
    ("too many", vs(fault=abort(60.5)), "percentage-capped"),
    ("far too many, delayed", vs(fault={"delay": {"fixedDelay": "1s", "percentage": {"value": 61}}}), "percentage-capped"),
    ("the old way to say it", vs(fault={"delay": {"fixedDelay": "1s", "percent": 80}}), "percentage-capped"),
    ("too long", vs(fault={"delay": {"fixedDelay": "5.001s", "percentage": {"value": 1}}}), "delay-capped"),
    ("minutes", vs(fault={"delay": {"fixedDelay": "1m", "percentage": {"value": 1}}}), "delay-capped"),
    ("our marks", ours(vs(fault=abort())), "mark-of-the-harness"),
    ("our label alone", {**vs(), "metadata": {"name": "x", "namespace": "staging", "labels": {f"{PREFIX}/run": RUN}}}, "mark-of-the-harness"),
    ("our annotation alone", {**vs(), "metadata": {"name": "x", "namespace": "production", "annotations": {f"{PREFIX}/undo": "{}"}}}, "mark-of-the-harness"),
    ("our route's name alone", vs(http=[{**vs()["spec"]["http"][0], "name": f"chaos-{RUN}-inventory-svc"}]), "mark-of-the-harness"),
]  # fmt: skip
ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("no fault in production", vs(namespace="production", exportTo=None)),
    ("wildcards, gateways and everybody, without a fault", vs(hosts=["*.example.com"], gateways=["door"], exportTo=["*"])),
    ("a fault in staging", vs(fault=abort())),
    ("a fault where a pattern allows", vs(namespace="team-a-staging", fault=abort())),
    ("seen by another allowed one", vs(fault=abort(), exportTo=[".", "team-a-staging"])),
    ("the whole name", vs(fault=abort(), hosts=["inventory-svc.staging.svc.cluster.local"])),
    ("just as many and as long", vs(fault={**abort(60), "delay": {"fixedDelay": "5s", "percentage": {"value": 60}}})),
    ("without a share: it injects nothing", vs(fault={"abort": {"httpStatus": 503}})),
    ("kept off the gateway", vs(http=[{**vs(fault=abort())["spec"]["http"][0], "match": [{"gateways": ["mesh"]}]}, *vs()["spec"]["http"]], gateways=["door", "mesh"])),
    ("another tool's label", {**vs(), "metadata": {"name": "x", "namespace": "staging", "labels": {"chaos": "yes"}}}),
    ("a route with a name of their own", vs(http=[{**vs()["spec"]["http"][0], "name": "chaos-monkey"}])),
]  # fmt: skip


@pytest.mark.parametrize(("what", "obj", "rule"), FORBIDDEN, ids=[what for what, *_ in FORBIDDEN])
def test_nobody_may(cluster: Cluster, what: str, obj: dict[str, Any], rule: str) -> None:
    for client in (cluster.other, cluster.admin):
        for version in VERSIONS:
            answer = create(client, obj, version)
            assert named(answer) == rule, answer.text
            assert answer.status_code == (422 if rule.endswith("capped") else 403)
    assert create(cluster.other, obj).json()["message"].startswith('virtualservices.networking.istio.io "')
    harmless = {
        **vs(namespace=obj["metadata"]["namespace"]),
        "metadata": {"name": "x", "namespace": obj["metadata"]["namespace"]},
    }
    assert create(cluster.other, harmless).status_code == 201
    place = f"{path(obj)}/x"
    changed = {**obj, "metadata": {**obj["metadata"], "name": "x"}}
    assert named(replace(cluster.other, place, changed)) == rule, "an update is no way around"
    merge = {"content-type": "application/merge-patch+json"}
    patch = {
        "spec": {key: obj["spec"].get(key) for key in ("hosts", "http", "exportTo", "gateways")},
        "metadata": obj["metadata"] | {"name": "x"},
    }
    assert named(cluster.other.patch(place, json=patch, headers=merge)) == rule, "nor is a patch"
    if rule == "fault-outside-staging" or {"hosts", "exportTo"} <= obj["spec"].keys():  # applying takes nothing away
        applied = {"content-type": "application/apply-patch+yaml"}
        sent = json.dumps({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", **changed})
        asked = {"fieldManager": "somebody", "force": "true"}
        assert named(cluster.other.patch(place, content=sent, headers=applied, params=asked)) == rule, "nor is applying"
    assert named(replace(cluster.other, place, changed, params={"dryRun": "All"})) == rule, "a dry run tells"
    assert cluster.admin.get(place).json()["spec"]["http"] == harmless["spec"]["http"]


@pytest.mark.parametrize(("what", "obj"), ALLOWED, ids=[what for what, _ in ALLOWED])
def test_everybody_may(cluster: Cluster, what: str, obj: dict[str, Any]) -> None:
    for version in VERSIONS:
        answer = create(cluster.other, obj, version)
        assert answer.status_code == 201, answer.text
        assert cluster.other.delete(f"{path(obj)}/x").status_code == 200


def test_the_harness_writes_its_marks_and_keeps_to_the_caps(cluster: Cluster) -> None:
    now = "2100-01-01T00:00:00Z"
    assert named(create(cluster.harness, ours(vs(fault=abort()), expires=now))) == "duration-capped"
    made = create(cluster.harness, ours(vs(fault=abort())))
    assert made.status_code == 201, made.text
    assert cluster.harness.delete(f"{path(vs())}/chaos-{RUN}-inventory-svc").status_code == 200
    assert named(create(cluster.harness, ours(vs(fault=abort(80))))) == "percentage-capped"
    assert named(create(cluster.harness, ours(vs(namespace="production", fault=abort())))) == "fault-outside-staging"
    bare = ours(vs(fault=abort()))
    bare["metadata"]["annotations"] = {}
    assert named(create(cluster.harness, bare)) == "fault-without-expiry"


def test_taking_away_is_open_to_everybody(cluster: Cluster) -> None:
    patched = ours(vs(fault=abort(), http=[*vs(fault=abort())["spec"]["http"], *vs()["spec"]["http"]]))
    patched["metadata"]["name"] = "x"
    assert create(cluster.harness, patched).status_code == 201
    place = f"{path(vs())}/x"
    theirs = cluster.other.get(place).json()
    theirs["spec"]["http"][1]["timeout"] = "3s"
    theirs["metadata"]["labels"]["team"] = "checkout"
    assert replace(cluster.other, place, theirs).status_code == 200, "its owner may go on working on it meanwhile"
    wider = cluster.other.get(place).json()
    wider["spec"]["exportTo"] = ["*"]
    assert named(replace(cluster.other, place, wider)) == "export-outside", "but not show the fault to others"
    stolen = cluster.other.get(place).json()
    stolen["metadata"]["labels"][f"{PREFIX}/run"] = "hgfedcba"
    assert named(replace(cluster.other, place, stolen)) == "mark-of-the-harness"
    worse = cluster.other.get(place).json()
    worse["spec"]["http"][0]["fault"]["abort"]["httpStatus"] = 500
    assert named(replace(cluster.other, place, worse)) == "mark-of-the-harness"
    clean = cluster.other.get(place).json()
    clean["metadata"]["labels"], clean["metadata"]["annotations"] = {}, {}
    clean["spec"]["http"] = clean["spec"]["http"][1:]
    assert replace(cluster.other, place, clean).status_code == 200
    assert cluster.other.delete(place).status_code == 200


def test_a_fault_that_is_in_production_already_may_be_mended_but_not_spread(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        obj = vs(namespace="production", fault=abort(), exportTo=None)
        assert create(cluster.other, obj).status_code == 201
        cluster.enforce()
        place = f"{path(obj)}/x"
        live = cluster.other.get(place).json()
        live["spec"]["http"][0]["timeout"] = "3s"
        assert replace(cluster.other, place, live).status_code == 200, "other people's work does not wait for it"
        more = copy.deepcopy(live)
        more["metadata"].pop("resourceVersion")
        more["spec"]["hosts"] = ["order-svc"]
        assert named(replace(cluster.other, place, more)) == "fault-outside-staging"
        more = copy.deepcopy(live)
        more["metadata"].pop("resourceVersion")
        more["spec"]["http"][0]["fault"]["abort"]["percentage"]["value"] = 51
        assert named(replace(cluster.other, place, more)) == "fault-outside-staging"
        gone = copy.deepcopy(live)
        gone["metadata"].pop("resourceVersion")
        gone["spec"]["http"][0].pop("fault")
        assert replace(cluster.other, place, gone).status_code == 200
    finally:
        cluster.close()


PLAIN = {"route": [{"destination": {"host": "inventory-svc"}}]}
FAULTED = {**PLAIN, "fault": abort()}
UNDER_A = {**PLAIN, "match": [{"uri": {"prefix": "/a"}}]}
FAULTED_A, FAULTED_B = {**UNDER_A, "fault": abort()}, {**FAULTED, "match": [{"uri": {"prefix": "/b"}}]}


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        pytest.param(
            [PLAIN, FAULTED], [FAULTED, PLAIN], "fault-outside-staging", id="a fault before the route that hid it"
        ),
        pytest.param([UNDER_A, FAULTED_A], [FAULTED_A, UNDER_A], "fault-outside-staging", id="the same with matches"),
        pytest.param(
            [UNDER_A, PLAIN, FAULTED], [UNDER_A, FAULTED], "fault-outside-staging", id="without the route that hid it"
        ),
        pytest.param([UNDER_A, FAULTED], [FAULTED], "fault-outside-staging", id="without one that hid a part"),
        pytest.param([FAULTED], [FAULTED_A, FAULTED], "fault-outside-staging", id="another fault"),
        pytest.param([PLAIN, FAULTED], [PLAIN, {**FAULTED, "timeout": "1s"}], "", id="what is no fault's concern"),
        pytest.param([FAULTED], [UNDER_A, FAULTED], "", id="a route more, which only takes requests from it"),
        pytest.param([FAULTED_A, FAULTED_B, FAULTED], [FAULTED_A, FAULTED], "", id="one fault dropped"),
        pytest.param([FAULTED_A, FAULTED_B], [UNDER_A, FAULTED_B], "", id="one fault taken out of its route"),
        pytest.param([FAULTED_A, FAULTED_B, FAULTED], [UNDER_A, FAULTED], "", id="one of each"),
        pytest.param([PLAIN, FAULTED], [UNDER_A], "", id="all faults gone, and all else changed"),
    ],
)
def test_what_hides_a_fault_in_production_stays_before_it(
    tmp_path: Path, before: list[Any], after: list[Any], rule: str
) -> None:
    cluster = Cluster(tmp_path)
    try:
        obj = vs(namespace="production", http=before, exportTo=None)
        assert create(cluster.other, obj).status_code == 201
        cluster.enforce()
        changed = {**obj, "spec": {**obj["spec"], "http": after}}
        answer = replace(cluster.other, f"{path(obj)}/x", changed)
        assert (answer.status_code, named(answer)) == ((403, rule) if rule else (200, ""))
    finally:
        cluster.close()


def test_it_can_warn_first(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.enforce(warn=True)
        answer = create(cluster.other, vs(namespace="production", fault=abort()))
        assert answer.status_code == 201
        assert "fault-outside-staging: VirtualService production/x has a fault" in answer.headers["warning"]
    finally:
        cluster.close()


@needs_kubectl
def test_kubectl_applies_it_and_shows_what_it_says(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)

    def kubectl(*arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
        return run_kubectl(cluster.server.kubeconfig, *arguments, context=CONTEXT, stdin=stdin)

    try:
        printed = as_documents(admission(SETTINGS, home="chaos-harness"))
        for _ in range(2):
            done = kubectl("apply", "-f", "-", stdin=printed)
            assert done.returncode == 0, done.stderr
        obj = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "VirtualService",
            **vs(namespace="production", fault=abort()),
        }
        done = kubectl("apply", "-f", "-", stdin=json.dumps(obj))
        assert done.returncode == 1
        assert (
            "VirtualService production/x has a fault, and faults are for the namespaces staging, team-*-staging"
            in done.stderr
        )
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda spec: spec["validations"][0].update(expression="object.spec.nope ++"), "compilation failed"),
        (lambda spec: spec["validations"][0].update(expression="'a'"), "must evaluate to bool"),
        (lambda spec: spec["validations"][0].update(expression="nobody.knows == 1"), "compilation failed"),
        (lambda spec: spec["variables"].append({"name": "subject", "expression": "1"}), "Duplicate value"),
        (lambda spec: spec.update(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}), "does not support parameters"),
        (lambda spec: spec.update(failurePolicy="Never"), "Unsupported value"),
        (lambda spec: spec["matchConstraints"].pop("resourceRules"), "Required value"),
        (lambda spec: spec.update(validations=[]), "Required value"),
    ],
)  # fmt: skip
def test_a_policy_that_can_not_be_is_refused_where_it_is_applied(cluster: Cluster, change: Any, told: str) -> None:
    policy, _ = admission(SETTINGS, home="chaos-harness")
    broken = json.loads(json.dumps(policy))
    broken["metadata"]["name"] = "broken"
    change(broken["spec"])
    answer = cluster.admin.post("/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", json=broken)
    assert answer.status_code == 422, answer.text
    assert told in answer.json()["message"]


@pytest.mark.parametrize(
    ("default", "own", "told"),
    [
        (("*",), None, "no exportTo, which the policy takes for * by its --default-export; set"),
        (("*",), [], "no exportTo, which the policy takes for * by its --default-export; set"),
        ((".",), None, ""),
        ((".",), [], ""),
        ((".",), ["*"], "exportTo *;"),
        ((".",), ["production"], "exportTo production;"),
        (("staging",), None, ""),
        (("team-a-staging", "."), None, ""),
        (
            (".", "istio-system"),
            None,
            "no exportTo, which the policy takes for ., istio-system by its --default-export; set",
        ),
        ((".", "istio-system"), ["."], ""),
        (("~",), None, "no exportTo, which the policy takes for ~ by its --default-export; set"),
        (("~",), ["."], ""),
    ],
)
def test_without_export_to_the_meshs_default_is_what_counts(
    tmp_path: Path, default: tuple[str, ...], own: list[str] | None, told: str
) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.enforce(default_export=default)
        answer = create(cluster.other, vs(fault=abort(), exportTo=own))
        assert (answer.status_code, named(answer)) == ((403, "export-outside") if told else (201, ""))
        assert told in answer.json().get("message", "")
    finally:
        cluster.close()


def test_naming_the_meshs_default_is_no_change_of_whom_a_fault_reaches(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        obj = vs(namespace="production", fault=abort(), exportTo=None)
        assert create(cluster.other, obj).status_code == 201
        cluster.enforce(default_export=["."])
        for changed, status in ((["."], 200), (None, 200), (["*"], 403)):
            wanted = vs(namespace="production", fault=abort(), exportTo=changed)
            answer = replace(cluster.other, f"{path(obj)}/x", wanted)
            assert answer.status_code == status, answer.text
    finally:
        cluster.close()
