"""May the identity in use do what runs need, and no more?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.engine.planning import reach_of_credentials
from chaos.guard.credentials import REMEDY, told
from chaos.manifests.rbac import STAGING


def rights_are_enough(examined: Examined) -> Iterator[Finding]:
    """Each right that a run needs in each namespace."""
    for name in examined.namespaces:
        missing = [
            f"{verb} {rule.resource} ({rule.why})"
            for rule in STAGING
            for verb in rule.verbs
            if not examined.mesh.may(verb, rule.resource, group=rule.group, namespace=name)
        ]
        if missing:
            yield error(
                f"the identity in use may not do this in {name}: {'; '.join(missing)}",
                cause="its Role there is missing, or was made for an earlier version",
                hint=f"chaosctl manifests rbac -n {name} prints the Role",
            )
        else:
            yield ok(f"the identity in use may do what runs need in {name}")


def rights_are_no_wider(examined: Examined) -> Iterator[Finding]:
    """No VirtualService outside the allowed namespaces could be written by it."""
    outside = () if examined.lab else reach_of_credentials(examined.mesh, examined.settings)
    if outside:
        yield warning(
            f"the identity in use may write VirtualServices outside the allowed namespaces: {told(outside)}",
            cause="an administrator's credentials",
            hint=REMEDY,
        )
