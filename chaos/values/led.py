"""Where requests to a host are counted beside it."""

from __future__ import annotations

from chaos.values.frozen import Frozen
from chaos.values.questions import Side


class Led(Frozen):
    """Routes may send requests to a host on to another one, under whose name the metrics have them.

    Or both are Services of the same pods, whose proxies count all requests under the name of one of them: the oldest (istiod
    ``Proxy.SetServiceTargets``).

    Args:
        host: The one that is called, as the registry has it.
        destination: The other one.
        since: When the routes began to do so; ``None``: before the run.
        side: Whose counts have the other name; ``None``: those of all.
    """

    host: str
    destination: str
    since: float | None = None
    side: Side | None = None

    def __str__(self) -> str:
        if self.side is Side.CALLED:
            return f"the pods of {self.host} may count its requests as those of {self.destination}"
        return f"requests to {self.host} may be sent to {self.destination}"
