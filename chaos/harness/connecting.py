"""To a place: a cluster that is named, or the lab where nothing is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from chaos.adapters.embedded_lab import find_lab
from chaos.adapters.kubernetes_mesh import KubernetesMesh
from chaos.adapters.prometheus_metrics import PrometheusMetrics
from chaos.adapters.settings_file import VARIABLES, read_settings
from chaos.engine.place import Place
from chaos.errors import InputError, Setting
from chaos.model.prometheus import address
from chaos.model.settings import LAB, Settings
from chaos.values.access import MeshAccess
from chaos.values.secrets import redacted, without_secrets


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which cluster a user names, in any front end; without any of these, the lab.

    Args:
        context: Name of a context of the kubeconfig; the current one is never used.
        kubeconfig: Path of a kubeconfig; by default ``KUBECONFIG`` or ``~/.kube/config``.
        prometheus: URL of the Prometheus that scrapes the mesh.
        prometheus_access: Credentials for it, such as ``bearer=env:TOKEN``; see ``Prometheus.with_access``.
        entry: URL that load is sent to, e.g. the ingress gateway's.

    Raises:
        InputError: there are options for a cluster, but none names its context.
    """

    context: str | None = None
    kubeconfig: str | None = None
    prometheus: str | None = field(default=None, repr=False)
    prometheus_access: Sequence[str] = ()
    entry: str | None = field(default=None, repr=False)

    @classmethod
    def typed(cls, **given: Any) -> Self:
        """As they stand on a command line, which everybody on the machine can read.

        Raises:
            InputError: there is a password among them.
        """
        for setting in (Setting.PROMETHEUS, Setting.ENTRY):
            url = given.get(setting.value)
            if url and ("@" in url or redacted(url) != url):
                raise InputError(
                    f"{setting} {without_secrets(url)}: a command line is no place for a password: everybody on this machine can read it",
                    hint=f"give the address by the variable {VARIABLES[setting.value]}, or in the settings",
                )
        return cls(**given)

    def __post_init__(self) -> None:
        given = {
            Setting.KUBECONFIG: self.kubeconfig,
            Setting.PROMETHEUS: self.prometheus,
            Setting.PROMETHEUS_ACCESS: self.prometheus_access,
            Setting.ENTRY: self.entry,
        }
        if not self.context and (named := [str(setting) for setting, value in given.items() if value]):
            raise InputError(
                f"{', '.join(named)} without {Setting.CONTEXT}: a cluster is touched only if its context is named",
                hint=f"add {Setting.CONTEXT}, or omit all of them to use the lab",
            )


def mesh_of(options: Options, settings: Settings | None = None) -> tuple[KubernetesMesh, Settings]:
    """The API of the cluster that is named, and what may be touched there.

    Raises:
        InputError: no context is named, or it can't be used.
    """
    if not options.context:
        raise InputError(
            "no context is named, so no cluster is touched",
            hint=f"give {Setting.CONTEXT}, or omit it and all others to use the lab",
        )
    settings = settings or read_settings(Path.cwd())
    return KubernetesMesh(options.kubeconfig, options.context, root=settings.root_namespace), settings


def mesh_that_runs(options: Options) -> tuple[KubernetesMesh, Settings] | None:
    """The API of the cluster that is named, else of the lab that runs; ``None`` where none runs, so that nothing is there.

    Raises:
        InputError: the context can't be used.
    """
    if options.context:
        return mesh_of(options)
    lab = find_lab().running()
    return mesh_of_lab(lab) if lab is not None else None


def mesh_of_lab(lab: MeshAccess) -> tuple[KubernetesMesh, Settings]:
    """The API of a lab; no configured rules hold there."""
    return KubernetesMesh(lab.kubeconfig, lab.context), LAB.model_copy(
        update={"namespaces": lab.staging, "changes": lab.staging}
    )


def cluster(options: Options, settings: Settings | None = None) -> Place:
    """The cluster that is named.

    Raises:
        InputError: something is missing or not of the right form.
        MeshError: the API can't be reached.
        MetricsError: Prometheus can't be reached.
    """
    mesh, settings = mesh_of(options, settings)
    prometheus = settings.prometheus.with_access(options.prometheus_access)
    if options.prometheus:
        prometheus = prometheus.at(
            address(options.prometheus, f"{Setting.PROMETHEUS}", example="http://127.0.0.1:9090")
        )
    entry = settings.entry
    if options.entry:
        entry = address(options.entry, f"{Setting.ENTRY}", example="https://shop.staging.example")
    if prometheus.url is None:
        raise InputError(
            f"no Prometheus is named for the context {options.context!r}",
            hint=f"give {Setting.PROMETHEUS}, or prometheus in [tool.chaos], such as http://127.0.0.1:9090 "
            "(kubectl -n istio-system port-forward svc/prometheus 9090)",
        )
    metrics = PrometheusMetrics(prometheus)
    settings = settings.model_copy(update={"prometheus": prometheus})
    return Place.of(mesh, metrics, settings, entry=entry or "", prometheus=metrics.url)


def on_lab(lab: MeshAccess) -> Place:
    """A lab that runs.

    Raises:
        MeshError: its API can't be reached.
        MetricsError: its Prometheus can't be reached.
    """
    mesh, settings = mesh_of_lab(lab)
    metrics = PrometheusMetrics(lab.prometheus)
    return Place.of(mesh, metrics, settings, entry=lab.entry, prometheus=lab.prometheus, lab=True)
