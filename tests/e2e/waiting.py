"""Waiting for asynchronous effects."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def is_soon(condition: Callable[[], bool], seconds: float) -> bool:
    """Return whether a condition becomes true in time; it is checked ten times a second."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return holds
