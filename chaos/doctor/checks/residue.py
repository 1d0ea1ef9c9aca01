"""Is anything of a run left, or forbidden?"""

from __future__ import annotations

from collections.abc import Iterator

from chaos.doctor.examined import Examined
from chaos.doctor.finding import Finding, error, ok, warning
from chaos.model.marks import FROZEN
from chaos.safety.active import ActiveChange, ActiveFault, active, active_changes


def nothing_is_left(examined: Examined) -> Iterator[Finding]:
    """No fault and no change of a dead run."""
    names = tuple(examined.namespaces)
    there: list[ActiveFault | ActiveChange] = [*active(examined.mesh, names), *active_changes(examined.mesh, names)]
    for one in there:
        if one.renewed:
            yield ok(f"a run is active: {one}")
        else:
            yield error(
                f"a dead run has left this: {one}",
                cause="its process and its watchdog were killed",
                hint="chaosctl sweep",
            )
    if not there:
        yield ok("no fault and no change is active")


def nothing_is_frozen(examined: Examined) -> Iterator[Finding]:
    """Runs are not forbidden."""
    for name, found in examined.namespaces.items():
        reason = (found["metadata"].get("annotations") or {}).get(FROZEN)
        if reason is not None:
            yield warning(
                f"{name} is frozen: {reason or 'no reason given'}", cause="somebody stopped all experiments",
                hint=f"when that is over: chaosctl thaw -n {name}",
            )  # fmt: skip
