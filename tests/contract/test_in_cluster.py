"""A pod reaches its own cluster by its service account: TLS with the cluster's authority, and a token that is renewed."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.config import incluster_config

from chaos.adapters.kubernetes_config import IN_CLUSTER
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import InputError, MeshError
from tests.support.api_server import ADMIN_TOKEN, ApiServer, fault
from tests.survival.proxy import Proxy


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Proxy]:
    """The API server behind TLS, as pods find it."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.crt"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ApiServer(tmp_path)
    proxy = Proxy(server.address, tls=context)
    yield proxy
    proxy.close()
    server.stop()


@pytest.fixture
def pod(secure: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files and variables that Kubernetes gives to a pod."""
    host, port = secure.url.removeprefix("http://").split(":")
    monkeypatch.setenv(incluster_config.SERVICE_HOST_ENV_NAME, host)
    monkeypatch.setenv(incluster_config.SERVICE_PORT_ENV_NAME, port)
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    (tmp_path / "namespace").write_text("chaos-janitor")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    return tmp_path


def test_a_pod_works_on_its_own_cluster(pod: Path, secure: Proxy) -> None:
    mesh = KubernetesMesh(None, IN_CLUSTER)
    mesh.create_virtual_service(fault("r1"))
    assert [vs["metadata"]["name"] for vs in mesh.injected("staging")] == ["chaos-r1-inventory-svc"]
    assert secure.tokens == {f"bearer {ADMIN_TOKEN}"}
    assert mesh.identity().context == IN_CLUSTER


def test_an_authority_that_does_not_vouch_is_not_believed(pod: Path, secure: Proxy) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", str(pod / "other-key.pem"), "-out", str(pod / "ca.crt"), "-subj", "/CN=other"],
        check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(MeshError, match="certificate"):
        KubernetesMesh(None, IN_CLUSTER).namespace("staging")
    assert secure.tokens == set(), "the token was not sent either"


def test_outside_a_pod_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(incluster_config.SERVICE_HOST_ENV_NAME, raising=False)
    with pytest.raises(InputError, match="for pods with a service account"):
        KubernetesMesh(None, IN_CLUSTER)
