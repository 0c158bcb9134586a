"""The stage's throttle: a token bucket, as API Gateway's guide describes it."""

from collections.abc import Callable

from local.template import Throttle


class TokenBucket:
    """One bucket for all routes and all keys, full at the start.

    On AWS it is a target that many machines aim at together; here it is exact.
    """

    def __init__(self, throttle: Throttle, clock: Callable[[], float]) -> None:
        self._throttle = throttle
        self._clock = clock
        self._tokens = throttle.burst
        self._seen_at = clock()

    def take(self) -> bool:
        """Whether one more request is let in, which then is counted."""
        now = self._clock()
        gained = (now - self._seen_at) * self._throttle.rate
        self._tokens = min(self._throttle.burst, self._tokens + gained)
        self._seen_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
