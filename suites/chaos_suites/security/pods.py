"""The doors of a service's pods, looked at from outside of the mesh: in plain text, and by TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import pytest

from chaos import Harness

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
        """Whether a request without TLS gets no answer, whatever status that had."""
        connection = HTTPConnection(self.ip, self.port, timeout=_SECONDS)
        try:
            connection.request("GET", "/", headers={"Host": self.service})
            connection.getresponse()
        except (HTTPException, OSError):
            return True
        else:
            return False
        finally:
            connection.close()

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
            except (ssl.SSLError, ConnectionError):
                return b""

    def shows(self, identity: str) -> bool:
        """Whether its certificate has this SPIFFE identity."""
        text = identity.encode()
        return bytes([_URI, len(text)]) + text in self.certificate()


def doors(harness: Harness, namespace: str, name: str) -> list[Door]:
    """Those of all pods of a Service; the test is skipped where they can't be reached from here.

    Fails the test if there are none.
    """
    service = next((one for one in harness.place.mesh.services(namespace) if one["metadata"]["name"] == name), None)
    if service is None:
        pytest.fail(f"there is no Service {namespace}/{name}: correct services.toml", pytrace=False)
    selector = service["spec"].get("selector") or {}
    pods = [
        one
        for one in harness.place.mesh.pods(namespace)
        if selector.items() <= one["metadata"].get("labels", {}).items()
    ]
    found = [Door(name, one["status"]["podIP"], port) for one in pods if _runs(one) for port in _ports(service, one)]
    if not found:
        pytest.fail(f"no pod of {namespace}/{name} runs", pytrace=False)
    try:
        for one in found:
            one.certificate()
    except OSError as error:
        pytest.skip(
            f"it asks pods without a sidecar, and they can't be reached from here ({error}): run it inside the cluster's network"
        )
    return found


def _runs(pod: Any) -> bool:
    return bool(pod["status"].get("podIP")) and "deletionTimestamp" not in pod["metadata"]


def _ports(service: Any, pod: Any) -> Iterator[int]:
    named = {
        port.get("name"): port["containerPort"]
        for container in pod["spec"]["containers"]
        for port in container.get("ports") or ()
    }
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort", port["port"])
        yield named[target] if isinstance(target, str) else target
