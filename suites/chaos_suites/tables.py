"""The tables of ``services.toml``: the parts that a team's services play in the suites, and what is declared for each."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from chaos.istio.metrics import BUCKETS_MS
from chaos.values.declared import PATH_PATTERN, Declared, HostName, Name
from chaos.values.quantities import Duration, Share, SomeTime, format_duration

RequestPath = Annotated[str, Field(pattern=PATH_PATTERN)]
MinorVersion = Annotated[str, Field(pattern=r"^\d+\.\d+$")]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


class Part(Declared):
    """One table of the file.

    Args:
        configuration: Files of Istio resources that hold for the time of the test, relative to ``services.toml``; without any,
            the mesh is tested as it stands.
    """

    model_config = ConfigDict(alias_generator=None)

    configuration: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it names."""
        return self.configuration

    @property
    def uses(self) -> tuple[str, ...]:
        """The Services that must be as one test needs them, and that nobody else may call meanwhile."""
        return ()

    @property
    def asks(self) -> tuple[str, ...]:
        """The paths that its test asks for at the mesh's entry: it calls every service behind them, not only those that it names."""
        return ()


class Entered(Part):
    """A part that is tested by requests for one path at the mesh's entry.

    Args:
        path: What is asked for.
    """

    path: RequestPath

    @property
    def asks(self) -> tuple[str, ...]:
        """The one path."""
        return (self.path,)


class Hop(Entered):
    """A service that one caller's proxy sends requests to, caused by requests at the mesh's entry.

    Args:
        caller: The workload whose proxy has the routes and policies in question: of a gateway, or of a service.
        service: The Service that it calls.
        method: How the path is asked for.
    """

    caller: Name
    service: Name
    method: Method = "GET"

    @property
    def uses(self) -> tuple[str, ...]:
        """The one that is called."""
        return (self.service,)


class Canary(Hop):
    """``[canary]``: requests are split by weights over versions (the label ``version`` of pods).

    Args:
        weights: The weight of each version; the weights are 100 in all.
        precision: The smallest deviation of a share that has to be noticed.
    """

    weights: dict[str, int] = Field(min_length=1)
    precision: Share = Field(0.05, gt=0, lt=1)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(weight < 0 for weight in self.weights.values()) or sum(self.weights.values()) != 100:
            raise ValueError("weights: expected numbers from 0 on that are 100 in all")
        return self


class Marked(Declared):
    """Requests with these headers, and the version that answers them; without headers, all others."""

    headers: dict[str, str] = Field(default_factory=dict)
    version: str


class Routing(Hop):
    """``[routing]``: requests with certain headers reach their version, and only that."""

    routes: tuple[Marked, ...] = Field(min_length=2)

    @field_validator("routes")
    @classmethod
    def _differ(cls, value: tuple[Marked, ...]) -> tuple[Marked, ...]:
        if len({one.version for one in value}) < 2:
            raise ValueError(
                "expected at least two versions: where all requests have one, nothing shows that a header matters"
            )
        return value


class Ingress(Entered):
    """``[ingress]``: the gateway at the entry's address takes requests by TLS, and redirects those without.

    Args:
        name: The name that clients ask for; the certificate has to be for it.
        service: The Service that gets the requests.
        https_port: Where it takes TLS.
        http_port: Where it redirects.
        authority: A file of the certificates that are trusted beside the usual ones.
        secret: On the lab, a Secret of this name with a certificate is there for the time of the test, and its authority is trusted.
    """

    name: HostName
    service: Name
    https_port: int = Field(443, ge=1, le=65535)
    http_port: int = Field(80, ge=1, le=65535)
    authority: Path | None = None
    secret: Name | None = None

    @property
    def uses(self) -> tuple[str, ...]:
        """The one that is called."""
        return (self.service,)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it names."""
        return (*self.configuration, *([self.authority] if self.authority else []))


class Dependent(Hop):
    """A hop whose service depends on another one, which a fault breaks: the policies of a hop never see a fault of its own.

    Args:
        dependency: The Service that ``service`` calls and can't do without.
    """

    dependency: Name

    @property
    def uses(self) -> tuple[str, ...]:
        """Both."""
        return (self.service, self.dependency)


class Mirror(Dependent):
    """``[mirror]``: requests for ``service`` are mirrored to another one, ``mirror``, that needs ``dependency``."""

    mirror: Name

    @property
    def uses(self) -> tuple[str, ...]:
        """All three."""
        return (self.service, self.mirror, self.dependency)


class Timeout(Dependent):
    """``[timeout]``: the caller's proxy gives up after ``bound``."""

    bound: Duration


class Retries(Dependent):
    """``[retries]``: the caller's proxy tries again at most so many times."""

    attempts: int = Field(ge=1, le=10)


class Breaker(Dependent):
    """``[breaker]``: the caller's connection pool sheds requests while the service is slow, and takes all of them afterwards.

    Args:
        slow: How slow; requests of so many seconds wait at once, which has to be more than the pool holds.
    """

    slow: SomeTime = timedelta(seconds=3)
    opens_within: Duration = timedelta(seconds=10)


class Ejection(Dependent):
    """``[ejection]``: the caller ejects pods that fail, ``all`` of them or ``one`` of several, and takes them back."""

    ejects: Literal["one", "all"] = "one"
    within: Duration = timedelta(seconds=20)
    back_within: Duration = timedelta(seconds=60)


class Degraded(Entered):
    """``[degraded]``: a service that goes on answering without any of its dependencies, or without all of them at once.

    Args:
        within: How soon; a bound of the mesh's histogram, and less than the 5 s for which its dependencies hang.
    """

    service: Name
    method: Method = "GET"
    dependencies: tuple[Name, ...] = Field(min_length=1)
    within: Duration = timedelta(milliseconds=2500)

    @field_validator("within")
    @classmethod
    def _counted(cls, value: timedelta) -> timedelta:
        bounds = [bound for bound in BUCKETS_MS if 1 <= bound < 5000]
        if value / timedelta(milliseconds=1) not in bounds:
            told = ", ".join(format_duration(timedelta(milliseconds=bound)) for bound in bounds)
            raise ValueError(f"expected a bound of the histogram by which the mesh counts, less than 5 s: {told}")
        return value

    @property
    def uses(self) -> tuple[str, ...]:
        """It and what it depends on."""
        return (self.service, *self.dependencies)


class Identities(Part):
    """``[identities]``: the service account of each workload; all connections between them are mutual TLS.

    Args:
        accounts: By Service.
        pods: The Services whose pods are asked directly.
        calls: Which of them calls which.
        paths: What is asked for at the entry, so that they do. One request for each of them makes each call once.
    """

    trust_domain: HostName = "cluster.local"
    accounts: dict[Name, Name] = Field(min_length=1)
    pods: tuple[Name, ...] = Field(min_length=1)
    calls: tuple[tuple[Name, Name], ...] = Field(min_length=1)
    paths: tuple[RequestPath, ...] = Field(min_length=1)

    @property
    def uses(self) -> tuple[str, ...]:
        """All that are called."""
        return tuple(called for _, called in self.calls)

    @property
    def asks(self) -> tuple[str, ...]:
        """All paths."""
        return self.paths

    @model_validator(mode="after")
    def _known(self) -> Self:
        named = {*self.pods, *(one for call in self.calls for one in call)}
        if unknown := sorted(named - self.accounts.keys()):
            raise ValueError(f"accounts: expected the service accounts of {', '.join(unknown)}, too")
        return self


class Asked(Declared):
    """One request at the entry."""

    path: RequestPath
    method: Method = "GET"


class Authorization(Part):
    """``[authorization]``: what the policies of a service allow to one who comes by the entry; everything else is denied."""

    service: Name
    allowed: tuple[Asked, ...] = Field(min_length=1)
    denied: tuple[Asked, ...] = Field(min_length=1)

    @property
    def uses(self) -> tuple[str, ...]:
        """The one with the policies."""
        return (self.service,)

    @property
    def asks(self) -> tuple[str, ...]:
        """What is allowed and what is denied."""
        return tuple(one.path for one in (*self.allowed, *self.denied))


class KeyMetrics(Hop):
    """``[key_metrics]``: the metrics that operators watch stay in their ranges; other ranges than the normal ones by name."""

    ranges: dict[str, str] = Field(default_factory=dict)


class Alert(Dependent):
    """``[alert]``: the alert that has to fire while the dependency is down, and to resolve after it.

    Args:
        rules: Files of PrometheusRules that the lab's Prometheus has for the time of the test; a cluster's has rules of its own.
    """

    rules: tuple[Path, ...] = ()
    alert: str = Field(min_length=1)
    fires_within: Duration = timedelta(seconds=60)
    resolves_within: Duration = timedelta(seconds=60)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that it names."""
        return (*self.configuration, *self.rules)


class Tracing(Entered):
    """``[tracing]``: services on the way of a request that have to hand on its trace headers: caller and called service.

    Args:
        headers: Those by which the mesh's tracing follows a request: ``w3c`` (``traceparent``), ``b3`` (``x-b3-traceid``), or ``any`` of them.
    """

    headers: Literal["any", "w3c", "b3"] = "any"
    hops: tuple[tuple[Name, Name], ...] = Field(min_length=1)

    @property
    def uses(self) -> tuple[str, ...]:
        """All that are on the way: who calls is called, too."""
        return tuple(dict.fromkeys(one for hop in self.hops for one in hop))


class Versions(Part):
    """``[versions]``: the oldest versions of Kubernetes and Istio that are supported."""

    kubernetes: MinorVersion = "1.26"
    istio: MinorVersion = "1.22"


class ControlPlane(Hop):
    """``[control_plane]``: a call that has to go on while istiod is down."""
