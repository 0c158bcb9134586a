"""What is left behind is found and removed: rows, pointers, objects."""

from __future__ import annotations

import contextlib
import itertools
import time
from typing import TYPE_CHECKING

from conversations import rows
from conversations.errors import OverloadedError
from conversations.reading import read_settled_rows
from conversations.retries import pauses
from conversations.versions import check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

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

    Raises:
        NewerRowError: it is of a newer release, which may keep more than this one would remove.
    """
    key = rows.primary_key(pk, rows.CONVERSATION_SK)
    answer = table.dynamodb.get_item(TableName=table.name, Key=key, ConsistentRead=True)
    conversation = answer.get("Item")
    check_version(conversation or {})
    if conversation is None or "deleted_at" not in conversation:
        return conversation is None
    _wait_for_appends(table, pk, conversation)
    if remove_all_but_head(table, bucket, pk, has_time):
        return True
    purge_again(table, pk)
    return False


def remove_all_but_head(
    table: Table, bucket: PayloadBucket, pk: str, has_time: Callable[[], bool]
) -> bool:
    """Remove every row of a conversation but its own, and every object; True if none is left.

    For a conversation that is deleted, and for what came late, when its own row is gone too.
    """
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
            return False
        _remove(table, bucket, batch)
    return True


def purge_again(table: Table, pk: str) -> None:
    """Mark a deleted conversation's row, whose stream record begins another purge."""
    with contextlib.suppress(table.dynamodb.exceptions.ConditionalCheckFailedException):
        table.dynamodb.update_item(
            TableName=table.name,
            Key=rows.primary_key(pk, rows.CONVERSATION_SK),
            UpdateExpression="ADD purges :one",
            ConditionExpression="attribute_exists(deleted_at)",
            ExpressionAttributeValues={":one": rows.number(1)},
        )


def find_unpurged(table: Table, moment: datetime) -> Iterator[str]:
    """The partition keys of conversations deleted before *moment* of which something is left.

    It reads the whole table.
    """
    pages = table.dynamodb.get_paginator("scan").paginate(
        TableName=table.name,
        FilterExpression="sk = :conversation AND deleted_at < :moment",
        ProjectionExpression="pk",
        ExpressionAttributeValues={
            ":conversation": {"S": rows.CONVERSATION_SK},
            ":moment": rows.number(int(moment.timestamp() * 1000)),
        },
    )
    for page in pages:
        for row in page["Items"]:
            left = table.dynamodb.query(
                TableName=table.name,
                KeyConditionExpression="pk = :pk AND sk > :conversation",
                ExpressionAttributeValues={
                    ":pk": row["pk"],
                    ":conversation": {"S": rows.CONVERSATION_SK},
                },
                Limit=1,
                ConsistentRead=True,
            )
            if left["Items"]:
                yield row["pk"]["S"]


def find_orphans(table: Table, bucket: PayloadBucket, moment: datetime) -> Iterator[str]:
    """The keys of objects older than *moment* that no row names.

    They are what an append left whose outcome stayed unknown, or whose clean-up failed. An object
    is there before its row: *moment* must lie further back than any request lasts.
    """
    folders = itertools.groupby(bucket.list_older_than(moment), lambda key: key.rpartition("/")[0])
    for pk, keys in folders:
        named = _named_objects(table, pk)
        yield from (key for key in keys if key not in named)


def _named_objects(table: Table, pk: str) -> set[str]:
    """The objects of all rows of a conversation, also of rows that are no longer shown."""
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :items)",
        ProjectionExpression="#object",
        ExpressionAttributeNames={"#object": "object"},
        ExpressionAttributeValues={":pk": {"S": pk}, ":items": {"S": rows.ITEM_PREFIX}},
        ConsistentRead=True,
    )
    return {row["object"]["S"] for page in pages for row in page["Items"] if "object" in row}


def _wait_for_appends(table: Table, pk: str, conversation: Row) -> None:
    """See to it that no item appears behind the purge.

    Nothing is appended to a deleted conversation, but rows of its last batches may still be on
    their way; a pointer as much as the item that names it. What else may come, the pointer of an
    item deleted just before or the memory of an append, goes when the conversation's row does.
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
    for pause in pauses(table.tally):
        sent = len(requests)
        answer = table.dynamodb.batch_write_item(RequestItems={table.name: requests})
        requests = [*answer["UnprocessedItems"].get(table.name, [])]
        table.tally.add("PurgedRows", sent - len(requests))
        if not requests:
            return
        table.tally.add("Throttles")
        if pause is None:
            raise OverloadedError(f"{len(requests)} rows could not be removed.")
        time.sleep(pause)
