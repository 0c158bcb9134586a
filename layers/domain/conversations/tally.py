"""What one request did: counted where it is done, told in its log line, metrics included."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

type Metric = Literal[
    "Appends",
    "AppendedItems",
    "AppendedBytes",
    "Rekeys",
    "Replays",
    "Conflicts",
    "Throttles",
    "SpilledObjects",
    "SpilledBytes",
    "PurgedRows",
    "PurgeLag",
    "RefusedKeys",
    "FailedAuthorizations",
]

UNITS: Final[Mapping[Metric, str]] = {
    "Appends": "Count",
    "AppendedItems": "Count",
    "AppendedBytes": "Bytes",
    "Rekeys": "Count",
    "Replays": "Count",
    "Conflicts": "Count",
    "Throttles": "Count",
    "SpilledObjects": "Count",
    "SpilledBytes": "Bytes",
    "PurgedRows": "Count",
    "PurgeLag": "Seconds",
    "RefusedKeys": "Count",
    "FailedAuthorizations": "Count",
}
"""All metrics of the service, which `docs/operations.md` explains, and their units."""


@dataclass(slots=True)
class Tally:
    """One request's, one purge's or one key's; whoever does something adds to it."""

    owner: str | None = None
    """The SHA-256 by which its conversations are kept."""
    conversation_id: str | None = None
    code: str | None = None
    """That of the refusal, if it was refused."""
    items: int = 0
    """Items, or conversations of a list, that were written, read or deleted."""
    retries: int = 0
    """How often AWS was asked again."""
    metrics: dict[str, float] = field(default_factory=dict)

    def add(self, metric: Metric, value: float = 1) -> None:
        """Count something."""
        if value:
            self.metrics[metric] = self.metrics.get(metric, 0) + value

    def embedded(self) -> dict[str, Any]:
        """The metrics as a log line tells CloudWatch of them; nothing where there are none.

        It is CloudWatch's embedded metric format. The dimension is a field that the logger adds.
        """
        if not self.metrics:
            return {}
        told = [{"Name": name, "Unit": UNITS[name]} for name in UNITS if name in self.metrics]
        namespace = os.environ["POWERTOOLS_METRICS_NAMESPACE"]
        directive = {"Namespace": namespace, "Dimensions": [["service"]], "Metrics": told}
        at = time.time_ns() // 1_000_000
        return {**self.metrics, "_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]}}
