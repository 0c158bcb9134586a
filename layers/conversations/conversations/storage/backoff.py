"""Attempts at a call to AWS, or at several, and the delays between them."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.telemetry import RequestStats

RETRY_SECONDS = 3.0
"""Time after which a failed attempt is the last; a request can run several loops of attempts."""
FIRST_DELAY_SECONDS = 0.01
MAX_DELAY_SECONDS = 0.5
_RANDOM = random.SystemRandom()
"""A source without a seed: environments restored from one snapshot must draw different delays."""


def attempts(stats: RequestStats) -> Iterator[None]:
    """Yield before each attempt, and wait with full jitter between two; end after `RETRY_SECONDS`.

    Each attempt after the first counts as a retry.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    for number in itertools.count():
        stats.retries += number > 0
        yield
        if time.monotonic() >= deadline:
            return
        longest_delay = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**number)
        time.sleep(_RANDOM.uniform(0, longest_delay))
