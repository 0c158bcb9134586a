"""Reads of whole conversations, from the first batch to the last one, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conversations import ids
from conversations.storage import rows
from conversations.storage.payloads import Part, read_again_if_deleted
from conversations.storage.reads import range_query, read_conversation_with, transact_get

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from conversations.storage.payloads import PayloadStore
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table


class BatchLines(NamedTuple):
    """The live items of one batch, as lines."""

    row: Row
    lines: Sequence[str]
    kept_bytes: int
    """The size of the payload in the row or the object."""


def scan_batches(table: Table, conversation: Row, after: str | None = None) -> Iterator[Row]:
    """Yield the live batches after a batch key, up to the last one that a *conversation* row names.

    A recent batch that a `Query` does not return yet, because its transaction is still committing,
    is read by `TransactGetItems`.

    Raises:
        ConversationNotFoundError: the conversation was deleted meanwhile.
    """
    pk, last_key = conversation["pk"]["S"], conversation["last_key"]["S"]
    if not last_key or ids.first_key(last_key) <= (after or ""):
        return
    first_sk = rows.batch_sk(after) if after else ""
    named = {rows.batch_sk(key) for key in rows.recent_last_keys(conversation)}
    recent = {sk for sk in named if sk > first_sk}
    held: dict[str, Row] = {}
    for row in _query(table, pk, after, last_key):
        if row["sk"]["S"] >= min(recent):
            held[row["sk"]["S"]] = row
        elif rows.is_live(row):
            yield row
    missing = sorted(recent - held.keys())
    held |= transact_get(table, pk, missing)
    if missing and not held:
        read_conversation_with(table, pk)  # If it was deleted meanwhile, this raises the error.
    yield from (held[sk] for sk in sorted(held) if rows.is_live(held[sk]))


def _query(table: Table, pk: str, after: str | None, last_key: str) -> Iterator[Row]:
    """Yield the rows of batches after the batch *after*, up to the batch of *last_key*."""
    first_sk = rows.batch_sk(after) if after else rows.BATCH_PREFIX
    request = range_query(table, pk, first_sk, rows.batch_sk(last_key))
    if after:
        request["ExclusiveStartKey"] = rows.primary_key(pk, rows.batch_sk(after))
    while True:
        response = table.dynamodb.query(**request)
        yield from response["Items"]
        if "LastEvaluatedKey" not in response:
            return
        request["ExclusiveStartKey"] = response["LastEvaluatedKey"]


def scan_prefix(table: Table, pk: str, prefix: str) -> Iterator[Row]:
    """Yield the live rows of a conversation whose sort keys begin with *prefix*, in order."""
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
        ExpressionAttributeValues={":pk": {"S": pk}, ":prefix": {"S": prefix}},
        ConsistentRead=True,
    )
    yield from (row for page in pages for row in page["Items"] if rows.is_live(row))


def scan_keys(table: Table, pk: str) -> Iterator[Row]:
    """Yield the primary keys of all rows of a conversation, also of deleted and expired ones."""
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ProjectionExpression="pk, sk",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
    )
    yield from (row for page in pages for row in page["Items"])


def scan_index(table: Table, account: str, owner: str | None) -> Iterator[str]:
    """Yield the partition keys of live conversations of an account, or of one of its owners."""
    name, index = ("account", rows.BY_ACCOUNT) if owner is None else ("owner", rows.BY_OWNER)
    pages = table.dynamodb.get_paginator("query").paginate(
        TableName=table.name,
        IndexName=index,
        KeyConditionExpression="#name = :value",
        ExpressionAttributeNames={"#name": name},
        ExpressionAttributeValues={":value": {"S": account if owner is None else owner}},
    )
    yield from (row["pk"]["S"] for page in pages for row in page["Items"])


def scan_accounts(table: Table) -> Iterator[str]:
    """Yield the partition keys of all live conversations, in no order."""
    pages = table.dynamodb.get_paginator("scan").paginate(
        TableName=table.name, IndexName=rows.BY_ACCOUNT
    )
    yield from (row["pk"]["S"] for page in pages for row in page["Items"])


def read_batch(table: Table, payloads: PayloadStore, row: Row) -> BatchLines:
    """Return a batch with its lines; read it again if a deletion replaced its object meanwhile.

    Raises:
        ConversationNotFoundError: the conversation was deleted meanwhile.
    """
    found: Row | None = None

    def read() -> BatchLines:
        nonlocal found
        if found is None:
            found = row
        else:
            sk = row["sk"]["S"]
            found = read_conversation_with(table, row["pk"]["S"], [sk]).get(sk)
            if found is None:
                return BatchLines(row, [], 0)
        payload = rows.read_payload(found)
        part = Part(payload, 0, len(rows.live_slots(found)))
        data = payloads.read_all(payload)
        return BatchLines(found, part.decode(data), len(data))

    return read_again_if_deleted(table.stats, read)
