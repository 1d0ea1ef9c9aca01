"""One run: lock → baseline → inject → prove → observe → restore → recover → release.

``restore`` and ``release`` happen on every way out, in a scope of their own. Signals are noted and looked at between
steps, so that none of them can break into a write or a clean-up.
"""

from __future__ import annotations

from chaos.engine import ending, phases
from chaos.engine.live import Halt, Live
from chaos.engine.surroundings import Surroundings
from chaos.errors import HarnessError
from chaos.model.events import TroubleKind
from chaos.model.history import History
from chaos.model.plan import Plan


class Run:
    """Runs one allowed plan once.

    Args:
        plan: What to do; must be allowed.
        around: The outside.
    """

    def __init__(self, plan: Plan, around: Surroundings) -> None:
        self._live = Live(plan, around)

    def history(self) -> History:
        """What has happened so far."""
        return self._live.recorder.history()

    def execute(self) -> History:
        """Runs all phases and returns what happened; whatever happens, it restores first."""
        live, stop = self._live, self._live.around.stop
        shown = live.plan.model_copy(deep=True)  # what a listener does to it changes nothing that is written
        live.tell(lambda listener: listener.started(shown))
        try:
            try:
                phases.lock(live)
                phases.baseline(live)
                phases.inject(live)
                phases.prove(live)
                phases.observe(live)
            except Halt:
                pass
            except HarnessError as error:
                live.note(error)
            except Exception as error:  # noqa: BLE001 - the engine's edge: a bug of ours must not leave a fault behind
                live.trouble(TroubleKind.BROKEN, f"{type(error).__name__}: {error}")
            except BaseException:
                live.trouble(TroubleKind.INTERRUPTED, "the run was stopped by an exception from outside")
                raise
            finally:
                with stop.shield():
                    ending.restore(live)
            try:
                ending.await_removal(live)
                ending.give_back(live)
                phases.recover(live)
            except HarnessError as error:
                live.note(error)
        finally:
            with stop.shield():
                ending.release(live)
        return self.history()
