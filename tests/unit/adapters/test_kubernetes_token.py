"""Tokens of kubeconfigs, from files as people write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chaos.adapters.kubernetes_config import load
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.errors import InputError

CANARY = "canary-4711"


def kubeconfig(folder: Path, token: str, **cluster: str) -> str:
    (folder / "token").write_text(token)
    document: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": {"tokenFile": str(folder / "token")}}],
        "contexts": [{"name": "staging", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(document))
    return str(folder / "kubeconfig")


def test_a_token_file_may_end_in_a_newline(tmp_path: Path) -> None:
    configuration = load(kubeconfig(tmp_path, f"{CANARY}\r\n"), "staging").configuration
    for _ in range(2):  # the client sets it anew for every request
        assert configuration.get_api_key_with_prefix("BearerToken") == f"Bearer {CANARY}"


def test_a_token_that_cannot_be_sent_is_an_error_that_does_not_show_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="such as a line break") as caught:
        KubernetesMesh(kubeconfig(tmp_path, f"{CANARY}\n{CANARY}"), "staging").namespace("staging")
    assert CANARY not in str(caught.value)


def test_a_password_in_the_servers_address_is_not_shown(tmp_path: Path) -> None:
    mesh = KubernetesMesh(kubeconfig(tmp_path, "x", server=f"https://me:{CANARY}@127.0.0.1:1"), "staging")
    with pytest.raises(Exception, match=r"no answer from https://127\.0\.0\.1:1") as caught:
        mesh.namespace("staging")
    assert CANARY not in str(caught.value)
