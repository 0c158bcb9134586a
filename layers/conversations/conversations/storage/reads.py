"""Reads of live rows by their keys.

A row is *settled* if no transaction on it is in flight: `transact_get` reads rows in this state.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from conversations import ids
from conversations.aws_clients import THROTTLED
from conversations.errors import ItemNotFoundError, OverloadedError
from conversations.storage import rows
from conversations.storage.backoff import attempts
from conversations.storage.items import decode_item
from conversations.storage.payloads import Part
from conversations.storage.rows import index_by_sort_key
from conversations.storage.schema_version import check_version
from conversations.storage.transactions import CANCELED, conversation_not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

    from conversations.model import ReturnedItem
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Table

BATCH_GET_MAX = 100
"""Maximum number of keys in one `BatchGetItem`."""
TRANSACT_GET_MAX = 20
"""Most keys in one of our `TransactGetItems`, so few that a conflict is rare."""


class BatchSlice(NamedTuple):
    """Live items of one batch, without one left out between them."""

    row: Row
    slots: Sequence[int]
    """The slots in the requested order."""

    @property
    def part(self) -> Part:
        """The lines of these items, in the order in which they were appended."""
        live = list(rows.live_slots(self.row))
        first, last = sorted((live.index(self.slots[0]), live.index(self.slots[-1])))
        return Part(rows.read_payload(self.row), first, last + 1)

    def items(self, lines: Sequence[str]) -> list[ReturnedItem]:
        """Return the items in the requested order, from the *lines* of `part`."""
        keys = ids.keys_at(rows.batch_key(self.row), sorted(self.slots))
        items = [decode_item(line, key) for line, key in zip(lines, keys, strict=True)]
        return items if self.slots[0] <= self.slots[-1] else items[::-1]


def batch_get(table: Table, keys: Iterable[Row]) -> list[Row]:
    """Return the live rows at distinct *keys*, in no order; strongly consistent.

    Raises:
        OverloadedError: DynamoDB kept leaving rows out.
    """
    found: list[Row] = []
    for batch in itertools.batched(keys, BATCH_GET_MAX, strict=False):
        found += _batch_get(table, [*batch])
    return [row for row in found if rows.is_live(row)]


def _batch_get(table: Table, keys: list[Row]) -> list[Row]:
    """Return the rows at up to `BATCH_GET_MAX` keys; retry keys that DynamoDB did not process."""
    found: list[Row] = []
    for _ in attempts(table.stats):
        response = table.dynamodb.batch_get_item(
            RequestItems={table.name: {"Keys": keys, "ConsistentRead": True}}
        )
        found += response["Responses"][table.name]
        keys = [*response["UnprocessedKeys"].get(table.name, {"Keys": []})["Keys"]]
        if not keys:
            return found
        table.stats.add("Throttles")
    raise OverloadedError


def read_rows(table: Table, pk: str, sks: Iterable[str]) -> dict[str, Row]:
    """Return the live rows of a conversation at *sks*, by sort key; see `batch_get`."""
    return index_by_sort_key(batch_get(table, [rows.primary_key(pk, sk) for sk in sks]))


def transact_get(table: Table, pk: str, sks: Iterable[str]) -> dict[str, Row]:
    """Return the live rows at *sks*, in their order, while no transaction on them is in flight.

    Unlike `Query` and `BatchGetItem`, `TransactGetItems` never returns a part of a transaction.
    This holds for each `TRANSACT_GET_MAX` keys, which are read by one call.

    Raises:
        OverloadedError: transactions on these rows did not end in time, or DynamoDB throttled.
    """
    found: list[Row] = []
    for some in itertools.batched(sks, TRANSACT_GET_MAX, strict=False):
        found += _transact_get(table, [rows.primary_key(pk, sk) for sk in some])
    return index_by_sort_key(row for row in found if rows.is_live(row))


def read_again_settled(table: Table, pk: str, found: Iterable[Row]) -> Iterator[Row]:
    """Yield *found* rows in their order, as `transact_get` returns them; omit those that are gone.

    It reads at most `TRANSACT_GET_MAX` rows ahead.
    """
    for some in itertools.batched(found, TRANSACT_GET_MAX, strict=False):
        yield from transact_get(table, pk, [row["sk"]["S"] for row in some]).values()


def _transact_get(table: Table, keys: Sequence[Row]) -> list[Row]:
    for _ in attempts(table.stats):
        try:
            response = table.dynamodb.transact_get_items(
                TransactItems=[{"Get": {"TableName": table.name, "Key": key}} for key in keys]
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in {CANCELED, *THROTTLED}:
                raise
            table.stats.add("Throttles", code in THROTTLED)
        else:
            return [found["Item"] for found in response["Responses"] if "Item" in found]
    raise OverloadedError


def range_query(table: Table, pk: str, first_sk: str, last_sk: str) -> QueryInputTypeDef:
    """Return the request of a strongly consistent `Query` between two sort keys, inclusive."""
    return {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": {
            ":pk": {"S": pk},
            ":first": {"S": first_sk},
            ":last": {"S": last_sk},
        },
        "ConsistentRead": True,
    }


def get_conversation_row(table: Table, pk: str) -> Row | None:
    """Return the row of a conversation, also if it is deleted or expired.

    Raises:
        UnsupportedSchemaVersionError: a newer release wrote the conversation.
    """
    key = rows.primary_key(pk, rows.CONVERSATION_SK)
    row = table.dynamodb.get_item(TableName=table.name, Key=key, ConsistentRead=True).get("Item")
    check_version(row or {})
    return row


def read_conversation_with(table: Table, pk: str, sks: Iterable[str] = ()) -> dict[str, Row]:
    """Return the conversation row and the rows at *sks*, by sort key; missing rows are omitted.

    Raises:
        ConversationNotFoundError: the conversation is missing, expired, deleted or another owner's.
    """
    found = read_rows(table, pk, [rows.CONVERSATION_SK, *sks])
    if rows.CONVERSATION_SK not in found:
        raise conversation_not_found(pk)
    return found


def find_items(table: Table, pk: str, item_ids: Sequence[str]) -> tuple[Row, dict[str, BatchSlice]]:
    """Return the conversation row, and the slices of items by their ids; missing items are omitted.

    A generated id with a wrong prefix leads to a slot too: compare the id with that of the item
    there. Up to 49 existing items with generated ids take one round trip. An id that is not found
    is read again with `transact_get`, because its batch may still be committing.

    Raises:
        ConversationNotFoundError: the conversation is missing, deleted or another owner's.
    """
    found = read_conversation_with(table, pk, _candidates(item_ids))
    slices = _slices_of(table, pk, item_ids, found, read_rows)
    absent = [item_id for item_id in item_ids if item_id not in slices]
    return found[rows.CONVERSATION_SK], slices | find_settled_items(table, pk, absent)


def find_settled_items(table: Table, pk: str, item_ids: Sequence[str]) -> dict[str, BatchSlice]:
    """Return the slices of items by their ids, read by `transact_get`; missing ones are omitted."""
    found = transact_get(table, pk, _candidates(item_ids))
    return _slices_of(table, pk, item_ids, found, transact_get)


def _candidates(item_ids: Sequence[str]) -> dict[str, None]:
    """Return the sort keys of the rows that can lead to items, each once."""
    return dict.fromkeys(sk for item_id in item_ids for sk in rows.candidate_sort_keys(item_id))


def _slices_of(
    table: Table,
    pk: str,
    item_ids: Sequence[str],
    found: dict[str, Row],
    read: Callable[[Table, str, Iterable[str]], dict[str, Row]],
) -> dict[str, BatchSlice]:
    """Return the slices of items in the rows *found* at their candidates.

    *read* reads the batches to which pointers in these rows lead.
    """
    keys = {item_id: key for item_id in item_ids if (key := sequence_key(found, item_id))}
    unread = {rows.batch_sk(key) for key in keys.values()} - _candidates(item_ids).keys()
    if unread:
        found = found | read(table, pk, sorted(unread))
    slices: dict[str, BatchSlice] = {}
    for item_id, key in keys.items():
        row, slot = found.get(rows.batch_sk(key)), ids.slot_of(key)
        if row and slot in rows.live_slots(row):
            slices[item_id] = BatchSlice(row, [slot])
    return slices


def sequence_key(found: dict[str, Row], item_id: str) -> str | None:
    """Return the sequence key of an item by its pointer, or by its generated id, or None."""
    pointer = found.get(rows.pointer_sk(item_id))
    return pointer["key"]["S"] if pointer else ids.key_in(item_id)


def item_not_found(item_id: str, *, param: str) -> ItemNotFoundError:
    """Return the error for an item that is missing or deleted."""
    return ItemNotFoundError(f"Item '{item_id}' was not found in the conversation.", param=param)
