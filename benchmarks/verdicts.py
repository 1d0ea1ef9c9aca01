"""How often one expectation is decided wrongly, and how soon rightly: independent errors, clusters, outages, drift.

python -m benchmarks.verdicts [PHASES] [SECONDS]

PHASES simulated phases a row (by default 200) that last for SECONDS at least (``observe.atLeast``, by default 30) and four
times as long at most. It decides as a run does, by :func:`design_effect` and :func:`decide`, at every scrape, with the part
of alpha that one of three expectations has (5 % among 11 decisions).

A row is *claimed* if its errors come often enough: on average at least three times in the shortest phase (so that a phase
without any has a probability of at most 5 %, if they come by chance). What comes more rarely can't be told from nothing, so that
a phase that sees none of it holds: the column ``unseen`` has these apart.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from chaos.expectations.confidence import decide
from chaos.expectations.dependence import BATCH, design_effect
from chaos.values.answers import Answer

BOUND: Final = 0.99
CONFIDENCE: Final = 1 - 0.05 / 11
SHARES: Final = (0.97, 0.985, 0.9895, 0.9905, 0.995, 1.0)
NEAR: Final = 0.005
"""How far from the bound a share may be so that its time to a decision counts."""
RATES: Final = (10, 80, 500)
LIMIT: Final = 4
"""Times the shortest phase."""
Stretch = tuple[float, float]
Decided = tuple[Answer, int, bool]
"""What was decided in a phase, when, and whether any error had been seen."""


@dataclass(frozen=True)
class Errors:
    """How errors come.

    Args:
        name: In words.
        length: Seconds that a stretch of errors lasts; 0: every error is alone.
        every: Seconds from one stretch to the next, on average; ``None``: by the share.
        regular: They come like a clock, not by chance.
    """

    name: str
    length: float = 0.0
    every: float | None = None
    regular: bool = False

    def share(self, wanted: float) -> float:
        return wanted if self.every is None else 1 - self.length / self.every


def patterns(rate: int) -> Iterator[Errors]:
    yield Errors("independent")
    yield Errors("drift over 30 s")
    for size in (20, 50, 200):
        yield Errors(f"clusters of {size}", size / rate)
    for length in (1, 3):
        for every in (20, 60):
            yield Errors(f"{length} s down every {every} s", length, every, regular=True)
        yield Errors(f"{length} s down every 40 s by chance", length, 40)


def stretches(errors: Errors, share: float, rate: int, seconds: float, chance: random.Random) -> Iterator[Stretch]:
    """When errors happen, from a random moment of a process that has lasted for ever."""
    if share == 1:
        return
    length = errors.length or 1 / rate
    every = errors.every or length / (1 - share)
    if errors.regular:
        at = -chance.uniform(0, every)
        while at < seconds:
            yield at, at + length
            at += every
        return
    if errors.length and chance.random() < length / every:
        yield 0.0, chance.uniform(0, length)
    drifts = errors.name.startswith("drift")
    phase = chance.uniform(0, 2 * math.pi)
    at = 0.0
    while (at := at + chance.expovariate(1 / (every - length) * (2 if drifts else 1))) < seconds:
        if drifts and chance.random() > (1 + math.sin(2 * math.pi * at / 30 + phase)) / 2:
            continue
        yield at, at + length
        at += length


def per_second(found: Iterator[Stretch], rate: int, seconds: int) -> list[tuple[int, int]]:
    """Good and all requests of each second."""
    bad = [0] * seconds
    for start, end in found:
        first, last = max(0, math.ceil(start * rate)), min(seconds * rate, math.ceil(end * rate))
        for place in range(first, last):
            bad[place // rate] += 1
    return [(rate - min(rate, n), rate) for n in bad]


def decided(counts: Sequence[tuple[int, int]], scrape: int, least: int, bound: float) -> Decided:
    """The first decision in a phase."""
    batch = max(scrape, int(BATCH))
    upto = [(0, 0), *accumulate(counts, lambda a, b: (a[0] + b[0], a[1] + b[1]))]
    for now in range(scrape, len(counts) + 1, scrape):
        good, total = upto[now]
        if now < least or (scrape < BATCH and now % 2):
            continue
        if decide(good, total, bound, confidence=CONFIDENCE) is Answer.UNDECIDED:
            continue  # scaled evidence decides nothing that the evidence itself does not
        cut = [*upto[0 : now - batch + 1 : batch], upto[now]]
        effect = design_effect([(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(cut)])
        answer = decide(good / effect, total / effect, bound, confidence=CONFIDENCE)
        if answer is not Answer.UNDECIDED:
            return answer, now, good < total
    return Answer.UNDECIDED, len(counts) + 1, True


def fixed(errors: Errors, rate: int, *, power: float = 0.9) -> float:
    """Seconds of a test of fixed length with the same alpha, if the effect were known.

    Its length has to be chosen before: so that it decides in 90 % of phases where the share is half a percent from the bound.
    """
    far = statistics.NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2) * math.sqrt(BOUND * (1 - BOUND))
    far += statistics.NormalDist().inv_cdf(power) * math.sqrt((BOUND - NEAR) * (1 - BOUND + NEAR))
    return max(1.0, errors.length * rate) * (far / NEAR) ** 2 / rate


def row(errors: Errors, share: float, bound: float, phases: int, least: int, rate: int, scrape: int) -> list[Decided]:
    chance = random.Random(f"{scrape} {rate} {errors.name} {share} {bound}")  # noqa: S311 - a simulation
    seconds = LIMIT * least
    return [
        decided(per_second(stretches(errors, share, rate, seconds, chance), rate, seconds), scrape, least, bound)
        for _ in range(phases)
    ]


def main(phases: int, least: int) -> None:
    """Prints the table, and the worst of what is claimed."""
    print("scrape rate  errors                          share  bound claimed  wrong unseen right  median")
    worst = 0.0
    ratios = []
    for scrape, rate in ((scrape, rate) for scrape in (1, 15) for rate in RATES):
        for errors in patterns(rate):
            times: list[float] = []
            for wanted in SHARES if errors.every is None else SHARES[:1]:
                share = errors.share(wanted)
                for bound in [BOUND] if errors.every is None else [share + NEAR, share - NEAR]:
                    found = row(errors, share, bound, phases, least, rate, scrape)
                    right = Answer.HOLDS if share >= bound else Answer.VIOLATED
                    false = [seen for answer, _, seen in found if answer not in (right, Answer.UNDECIDED)]
                    wrong, unseen = false.count(True) / phases, false.count(False) / phases
                    every = errors.every or (errors.length or 1 / rate) / max(1e-9, 1 - share)
                    claimed = every <= (least if errors.regular else least / 3)
                    worst = max(worst, wrong + unseen if claimed else wrong)
                    took = [at if answer is right else math.inf for answer, at, _ in found]
                    times += took if abs(share - bound) >= NEAR else []
                    print(
                        f"{scrape:6} {rate:4}  {errors.name:30} {share:6.2%} {bound:6.2%} {'yes' if claimed else 'no':>7} "
                        f"{wrong:6.1%} {unseen:6.1%} {sum(t < math.inf for t in took) / phases:5.0%} "
                        f"{statistics.median(took):6.0f}s"
                    )
            if errors.every is None and least < (known := fixed(errors, rate)) <= LIMIT * least:
                ratios.append((statistics.median(times) / known, f"{errors.name}, {rate}/s, scrapes of {scrape} s"))
                print(f"{'':13}{errors.name}: median {ratios[-1][0]:.2f} of a fixed length, {known:.0f} s")
    print(f"worst of what is claimed, or was decided after errors were seen: {worst:.1%}; slowest: {max(ratios)}")


if __name__ == "__main__":
    main(*(int(sys.argv[n]) if len(sys.argv) > n else default for n, default in ((1, 200), (2, 30))))
