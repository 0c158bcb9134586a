"""Purge of deleted and expired conversations: removal of their rows and objects."""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from typing import TYPE_CHECKING, Any

from conversations.errors import OverloadedError
from conversations.storage import rows
from conversations.storage.backoff import attempts
from conversations.storage.delete import TOMBSTONE_SECONDS
from conversations.storage.items import unique_id
from conversations.storage.payloads import Part
from conversations.storage.reads import get_conversation_row, read_rows, transact_get
from conversations.storage.restore_claim import CLAIM_SK
from conversations.storage.scan import scan_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from conversations.storage.payloads import PayloadStore
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

BATCH_WRITE_MAX = 25
"""Maximum number of rows in one `BatchWriteItem`."""
_SINCE = {rows.CONVERSATION_SK: "deleted_at", CLAIM_SK: "claimed_at"}
"""Sort keys of the rows that have a time from which the conversation's rows may be left over."""


def purge_conversation(
    table: Table, payloads: PayloadStore, pk: str, has_time: Callable[[], bool]
) -> bool:
    """Remove all rows and objects of a deleted conversation except its own row; safe to repeat.

    Return whether nothing is left to do; see `sweep`. A live conversation stays as it is.

    Raises:
        UnsupportedSchemaVersionError: a newer release wrote the conversation, and may have stored
            more than this release would remove.
    """
    conversation = get_conversation_row(table, pk)
    if conversation is None or "deleted_at" not in conversation:
        return conversation is None
    _wait_for_appends(table, pk, conversation)
    return sweep(table, payloads, pk, has_time)


def sweep(table: Table, payloads: PayloadStore, pk: str, has_time: Callable[[], bool]) -> bool:
    """Remove all rows and objects of a conversation except its own row, which may be gone.

    Return whether nothing is left to do. If *has_time* returns false before that, mark the
    conversation row as deleted; its stream record starts the next purge. Before each deletion, it
    checks whether the conversation was imported again since, or is being imported; if so, it stops.

    Objects are listed by their folder, not by the rows: a row that is being rewritten may name
    another object by the time it is deleted. Objects are deleted first: rows that are left show
    that a purge is unfinished.
    """
    for delete in _deletions(table, payloads, pk):
        if _is_imported(table, pk):
            return True
        if not has_time():
            requeue_purge(table, pk)
            return False
        delete()
    return True


def _deletions(table: Table, payloads: PayloadStore, pk: str) -> Iterator[Callable[[], None]]:
    """Yield the deletions of a sweep, in order."""
    for object_keys in filter(None, payloads.list_folder(pk)):
        yield functools.partial(payloads.delete, object_keys)
    children = (key for key in scan_keys(table, pk) if key["sk"]["S"] != rows.CONVERSATION_SK)
    for keys in itertools.batched(children, BATCH_WRITE_MAX, strict=False):
        yield functools.partial(delete_rows, table, keys)


def _is_imported(table: Table, pk: str) -> bool:
    """Return whether the conversation is live, or an import is writing it."""
    found = transact_get(table, pk, [rows.CONVERSATION_SK, CLAIM_SK])
    if rows.CONVERSATION_SK in found:
        return True
    if CLAIM_SK not in found:
        return False
    row = get_conversation_row(table, pk)  # deleted, or of an import that has ended meanwhile
    return row is None or "deleted_at" not in row


def requeue_purge(table: Table, pk: str) -> None:
    """Start a purge of a deleted or expired conversation, by the stream record of its row.

    If the row has expired or is missing, it is marked as deleted; a missing one is created. The row
    of a deleted conversation keeps its times. A live conversation stays as it is.
    """
    now = time.time_ns() // 1_000_000
    row: Any = {"TableName": table.name, "Key": rows.primary_key(pk, rows.CONVERSATION_SK)}
    one = {":one": rows.number(1)}
    condition_failed = table.dynamodb.exceptions.ConditionalCheckFailedException
    try:
        table.dynamodb.update_item(
            **row,
            UpdateExpression="ADD purges :one",
            ConditionExpression="attribute_exists(deleted_at)",
            ExpressionAttributeValues=one,
        )
    except condition_failed:
        with contextlib.suppress(condition_failed):
            table.dynamodb.update_item(
                **row,
                UpdateExpression=f"{rows.DELETION} ADD purges :one",
                ConditionExpression="attribute_not_exists(pk) OR expires_at <= :now_seconds",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={
                    ":now": rows.number(now),
                    ":now_seconds": rows.number(now // 1000),
                    ":expires_at": rows.number(now // 1000 + TOMBSTONE_SECONDS),
                    **one,
                },
            )


def find_unfinished_purges(table: Table, cutoff: datetime) -> Iterator[str]:
    """Yield the partition keys of conversations with rows that a purge has left.

    They were deleted before *cutoff*, their own row has expired, or their import began before
    *cutoff* and was interrupted. This reads the whole table.
    """
    pages = table.dynamodb.get_paginator("scan").paginate(
        TableName=table.name, ProjectionExpression="pk, sk, deleted_at, claimed_at"
    )
    found = (row for page in pages for row in page["Items"])
    for pk, partition in itertools.groupby(found, key=lambda row: row["pk"]["S"]):
        children = 0
        is_due = True
        for row in partition:
            sk = row["sk"]["S"]
            if sk in _SINCE:
                since = row.get(_SINCE[sk])
                is_due &= since is not None and int(since["N"]) < cutoff.timestamp() * 1000
            children += sk != rows.CONVERSATION_SK
        if is_due and children and not pk.endswith("/"):
            yield pk


def find_orphans(table: Table, payloads: PayloadStore, cutoff: datetime) -> Iterator[str]:
    """Yield the keys of objects older than *cutoff* that no row names.

    Such objects come from requests whose outcome stayed unknown, or whose clean-up failed. An
    object is written before its row: *cutoff* must be older than any request in flight, and than
    the last write of any import with `--merge`. Objects of another import are omitted while its
    claim exists; `find_unfinished_purges` yields the conversation of an interrupted import.
    """
    folders = itertools.groupby(
        payloads.list_older_than(cutoff), lambda key: key.rpartition("/")[0]
    )
    for pk, keys in folders:
        if read_rows(table, pk, [CLAIM_SK]):
            continue
        named = _named_objects(table, pk)
        yield from (key for key in keys if key not in named)


def _named_objects(table: Table, pk: str) -> set[str]:
    """Return the keys of the objects that the batches of a conversation name, live or expired."""
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :batches)",
        ProjectionExpression="#object",
        ExpressionAttributeNames={"#object": "object"},
        ExpressionAttributeValues={":pk": {"S": pk}, ":batches": {"S": rows.BATCH_PREFIX}},
        ConsistentRead=True,
    )
    return {row["object"]["S"] for page in pages for row in page["Items"] if "object" in row}


def _wait_for_appends(table: Table, pk: str, conversation: Row) -> None:
    """Wait until no row of the latest batches, and no pointer to them, can become visible later.

    A deleted conversation rejects appends, but rows of its last transactions may still be becoming
    visible. Rows without content that become visible after the purge (a tombstone, an idempotency
    row, a pointer to a batch in an object) are removed when the conversation row expires.
    """
    recent = rows.recent_last_keys(conversation) if "last_key" in conversation else []
    batches = transact_get(table, pk, map(rows.batch_sk, recent))
    client_ids = itertools.chain.from_iterable(map(_client_ids, batches.values()))
    transact_get(table, pk, map(rows.pointer_sk, client_ids))


def _client_ids(row: Row) -> Iterator[str]:
    payload = rows.read_payload(row)
    if payload.object_key is None:
        lines = Part(payload, 0, len(rows.live_slots(row))).decode(payload.data)
        yield from (item_id for line in lines if (item_id := unique_id(line)))


def delete_rows(table: Table, keys: Sequence[Row]) -> None:
    """Delete up to `BATCH_WRITE_MAX` rows; retry those that DynamoDB did not process.

    Raises:
        OverloadedError: some rows are left after all attempts.
    """
    left: Sequence[WriteRequestUnionTypeDef] = [{"DeleteRequest": {"Key": key}} for key in keys]
    for _ in attempts(table.stats):
        sent = len(left)
        response = table.dynamodb.batch_write_item(RequestItems={table.name: left})
        left = response["UnprocessedItems"].get(table.name, [])
        table.stats.add("PurgedRows", sent - len(left))
        if not left:
            return
        table.stats.add("Throttles")
    raise OverloadedError(f"DynamoDB throttled the deletion of {len(left)} rows.")
