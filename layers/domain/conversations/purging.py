"""What a deleted conversation left behind is removed: rows, pointers, objects."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from conversations import rows
from conversations.reading import read_settled_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from conversations.payloads import PayloadBucket
    from conversations.rows import Row
    from conversations.transactions import Table

DELETED_AT_ONCE = 25
"""Rows that `BatchWriteItem` takes in one request."""


def purge_conversation(
    table: Table, bucket: PayloadBucket, pk: str, has_time: Callable[[], bool]
) -> bool:
    """Remove all that a deleted conversation left, but its own row; safe to repeat.

    Stops when *has_time* says so, and marks the conversation's row, whose stream record is what
    the purge goes on from. True if nothing is left. One that is not deleted stays as it is.
    """
    key = rows.primary_key(pk, rows.CONVERSATION_SK)
    answer = table.dynamodb.get_item(TableName=table.name, Key=key, ConsistentRead=True)
    conversation = answer.get("Item")
    if conversation is None or "deleted_at" not in conversation:
        return conversation is None
    _wait_for_appends(table, pk, conversation)
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND sk > :conversation",
        ProjectionExpression="pk, sk, #object",
        ExpressionAttributeNames={"#object": "object"},
        ExpressionAttributeValues={":pk": {"S": pk}, ":conversation": {"S": rows.CONVERSATION_SK}},
        ConsistentRead=True,
    )
    left = itertools.chain.from_iterable(page["Items"] for page in pages)
    for batch in itertools.batched(left, DELETED_AT_ONCE, strict=False):
        if not has_time():
            _go_on_later(table, key)
            return False
        _remove(table, bucket, batch)
    return True


def _wait_for_appends(table: Table, pk: str, conversation: Row) -> None:
    """See to it that no row of an append appears behind the purge.

    Nothing is appended to a deleted conversation, but rows of its last batches may still be on
    their way; a pointer as much as the item that names it.
    """
    for keys in rows.recent_keys(conversation):
        found = read_settled_rows(table, [rows.primary_key(pk, rows.item_sk(key)) for key in keys])
        pointers = [rows.primary_key(pk, rows.pointer_sk(rows.cursor(row))) for row in found]
        read_settled_rows(table, pointers)


def _remove(table: Table, bucket: PayloadBucket, left: Sequence[Row]) -> None:
    """Remove rows, their objects first: a row is what its object is found by."""
    bucket.remove([row["object"]["S"] for row in left if "object" in row])
    requests: list[WriteRequestUnionTypeDef] = [
        {"DeleteRequest": {"Key": {"pk": row["pk"], "sk": row["sk"]}}} for row in left
    ]
    while requests:
        answer = table.dynamodb.batch_write_item(RequestItems={table.name: requests})
        requests = [*answer["UnprocessedItems"].get(table.name, [])]


def _go_on_later(table: Table, key: Row) -> None:
    table.dynamodb.update_item(
        TableName=table.name,
        Key=key,
        UpdateExpression="ADD purges :one",
        ExpressionAttributeValues={":one": rows.number(1)},
    )
