"""The clock of the functions in this process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def move_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Move the clock forward until the end of the test."""
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 10**9)
