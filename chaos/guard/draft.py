"""What the staging rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chaos.model.experiment import Experiment
from chaos.model.plan import Broken, Injection
from chaos.model.settings import Settings
from chaos.model.situation import Object, Situation


@dataclass(frozen=True, kw_only=True)
class Draft:
    """An experiment, what the cluster has now, and the object that would be written (``None``: none could be made)."""

    experiment: Experiment
    situation: Situation
    settings: Settings
    injection: Injection | None = None

    @property
    def namespace(self) -> str:
        """The target's namespace."""
        return self.experiment.target.namespace

    def allowed(self, namespace: str) -> bool:
        """Whether a namespace is on the list, carries the labels and is not the mesh's root."""
        found = self.situation.namespaces.get(namespace)
        return (
            self.settings.lists(namespace)
            and namespace != self.settings.root_namespace
            and found is not None
            and not missing_labels(found, self.settings)
        )


Rule = Callable[[Draft], Iterable[Broken]]


def missing_labels(namespace: Object, settings: Settings) -> dict[str, str]:
    """The staging labels that a namespace lacks."""
    labels = namespace["metadata"].get("labels") or {}
    return {key: value for key, value in settings.labels.items() if labels.get(key) != value}
