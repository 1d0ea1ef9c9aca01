"""Where requests to a host are counted beside it."""

from __future__ import annotations

from chaos.values.frozen import Frozen


class Led(Frozen):
    """Routes may send requests to a host on to another one, under whose name the metrics have them.

    Args:
        host: The one that is called, as the registry has it.
        destination: The other one.
        since: When the routes began to do so; ``None``: before the run.
    """

    host: str
    destination: str
    since: float | None = None

    def __str__(self) -> str:
        return f"requests to {self.host} may be sent to {self.destination}"
