"""Broken variants of the shop in memory and their healthy twins, as chance has it: which are misjudged?

python -m benchmarks.defects [REPETITIONS] [PART OF A NAME…]

Each of the ``tests.support.defects``, and of those that templates of the library find, runs REPETITIONS times (by default 20) with the default profile. Chance decides about each
order, and when what comes again and again comes. Two columns are misjudgements: a broken shop that is passed or gets
another reason, and a twin that is red. A broken shop or a twin that is inconclusive is told apart. Ends with 1 if anything was misjudged.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from chaos.model.verdict import Outcome, Verdict
from tests.support.defects import DEFECTS
from tests.support.defects.experiment import run
from tests.support.defects.variants import Defect, V
from tests.support.library_defects import LIBRARY

DEFAULT: Final = {"profile": "default"}
HEAD: Final = """\
| defect | reason | found | inconclusive | passed | other reason | twin passed | inconclusive | red |
|---|---|---|---|---|---|---|---|---|"""


class Tried:
    """What became of one defect and of its twin.

    Args:
        name: The defect's.
    """

    def __init__(self, name: str, defect: Defect[V]) -> None:
        self._name, self._told, self._reason = name, defect.told, defect.reason
        self._broken, self._twins = Counter[str](), Counter[str]()
        self.misjudged: list[str] = []
        """A sentence for each misjudgement."""

    def add(self, verdict: Verdict, *, twin: bool) -> str:
        """One verdict more; what it counts as."""
        found = self._of_twin(verdict) if twin else self._of_broken(verdict)
        (self._twins if twin else self._broken)[found] += 1
        if found in ("passed, broken", "wrong", "red"):
            which = f"twin of {self._name}" if twin else self._name
            self.misjudged.append(f"{which}: {[(one.code.value, one.message) for one in verdict.reasons]}")
        return found

    def __str__(self) -> str:
        counts = [self._broken[key] for key in ("right", "inconclusive", "passed, broken", "wrong")]
        counts += [self._twins[key] for key in ("passed", "inconclusive", "red")]
        return f"| {self._name} | `{self._reason}` | {' | '.join(map(str, counts))} |"

    def _of_broken(self, verdict: Verdict) -> str:
        if verdict.passed:
            return "passed, broken"
        if not self._told(verdict):
            return "wrong"
        return "inconclusive" if verdict.outcome is not self._reason.outcome else "right"

    @staticmethod
    def _of_twin(verdict: Verdict) -> str:
        return verdict.outcome.value if verdict.outcome in (Outcome.PASSED, Outcome.INCONCLUSIVE) else "red"


def named(parts: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """The names that have one of these parts; all without any."""
    parts = tuple(parts)
    return (name for name in names if not parts or any(part in name for part in parts))


def main(repetitions: int, *parts: str) -> int:
    """Prints the table, and each misjudgement."""
    misjudged: list[str] = []
    print(HEAD, flush=True)
    every = {**DEFECTS, **LIBRARY}
    for name in named(parts, every):
        defect = every[name]
        tried = Tried(name, defect)
        for seed in range(repetitions):
            for twin, variant in enumerate((defect.broken, defect.twin)):
                tried.add(run({**defect.declared, **DEFAULT}, variant, seed=seed), twin=bool(twin))
        print(tried, flush=True)
        misjudged += tried.misjudged
    print(*misjudged, sep="\n")
    return 1 if misjudged else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, *sys.argv[2:]))
