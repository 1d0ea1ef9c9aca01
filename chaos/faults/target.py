"""Whose requests to which service a fault hits, as declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import Field, model_validator

from chaos.istio.regex import problem as regex_problem
from chaos.values.declared import Declared, Name


class StringMatch(Declared):
    """Istio's StringMatch: one of exact, prefix, regex."""

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self, *, exact: str | None = None, prefix: str | None = None, regex: str | None = None
        ) -> None: ...

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.exact, self.prefix, self.regex)) > 1:
            raise ValueError("expected one of exact, prefix and regex")
        if self.regex is not None and (wrong := regex_problem(self.regex)):
            raise ValueError(f"regex: expected one that Istio accepts: {wrong}")
        return self


class Match(Declared):
    """The part of Istio's HTTPMatchRequest by which an experiment may narrow its target."""

    uri: StringMatch | None = None
    method: StringMatch | None = None
    headers: dict[str, StringMatch] = Field(
        default_factory=dict, description="keys in lower case; {} means: is present"
    )
    query_params: dict[str, StringMatch] = Field(default_factory=dict)
    ignore_uri_case: bool = Field(False)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            uri: StringMatch | None = None,
            method: StringMatch | None = None,
            headers: Mapping[str, StringMatch] = ...,
            query_params: Mapping[str, StringMatch] = ...,
            ignore_uri_case: bool = False,
        ) -> None: ...

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not (self.uri or self.method or self.headers or self.query_params):
            raise ValueError("expected at least one of uri, method, headers and queryParams")
        for key in self.headers:
            if key != key.lower() or key in ("uri", "scheme", "method", "authority"):
                raise ValueError(f"headers: expected a lower-case header name, not {key!r} (Istio would ignore it)")
        for value in (self.method, *self.headers.values(), *self.query_params.values()):
            if value is not None and value.prefix == "":
                raise ValueError("prefix: expected one that is not empty (Istio takes an empty prefix for uri only)")
        return self


class Target(Declared):
    """Whose requests to which service are hit."""

    positional: ClassVar[tuple[str, ...]] = ("namespace", "service")

    namespace: Name = Field(description="a staging namespace")
    service: Name = Field(description="the Kubernetes Service whose callers feel the fault")
    callers: dict[str, str] = Field(
        default_factory=dict, description="pod labels of the callers that are hit; without labels, all callers"
    )
    match: tuple[Match, ...] = Field((), description="only requests that match one of these blocks")
    only_our_load: bool = Field(
        False,
        description="only requests that carry this run's header, which the load sends",
    )
    calls_per_request: int = Field(
        1, ge=1, le=1000, strict=True,
        description="how often one request of the load calls the target at most, where that is more than once",
    )  # fmt: skip

    if TYPE_CHECKING:

        def __init__(
            self,
            namespace: str,
            service: str,
            *,
            callers: Mapping[str, str] = ...,
            match: Sequence[Match] = (),
            only_our_load: bool = False,
            calls_per_request: int = 1,
        ) -> None: ...

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}"
