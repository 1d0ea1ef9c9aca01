"""What the clients log, which pytest may put into reports: without secrets in the addresses that they were given."""

from __future__ import annotations

import logging
from typing import Final

from chaos.values.secrets import redacted

_LOGGERS: Final = ("httpx", "urllib3.connectionpool")


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


_REDACTING: Final = _Redacting()


def redact_logs() -> None:
    """Takes secrets out of what the HTTP clients of this process log; once is enough."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_REDACTING)
