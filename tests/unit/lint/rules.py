"""What the rules say about a few objects, without any file."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML

from chaos.lint.rules.linted import Linted
from chaos.lint.rules.manifest import Hit, Manifest, manifest
from chaos.lint.rules.table import check
from chaos.model.settings import Settings
from chaos.values.declared import dotted

STAGING = Settings(namespaces=("staging", "team-*-staging"))
SERVICES = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: staging}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: staging}
spec: {ports: [{name: grpc, port: 80}]}
---
"""
ABORT = "{abort: {percentage: {value: 50}, httpStatus: 503}}"


def virtual_service(
    route: str = f"fault: {ABORT}, route: [{{destination: {{host: reviews}}}}]",
    *,
    name: str = "reviews",
    namespace: str | None = "staging",
    spec: str = "hosts: [reviews], exportTo: ['.']",
) -> str:
    """A VirtualService with one HTTP route; a fault that only staging feels where nothing else is said."""
    where = "" if namespace is None else f", namespace: {namespace}"
    return (
        f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}{where}}}\n"
        f"spec: {{{spec}, http: [{{{route}}}]}}\n---\n"
    )


def hits(
    *texts: str,
    settings: Settings = STAGING,
    files: tuple[str, ...] = (),
    namespace: str | None = None,
) -> list[tuple[str, Hit]]:
    """Every broken rule; each text is a file."""
    names = files or tuple(f"apps/{number}.yaml" for number in range(len(texts)))
    manifests: list[Manifest] = []
    for file, text in zip(names, texts, strict=True):
        for document in YAML(typ="safe").load_all(text):
            if document is not None:
                manifests.append(
                    manifest(
                        plain(document),
                        document=len(manifests),
                        segments=tuple(file.split("/")),
                        stream=file,
                        namespace=namespace,
                    )
                )
    return [(rule.id, hit) for rule, hit in check(Linted(manifests, settings))]


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def told(*texts: str, **options: Any) -> list[tuple[str, str]]:
    """Ids of the broken rules and the places in their objects."""
    return [(rule, dotted(hit.path)) for rule, hit in hits(*texts, **options)]


def rules(*texts: str, **options: Any) -> list[str]:
    """Ids of the broken rules."""
    return [rule for rule, _ in hits(*texts, **options)]
