"""What a stand-in service does, as declared in its pod template's annotation.

A Deployment without the annotation gets a service that answers every path with 200 and its own identity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic.alias_generators import to_camel
from ruamel.yaml import YAML

from chaos.errors import InputError
from chaos.values.quantities import Duration, Share
from chaos.values.unreadable import UNREADABLE, fault_of

ANNOTATION: Final = "lab.istio-chaos.dev/behaviour"
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]

FORWARDED: Final = (
    "x-request-id",
    "traceparent",
    "tracestate",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-ot-span-context",
    "x-chaos-run",
    "end-user",
    "x-test-user",
    "x-canary",
    "x-user-tier",
)
"""Headers that a well-behaved service hands on: the trace headers of Istio's FAQ, and those that routes look at."""


class Declared(BaseModel):
    """What users write: unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Call(Declared):
    """One call to another service.

    Attributes:
        url: May hold the path's parameters: ``http://inventory-svc:8080/stock/{id}``. ``grpc://host:port/pkg.Service/Method``
            calls over gRPC; ``method`` does not count then.
        timeout: Of each attempt; none waits as long as it takes.
        retries: Further attempts after an error, a timeout or a 5xx.
        fallback: What the answer says instead when every attempt failed. Without it the answer is ``failure``.
        take: Fields of the callee's JSON answer that become fields of this one.
        failure: The status that this service answers with when the call failed and there is no fallback.
    """

    url: str = Field(pattern=r"^(http://[^/]+(/.*)?|grpc://[^/]+/[^/]+/[^/]+)$")
    method: Method = "GET"
    timeout: Duration | None = None
    retries: int = Field(default=0, ge=0, le=10)
    fallback: dict[str, Any] | None = None
    take: tuple[str, ...] = ()
    failure: int = Field(default=500, ge=400, le=599)


class Errors(Declared):
    """A share of requests that fail by themselves."""

    share: Share
    status: int = Field(default=500, ge=400, le=599)


class Route(Declared):
    """What is answered to one kind of request, over HTTP/1.1, HTTP/2 and gRPC alike.

    A gRPC method is the path ``/package.Service/Method``; an HTTP status is then answered as gRPC maps it
    (503 as ``UNAVAILABLE``).

    Attributes:
        path: A path whose segments may be parameters, such as ``/orders/{id}``; a last ``*`` takes any rest.
        latency: Time that the work takes; ``jitter`` is added to it, evenly drawn from 0 to its value.
        payload: Fields of the JSON answer; strings may hold the path's parameters.
        calls: Made one after the other.
    """

    path: str = Field(pattern=r"^/")
    method: Method | None = None
    status: int = Field(default=200, ge=200, le=599)
    latency: Duration | None = None
    jitter: Duration | None = None
    errors: Errors | None = None
    payload: dict[str, Any] = Field(default_factory=dict)
    calls: tuple[Call, ...] = ()
    _pattern: re.Pattern[str] = PrivateAttr()

    def model_post_init(self, _context: Any, /) -> None:
        """Compiles the path once."""
        rest = self.path.endswith("*")
        words = re.split(r"\{([a-z][a-z0-9_]*)\}", self.path.removesuffix("*"))
        pattern = "".join(re.escape(word) if at % 2 == 0 else f"(?P<{word}>[^/]+)" for at, word in enumerate(words))
        self._pattern = re.compile(pattern + (".*" if rest else "/?"))

    def match(self, method: str, path: str) -> Mapping[str, str] | None:
        """The path's parameters, or ``None`` where the request isn't for this route."""
        if self.method is not None and self.method != method:
            return None
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


class Behaviour(Declared):
    """All that a stand-in does; the first route that matches answers."""

    routes: tuple[Route, ...] = (Route(path="/*"),)
    forward_headers: tuple[str, ...] = FORWARDED

    @classmethod
    def parse(cls, text: str | None, *, where: str = ANNOTATION) -> Self:
        """The behaviour in an annotation's YAML; the default for none.

        Raises:
            InputError: Names every problem with its place.
        """
        if text is None or not text.strip():
            return cls()
        try:
            read = YAML(typ="safe").load(text)
        except UNREADABLE as error:
            raise InputError(f"{where}: not YAML: {fault_of(error, text)}") from None
        try:
            return cls.model_validate(read)
        except ValidationError as error:
            problems = (
                f"{'.'.join(map(str, problem['loc'])) or 'the whole'}: {problem['msg']}" for problem in error.errors()
            )
            raise InputError(f"{where}: {'; '.join(problems)}") from error


def fill(value: Any, parameters: Mapping[str, str]) -> Any:
    """The value with ``{name}`` replaced by the path's parameters in all its strings."""
    if isinstance(value, str):
        for name, text in parameters.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, dict):
        return {key: fill(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, parameters) for item in value]
    return value
