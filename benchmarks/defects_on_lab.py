"""Broken variants of a shop on the lab and their healthy twins: which are misjudged?

python -m benchmarks.defects_on_lab [REPETITIONS] [PART OF A NAME…]

Each of the ``tests.support.defects_on_lab`` runs REPETITIONS times (by default once), six at the same time. The columns are
those of ``benchmarks.defects``. Ends with 1 if anything was misjudged. The records of all but the expected verdicts stay
in ``reports/defects``.
"""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.defects import HEAD, Tried, named
from tests.support.defects_on_lab import DEFECTS, lab_of, run

RECORDS: Final = Path("reports/defects").resolve()
EXPECTED: Final = ("right", "passed")
LANES: Final = tuple(f"lane-{number}" for number in range(1, 7))


def main(repetitions: int, *parts: str) -> int:
    """Prints each verdict as it comes, then the table and each misjudgement."""
    tried = {name: Tried(name, DEFECTS[name]) for name in named(parts, DEFECTS)}
    free = SimpleQueue[str]()
    for lane in LANES:
        free.put(lane)

    def one(name: str, number: int, twin: bool) -> None:  # noqa: FBT001 - called by its place
        lane, begun = free.get(), time.monotonic()
        defect, which = DEFECTS[name], f"{'twin of ' if twin else ''}{name}"
        folder = RECORDS / f"{which.replace(' ', '-')}-{time.time():.0f}-{number}"
        folder.mkdir(parents=True)
        try:
            verdict = run(lab, lane, defect.declared, defect.twin if twin else defect.broken, folder)
        finally:
            free.put(lane)
        if tried[name].add(verdict, twin=twin) in EXPECTED:
            shutil.rmtree(folder)
        told = f"{which}: {verdict.outcome}, {verdict.reasons[0].message}"
        print(f"{time.monotonic() - begun:5.1f} s  {told}", file=sys.stderr, flush=True)

    with TemporaryDirectory() as folder, lab_of(LANES, Path(folder)) as lab, ThreadPoolExecutor(len(LANES)) as pool:
        # Those that come last in the table take longest.
        runs = [
            pool.submit(one, name, number, twin)
            for number in range(repetitions)
            for name in reversed(tried)
            for twin in (False, True)
        ]
        failed = [f"no verdict: {done.exception()}" for done in runs if done.exception() is not None]
    misjudged = [text for one in tried.values() for text in one.misjudged]
    print(HEAD, *tried.values(), *misjudged, *failed, sep="\n")
    return 1 if misjudged or failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1, *sys.argv[2:]))
