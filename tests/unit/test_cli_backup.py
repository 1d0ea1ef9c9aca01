"""Istio's configuration is saved, damaged and restored, against a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse
from typer.testing import CliRunner, Result

from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.cli import app
from chaos.engine.configuration import proxies
from chaos.errors import InputError, MeshError, Refused
from chaos.harness import backing_up
from chaos.lab.api.execute import ExecResult
from chaos.lab.api.resources import PODS
from chaos.values.documents import as_documents
from tests.support.api_server import CONTEXT, ApiServer, fault

ROUTES: dict[str, Any] = {
    "kind": "VirtualService",
    "metadata": {
        "name": "reviews", "namespace": "staging", "labels": {"team": "books"}, "annotations": {"note": "kept"},
    },
    "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]},
}  # fmt: skip
SUBSETS: dict[str, Any] = {
    "kind": "DestinationRule", "metadata": {"name": "reviews", "namespace": "staging"},
    "spec": {"host": "reviews", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]},
}  # fmt: skip
DENY_ALL: dict[str, Any] = {
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "deny-all", "namespace": "staging"},
    "spec": {},
}
SETTINGS = 'namespaces = ["staging"]\nchanges = ["staging"]\n'
CONNECTED = b"cluster.xds-grpc.upstream_rq_active: 1\nlistener_manager.lds.update_rejected: 0\n"


class Proxies:
    """What the proxies' admin interfaces print."""

    def __init__(self) -> None:
        self.stats = CONNECTED
        self.then: bytes | None = None
        """From the second time on that they are asked."""

    async def __call__(self, namespace: str, pod: str, container: str, argv: list[str]) -> ExecResult:
        assert argv[:3] == ["pilot-agent", "request", "GET"]
        answer, self.stats = self.stats, self.then or self.stats
        return ExecResult(stdout=answer)


class Cluster:
    def __init__(self, folder: Path) -> None:
        self.proxies = Proxies()
        self.server = ApiServer(folder, exec_handler=self.proxies)
        self.mesh = KubernetesMesh(str(self.server.kubeconfig), CONTEXT)
        containers = [{"name": "app", "image": "app"}, {"name": "istio-proxy", "image": "proxyv2"}]
        self.server.store.create(
            PODS, {"metadata": {"name": "reviews-1", "namespace": "staging"}, "spec": {"containers": containers}}
        )
        for obj in (ROUTES, SUBSETS, DENY_ALL):
            self.mesh.create_istio_object(obj, manager="team")

    def chaosctl(self, *arguments: str) -> Result:
        command = ["backup", *arguments, "--context", CONTEXT, "--kubeconfig", str(self.server.kubeconfig)]
        return CliRunner().invoke(app, command)

    @contextmanager
    def refusing(self, method: str, plural: str, status: int) -> Iterator[None]:
        """The API refuses requests about a kind, but for dry runs."""
        app = self.server.app

        async def refused(scope: Any, receive: Any, send: Any) -> None:
            asked = scope["type"] == "http" and scope["method"] == method and f"/{plural}" in scope["path"]
            answer = JSONResponse({"kind": "Status", "message": "refused"}, status)
            await (answer if asked and b"dryRun" not in scope["query_string"] else app)(scope, receive, send)

        self.server.app = refused
        yield
        self.server.app = app

    def get(self, obj: Mapping[str, Any]) -> Any:
        meta = obj["metadata"]
        return self.mesh.istio_object(obj["kind"], meta["namespace"], meta["name"])

    def damage(self) -> None:
        """Changes one object, removes one and makes one."""
        vs = self.get(ROUTES)
        vs["spec"]["http"][0]["timeout"] = "1ms"
        vs["metadata"]["labels"] = {"team": "nobody", "new": "one"}
        self.mesh.replace_istio_object(vs, manager="somebody")
        self.mesh.delete_istio_object(self.get(SUBSETS))
        self.mesh.create_istio_object(
            {
                "kind": "Sidecar",
                "metadata": {"name": "new", "namespace": "staging"},
                "spec": {"egress": [{"hosts": ["./*"]}]},
            },
            manager="somebody",
        )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backing_up, "_PAUSE", 0.01)
    monkeypatch.setattr(backing_up, "_DEBOUNCE", 0.01)
    monkeypatch.setattr(backing_up, "_SETTLED", 0.05)
    Path("chaos.toml").write_text(SETTINGS)
    made = Cluster(tmp_path)
    yield made
    made.server.stop()


def contents() -> dict[str, str]:
    return {str(file.relative_to("saved")): file.read_text() for file in sorted(Path("saved").rglob("*.yaml"))}


def test_what_is_saved_is_clean_for_git(cluster: Cluster) -> None:
    done = cluster.chaosctl("save", "saved")
    assert done.exit_code == 0, done.output
    assert "3 objects of staging; 4 files changed in saved" in done.output
    assert "not saved: EnvoyFilter: the cluster does not serve it" in done.output
    files = contents()
    assert list(files) == [
        "backup.yaml", "staging/authorizationpolicies/deny-all.yaml", "staging/destinationrules/reviews.yaml",
        "staging/virtualservices/reviews.yaml",
    ]  # fmt: skip
    assert (
        files["staging/virtualservices/reviews.yaml"]
        == """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
  namespace: staging
  labels:
    team: books
  annotations:
    note: kept
spec:
  hosts:
  - reviews
  http:
  - route:
    - destination:
        host: reviews
        subset: v1
"""
    )
    assert "3 objects of staging; 0 files changed" in cluster.chaosctl("save", "saved").output
    assert contents() == files


def test_what_is_no_more_leaves_the_folder_and_nothing_else(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    Path("saved/README.md").write_text("ours")
    cluster.mesh.delete_istio_object(cluster.get(DENY_ALL))
    assert "1 files changed" in cluster.chaosctl("save", "saved").output
    assert "staging/authorizationpolicies/deny-all.yaml" not in contents()
    assert Path("saved/README.md").exists()


def test_damage_is_shown_and_restored_and_all_is_identical(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    before = contents()
    assert (cluster.chaosctl("diff", "saved").exit_code, cluster.chaosctl("diff", "saved").output) == (
        0,
        "nothing differs\n",
    )
    cluster.damage()
    shown = cluster.chaosctl("diff", "saved")
    assert shown.exit_code == 1
    assert "-    timeout: 1ms" in shown.output
    assert "Sidecar staging/new: not in the backup" in shown.output
    untouched = cluster.get(DENY_ALL)["metadata"]["resourceVersion"]
    done = cluster.chaosctl("restore", "saved", "--yes", "--prune")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith(("restored", "removed", "all"))]
    assert lines == [
        "restored DestinationRule staging/reviews", "restored VirtualService staging/reviews", "removed Sidecar staging/new",
        "all is as in the backup, and all 1 proxies are connected and have rejected nothing of it",
    ], "a subset is there before a route refers to it"  # fmt: skip
    assert cluster.get(DENY_ALL)["metadata"]["resourceVersion"] == untouched
    assert cluster.chaosctl("diff", "saved").output == "nothing differs\n"
    cluster.chaosctl("save", "saved")
    assert contents() == before


def odd(number: int, owner: str = "") -> dict[str, Any]:
    """A VirtualService of which much is odd: words of YAML, other scripts, what kubectl keeps, an owner that is no controller."""
    texts = ["yes", "0777", "2024-01-01", "null", "ü€😀 日本語", "line\n  and line\n", " blanks ", "a: b # c", "\u00a0"]
    notes = {f"example.com/{at}": text for at, text in enumerate(texts)}
    owners = [{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "name": "reviews", "uid": owner}]
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    match = [{"headers": {"who": {"exact": text}}} for text in texts]
    return {
        "apiVersion": ("networking.istio.io/v1", "networking.istio.io/v1beta1")[number % 2], "kind": "VirtualService",
        "metadata": {
            "name": f"odd-{number}", "namespace": "staging", "annotations": {**notes, **last}, "ownerReferences": owners if owner else [],
        },
        "spec": {"hosts": [f"odd-{number}"], "http": [{"match": match, "route": [{"destination": {"host": "x"}}]}]},
    }  # fmt: skip


def test_odd_objects_come_back_as_they_were(cluster: Cluster) -> None:
    owner = cluster.get(ROUTES)["metadata"]["uid"]
    for number in range(9):
        cluster.mesh.create_istio_object(odd(number, owner), manager="team")
    assert "12 objects of staging; 13 files changed" in cluster.chaosctl("save", "saved").output
    before = contents()
    for number in range(9):
        live = cluster.get(odd(number))
        if number % 3 == 0:
            cluster.mesh.delete_istio_object(live)
        elif number % 3 == 1:
            live["spec"]["http"] = [{"route": [{"destination": {"host": "elsewhere"}}]}]
            live["metadata"]["annotations"]["example.com/0"] = "no"
            cluster.mesh.replace_istio_object(live, manager="somebody")
    done = cluster.chaosctl("restore", "saved", "--yes")
    assert done.exit_code == 0, done.output
    assert done.output.count("restored VirtualService staging/odd-") == 6
    assert cluster.chaosctl("diff", "saved").output == "nothing differs\n"
    cluster.chaosctl("save", "saved")
    assert contents() == before
    assert cluster.get(odd(1))["metadata"]["annotations"] == odd(1)["metadata"]["annotations"]


def test_a_restore_that_breaks_off_tells_what_it_did_and_is_made_again(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    before = contents()
    cluster.damage()
    with cluster.refusing("PUT", "virtualservices", 500):
        failed = cluster.chaosctl("restore", "saved", "--yes", "--prune").exception
    assert isinstance(failed, MeshError)
    assert failed.message == (
        "VirtualService staging/reviews could not be restored: "
        "PUT /apis/networking.istio.io/v1/namespaces/staging/virtualservices/reviews: 500 refused "
        "(before that: restored DestinationRule staging/reviews)"
    )
    assert cluster.chaosctl("restore", "saved", "--yes", "--prune").exit_code == 0
    cluster.chaosctl("save", "saved")
    assert contents() == before


def test_what_the_backup_does_not_have_is_left_without_prune(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    cluster.damage()
    assert cluster.chaosctl("restore", "saved", "--yes").exit_code == 0
    assert [one["state"] for one in json.loads(cluster.chaosctl("diff", "saved", "--json").output)] == ["extra"]


def test_fields_stay_with_whom_they_belong_to(cluster: Cluster) -> None:
    """What is not restored keeps its field manager."""
    cluster.chaosctl("save", "saved")
    vs = cluster.get(ROUTES)
    vs["spec"]["http"][0]["timeout"] = "1ms"
    cluster.mesh.replace_istio_object(vs, manager="somebody")
    cluster.chaosctl("restore", "saved", "--yes")
    owners = {entry["manager"]: entry["fieldsV1"] for entry in cluster.get(ROUTES)["metadata"]["managedFields"]}
    assert "f:hosts" in owners["team"]["f:spec"]


def test_nothing_is_written_without_a_yes(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    cluster.damage()
    done = cluster.chaosctl("restore", "saved")
    assert isinstance(done.exception, InputError)
    assert "expected --yes" in done.exception.message
    assert cluster.get(SUBSETS) is None


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ('namespaces = ["staging"]\n', "changes-not-allowed"),
        ('namespaces = ["other"]\nchanges = ["staging"]\n', "namespace-not-allowed"),
        (f'{SETTINGS}labels = {{env = "test"}}\n', "namespace-not-labelled"),
        (f'{SETTINGS}clusters = ["another"]\n', "cluster-not-configured"),
    ],
)
def test_the_staging_rules_hold(cluster: Cluster, settings: str, rule: str) -> None:
    cluster.chaosctl("save", "saved")
    cluster.damage()
    Path("chaos.toml").write_text(settings)
    done = cluster.chaosctl("restore", "saved", "--yes", "-n", "staging")
    assert isinstance(done.exception, Refused)
    assert rule in done.exception.message
    assert cluster.get(SUBSETS) is None


def test_nothing_is_saved_or_restored_while_a_fault_is_active(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    cluster.mesh.create_virtual_service(fault("abcdefgh"))
    for command in (("save", "saved"), ("restore", "saved", "--yes")):
        done = cluster.chaosctl(*command)
        assert isinstance(done.exception, Refused)
        assert "staging/chaos-abcdefgh-inventory-svc" in done.exception.message


def test_what_the_api_server_rejects_keeps_all_from_being_written(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    cluster.damage()
    file = Path("saved/staging/virtualservices/reviews.yaml")
    file.write_text(file.read_text().replace("host: reviews", 'host: ""'))
    done = cluster.chaosctl("restore", "saved", "--yes")
    assert isinstance(done.exception, Refused)
    assert "the API server rejects VirtualService staging/reviews, so nothing was written" in done.exception.message
    assert cluster.get(SUBSETS) is None


def test_what_a_controller_owns_is_left(cluster: Cluster) -> None:
    cluster.chaosctl("save", "saved")
    vs = cluster.get(ROUTES)
    vs["spec"]["http"][0]["timeout"] = "1ms"
    cluster.mesh.replace_istio_object(vs, manager="flagger")
    done = cluster.chaosctl("restore", "saved", "--yes")
    assert done.exit_code == 1
    assert "VirtualService staging/reviews: Flagger owns it" in done.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"http": [{"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 50}}}}]},
            "it has a fault, which only an experiment may inject",
        ),
        (
            {"hosts": ["ledger.production.svc.cluster.local"]},
            "it would govern ledger.production.svc.cluster.local for callers outside",
        ),
    ],
)
def test_what_a_backup_may_not_bring_is_left(cluster: Cluster, more: dict[str, Any], said: str) -> None:
    """Somebody has changed the files."""
    cluster.chaosctl("save", "saved")
    file = Path("saved/staging/virtualservices/reviews.yaml")
    spec = {**ROUTES["spec"], **more}
    spec["http"] = [{**ROUTES["spec"]["http"][0], **spec["http"][0]}]
    file.write_text(as_documents([{**ROUTES, "spec": spec}]))
    done = cluster.chaosctl("restore", "saved", "--yes")
    assert done.exit_code == 1
    assert f"VirtualService staging/reviews: {said}" in done.output
    assert cluster.get(ROUTES)["spec"] == ROUTES["spec"]


@pytest.mark.parametrize(
    ("stats", "said"),
    [
        (b"cluster.xds-grpc.upstream_rq_active: 0\n", "the proxy of staging/reviews-1 is not connected to istiod"),
        (
            CONNECTED.replace(b"rejected: 0", b"rejected: 2"),
            "the proxy of staging/reviews-1 has rejected what istiod sent",
        ),
    ],
)
def test_what_is_not_distributed_is_told(cluster: Cluster, stats: bytes, said: str) -> None:
    cluster.chaosctl("save", "saved")
    cluster.damage()
    cluster.proxies.then = stats
    done = cluster.chaosctl("restore", "saved", "--yes")
    assert done.exit_code == 1
    assert said in done.output


def test_what_a_proxy_rejects_a_few_seconds_later_is_seen(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """istiod sends nothing while changes follow each other."""
    for name, seconds in (("_PAUSE", 1.0), ("_DEBOUNCE", 5.0), ("_SETTLED", 20.0)):
        monkeypatch.setattr(backing_up, name, seconds)
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds
        if passed == 3:
            cluster.proxies.stats = CONNECTED.replace(b"rejected: 0", b"rejected: 2")

    before = proxies(cluster.mesh, ["staging"])
    told = backing_up.await_proxies(cluster.mesh, ["staging"], before, sleep=sleep)
    assert told == ["the proxy of staging/reviews-1 has rejected what istiod sent to it"]
    assert passed == 5


def test_a_backup_that_lacks_a_kind_for_want_of_a_right_is_not_well(cluster: Cluster) -> None:
    with cluster.refusing("GET", "authorizationpolicies", 403):
        done = cluster.chaosctl("save", "saved")
    assert (
        "not saved: AuthorizationPolicy: no right to list authorizationpolicies.security.istio.io there" in done.output
    )
    assert done.exit_code == 1


@pytest.mark.parametrize("plural", ["virtualservices", "leases"])
def test_nothing_is_saved_where_nobody_can_tell_whether_a_fault_is_active(cluster: Cluster, plural: str) -> None:
    with cluster.refusing("GET", plural, 403):
        done = cluster.chaosctl("save", "saved")
    assert isinstance(done.exception, MeshError)
    assert plural in done.exception.message
    assert not Path("saved").exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("saved/backup.yaml", "a: b", "expected format: 1"),
        (
            "saved/staging/virtualservices/reviews.yaml",
            "kind: VirtualService",
            "with the namespace, kind and name that its path has",
        ),
        ("saved/staging/virtualservices/reviews.yaml", "{", "expected YAML that can be read"),
    ],
)
def test_a_damaged_backup_is_told(cluster: Cluster, file: str, text: str, said: str) -> None:
    cluster.chaosctl("save", "saved")
    Path(file).write_text(text)
    done = cluster.chaosctl("diff", "saved")
    assert isinstance(done.exception, InputError)
    assert said in done.exception.message


def test_a_folder_with_other_things_is_left_alone(cluster: Cluster) -> None:
    Path("saved").mkdir()
    Path("saved/photos").touch()
    done = cluster.chaosctl("save", "saved")
    assert isinstance(done.exception, InputError)
    assert "found photos" in done.exception.message
