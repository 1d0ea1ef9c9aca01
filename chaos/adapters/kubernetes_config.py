"""The official client's configuration for one named context of a kubeconfig, or for a pod's own cluster."""

from __future__ import annotations

import binascii
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import kubernetes.client
import kubernetes.config
from kubernetes.config import incluster_config, kube_config

from chaos.adapters.kubernetes_proxy import set_proxy
from chaos.adapters.loopback import excepting, is_loopback
from chaos.errors import InputError, Setting
from chaos.values.secrets import is_url, redacted, without_secrets
from chaos.values.unreadable import fault_of

IN_CLUSTER: Final = "in-cluster"
"""The name under which a pod reaches its own cluster, by its service account."""
_UNREADABLE: Final = (
    kubernetes.config.ConfigException, kube_config.yaml.YAMLError, OSError, LookupError, TypeError, AttributeError,
    ValueError,
)  # fmt: skip
"""What the client raises for a kubeconfig that is not of the expected form."""


_TOLD: Final = 400
"""Characters that are told of what a command said."""
_RENEWED: Final = 1.0
"""Seconds for which a renewal of the credentials by another thread is waited for."""


class _Configuration(kubernetes.client.Configuration):  # type: ignore[misc]
    """The client's configuration, with a token that can be sent: files end in a newline, and an error about such a header would show the token."""

    def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None:
        """The token for one request, which the client may renew first.

        Raises:
            InputError: it can't be sent.
        """
        found: str | None = super().get_api_key_with_prefix(identifier, alias)
        token = found and found.strip()
        if token and not (token.isascii() and token.isprintable()):
            raise InputError(
                "the token of the kubeconfig's user has characters that no header can have, such as a line break (it is not shown)",
                hint="look at its token, tokenFile or exec plugin",
            )
        return token


@dataclass(frozen=True)
class Loaded:
    """The client's configuration for one named context.

    Args:
        configuration: The client's.
        namespace: That the context names.
        unrenewed: Why the credentials could not be renewed the last time; empty while they could.
    """

    configuration: Any
    namespace: str
    unrenewed: list[str] = field(default_factory=list)


class _Loader(kube_config.KubeConfigLoader):  # type: ignore[misc]
    """The client's, which logs that a command gave no credentials and goes on without any."""

    def _load_from_exec_plugin(self) -> bool | None:
        plugin = self._user.value.get("exec")
        if plugin is None:
            return None
        with _logged() as said:
            found = super()._load_from_exec_plugin()
        if not found:
            command, hint = plugin.get("command"), plugin.get("installHint")
            missing = any("No such file" in one for one in said)
            raise InputError(
                f"the context {self.current_context['name']!r} logs in by the command {command!r}, which "
                + ("is not installed here" if missing else f"gave no credentials: {_why('; '.join(said))}"),
                hint=str(hint).strip()
                if hint and missing
                else "see that the command works in this environment by itself",
            )
        return True


def _why(said: str) -> str:
    """What the client says of a command, without what it quotes of the kubeconfig and of the command's output."""
    if not said.startswith(("exec: ", "[Errno ")):
        return "it did not print an ExecCredential with a token or a certificate"
    return redacted(" ".join(said.split()))[:_TOLD]


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What is logged as an error in this thread meanwhile, in place of where it would go."""
    said: list[str] = []
    thread = threading.get_ident()

    def take(record: logging.LogRecord) -> bool:
        if record.thread != thread or record.levelno < logging.ERROR:
            return True
        said.append(record.getMessage())
        return False

    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)  # else logging sets one up, that prints
    root.addFilter(take)
    try:
        yield said
    finally:
        root.removeFilter(take)
        root.removeHandler(nowhere)


def load(kubeconfig: str | None, context: str) -> Loaded:
    """The configuration for a context; see ``KubernetesApi``.

    Raises:
        InputError: there is no such context, or the kubeconfig can't be used.
    """
    if context == IN_CLUSTER and not kubeconfig:
        return _of_pod()
    return _of_file(kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config", context)


def _of_pod() -> Loaded:
    configuration = _Configuration()
    token = Path(incluster_config.SERVICE_TOKEN_FILENAME)
    try:
        loader = incluster_config.InClusterConfigLoader(str(token), incluster_config.SERVICE_CERT_FILENAME)
        loader.load_and_set(configuration)
        namespace = (token.parent / "namespace").read_text(encoding="utf-8").strip()
    except (kubernetes.config.ConfigException, OSError) as error:
        raise InputError(
            f"the context {IN_CLUSTER!r} is for pods with a service account, but this process is not in one: {error}",
            hint=f"give {Setting.CONTEXT}, one of your kubeconfig's",
        ) from error
    configuration.retries = False
    return Loaded(configuration, namespace)


def _of_file(files: str, context: str) -> Loaded:
    configuration = _Configuration()
    known: list[str] = []
    merger = None
    try:
        merger = kube_config.KubeConfigMerger(files)
        if merger.config is None:
            raise InputError(
                f"expected a kubeconfig at {files}, found none", hint=f"give {Setting.KUBECONFIG}, or set KUBECONFIG"
            )
        contexts = {str(entry["name"]): entry for entry in merger.config.value["contexts"]}
        known = sorted(contexts)
        if context in contexts:
            loader = _Loader(
                merger.config, active_context=context, config_base_path=None, config_persister=merger.save_changes
            )
            loader.load_and_set(configuration)
            namespace = contexts[context].value["context"].get("namespace")
    except _UNREADABLE as error:
        raise InputError(
            f"the context {context!r} of the kubeconfig {files} can't be used: {_fault(error, was_read=merger is not None)}"
        ) from None
    if context not in known:
        raise InputError(
            f"expected a context of the kubeconfig {files}, got {context!r}",
            hint=f"its contexts are: {', '.join(known)}" if known else "it has no contexts",
        )
    unrenewed: list[str] = []
    refresh = configuration.refresh_api_key_hook
    if refresh is not None:  # several threads may find the token old; a plugin that rotates it must run once
        one_at_a_time = threading.Lock()

        def refreshed(changed: Any) -> None:
            if not one_at_a_time.acquire(timeout=_RENEWED):
                return  # a plugin that hangs must not hold up a clean-up: what there is may still be accepted
            try:
                refresh(changed)
                unrenewed.clear()
            except InputError as error:
                unrenewed[:] = [error.message]
            finally:
                changed.refresh_api_key_hook = refreshed  # in place of which the client sets its own at each renewal
                one_at_a_time.release()

        configuration.refresh_api_key_hook = refreshed
    _see_server(configuration.host, context, files)
    # The client's own retries would repeat writes whose answer was lost.
    configuration.retries = False
    if not hasattr(loader, "proxy") and is_loopback(configuration.host):  # else the kubeconfig's own proxy-url holds
        # As Go's clients do. With no proxy at all, the client for exec would look into the environment by itself.
        configuration.no_proxy = excepting(configuration.host, configuration.no_proxy)
    set_proxy(configuration)
    if hasattr(loader, "proxy"):  # which is set again whenever the credentials are renewed
        loader.proxy = configuration.proxy
    return Loaded(configuration, str(namespace or "default"), unrenewed)


def _fault(error: Exception, *, was_read: bool) -> str:
    """What is wrong with a kubeconfig, without what stands in it; or, where that was read, with a part such as a token."""
    if isinstance(error, kube_config.yaml.YAMLError) or (isinstance(error, UnicodeDecodeError) and not was_read):
        return str(fault_of(error))
    if isinstance(error, binascii.Error):
        return "it has a certificate or a key that is no base64"
    if isinstance(error, (ValueError, AttributeError, TypeError, LookupError)):
        return "something in it is not of the form of a kubeconfig"
    return re.sub(r"\{.*\}", "…", str(error))


def _see_server(host: object, context: str, files: str) -> None:
    """Raises ``InputError`` where the server of a cluster has no address."""
    if not is_url(str(host)):
        raise InputError(
            f"the context {context!r} of the kubeconfig {files} can't be used: expected a server such as https://10.0.0.1:6443, "
            f"got {without_secrets(str(host))!r}"
        )
