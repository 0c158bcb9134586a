"""Writes of many rows without a transaction, for rows that no request reads or writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations.errors import OverloadedError
from conversations.storage.backoff import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from conversations.storage.transactions import Table
    from conversations.telemetry import Metric

BATCH_WRITE_MAX = 25
"""Maximum number of rows in one `BatchWriteItem`."""


def batch_write(
    table: Table, requests: Sequence[WriteRequestUnionTypeDef], metric: Metric | None = None
) -> None:
    """Write up to `BATCH_WRITE_MAX` rows, and count them as *metric*.

    Raises:
        OverloadedError: some rows are not written after all attempts.
    """
    left = [*requests]
    for _ in attempts(table.stats):
        sent = len(left)
        response = table.dynamodb.batch_write_item(RequestItems={table.name: left})
        left = [*response["UnprocessedItems"].get(table.name, [])]
        if metric:
            table.stats.add(metric, sent - len(left))
        if not left:
            return
        table.stats.add("Throttles")
    raise OverloadedError(f"DynamoDB throttled the write of {len(left)} rows.")
