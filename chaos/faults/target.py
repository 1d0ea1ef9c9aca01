"""Whose requests to which service a fault hits, as declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Self

from pydantic import ConfigDict, Field, model_validator

from chaos.istio.regex import problem as regex_problem
from chaos.values.conditions import Condition, all_of, any_of, at_most_one_of, inside
from chaos.values.declared import Declared, Name


class StringMatch(Declared):
    """Istio's StringMatch: one of exact, prefix, regex."""

    model_config = ConfigDict(json_schema_extra=all_of(at_most_one_of("exact", "prefix", "regex")))

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


_NO_HEADERS: Final = ("uri", "scheme", "method", "authority")
_ONE: Final[Condition] = {"allOf": [{"anyOf": [{"type": "null"}, any_of("exact", "prefix", "regex")]}]}
_NO_EMPTY_PREFIX: Final = inside("prefix", {"not": {"const": ""}})
_NotEmpty = Annotated[StringMatch, Field(json_schema_extra=_NO_EMPTY_PREFIX)]


class Match(Declared):
    """The part of Istio's HTTPMatchRequest by which an experiment may narrow its target."""

    model_config = ConfigDict(json_schema_extra=all_of(any_of("uri", "method", "headers", "queryParams")))

    uri: StringMatch | None = Field(None, json_schema_extra=_ONE)
    method: StringMatch | None = Field(None, json_schema_extra=all_of(_ONE, _NO_EMPTY_PREFIX))
    headers: dict[str, _NotEmpty] = Field(
        default_factory=dict,
        json_schema_extra={"propertyNames": {"pattern": "^[^A-Z]*$", "not": {"enum": list(_NO_HEADERS)}}},
        description="keys in lower case; {} means: is present",
    )
    query_params: dict[str, _NotEmpty] = Field(default_factory=dict)
    ignore_uri_case: bool = Field(False, strict=True)

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
        for key, value in (("uri", self.uri), ("method", self.method)):
            if value is not None and value == StringMatch():
                raise ValueError(f"{key}: expected one of exact, prefix and regex")
        for key in self.headers:
            if key != key.lower() or key in _NO_HEADERS:
                raise ValueError(f"headers: expected a lower-case header name, not {key!r} (Istio would ignore it)")
        for one in (self.method, *self.headers.values(), *self.query_params.values()):
            if one is not None and one.prefix == "":
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
        strict=True,
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
