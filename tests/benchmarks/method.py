"""How the programs measure: processor time in alternating windows, and the median of the ratios of each round.

A round is one window of each path, one after the other, each after a full garbage collection. The first round is
dropped. The first path is measured twice in each round: where the two differ by more than 5 %, the run is void.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median

VOID_ABOVE = 0.05
AGAIN = " (again)"

type Window = Callable[[], Awaitable[int]]
"""Does the work of one window and returns how many operations that was; raises if not all were done."""


class Comparison:
    """Microseconds of processor time per operation, by path, one a round."""

    def __init__(self, clock: Callable[[], int] = time.process_time_ns) -> None:
        """`clock`: nanoseconds that were used."""
        self.rounds: list[dict[str, float]] = []
        self._clock = clock

    async def run(self, paths: Mapping[str, Window], rounds: int) -> None:
        """Measure all paths `rounds` times, after one round that does not count."""
        first = next(iter(paths))
        order = [*paths, first + AGAIN]
        for number in range(rounds + 1):
            times = {}
            # The same path is not always the first after a pause.
            for name in order if number % 2 else reversed(order):
                times[name] = await self._measure(paths[name.removesuffix(AGAIN)])
            if number:
                self.rounds.append(times)

    async def _measure(self, window: Window) -> float:
        gc.collect()
        started = self._clock()
        operations = await window()
        return (self._clock() - started) / 1000 / operations

    def microseconds(self, path: str) -> float:
        """The median of a path."""
        return median(times[path] for times in self.rounds)

    def ratio(self, path: str, to: str) -> float:
        """The median of the ratios of each round."""
        return median(times[path] / times[to] for times in self.rounds)

    @property
    def drift(self) -> float:
        """By how much the two measurements of the first path differ."""
        first = next(name for name in self.rounds[0] if name + AGAIN in self.rounds[0])
        return abs(self.ratio(first + AGAIN, first) - 1)

    @property
    def valid(self) -> bool:
        """Whether they differ little enough for the ratios to mean something."""
        return self.drift <= VOID_ABOVE
