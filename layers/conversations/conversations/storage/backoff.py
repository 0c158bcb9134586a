"""Attempts at a call to AWS, or at several, and the delays between them."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.telemetry import RequestStats

RETRY_SECONDS = 3.0
"""Time after which a failed attempt is the last; a request can run several loops of attempts."""
FIRST_DELAY_SECONDS = 0.01
MAX_DELAY_SECONDS = 0.5
_RANDOM = random.SystemRandom()
"""A source without a seed: environments restored from one snapshot must draw different delays."""


class Attempt(NamedTuple):
    """One attempt of several."""

    deadline: float
    longest_delay: float

    def wait_for_next(self) -> bool:
        """Wait, with full jitter, until the next attempt may begin; return False if none may."""
        if time.monotonic() >= self.deadline:
            return False
        time.sleep(_RANDOM.uniform(0, self.longest_delay))
        return True


def attempts(stats: RequestStats) -> Iterator[Attempt]:
    """Yield attempts without end: call `wait_for_next` before the next one.

    Each attempt after the first counts as a retry.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    for number in itertools.count():
        stats.retries += number > 0
        yield Attempt(deadline, min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**number))
