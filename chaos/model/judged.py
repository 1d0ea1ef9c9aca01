"""What became of a record when it was judged: kept beside the facts, and compared when it is judged again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import Field

from chaos.values.frozen import Frozen


class Told(Frozen):
    """An answer and its sentence, in the words of the version that judged; a later one may have others."""

    answer: str
    text: str = ""


_NO_REASON: Final = Told(answer="no reason")
_NOT_JUDGED: Final = Told(answer="not judged")


class Judged(Frozen):
    """A verdict as it is stored with the facts that it rests on.

    Args:
        harness: The version that judged.
        digest: Of the facts. It tells an accident from the truth, and is no signature: who changes the facts can change it too.
        outcome: The verdict's outcome.
        reasons: What is against passing: messages by the code of their reason.
        answers: What was decided, by phase and title.
    """

    harness: str
    digest: str
    outcome: str
    reasons: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, Told]


class Difference(Frozen):
    """Where two verdicts on the same record differ.

    Args:
        what: The outcome, a reason's code, or what was decided.
        before: How it was judged before.
        now: How it is judged now, which the verdict itself explains.
    """

    what: str
    before: Told
    now: Told

    def __str__(self) -> str:
        why = f" ({self.before.text})" if self.before.text else ""
        return f"{self.what}: was {self.before.answer}{why}, now {self.now.answer}"


class Again(Frozen):
    """What there is to say of a record that was judged again.

    Args:
        what_if: The supposed values by their place in the experiment. With any, the verdict is hypothetical.
        changed: Whether the record was changed after its verdict; ``None``: it has no verdict, so it can't tell.
        by: What the differences are to: the version that judged before, or the declared values.
        differences: All of them.
    """

    what_if: Mapping[str, str] = Field(default_factory=dict)
    changed: bool | None = None
    by: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Nothing is to be said: the record is as it was, and so is its verdict."""
        return self.changed is False and not self.what_if and not self.differences


def differences(before: Judged, now: Judged) -> Iterator[Difference]:
    """Where two verdicts differ: in their outcome, their reasons and what they decided. Other words are no difference."""
    was, is_ = _told(before), _told(now)
    for what in dict.fromkeys((*was, *is_)):
        absent = _NO_REASON if what in before.reasons or what in now.reasons else _NOT_JUDGED
        one, other = was.get(what, absent), is_.get(what, absent)
        if one.answer != other.answer:
            yield Difference(what=what, before=one, now=other)


def _told(judged: Judged) -> Mapping[str, Told]:
    reasons = {code: Told(answer="a reason", text="; ".join(messages)) for code, messages in judged.reasons.items()}
    return {"outcome": Told(answer=judged.outcome), **reasons, **judged.answers}
