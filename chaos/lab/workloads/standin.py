"""One stand-in service: answers requests as declared and calls other services, by its sidecar where it has one."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chaos.lab.workloads.behaviour import Behaviour, Call, Route, fill
from chaos.lab.workloads.client import CallError, Client, Response
from chaos.lab.workloads.grpc_client import GrpcClient

Resolve = Callable[[str, str], "str | None"]
"""``(authority, caller's namespace)`` → an endpoint's ``ip:port``; what DNS and kube-proxy do together."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a stand-in is. ``proxy`` is the ``ip:port`` of its sidecar's outbound listener, ``None`` without one."""

    pod: str
    namespace: str
    service: str
    workload: str
    version: str
    ip: str
    proxy: str | None = None


@dataclass(slots=True)
class Answer:
    """A response in the making."""

    status: int
    fields: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The body."""
        return json.dumps(self.fields, separators=(",", ":")).encode()


class StandIn:
    """Answers for one pod.

    Args:
        identity: Said in every answer.
        behaviour: What to do.
        resolve: Finds endpoints for a pod without sidecar.
    """

    def __init__(self, identity: Identity, behaviour: Behaviour, *, resolve: Resolve) -> None:
        self.identity = identity
        self._behaviour = behaviour
        self._resolve = resolve
        self._said = {
            "service": identity.service,
            "workload": identity.workload,
            "version": identity.version,
            "namespace": identity.namespace,
            "pod": identity.pod,
        }
        self._client = Client(ip=identity.ip, proxy=identity.proxy)
        self._grpc = GrpcClient(proxy=identity.proxy)

    async def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The response to one request."""
        for route in self._behaviour.routes:
            parameters = route.match(method, path)
            if parameters is not None:
                return await self._follow(route, parameters, headers)
        return Answer(404, {**self._said, "error": f"no route for {method} {path}"})

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()
        self._grpc.close()

    async def _follow(self, route: Route, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        latency = route.latency.total_seconds() if route.latency else 0.0
        if route.jitter:
            latency += random.uniform(0, route.jitter.total_seconds())  # noqa: S311 - not a secret
        if latency:
            await asyncio.sleep(latency)
        if route.errors and random.random() < route.errors.share:  # noqa: S311
            return Answer(route.errors.status, {**self._said, "error": "declared share of errors"})
        answer = Answer(route.status, {**self._said, **fill(route.payload, parameters)})
        handed_on = {name: headers[name] for name in self._behaviour.forward_headers if name in headers}
        for call in route.calls:
            url = fill(call.url, parameters)
            result, body = await self._call(call, url, handed_on)
            answer.fields.setdefault("calls", []).append(result)
            if body is not None:
                answer.fields.update({name: body[name] for name in call.take if name in body})
            elif call.fallback is not None:
                answer.fields.update(fill(call.fallback, parameters))
            else:
                answer.status = call.failure
                answer.fields["error"] = f"{url}: {result.get('error') or result['status']}"
                break
        return answer

    async def _call(
        self, call: Call, url: str, headers: Mapping[str, str]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """What happened, and the callee's answer; ``None`` for one that failed."""
        begin = time.monotonic()
        result: dict[str, Any] = {"url": url, "method": call.method}
        body: dict[str, Any] | None = None
        for attempt in range(1, call.retries + 2):
            result["attempts"] = attempt
            for key in ("error", "status", "grpcStatus"):
                result.pop(key, None)
            try:
                async with asyncio.timeout(call.timeout.total_seconds() if call.timeout else None):
                    response = await self._send(call.method, url, headers)
            except TimeoutError:
                result["error"] = "timeout"
            except CallError as error:
                result["error"] = str(error)
            else:
                result["status"] = response.status
                if response.grpc is not None:
                    result["grpcStatus"] = response.grpc
                if response.status < 400:
                    body = _object(response)
                    break
                if response.status < 500:
                    break
        result["milliseconds"] = round((time.monotonic() - begin) * 1000, 1)
        return result, body

    async def _send(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        endpoint = None
        if self.identity.proxy is None:
            authority = url.partition("://")[2].partition("/")[0]
            endpoint = self._resolve(authority, self.identity.namespace)
            if endpoint is None:
                raise CallError(f"no endpoint for {authority}")
        if url.startswith("grpc://"):
            return await self._grpc.request(url, headers=headers, endpoint=endpoint)
        return await self._client.request(method, url, headers=headers, endpoint=endpoint)


def _object(response: Response) -> dict[str, Any]:
    try:
        body = json.loads(response.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
