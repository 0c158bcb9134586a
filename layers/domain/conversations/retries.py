"""How long and how often AWS is asked again."""

from __future__ import annotations

import itertools
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conversations.tally import Tally

RETRY_SECONDS = 3.0
"""How long one request's calls are tried before the client is asked to come again."""
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5
_DICE = random.SystemRandom()
"""Not seeded: environments restored from one snapshot must not throw the same."""


def pauses(tally: Tally) -> Iterator[float | None]:
    """For each try, the seconds to wait after it: full jitter; None after the last."""
    deadline = time.monotonic() + RETRY_SECONDS
    for attempt in itertools.count():
        tally.retries += attempt > 0
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
        yield _DICE.uniform(0, longest) if time.monotonic() < deadline else None
