"""What one request did: counted where it is done, told in its log line, metrics included."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

type Metric = Literal[
    "Appends",
    "AppendedItems",
    "AppendedBytes",
    "OrderingRetries",
    "Replays",
    "Conflicts",
    "Throttles",
    "SpilledObjects",
    "SpilledBytes",
    "PurgedRows",
    "PurgeLag",
    "RejectedKeys",
    "AuthorizerErrors",
]

METRICS: Final[tuple[Metric, ...]] = get_args(Metric.__value__)
"""All metrics of the service, which `docs/operations.md` explains."""
_UNITS: Final = {"AppendedBytes": "Bytes", "SpilledBytes": "Bytes", "PurgeLag": "Seconds"}
"""Of those that are no counts."""


@dataclass(slots=True)
class RequestStats:
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

    def to_emf(self) -> dict[str, Any]:
        """The metrics as a log line tells CloudWatch of them; nothing where there are none.

        It is CloudWatch's embedded metric format. The dimension is a field that the logger adds.
        """
        if not self.metrics:
            return {}
        told = [
            {"Name": name, "Unit": _UNITS.get(name, "Count")}
            for name in METRICS
            if name in self.metrics
        ]
        namespace = os.environ["POWERTOOLS_METRICS_NAMESPACE"]
        directive = {"Namespace": namespace, "Dimensions": [["service"]], "Metrics": told}
        at = time.time_ns() // 1_000_000
        return {**self.metrics, "_aws": {"Timestamp": at, "CloudWatchMetrics": [directive]}}


def request_log_fields(
    event: dict[str, Any], answer: dict[str, Any], done: RequestStats
) -> dict[str, Any]:
    """What the log is told of a request: ids and numbers, and no word of what it was about."""
    return {
        "request_id": event["requestContext"]["requestId"],
        "key_id": event["requestContext"].get("authorizer", {}).get("key_id"),
        "owner": done.owner,
        "conversation_id": done.conversation_id,
        "route": f"{event['httpMethod']} {event['resource']}",
        "status": answer["statusCode"],
        "code": done.code,
        "items": done.items,
        "body_bytes": _bytes(event["body"] or ""),
        "answer_bytes": _bytes(answer["body"]),
        "retries": done.retries,
        **done.to_emf(),
    }


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
