"""The lab's API as people use it: kubectl over TLS, with tokens, on objects, workloads and definitions."""

from __future__ import annotations

import json
import ssl
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import pytest

from chaos.lab import commands
from chaos.lab.state import LabState
from tests.support import loopback
from tests.support.kubectl import needs_kubectl, run_kubectl
from tests.support.labs import own_lab
from tests.support.waiting import until

CRDS = Path(__file__).parents[3] / "shared" / "data" / "istio-crds.yaml"
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabState]:
    with own_lab(tmp_path_factory.mktemp("labs"), "people") as made:
        yield made


def kubectl(lab: LabState, *arguments: str, stdin: str | None = None) -> str:
    done = run_kubectl(lab.kubeconfig, *arguments, context=lab.context, stdin=stdin)
    return done.stdout + done.stderr


class TestTls:
    def test_the_kubeconfig_leads_over_tls_and_is_for_its_owner_alone(self, lab: LabState) -> None:
        cluster = json.loads(Path(lab.kubeconfig).read_text())["clusters"][0]["cluster"]
        assert cluster["server"].startswith("https://127.0.0.1:")
        for path in (Path(lab.kubeconfig), *Path(cluster["certificate-authority"]).parent.iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path

    def test_nobody_gets_in_without_a_token_and_nobody_trusts_the_server_by_accident(self, lab: LabState) -> None:
        cluster = json.loads(Path(lab.kubeconfig).read_text())["clusters"][0]["cluster"]
        with loopback.Client(
            base_url=cluster["server"],
            verify=ssl.create_default_context(cafile=cluster["certificate-authority"]),
        ) as client:
            for path in ("/api/v1/pods", "/api/v1", "/apis/apps/v1", "/lab/status", "/v3/discovery:routes"):
                assert client.get(path).status_code == 401, path
                wrong = client.get(path, headers={"authorization": "Bearer wrong"})
                assert wrong.status_code == 401, path
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            loopback.get(f"{cluster['server']}/version")

    def test_the_official_client_reads_writes_watches_and_executes(self, lab: LabState) -> None:
        with kubernetes.config.new_client_from_config(lab.kubeconfig, lab.context) as client:
            core = kubernetes.client.CoreV1Api(client)
            pods = core.list_namespaced_pod("staging", label_selector="app=order-svc").items
            assert (pods[0].status.phase, pods[0].spec.node_name) == ("Running", "lab")
            core.create_namespaced_config_map("staging", {"metadata": {"name": "note"}, "data": {"a": "b"}})
            watch, seen = kubernetes.watch.Watch(), []
            chosen = {"field_selector": "metadata.name=note", "timeout_seconds": 10}
            for event in watch.stream(core.list_namespaced_config_map, "staging", **chosen):
                seen.append(event["type"])
                if event["type"] == "ADDED":
                    core.delete_namespaced_config_map("note", "staging")
                else:
                    watch.stop()
            assert seen == ["ADDED", "DELETED"]
            told = kubernetes.stream.stream(
                core.connect_get_namespaced_pod_exec, pods[0].metadata.name, "staging", container="istio-proxy",
                command=["pilot-agent", "request", "GET", "clusters"], stderr=True, stdin=False, stdout=True, tty=False,
                _preload_content=False,
            )  # fmt: skip
            told.run_forever(timeout=10)
            assert "outbound|8080||inventory-svc.staging.svc.cluster.local" in told.read_stdout()
            told.close()
            told.sock.shutdown()  # close() alone keeps the descriptor where the server closed first


@needs_kubectl
class TestRights:
    def test_who_am_i_and_what_may_i(self, lab: LabState) -> None:
        assert "lab-admin" in kubectl(lab, "auth", "whoami")
        assert kubectl(lab, "auth", "can-i", "delete", "virtualservices").startswith("yes")
        token = ("--token", kubectl(lab, "create", "token", "order-svc").strip())
        assert "system:serviceaccount:staging:order-svc" in kubectl(lab, *token, "auth", "whoami")
        assert kubectl(lab, *token, "auth", "can-i", "delete", "virtualservices").startswith("no")
        assert 'User "system:serviceaccount:staging:order-svc" cannot list' in kubectl(lab, *token, "get", "pods")
        kubectl(lab, "create", "role", "reader", "--verb=get,list,watch", "--resource=pods")
        kubectl(lab, "create", "rolebinding", "reader", "--role=reader", "--serviceaccount=staging:order-svc")
        assert "order-svc" in kubectl(lab, *token, "get", "pods")
        assert "Forbidden" in kubectl(lab, *token, "get", "pods", "-n", "production")
        assert "pods" in kubectl(lab, *token, "auth", "can-i", "--list")

    def test_an_administrator_may_look_through_the_eyes_of_others(self, lab: LabState) -> None:
        someone = ("--as", "system:serviceaccount:staging:user-svc")
        assert "Forbidden" in kubectl(lab, *someone, "get", "pods")
        assert kubectl(lab, *someone, "auth", "can-i", "list", "pods").startswith("no")
        assert "the lab knows service accounts only, not the user 'jane'" in kubectl(lab, "--as", "jane", "get", "pods")
        token = ("--token", kubectl(lab, "create", "token", "auth-svc").strip())
        assert "cannot impersonate" in kubectl(lab, *token, *someone, "get", "pods")


@needs_kubectl
class TestWorkloads:
    def test_pods_and_deployments_are_listed_as_on_a_cluster(self, lab: LabState) -> None:
        header, first, *_ = kubectl(lab, "get", "pods", "-l", "app=order-svc").splitlines()
        assert header.split()[:3] == ["NAME", "READY", "STATUS"]
        assert first.split()[1:3] == ["2/2", "Running"]
        assert kubectl(lab, "get", "deploy", "order-svc").splitlines()[1].split()[1] == "1/1"
        assert kubectl(lab, "get", "nodes").splitlines()[1].split()[:2] == ["lab", "Ready"]

    def test_describe_tells_what_there_is(self, lab: LabState) -> None:
        told = kubectl(lab, "describe", "pod", "-l", "app=order-svc")
        for line in ("Node:             lab/127.0.0.1", "Service Account:  order-svc", "istio-proxy:", "8080/TCP"):
            assert line in told, line
        assert "1 desired | 1 updated | 1 total | 1 available" in kubectl(lab, "describe", "deploy", "order-svc")
        assert "Endpoints:" in kubectl(lab, "describe", "svc", "order-svc")
        assert "payment-svc" in kubectl(lab, "describe", "virtualservice", "payment-svc")
        assert "Ready" in kubectl(lab, "describe", "node", "lab")

    def test_a_deleted_pod_is_started_again_and_a_scaled_deployment_is_waited_for(self, lab: LabState) -> None:
        (name,) = names(lab, "app=user-svc")
        assert "deleted" in kubectl(lab, "delete", "pod", name)
        assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/user-svc", "--timeout=30s")
        (after,) = names(lab, "app=user-svc")
        assert after != name
        assert "scaled" in kubectl(lab, "scale", "deploy/user-svc", "--replicas=2")
        assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/user-svc", "--timeout=30s")
        assert len(names(lab, "app=user-svc")) == 2
        kubectl(lab, "rollout", "restart", "deploy/user-svc")
        assert "successfully rolled out" in kubectl(lab, "rollout", "status", "deploy/user-svc", "--timeout=30s")
        until(lambda: len(names(lab, "app=user-svc")) == 2 and after not in names(lab, "app=user-svc"))
        assert "condition met" in kubectl(lab, "wait", "pod", "-l", "app=user-svc", "--for=condition=ready")
        kubectl(lab, "scale", "deploy/user-svc", "--replicas=1")


@needs_kubectl
def test_a_gateway_that_nobody_serves_is_told(lab: LabState) -> None:
    text = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: spare, namespace: staging}
spec: {selector: {app: APP}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: [spare.example.com]}]}
"""
    create = ("create", "--dry-run=server", "-f", "-")
    nobodys = kubectl(lab, *create, stdin=text.replace("APP", "nobody"))
    assert "spare created" in nobodys
    assert "Warning: no gateway of the lab has the labels app=nobody, so nothing serves this yet" in nobodys
    assert "Warning" not in kubectl(lab, *create, stdin=text.replace("APP", "shop-gateway"))


def names(lab: LabState, selector: str) -> list[str]:
    return kubectl(lab, "get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}").split()


@pytest.fixture(scope="module")
def definitions(lab: LabState) -> Iterator[str]:
    if not CRDS.is_file():
        pytest.skip("Istio's CRDs are not beside this checkout")
    yield kubectl(lab, "apply", "--server-side", "-f", str(CRDS))
    kubectl(lab, "delete", "-f", str(CRDS))


@needs_kubectl
class TestDefinitions:
    def test_istios_own_are_accepted_and_what_is_not_served_is_told(self, lab: LabState, definitions: str) -> None:
        assert "customresourcedefinition.apiextensions.k8s.io/virtualservices.networking.istio.io" in definitions
        assert "Warning: the lab keeps EnvoyFilter as documentation; it is not served" in definitions
        assert "keeps VirtualService" not in definitions
        wait = ("wait", "--for=condition=established", "--timeout=1s", "crd")
        assert "condition met" in kubectl(lab, *wait, "virtualservices.networking.istio.io")
        assert "timed out" in kubectl(lab, *wait, "envoyfilters.networking.istio.io")

    def test_explain_prints_the_schema(self, lab: LabState, definitions: str) -> None:
        told = kubectl(lab, "explain", "virtualservice.spec.http.fault.abort")
        assert "httpStatus\t<integer>" in told
        assert "HTTP status code to use to abort the Http request." in told

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            (lambda crd: crd["metadata"].update(name="wrong"), "metadata.name: Invalid value"),
            (lambda crd: crd["spec"].update(scope="Everywhere"), "spec.scope: Unsupported value"),
            (lambda crd: crd["spec"]["versions"][0].update(storage=False), "exactly one version"),
            (lambda crd: crd["spec"]["versions"][0].pop("schema"), "schemas are required"),
            (lambda crd: crd["spec"].pop("group"), "spec.group: Required value"),
        ],
    )
    def test_a_definition_that_kubernetes_would_refuse_is_refused(
        self, lab: LabState, change: Callable[[dict[str, Any]], object], why: str
    ) -> None:
        schema = {"openAPIV3Schema": {"type": "object"}}
        crd: dict[str, Any] = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }  # fmt: skip
        change(crd)
        assert why in kubectl(lab, "create", "-f", "-", stdin=json.dumps(crd))


class TestWhatEnvoysRefuse:
    @needs_kubectl
    def test_it_is_told_by_the_labs_status_and_by_a_warning_until_it_is_mended(self, lab: LabState) -> None:
        """A certificate that is none passes the API; the gateway's Envoy refuses it."""
        pod = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "torn", "namespace": "staging"}}
        secret = {**pod, "data": {"tls.crt": "bm9uZQ==", "tls.key": "bm9uZQ=="}}
        server = {
            "port": {"number": 8444, "name": "https", "protocol": "HTTPS"},
            "hosts": ["torn.example"],
            "tls": {"mode": "SIMPLE", "credentialName": "torn"},
        }
        gateway = {
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": {"name": "torn", "namespace": "staging"},
            "spec": {"selector": {"gateway": "shop-staging"}, "servers": [server]},
        }
        for obj in (secret, gateway):
            kubectl(lab, "apply", "-f", "-", stdin=json.dumps(obj))

        def refused() -> str:
            return next((part.detail for part in commands.status("people").parts if part.name == "configuration"), "")

        until(lambda: "Secret staging/torn" in refused(), what="the refusal in the lab's status")
        assert refused().startswith("the Envoy of staging/shop-gateway-")
        assert "Failed to load certificate chain" in refused(), "Envoy's own words"
        assert not commands.status("people").healthy
        told = kubectl(lab, "-n", "staging", "annotate", "gateways.networking.istio.io", "torn", "a=b")
        assert "Warning: the Envoy of staging/shop-gateway-" in told
        for kind in ("gateways.networking.istio.io", "secrets"):
            kubectl(lab, "-n", "staging", "delete", kind, "torn")
        until(lambda: commands.status("people").healthy, what="a lab that is well again")
