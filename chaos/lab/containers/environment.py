"""The environment of a container, as its manifest has it. Pure but for finding what it refers to."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from chaos.errors import LabError
from chaos.istio.proxy import CONTAINER
from chaos.lab.api.resources import CONFIG_MAPS, SECRETS, Resource

Object = Mapping[str, Any]
Find = Callable[[Resource, str, str], Object | None]
_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_KEY: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


def application(pod: Object, named: str | None) -> tuple[Object, tuple[str, ...]]:
    """The container that the user's process replaces, and remarks about it; the proxy's container does not count.

    Args:
        pod: As it is stored.
        named: Which one the user named; else it is the first one with a port.

    Raises:
        LabError: There is only the proxy's, or none of this name.
    """
    containers = [one for one in pod["spec"].get("containers") or () if one.get("name") != CONTAINER]
    names = ", ".join(str(one.get("name")) for one in containers)
    if not containers:
        raise LabError(
            f"pod {pod['metadata']['name']} has no container but its proxy, so there is none that a process could replace"
        )
    if named is not None:
        found = next((one for one in containers if one.get("name") == named), None)
        if found is None:
            raise LabError(
                f"pod {pod['metadata']['name']} has no container {named!r}, which the process is to replace",
                hint=f"process.container in the behaviours file names one of {names}",
            )
        return found, ()
    asked = [one for one in containers if one.get("ports")]
    first = (asked or containers)[0]
    remark = (
        f"this process replaces the container {first.get('name')}, the first one of {names} with a port, and has its variables and "
        f"probes. process.container in the behaviours file names another"
    )
    return first, (remark,) if len(asked) > 1 else ()


def not_mounted(pod: Object, container: Object) -> Iterator[str]:
    """What the user has to know of the files that the container would have of ConfigMaps and Secrets: a process has none of them."""
    volumes = {one.get("name"): one for one in pod["spec"].get("volumes") or ()}
    paths = [
        f"{mount.get('mountPath')} ({kind} {what.get('name') or what.get('secretName')})"
        for mount in container.get("volumeMounts") or ()
        for key, kind in (("configMap", CONFIG_MAPS.kind), ("secret", SECRETS.kind))
        if (what := volumes.get(mount.get("name"), {}).get(key)) is not None
    ]
    if paths:
        yield f"nothing is mounted at {', '.join(paths)}: let the program read such files below its own folder, by a variable of process.env"


def environment(pod: Object, container: Object, ip: str, *, services: Iterable[Object], find: Find) -> dict[str, str]:
    """The variables of ``env`` and ``envFrom``, those of Services, and what the lab gives every process.

    Args:
        pod: As it is stored.
        container: The one of it whose variables they are.
        ip: Its address.
        services: Those of its namespace.
        find: A ConfigMap or a Secret by namespace and name.

    Raises:
        LabError: It refers to what is not there, or to what the lab does not have.
    """
    meta = pod["metadata"]
    linked = services if pod["spec"].get("enableServiceLinks", True) else ()
    found = {
        **{name: value for service in linked for name, value in _links(service)},
        "HOSTNAME": meta["name"],
        "POD_NAME": meta["name"],
        "POD_NAMESPACE": meta["namespace"],
        "POD_IP": ip,
    }
    for source in container.get("envFrom") or ():
        found.update(_all_of(source, meta["namespace"], find))
    for variable in container.get("env") or ():
        value = _value(variable, pod, ip, find)
        if value is not None:
            found[variable["name"]] = _expanded(value, found)
    return found


def _links(service: Object) -> Iterator[tuple[str, str]]:
    """Where a Service is, by the variables that Kubernetes gives to every container (``pkg/kubelet/envvars``)."""
    spec = service.get("spec") or {}
    ip, ports = spec.get("clusterIP"), spec.get("ports") or ()
    if not ip or ip == "None" or not ports:
        return
    name = service["metadata"]["name"].upper().replace("-", "_")
    yield f"{name}_SERVICE_HOST", ip
    yield f"{name}_SERVICE_PORT", str(ports[0]["port"])
    yield f"{name}_PORT", _url(ip, ports[0])
    for port in ports:
        number, protocol = str(port["port"]), port.get("protocol", "TCP")
        if port.get("name"):
            yield f"{name}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}", number
        prefix = f"{name}_PORT_{number}_{protocol}"
        yield prefix, _url(ip, port)
        yield f"{prefix}_PROTO", protocol.lower()
        yield f"{prefix}_PORT", number
        yield f"{prefix}_ADDR", ip


def _url(ip: str, port: Object) -> str:
    return f"{port.get('protocol', 'TCP').lower()}://{ip}:{port['port']}"


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """``$(NAME)`` as Kubernetes expands it: what is not known stays as it is, ``$$`` is one ``$``."""

    def one(match: re.Match[str]) -> str:
        return "$" if match[1] is None else known.get(match[1], match[0])

    return _REFERENCE.sub(one, value)


def _value(variable: Object, pod: Object, ip: str, find: Find) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value") or "")
    for key, resource in (("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)):
        if key in source:
            content = _content(source[key], pod["metadata"]["namespace"], resource, find)
            if source[key]["key"] in content:
                return content[source[key]["key"]]
            if source[key].get("optional"):
                return None
            raise LabError(
                f"variable {variable['name']}: the {resource.kind} {source[key]['name']} has no key {source[key]['key']}"
            )
    path = (source.get("fieldRef") or {}).get("fieldPath", "")
    field = _field(path, pod, ip)
    if field is None:
        raise LabError(
            f"variable {variable['name']}: the lab does not have {path or ', '.join(source)}",
            hint="give it a value in the behaviours file: process.env, and leave it out of the manifest",
        )
    return field


def _field(path: str, pod: Object, ip: str) -> str | None:
    meta = pod["metadata"]
    if match := _KEY.fullmatch(path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    fields = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": ip,
        "status.podIPs": ip,
        "status.hostIP": "127.0.0.1",
        "status.hostIPs": "127.0.0.1",
    }
    return fields.get(path)


def _all_of(source: Object, namespace: str, find: Find) -> Iterator[tuple[str, str]]:
    for key, resource in (("configMapRef", CONFIG_MAPS), ("secretRef", SECRETS)):
        if key in source:
            for name, value in _content(source[key], namespace, resource, find).items():
                yield f"{source.get('prefix', '')}{name}", value


def _content(reference: Object, namespace: str, resource: Resource, find: Find) -> dict[str, str]:
    found = find(resource, namespace, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise LabError(
            f"its container needs the {resource.kind} {namespace}/{reference['name']}, which is not there",
            hint="put it among the manifests, or apply it with kubectl and delete the pod",
        )
    data: dict[str, str] = dict(found.get("data") or {})
    if resource is SECRETS:
        # bytes that are no text, as of a key store beside a password, are handed on as they are
        data = {key: os.fsdecode(base64.b64decode(value)) for key, value in data.items()}
    return {**data, **(found.get("stringData") or {})}
