"""Broken variants of the shop in memory and their healthy twins, as chance has it: which are misjudged?

python -m benchmarks.defects [REPETITIONS] [PART OF A NAME…]

Each of the ``tests.support.defects`` runs REPETITIONS times (by default 20) with the default profile. Chance decides about each
order, and when what comes again and again comes. Two columns are misjudgements: a broken shop that is passed or gets
another reason, and a twin that is red. A broken shop or a twin that is inconclusive is told apart. Ends with 1 if anything was misjudged.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Final

from chaos.model.verdict import Outcome, Verdict
from tests.support.defects import DEFECTS, Defect, run

DEFAULT: Final = {"profile": "default"}


def of_broken(defect: Defect, verdict: Verdict) -> str:
    if verdict.passed:
        return "passed"
    if not defect.told(verdict):
        return "wrong"
    return "inconclusive" if verdict.outcome is not defect.reason.outcome else "right"


def of_twin(verdict: Verdict) -> str:
    return verdict.outcome.value if verdict.outcome in (Outcome.PASSED, Outcome.INCONCLUSIVE) else "red"


def main(repetitions: int, *parts: str) -> int:
    """Prints the table, and each misjudgement."""
    misjudged = []
    print("| defect | reason | found | inconclusive | passed | other reason | twin passed | inconclusive | red |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name, defect in DEFECTS.items():
        if parts and not any(part in name for part in parts):
            continue
        broken, twins = Counter[str](), Counter[str]()
        for seed in range(repetitions):
            verdict = run({**defect.declared, **DEFAULT}, defect.broken, seed=seed)
            broken[found := of_broken(defect, verdict)] += 1
            if found in ("passed", "wrong"):
                misjudged.append(f"{name}, seed {seed}: {verdict.reasons}")
            verdict = run({**defect.declared, **DEFAULT}, defect.twin, seed=seed)
            twins[found := of_twin(verdict)] += 1
            if found == "red":
                misjudged.append(f"twin of {name}, seed {seed}: {verdict.reasons}")
        counts = [broken[key] for key in ("right", "inconclusive", "passed", "wrong")]
        counts += [twins[key] for key in ("passed", "inconclusive", "red")]
        print(f"| {name} | `{defect.reason}` | {' | '.join(map(str, counts))} |", flush=True)
    print(*misjudged, sep="\n")
    return 1 if misjudged else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, *sys.argv[2:]))
