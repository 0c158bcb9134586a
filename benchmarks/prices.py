"""What AWS charges, from `prices.toml`: dollars for one of each thing."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import NamedTuple, Self

PRICES = Path(__file__).parent / "prices.toml"
GIGABYTE = 1024**3


class Prices(NamedTuple):
    """The tables of the price file, each a price by name."""

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
        """Read the file; a table that is missing in it is a `KeyError`."""
        read = tomllib.loads(PRICES.read_text())
        return cls(*(read[name] for name in cls._fields))

    def of_lambda(self, milliseconds: float, memory_mb: float) -> float:
        """One invocation that is billed for so long."""
        seconds = milliseconds / 1000
        return self.function["request"] + self.of_waiting(seconds, memory_mb)

    def of_waiting(self, seconds: float, memory_mb: float) -> float:
        """So much longer of a function that runs already."""
        return seconds * memory_mb / 1024 * self.function["gigabyte_second"]

    def of_rows(self, size: float, months: float) -> float:
        """Keeping so many bytes of a table that can be restored."""
        month = self.dynamodb["gigabyte_month"] + self.dynamodb["recovery_gigabyte_month"]
        return size / GIGABYTE * month * months
