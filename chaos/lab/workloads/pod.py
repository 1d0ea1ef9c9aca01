"""One stand-in in a pod of a real cluster: ``python -m chaos.lab.workloads.pod``, as ``chaosctl lab shop`` starts it.

Who it is and what it does comes from the environment, which the downward API fills. Its calls go to the services by their
names, as any application's do; that they pass the sidecar is the work of the pod's iptables.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from typing import Final

from chaos.errors import InputError
from chaos.lab.workloads.server import Workloads

VARIABLES: Final = {
    "POD_NAME": "pod", "POD_NAMESPACE": "namespace", "POD_IP": "ip", "POD_APP": "service", "POD_VERSION": "version",
    "POD_WORKLOAD": "workload", "POD_BEHAVIOUR": "behaviour", "POD_PORTS": "ports",
}  # fmt: skip
"""Environment variables, and what of an order each is (``chaos.lab.workloads.server``)."""
_NEEDED: Final = ("POD_NAME", "POD_NAMESPACE", "POD_IP", "POD_WORKLOAD", "POD_PORTS")


def order_of(environment: Mapping[str, str]) -> dict[str, object]:
    """The order that starts the stand-in.

    Raises:
        InputError: Variables are missing, or the ports are none.
    """
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        raise InputError(f"expected the environment variables {', '.join(missing)}", hint="chaosctl lab shop sets them")
    order: dict[str, object] = {key: environment.get(name, "") for name, key in VARIABLES.items()}
    try:
        ports = [int(port) for port in environment["POD_PORTS"].split(",")]
    except ValueError as error:
        raise InputError(
            f"POD_PORTS: expected numbers separated by commas, got {environment['POD_PORTS']!r}"
        ) from error
    return {**order, "ports": ports, "proxy": None}


def by_name(authority: str, namespace: str) -> str:
    """Where a service is: cluster DNS knows, from the pod's own namespace."""
    del namespace
    return authority if ":" in authority else f"{authority}:80"


async def serve(environment: Mapping[str, str]) -> None:
    """Answers until SIGTERM, which Kubernetes sends to end a pod; process 1 has to ask for it."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    workloads = Workloads(resolve=by_name)
    await workloads.add(order_of(environment))
    clock = asyncio.create_task(workloads.run())
    await stop.wait()
    clock.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await clock


def main() -> None:
    """Runs the stand-in; an environment that is wrong is told, with exit code 1."""
    try:
        asyncio.run(serve(os.environ))
    except InputError as error:
        sys.exit(f"error: {error.message}" + (f"\n\nhint: {error.hint}" if error.hint else ""))


if __name__ == "__main__":
    main()
