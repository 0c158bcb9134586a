"""Rows read by their keys: what is there for its owner, and nothing else."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from conversations import rows
from conversations.errors import OverloadedError
from conversations.retries import pauses
from conversations.transactions import conversation_not_found, read_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conversations.rows import Row
    from conversations.transactions import Table

READ_AT_ONCE = 100
"""Keys that `BatchGetItem` takes in one request."""
SETTLED_AT_ONCE = 20
"""Keys of one `TransactGetItems`: a whole batch, and few enough that a conflict is rare."""


def read_rows(table: Table, keys: Iterable[Row]) -> list[Row]:
    """The rows at *keys*, strongly consistent, in no order; missing and expired ones left out."""
    found: list[Row] = []
    for batch in itertools.batched(keys, READ_AT_ONCE, strict=False):
        found += _read_batch(table, [*batch])
    return [row for row in found if rows.is_live(row)]


def _read_batch(table: Table, keys: list[Row]) -> list[Row]:
    """The rows at up to `READ_AT_ONCE` keys; what DynamoDB leaves out is asked for again."""
    found: list[Row] = []
    for pause in pauses(table.tally):
        answer = table.dynamodb.batch_get_item(
            RequestItems={table.name: {"Keys": keys, "ConsistentRead": True}}
        )
        found += answer["Responses"][table.name]
        keys = [*answer["UnprocessedKeys"].get(table.name, {"Keys": []})["Keys"]]
        if not keys:
            break
        table.tally.add("Throttles")
        if pause is None:
            raise OverloadedError("The table is asked too much. Send the request again.")
        time.sleep(pause)
    return found


def read_settled_rows(table: Table, keys: Iterable[Row]) -> list[Row]:
    """The same, with no transaction under way on any of them."""
    found: list[Row] = []
    for batch in itertools.batched(keys, SETTLED_AT_ONCE, strict=False):
        found += read_settled(table, batch)
    return [row for row in found if rows.is_live(row)]


def read_conversation_with(table: Table, pk: str, sks: Iterable[str] = ()) -> dict[str, Row]:
    """The conversation's own row and those at *sks*, by sort key; missing ones are left out.

    Raises:
        ConversationNotFoundError: it is missing, deleted or another owner's.
    """
    keys = [rows.primary_key(pk, sk) for sk in (rows.CONVERSATION_SK, *sks)]
    found = by_sk(read_rows(table, keys))
    if rows.CONVERSATION_SK not in found:
        raise conversation_not_found(pk)
    return found


def find_items(table: Table, pk: str, item_ids: Sequence[str]) -> dict[str, Row]:
    """The rows of items by their ids; an id that the conversation does not have is left out.

    One round trip where the ids are generated ones and all are there. An id that is not found is
    looked for again outside of transactions, because a client may have it from a batch that is
    being committed now.

    Raises:
        ConversationNotFoundError: it is missing, deleted or another owner's.
    """
    sks = dict.fromkeys(sk for item_id in item_ids for sk in rows.sks_of(item_id))
    first = read_conversation_with(table, pk, sks)
    found = _items_among(first, item_ids, lambda keys: read_rows(table, keys), pk)
    absent = [item_id for item_id in item_ids if item_id not in found]
    if absent:
        sks = dict.fromkeys(sk for item_id in absent for sk in rows.sks_of(item_id))
        settled = by_sk(read_settled_rows(table, [rows.primary_key(pk, sk) for sk in sks]))
        found |= _items_among(settled, absent, lambda keys: read_settled_rows(table, keys), pk)
    return found


def by_sk(found: Iterable[Row]) -> dict[str, Row]:
    """Rows of one conversation by their sort keys."""
    return {row["sk"]["S"]: row for row in found}


def _items_among(
    found: dict[str, Row],
    item_ids: Sequence[str],
    read: Callable[[Sequence[Row]], list[Row]],
    pk: str,
) -> dict[str, Row]:
    """The items that are among *found*, or behind a pointer among them."""
    items = {item_id: row for item_id in item_ids if (row := rows.find_item(found, item_id))}
    keys = {
        item_id: rows.item_sk(key)
        for item_id in item_ids
        if item_id not in items and (key := rows.find_pointer(found, item_id))
    }
    if keys:
        pointed = by_sk(read([rows.primary_key(pk, sk) for sk in set(keys.values())]))
        items |= {item_id: pointed[sk] for item_id, sk in keys.items() if sk in pointed}
    return items
