"""What one request did: counted where it is done, told in its log line, metrics included."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from http import HTTPStatus
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
    "FailedRequests",
]

METRICS: Final[tuple[Metric, ...]] = get_args(Metric.__value__)
"""All metrics of the service, which `docs/operations.md` explains."""
_UNITS: Final = {"AppendedBytes": "Bytes", "SpilledBytes": "Bytes", "PurgeLag": "Seconds"}
"""Of those that are no counts."""
_BY_VERSION: Final = {"FailedRequests", "RejectedKeys"}
"""Those that are also counted for each version of a function: the alarms of a release need them."""


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

        It is CloudWatch's embedded metric format. Of the dimensions, `service` is a field that the
        logger adds.
        """
        if not self.metrics:
            return {}
        namespace = os.environ["POWERTOOLS_METRICS_NAMESPACE"]
        directives = [
            {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}
            for dimensions, names in (
                ([["service"]], self.metrics.keys() - _BY_VERSION),
                ([["service"], ["service", "version"]], self.metrics.keys() & _BY_VERSION),
            )
            if (metrics := [_definition(name) for name in METRICS if name in names])
        ]
        at = time.time_ns() // 1_000_000
        return {
            **self.metrics,
            "version": _version(),
            "_aws": {"Timestamp": at, "CloudWatchMetrics": directives},
        }


def request_log_fields(
    event: dict[str, Any], answer: dict[str, Any], done: RequestStats
) -> dict[str, Any]:
    """Return what the log is told of a request: ids and numbers, no word of what it was about.

    A response that is a failure of ours is counted.
    """
    if answer["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        done.add("FailedRequests")
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
        "version": _version(),
        **done.to_emf(),
    }


def _definition(name: str) -> dict[str, str]:
    return {"Name": name, "Unit": _UNITS.get(name, "Count")}


def _version() -> str:
    """Return the version of the function that runs, as Lambda counts them."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
