"""How often one expectation is decided wrongly, and how soon rightly: independent errors, clusters, outages, drift.

python -m benchmarks.verdicts [PHASES] [SECONDS] [RATE ...]

PHASES simulated phases a row (by default 200) that last for SECONDS at least (``observe.atLeast``, by default 30) and four
times as long at most, at each RATE of requests a second. It decides as a run does, by :func:`design_effect` and
:func:`decide`, at every scrape, with the part of alpha that one of three expectations has (5 % among 11 decisions).

A row is *claimed* if its errors come often enough that with 95 % all three expectations see some of them in the shortest phase:
if they come by chance, on average four times in it. What comes more rarely can't be told from nothing, so that a phase that
sees none of it holds: the column ``unseen`` has these apart. The summary tells how many phases were wrong in any of three such
expectations whose errors know nothing of each other.
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
from chaos.expectations.dependence import BATCH, BURSTY, Pair, design_effect
from chaos.expectations.share import FIRST, LATER, OPENING
from chaos.values.answers import Answer

BOUND: Final = 0.99
ALPHA: Final = 0.05 / 11
EXPECTATIONS: Final = 3
SHARES: Final = (0.97, 0.98, 0.985, 0.9895, 0.9905, 0.995, 0.998, 1.0)
NEAR: Final = 0.005
"""How far from the bound a share has to be so that its time to a decision counts."""
RATES: Final = (10, 80, 500)
SCRAPES: Final = (1, 15)
"""Seconds."""
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


def per_second(found: Iterator[Stretch], rate: int, seconds: int) -> list[Pair]:
    """Good and all requests of each second."""
    bad = [0] * seconds
    for start, end in found:
        first, last = max(0, math.ceil(start * rate)), min(seconds * rate, math.ceil(end * rate))
        for place in range(first, last):
            bad[place // rate] += 1
    return [(rate - min(rate, n), rate) for n in bad]


def decided(counts: Sequence[Pair], scrape: int, least: int, bound: float) -> Decided:
    """The first decision in a phase of a fault."""
    batch = max(scrape, int(BATCH))
    opening = max(scrape, int(OPENING))
    upto = [(0, 0), *accumulate(counts, lambda a, b: (a[0] + b[0], a[1] + b[1]))]
    for now in range(batch, len(counts) + 1, batch):
        if now < least:
            continue
        whole = _batches(upto[: now + 1 : batch])
        answer = _answer(whole, bound, FIRST)
        if answer is Answer.UNDECIDED and design_effect(whole) >= BURSTY:
            later = _answer(_batches(upto[opening : now + 1 : batch]), bound, LATER)
            answer = later if later is Answer.VIOLATED else answer
        if answer is not Answer.UNDECIDED:
            return answer, now, upto[now][0] < upto[now][1]
    return Answer.UNDECIDED, len(counts) + 1, True


def _batches(upto: Sequence[Pair]) -> list[Pair]:
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(upto)]


def _answer(batches: Sequence[Pair], bound: float, part: float) -> Answer:
    """What they say with this part of the decision's alpha."""
    good, total = (sum(column) for column in zip(*batches, strict=True))
    confidence = 1 - ALPHA * part
    if decide(good, total, bound, confidence=confidence) is Answer.UNDECIDED:
        return Answer.UNDECIDED  # scaled evidence decides nothing that the evidence itself does not
    effect = design_effect(batches)
    return decide(good / effect, total / effect, bound, confidence=confidence)


def fixed(errors: Errors, rate: int, scrape: int, least: int, *, power: float = 0.9) -> int:
    """Seconds of a test of fixed length with the same alpha, which knows what bursts are worth and need not estimate it.

    Its length has to be chosen before: so that it decides in 90 % of phases where the share is half a percent from the bound.
    It ends with a scrape, and not before the shortest phase does.
    """
    far = statistics.NormalDist().inv_cdf(1 - ALPHA / 2) * math.sqrt(BOUND * (1 - BOUND))
    far += statistics.NormalDist().inv_cdf(power) * math.sqrt((BOUND - NEAR) * (1 - BOUND + NEAR))
    seconds = max(1.0, errors.length * rate) * (far / NEAR) ** 2 / rate
    return max(least, scrape * math.ceil(seconds / scrape))


def together(wrong: float) -> float:
    """Phases in which at least one of all expectations is wrong, if one is in so many."""
    return 1 - (1 - wrong) ** EXPECTATIONS


def row(errors: Errors, share: float, bound: float, phases: int, least: int, rate: int, scrape: int) -> list[Decided]:
    chance = random.Random(f"{scrape} {rate} {errors.name} {share} {bound}")  # noqa: S311 - a simulation
    seconds = LIMIT * least
    return [
        decided(per_second(stretches(errors, share, rate, seconds, chance), rate, seconds), scrape, least, bound)
        for _ in range(phases)
    ]


def main(phases: int, least: int, rates: Sequence[int]) -> None:
    """Prints the table, and the worst of what is claimed."""
    print("scrape rate  errors                          share  bound claimed  wrong unseen right  median")
    worst = 0.0
    ratios = []
    for scrape, rate in ((scrape, rate) for scrape in SCRAPES for rate in rates):
        for errors in patterns(rate):
            length = fixed(errors, rate, scrape, least)
            medians: dict[float, float] = {}
            times: list[float] = []
            for wanted in SHARES if errors.every is None else SHARES[:1]:
                share = errors.share(wanted)
                for bound in [BOUND] if errors.every is None else [share + NEAR, share - NEAR]:
                    found = row(errors, share, bound, phases, least, rate, scrape)
                    right = Answer.HOLDS if share >= bound else Answer.VIOLATED
                    false = [seen for answer, _, seen in found if answer not in (right, Answer.UNDECIDED)]
                    wrong, unseen = false.count(True) / phases, false.count(False) / phases
                    every = errors.every or (errors.length or 1 / rate) / max(1e-9, 1 - share)
                    claimed = every * (1 if errors.regular else math.log(EXPECTATIONS / 0.05)) <= least
                    worst = max(worst, together(wrong + unseen if claimed else wrong))
                    took = [at if answer is right else math.inf for answer, at, _ in found]
                    print(
                        f"{scrape:6} {rate:4}  {errors.name:30} {share:6.2%} {bound:6.2%} {'yes' if claimed else 'no':>7} "
                        f"{wrong:6.1%} {unseen:6.1%} {sum(t < math.inf for t in took) / phases:5.0%} "
                        f"{statistics.median(took):6.0f}s"
                    )
                    if abs(share - bound) >= NEAR - 1e-9:
                        times += took
                        medians[share] = statistics.median(took) / length
            if errors.every is None and least < length <= LIMIT * least:
                ratios.append((statistics.median(times) / length, f"{errors.name}, {rate}/s, scrapes of {scrape} s"))
                print(f"{'':13}{errors.name}: median {ratios[-1][0]:.2f} of a fixed length, {length} s; by share:")
                print(f"{'':15}{', '.join(f'{share:.1%} {ratio:.2f}' for share, ratio in medians.items())}")
    print(
        f"worst of what is claimed, or was decided after errors were seen, for {EXPECTATIONS} expectations: {worst:.1%}"
    )
    print(f"slowest: {max(ratios, default='no fixed length is within the limits')}")


if __name__ == "__main__":
    PHASES, SECONDS, *rest = [*(int(one) for one in sys.argv[1:]), *(200, 30)[len(sys.argv) - 1 :]]
    main(PHASES, SECONDS, rest or RATES)
