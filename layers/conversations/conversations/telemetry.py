"""Log fields and metrics of a request, a purge or a failed check of a key."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, get_args

from botocore.exceptions import ClientError

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
"""All metrics of the service; `docs/operations.md` explains them."""
_UNITS: Final = {"AppendedBytes": "Bytes", "SpilledBytes": "Bytes", "PurgeLag": "Seconds"}
"""Units of the metrics that are not counts."""
BY_VERSION: Final[frozenset[Metric]] = frozenset({"FailedRequests", "RejectedKeys"})
"""Metrics that also have the dimension `version`, for the alarms of a release."""


@dataclass(slots=True)
class RequestStats:
    """Statistics of one request, one purge or one failed check of a key."""

    owner: str | None = None
    """The owner's identity; see `ids.owner_of`."""
    conversation_id: str | None = None
    code: str | None = None
    """The code of the error, if there was one."""
    items: int = 0
    """The number of items, or conversations of a list, that were written, read or deleted."""
    retries: int = 0
    """The number of repeated attempts at AWS, without those of botocore at S3."""
    metrics: dict[str, float] = field(default_factory=dict)

    def add(self, metric: Metric, value: float = 1) -> None:
        """Add *value* to a metric; a metric that stays 0 is not logged."""
        if value:
            self.metrics[metric] = self.metrics.get(metric, 0) + value

    def to_emf(self) -> dict[str, Any]:
        """Return the metrics as fields of a log line, in CloudWatch's embedded metric format.

        The dimension `service` is a field that the logger adds.
        """
        if not self.metrics:
            return {}
        namespace = os.environ["POWERTOOLS_METRICS_NAMESPACE"]
        directives = [
            {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}
            for dimensions, names in (
                ([["service"]], self.metrics.keys() - BY_VERSION),
                ([["service"], ["service", "version"]], self.metrics.keys() & BY_VERSION),
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
    event: dict[str, Any], response: dict[str, Any], stats: RequestStats
) -> dict[str, Any]:
    """Return the log fields of a request: ids and numbers, and no content.

    A response with a status of 500 or above adds to `FailedRequests`.
    """
    if response["statusCode"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
        stats.add("FailedRequests")
    return {
        "request_id": event["requestContext"]["requestId"],
        "key_id": event["requestContext"].get("authorizer", {}).get("key_id"),
        "owner": stats.owner,
        "conversation_id": stats.conversation_id,
        "route": f"{event['httpMethod']} {event['resource']}",
        "status": response["statusCode"],
        "code": stats.code,
        "items": stats.items,
        "body_bytes": _bytes(event["body"] or ""),
        "response_bytes": _bytes(response["body"]),
        "retries": stats.retries,
        "version": _version(),
        **stats.to_emf(),
    }


def failure_log_fields(error: Exception) -> dict[str, Any]:
    """Return the log fields of a failure: its type, AWS's code and its stack, without its text.

    The text of an error can contain content of items.
    """
    return {
        "error": type(error).__name__,
        "code": aws_error_code(error),
        "frames": traceback.format_tb(error.__traceback__),
        "version": _version(),
    }


def aws_error_code(error: Exception) -> str | None:
    """Return the error code that AWS returned, or None for another error."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else None


def _definition(name: str) -> dict[str, str]:
    return {"Name": name, "Unit": _UNITS.get(name, "Count")}


def _version() -> str:
    """Return the version of the running Lambda function."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
