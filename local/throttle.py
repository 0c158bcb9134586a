"""Throttle of the stage: a token bucket for each route, as in API Gateway's guide."""

from collections.abc import Callable

from local.template import Throttle


class TokenBucket:
    """Token bucket of a route for all keys, full at the start.

    On AWS the limit is a target for many machines together; here it is exact.
    """

    def __init__(self, throttle: Throttle, clock: Callable[[], float]) -> None:
        self._throttle = throttle
        self._clock = clock
        self._tokens = throttle.burst
        self._seen_at = clock()

    def take(self) -> bool:
        """Take a token for one request; return whether there was one."""
        now = self._clock()
        gained = (now - self._seen_at) * self._throttle.rate
        self._tokens = min(self._throttle.burst, self._tokens + gained)
        self._seen_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
