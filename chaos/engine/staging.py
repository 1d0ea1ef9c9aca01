"""Takes a fault from stage to stage while it is observed: each is one more write of the injected object.

The write is made beside the thread that decides: an API server that hangs must not hold up a run, which has to check guardrails
and signals meanwhile. A stage lasts from the moment from which all callers' proxies have it; where they can't be asked, from
some seconds after the write, and the counted share has to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaos.engine.beside import Beside
from chaos.engine.injecting import Overtaken
from chaos.engine.live import Live
from chaos.engine.proxies import Proxies
from chaos.engine.rejections import DISTRIBUTION, not_distributed, rejected_since
from chaos.engine.target import Watched
from chaos.errors import MeshError
from chaos.faults.stage import CHANGE
from chaos.model import events
from chaos.model.events import TroubleKind
from chaos.model.history import Mark, StageSeen


class Staging:
    """One fault's stages; the first has been written, and its proxies have it.

    Args:
        live: The run.
        number: Which of its faults.
        watched: All targets, as the run watches them.
    """

    def __init__(self, live: Live, number: int, watched: Sequence[Watched]) -> None:
        injector = live.injectors[number]
        self._live = live
        self._injector = injector
        self._all = watched
        self._watched = watched[number]
        self._course = injector.injection.fault.course
        self._target = str(injector.injection.target)
        self._sent = 0.0
        self._writing: Beside[None] | None = None
        self._proxies: Proxies | None = None
        self._note(StageSeen(target=self._target, number=1, since=live.recorder.marks[Mark.FAULT_FROM]))

    def look(self) -> None:
        """Does what is due: asks the proxies, or begins to write the next stage. Never waits."""
        if self._writing is not None:
            if not self._writing.done or not self._is_written(self._writing):
                return
            self._writing = None
        if self._stage.since is None:
            self._ask()
        elif self._stage.number < len(self._course) and self._is_over():
            self._go_on()

    def _is_over(self) -> bool:
        since = self._stage.since or 0.0
        return self._live.now() >= since + self._course[self._stage.number - 1].lasts.total_seconds()

    def _go_on(self) -> None:
        self._sent = self._live.now()
        self._note(self._stage.model_copy(update={"until": self._sent}))
        self._note(StageSeen(target=self._target, number=self._stage.number + 1))
        self._proxies = None
        self._writing = Beside(self._live.clock, self._write)

    def _write(self) -> None:
        change = self._injector.injection.changes[self._stage.number - 2]
        live, known = self._live, [one.situation for one in self._all]
        fresh, _ = live.place.plan_again(live.plan, known=known, sleep=live.clock.sleep)
        if fresh.refusals:
            raise Overtaken(f"a staging rule refuses it now: {fresh.refusals[0].message}")
        self._watched.specs = (*self._watched.specs, change.spec)
        written = self._injector.change(change)
        self._watched.specs = (written["spec"],)

    def _is_written(self, write: Beside[None]) -> bool:
        """Whether the stage was written; why not, is told."""
        not_written = f"stage {self._stage.number} was not written"
        try:
            write.result()
        except Overtaken as error:
            self._live.trouble(TroubleKind.TARGET_CHANGED, f"{not_written}: {error.args[0]}")
        except MeshError as error:
            self._live.trouble(TroubleKind.MESH_LOST, f"{not_written}: {error.message}")
        else:
            return True
        return False

    def _ask(self) -> None:
        live, now = self._live, self._live.now()
        if self._proxies is None:
            now_in = self._injector.injection.stages[self._stage.number - 1]
            self._proxies = Proxies(live.place.mesh, live.clock, [now_in], every=True)
        seen = self._proxies.look(live.recorder.clock_offset)
        if self._proxies.silent:
            if now < self._sent + CHANGE.total_seconds():
                return
        elif seen is None or seen.having < seen.of:
            if now > self._sent + DISTRIBUTION:
                rejected = live.aside(lambda: rejected_since(live.place.metrics, self._sent))
                message, hint = not_distributed(rejected, seen)
                live.trouble(TroubleKind.NOT_DISTRIBUTED, f"stage {self._stage.number}: {message}", hint=hint)
            return
        self._note(self._stage.model_copy(update={"since": now}))
        stage = self._course[self._stage.number - 1]
        fault = self._injector.injection.fault.at(stage)
        live.event(
            events.StageBegan(
                at=now,
                target=self._target,
                number=self._stage.number,
                of=len(self._course),
                fault=str(fault) or "no fault",
            )
        )

    @property
    def _stage(self) -> StageSeen:
        return next(one for one in reversed(self._live.recorder.stages) if one.target == self._target)

    def _note(self, seen: StageSeen) -> None:
        """Adds a stage, or what is known of one now."""
        stages = self._live.recorder.stages
        known = [n for n, one in enumerate(stages) if (one.target, one.number) == (seen.target, seen.number)]
        if known:
            stages[known[0]] = seen
        else:
            stages.append(seen)
