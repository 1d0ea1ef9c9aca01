"""What planning reports of an experiment: a refusal by a staging rule, or something that its reader should know."""

from __future__ import annotations

from typing import Final

from chaos.values.frozen import Frozen

RULES_AT: Final = "docs/explanation/safety.md"
"""Where every staging rule is explained, each under an anchor of its name."""
JUDGING_AT: Final = "docs/explanation/judging.md"
"""The same for what could show nothing."""


class Warn(Frozen):
    """What the experiment can't show, or what its reader should know; never a reason to stop.

    Args:
        code: Stable identifier such as ``error-is-good``.
        message: What it is.
        weakens: It says what a green verdict does not show, so that reports of the verdict tell it, too.
    """

    code: str
    message: str
    weakens: bool = False


class Refusal(Frozen):
    """The plan's no, by a staging rule, or because the run could show nothing.

    Args:
        rule: Stable identifier such as ``namespace-not-allowed``.
        value: What was found.
        message: What is wrong, with the value.
        hint: What to do.
        page: The page of the documentation that has the rule, under an anchor of its name.
    """

    rule: str
    value: str
    message: str
    hint: str
    page: str = RULES_AT

    @property
    def more(self) -> str:
        """Where to read what the rule is for."""
        return f"{self.page}#{self.rule}"
