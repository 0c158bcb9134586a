"""Delays between attempts at a call to AWS."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.telemetry import RequestStats

RETRY_SECONDS = 3.0
"""Time for which one loop of attempts retries; a request can run several loops."""
FIRST_DELAY_SECONDS = 0.01
MAX_DELAY_SECONDS = 0.5
_RANDOM = random.SystemRandom()
"""A source without a seed: environments restored from one snapshot must draw different delays."""


def delays(stats: RequestStats) -> Iterator[float | None]:
    """Yield, before each attempt, the seconds to wait after it; None before the last attempt.

    Delays have full jitter. Each attempt after the first counts as a retry.
    """
    deadline = time.monotonic() + RETRY_SECONDS
    for attempt in itertools.count():
        stats.retries += attempt > 0
        longest = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**attempt)
        yield _RANDOM.uniform(0, longest) if time.monotonic() < deadline else None
