"""The doors of a service's pods, looked at from outside of the mesh: in plain text, and by TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from chaos import Harness
from chaos.istio.pods import selects

_SECONDS: Final = 3.0
_ALPN: Final = ["istio-http/1.1", "istio", "http/1.1"]
"""What a sidecar asks for (istiod ``pilot/pkg/networking/util``)."""
_URI: Final = 0x86
"""The tag of an URI in a certificate's alternative names (RFC 5280, GeneralName)."""


@dataclass(frozen=True)
class Door:
    """An address at which a pod takes requests.

    Args:
        service: The pod's Service.
        ip: The pod's address.
        port: The container's port.
    """

    service: str
    ip: str
    port: int

    def refuses_plain_text(self) -> bool:
        """Whether the connection of a request without TLS ends without an answer, in whatever protocol that were.

        One that stays open is no refusal: a sidecar that wants TLS ends it at once, and a service may be slow, or wait for more.
        """
        request = f"GET / HTTP/1.1\r\nHost: {self.service}\r\n\r\n"
        try:
            plain = socket.create_connection((self.ip, self.port), timeout=_SECONDS)
        except OSError:
            return True
        with plain:
            try:
                plain.sendall(request.encode())
                return plain.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

    def certificate(self) -> bytes:
        """The certificate that it shows, in DER; empty where there is no TLS.

        Raises:
            OSError: nothing can be connected to there.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(_ALPN)
        with socket.create_connection((self.ip, self.port), timeout=_SECONDS) as plain:
            try:
                with context.wrap_socket(plain) as secured:
                    return secured.getpeercert(binary_form=True) or b""
            except (ssl.SSLError, ConnectionError, TimeoutError):
                return b""

    def why_closed(self) -> str:
        """Why nothing can be connected to there; empty where it can."""
        try:
            self.certificate()
        except OSError as error:
            return str(error)
        return ""

    def shows(self, identity: str) -> bool:
        """Whether its certificate has this SPIFFE identity."""
        text = identity.encode()
        size = len(text)
        length = [size] if size < 0x80 else [0x81, size] if size < 0x100 else [0x82, *size.to_bytes(2)]
        return bytes([_URI, *length]) + text in self.certificate()


def doors(harness: Harness, namespace: str, name: str) -> list[Door]:
    """Those of all pods of a Service; the test is skipped where none can be reached from here.

    Fails the test if there are none, or as inconclusive if some can be reached and others not.
    """
    service = next((one for one in harness.place.mesh.services(namespace) if one["metadata"]["name"] == name), None)
    if service is None:
        pytest.fail(f"there is no Service {namespace}/{name}: correct services.toml", pytrace=False)
    pods = [one for one in harness.place.mesh.pods(namespace) if selects(service, one["metadata"].get("labels") or {})]
    found = [Door(name, one["status"]["podIP"], port) for one in pods if _runs(one) for port in _ports(service, one)]
    if not found:
        pytest.fail(f"no pod of {namespace}/{name} runs", pytrace=False)
    closed = {one: why for one in found if (why := one.why_closed())}
    if len(closed) == len(found):
        pytest.skip(
            f"it asks pods without a sidecar, and they can't be reached from here ({next(iter(closed.values()))}): run it inside "
            "the cluster's network"
        )
    if closed:
        told = ", ".join(f"{one}: {why}" for one, why in closed.items())
        pytest.fail(f"inconclusive: not all pods of {namespace}/{name} can be reached: {told}", pytrace=False)
    return found


def _runs(pod: Any) -> bool:
    """Not a pod that has ended, which keeps its address in its status."""
    status = pod["status"]
    return bool(status.get("podIP")) and status.get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


def _ports(service: Any, pod: Any) -> Iterator[int]:
    """Those of the pod's containers to which the Service leads by TCP; a name that the pod does not have leads nowhere."""
    named = {
        port.get("name"): port["containerPort"]
        for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
        for port in container.get("ports") or ()
    }
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        number = named.get(target) if isinstance(target, str) else target
        if number is not None and port.get("protocol", "TCP") == "TCP":
            yield number
