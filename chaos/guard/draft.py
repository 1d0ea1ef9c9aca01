"""What the staging rules check."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from chaos.istio.exports import Object
from chaos.istio.hosts import service_of
from chaos.istio.virtual_services import hosts_of
from chaos.model.audience import Audience, audience_of
from chaos.model.experiment import Experiment
from chaos.model.plan import Injection, Strategy
from chaos.model.settings import Settings
from chaos.model.situation import Situation
from chaos.values.remarks import Refusal

OUR_DEFECT: Final = "this is a defect of the harness: please report it with the plan"
"""The hint of rules that only a mistake of the harness can break."""


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What would be written in a namespace, what the cluster has now, and what is allowed."""

    situation: Situation
    settings: Settings

    @property
    @abstractmethod
    def namespace(self) -> str:
        """Where something would be written."""

    def allowed(self, namespace: str) -> bool:
        """Whether a namespace is on the list, carries the labels and is not the mesh's root."""
        found = self.situation.namespaces.get(namespace)
        return (
            self.settings.lists(namespace)
            and namespace != self.settings.root_namespace
            and found is not None
            and not missing_labels(found, self.settings)
        )

    def leaves_staging(self, host: str) -> bool:
        """Whether a host is no Service of an allowed namespace; of the own one, the rules for namespaces tell more."""
        service = service_of(host)
        return service is None or not (service[0] == self.namespace or self.allowed(service[0]))


@dataclass(frozen=True, kw_only=True)
class Draft(Staged):
    """An experiment, what the cluster has now, and the object that would be written (``None``: none could be made)."""

    experiment: Experiment
    injection: Injection | None = None

    @property
    def namespace(self) -> str:
        """The target's namespace."""
        return self.experiment.target.namespace

    @property
    def governed(self) -> Sequence[str]:
        """The hosts that the object would govern; none where no object could be made."""
        return () if self.injection is None else hosts_of(self.injection.after)

    @property
    def patched(self) -> tuple[Injection, Object] | None:
        """The injection and the object that it changes; ``None`` where it writes one of its own."""
        one = self.injection
        if one is None or one.before is None or one.strategy is not Strategy.PATCH:
            return None
        return one, one.before

    @cached_property
    def injected(self) -> Sequence[Mapping[str, Any]]:
        """The routes that carry the fault; if the harness made the whole object, these are all of its routes."""
        if self.injection is None:
            return ()
        routes = self.injection.after["spec"].get("http") or ()
        if self.injection.strategy is not Strategy.PATCH:
            return tuple(routes)
        return tuple(route for route in routes if route.get("name") == self.injection.route_name)

    @cached_property
    def audience(self) -> Audience | None:
        """Who would feel the fault, by Istio's configuration; ``None`` where no object could be made."""
        if self.injection is None:
            return None
        return audience_of(self.injection.after, self.situation, routes=self.injected)

    @cached_property
    def felt(self) -> Audience | None:
        """Who would be hit: the same, by only the routes with the fault."""
        if self.injection is None:
            return None
        routes = self.injection.after["spec"].get("http") or ()
        carrying = [route for route in routes if route.get("name") == self.injection.route_name]
        return audience_of(self.injection.after, self.situation, routes=carrying)


Rule = Callable[[Draft], Iterable[Refusal]]


def missing_labels(namespace: Object, settings: Settings) -> dict[str, str]:
    """The staging labels that a namespace lacks."""
    labels = namespace["metadata"].get("labels") or {}
    return {key: value for key, value in settings.labels.items() if labels.get(key) != value}
