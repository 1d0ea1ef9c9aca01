"""What every client is asked to do; run in the environment of the client, with the standard library alone."""

from __future__ import annotations

import os
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

NAMESPACE = "staging"
NAME = "client"
APPLICATION = "inventory-svc"
CALLER = "user-svc"
URL = f"http://{APPLICATION}.{NAMESPACE}:8080/stock/1"
BROKEN = "http[0]: http.route.destination.host: Required"


def virtual_service(status: int, *, version: str = "networking.istio.io/v1") -> dict[str, Any]:
    """One that aborts every request with this status."""
    fault = {"abort": {"httpStatus": status, "percentage": {"value": 100}}}
    route = {"fault": fault, "route": [{"destination": {"host": APPLICATION}}]}
    return {
        "apiVersion": version,
        "kind": "VirtualService",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"hosts": [APPLICATION], "http": [route]},
    }


def answered() -> int:
    """The status that the caller's sidecar gives."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": os.environ["CALLERS_PROXY"]}))
    try:
        with opener.open(URL, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def until(condition: Callable[[], bool], what: str, *, within: float = 30) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(0.05)


def has_effect(status: int) -> None:
    """Waits until callers get this status."""
    until(lambda: answered() == status, f"callers get {status}, not {answered()}")


def refused(action: Callable[[], object], by: type[Exception]) -> Exception:
    """What an action that must fail fails with."""
    try:
        action()
    except by as error:
        return error
    raise AssertionError("it was taken")


def run(steps: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Does the steps one after the other; prints each with its outcome, tab-separated."""
    for name, step in steps:
        try:
            said = step()
        except Exception as error:  # noqa: BLE001 - the table tells it
            if os.environ.get("CLIENTS_DEBUG"):
                traceback.print_exc()
            sys.stdout.write(f"{name}\tFAILED: {type(error).__name__}: {' '.join(str(error).split())[:300]}\n")
        else:
            sys.stdout.write(f"{name}\t{'ok' if said is None else said}\n")
        sys.stdout.flush()
