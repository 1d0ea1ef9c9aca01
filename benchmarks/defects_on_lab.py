"""Broken variants of a shop on the lab and their healthy twins: which are misjudged?

python -m benchmarks.defects_on_lab [REPETITIONS] [PART OF A NAME…]

Each of the ``tests.support.defects_on_lab`` runs REPETITIONS times (by default once), four at the same time. The columns are
those of ``benchmarks.defects``. Ends with 1 if anything was misjudged.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.defects import HEAD, Tried, named
from chaos.model.verdict import Verdict
from tests.support.defects_on_lab import DEFECTS, Asked, lab_of, run

LANES: Final = ("lane-1", "lane-2", "lane-3", "lane-4")


def main(repetitions: int, *parts: str) -> int:
    """Prints the table, and each misjudgement."""
    names = list(named(parts, DEFECTS))
    free = SimpleQueue[str]()
    for lane in LANES:
        free.put(lane)

    def one(name: str, variant: Asked) -> Verdict:
        lane = free.get()
        try:
            return run(lab, lane, DEFECTS[name].declared, variant)
        finally:
            free.put(lane)

    with TemporaryDirectory() as folder, lab_of(LANES, Path(folder)) as lab, ThreadPoolExecutor(len(LANES)) as pool:
        rows = [(name, twin) for _ in range(repetitions) for name in names for twin in (False, True)]
        runs = [
            (name, twin, pool.submit(one, name, DEFECTS[name].twin if twin else DEFECTS[name].broken))
            for name, twin in rows
        ]
        tried = {name: Tried(name, DEFECTS[name]) for name in names}
        for name, twin, verdict in runs:
            tried[name].add(verdict.result(), twin=twin)
    misjudged = [text for one in tried.values() for text in one.misjudged]
    print(HEAD, *tried.values(), *misjudged, sep="\n")
    return 1 if misjudged else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1, *sys.argv[2:]))
