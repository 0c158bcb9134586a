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
"""Time for which one request repeats its calls before the client is asked to retry."""
FIRST_DELAY_SECONDS = 0.01
MAX_DELAY_SECONDS = 0.5
_RANDOM = random.SystemRandom()
"""Not seeded: environments restored from one snapshot must not draw the same delays."""


def delays(stats: RequestStats) -> Iterator[float | None]:
    """Yield, for each attempt, the seconds to wait after it: full jitter, None after the last."""
    deadline = time.monotonic() + RETRY_SECONDS
    for attempt in itertools.count():
        stats.retries += attempt > 0
        longest = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2**attempt)
        yield _RANDOM.uniform(0, longest) if time.monotonic() < deadline else None
