"""AWS's prices from `prices.toml`, in dollars per unit."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple, Self

PRICES = Path(__file__).parent / "prices.toml"
GIGABYTE = 1024**3


class Prices(NamedTuple):
    """Tables of the price file, each with prices by name."""

    dynamodb: dict[str, float]
    s3: dict[str, float]
    function: dict[str, float]
    api_gateway: dict[str, float]
    cloudwatch: dict[str, float]
    transfer: dict[str, float]
    agentcore: dict[str, float]
    assumed: dict[str, float]

    @classmethod
    def load(cls) -> Self:
        """Read the file.

        Raises:
            KeyError: a table is missing.
        """
        read = tomllib.loads(PRICES.read_text())
        return cls(*(read[name] for name in cls._fields))

    def of_lambda(self, milliseconds: float, memory_mb: float) -> float:
        """Return the price of one invocation of this duration."""
        seconds = milliseconds / 1000
        return self.function["request"] + self.of_waiting(seconds, memory_mb)

    def of_waiting(self, seconds: float, memory_mb: float) -> float:
        """Return the price of additional run time."""
        return seconds * memory_mb / 1024 * self.function["gigabyte_second"]

    def of_rows(self, size: float, months: float) -> float:
        """Return the price of storing bytes in a table with point-in-time recovery."""
        month = self.dynamodb["gigabyte_month"] + self.dynamodb["recovery_gigabyte_month"]
        return size / GIGABYTE * month * months
