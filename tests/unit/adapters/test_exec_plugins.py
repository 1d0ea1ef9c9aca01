"""A kubeconfig whose user logs in by a command: what is wrong with the command is told, and nobody goes on without credentials."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from chaos.adapters.kubernetes_config import load
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import InputError, MeshError
from tests.support.api_server import ApiServer
from tests.support.waiting import until

API = "client.authentication.k8s.io/v1"
ANSWER = {
    "apiVersion": API,
    "kind": "ExecCredential",
    "status": {"token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z"},
}


def written(folder: Path, script: str, *, command: str = sys.executable, server: str = "http://127.0.0.1:1") -> str:
    plugin = {
        "apiVersion": API, "command": command, "args": ["-c", script], "interactiveMode": "Never",
        "installHint": "the plugin comes with the cloud's tools: cloud install plugin\n",
    }  # fmt: skip
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"exec": plugin}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "config").write_text(json.dumps(config))
    return str(folder / "config")


def test_one_that_is_not_installed_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, "", command="cloud-auth-plugin"), "x")
    assert (
        caught.value.message
        == "the context 'x' logs in by the command 'cloud-auth-plugin', which is not installed here"
    )
    assert caught.value.hint == "the plugin comes with the cloud's tools: cloud install plugin"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import sys; sys.exit('log in first')", "exec: process returned 1. log in first"),
        ("print('no JSON')", "exec: failed to decode process output"),
        (f"print('''{json.dumps({**ANSWER, 'status': {}})}''')", "exec: missing token or clientCertificateData"),
        (
            "import sys; sys.exit('no: https://me:canary@idp/ Bearer canary-4711')",
            "no: https://**********@idp/ Bearer ****",
        ),
        ("print('null')", "it did not print an ExecCredential"),
        (
            f"print('''{json.dumps({**ANSWER, 'status': {'token': 'canary', 'expirationTimestamp': 'x'}})}''')",
            "it did not print",
        ),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", "it did not print an ExecCredential"),
        ("import sys; sys.exit('x' * 100_000)", "exec: process returned 1. xxx"),
    ],
)
def test_one_that_fails_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str], script: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, script), "x")
    assert f"gave no credentials: {told}" in caught.value.message or f"returned 1. {told}" in caught.value.message
    assert len(caught.value.message) < 600
    assert "canary" not in caught.value.message
    assert "see that the command works" in str(caught.value.hint)
    assert capfd.readouterr().err == "", "told once"
    assert all(not one.filters for one in (logging.getLogger(),))


def test_credentials_that_can_not_be_renewed_are_used_as_long_as_they_are_taken(tmp_path: Path) -> None:
    """The token is old; the command gives one once, and fails then."""
    once = tmp_path / "once"
    script = f"import pathlib, sys; p = pathlib.Path({str(once)!r}); p.exists() and sys.exit('expired'); p.touch(); print('''{json.dumps(ANSWER)}''')"
    server = ApiServer(tmp_path)
    try:
        mesh = KubernetesMesh(written(tmp_path, script, server="http://{}:{}".format(*server.address)), "x")
        with pytest.raises(MeshError) as caught:
            mesh.namespaces()
        assert caught.value.status == 401
        assert "gave no credentials: exec: process returned 1. expired" in str(caught.value.hint)
    finally:
        server.stop()


def test_one_that_hangs_when_it_renews_holds_nobody_up(tmp_path: Path) -> None:
    pipe, calls, third = (tmp_path / name for name in ("end", "calls", "third"))
    script = (
        f"import pathlib; p = pathlib.Path({str(calls)!r}); n = len(p.read_text()) if p.exists() else 0; p.write_text('x' * (n + 1)); "
        f"n >= 2 and (pathlib.Path({str(third)!r}).touch(), open({str(pipe)!r}).read()); print('''{json.dumps(ANSWER)}''')"
    )
    os.mkfifo(pipe)
    found = load(written(tmp_path, script), "x").configuration
    found.get_api_key_with_prefix("BearerToken")
    assert calls.read_text() == "xx", "the token is old, so it was renewed"
    hanging = threading.Thread(target=found.refresh_api_key_hook, args=(found,))
    hanging.start()
    try:
        until(third.exists, "the command hangs")
        found.get_api_key_with_prefix("BearerToken")
    finally:
        pipe.write_text("")
        hanging.join()
