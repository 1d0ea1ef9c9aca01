"""Regular expressions as Istio and Envoy read them: RE2's, which have no look-around and no back-references.

Python's own ``re`` takes much that RE2 refuses, and the other way round, so it is no judge of them.
"""

from __future__ import annotations

import re
from typing import Final

import re2

LONGEST: Final = 1024
"""Most bytes that istiod takes (``pkg/config/validation``, ``validateStringRegexp``)."""
_TOKEN: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)|\\(?P<escaped>.)|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?P?<(?P<name>\w+)>|.", re.DOTALL
)


def problem(pattern: str) -> str:
    r"""What istiod has against a regex; empty where it takes it.

    RE2 itself takes more than Go's ``regexp``, by which istiod checks: ``\C``, and names of groups with letters beyond ASCII.
    """
    if not pattern:
        return "a regex must not be empty"
    if len(pattern.encode("utf-8", "surrogatepass")) > LONGEST:
        return f"a regex may have {LONGEST} bytes at most"
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except (re2.error, UnicodeError) as error:
        told = error.args[0] if error.args else error
        return f"not a regex of RE2: {told.decode() if isinstance(told, bytes) else told}"
    tokens = list(_TOKEN.finditer(pattern))
    if any(token["escaped"] == "C" for token in tokens):
        return "not a regex of RE2: invalid escape sequence: \\C"
    if any(not (token["name"] or "").isascii() for token in tokens):
        return "not a regex of RE2: invalid named capture"
    return ""
