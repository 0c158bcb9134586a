"""Attempts and the delays between them."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from conversations.storage import backoff
from conversations.telemetry import RequestStats

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    """Clock that only sleeping advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
    """Take the longest delays; return the bounds of all draws. Only sleeping takes time."""
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high

    monkeypatch.setattr(backoff, "time", Clock())
    monkeypatch.setattr(backoff, "_RANDOM", SimpleNamespace(uniform=uniform))
    return bounds


def attempt_until(stats: RequestStats, is_done: Callable[[int], bool]) -> int:
    """Return the number of attempts until one succeeds, or the time of all attempts is over."""
    number = 0
    for number, _ in enumerate(backoff.attempts(stats), 1):
        if is_done(number):
            break
    return number


def test_delays_double_up_to_a_maximum_until_the_time_is_over(
    draws: list[tuple[float, float]],
) -> None:
    stats = RequestStats()

    count = attempt_until(stats, lambda _: False)

    doubled = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert [low for low, _ in draws] == [0] * len(doubled)
    assert [high for _, high in draws] == pytest.approx(doubled)
    assert sum(doubled[:-1]) < backoff.RETRY_SECONDS <= sum(doubled)
    assert count == len(doubled) + 1
    assert stats.retries == len(doubled)


@pytest.mark.usefixtures("draws")
@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_attempt_after_the_first_is_a_retry(count: int) -> None:
    stats = RequestStats()

    attempt_until(stats, lambda number: number == count)

    assert stats.retries == count - 1


def test_environments_of_one_snapshot_draw_different_delays() -> None:
    assert isinstance(backoff._RANDOM, random.SystemRandom)  # noqa: SLF001
