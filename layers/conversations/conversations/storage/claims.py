"""Claims of client ids, so that no two live items of a conversation have the same id.

A pointer row claims a client's id. An item with a generated id has no pointer: its batch row claims
the id. If a client posts a generated id, the append puts a pointer, and requires that the batch of
the id does not exist, or that the item in it was deleted. A deletion keeps pointers, so that
cursors stay valid. An id is free if its item's slot is no longer live. Slots are never reused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conversations import ids
from conversations.errors import ItemAlreadyInConversationError
from conversations.storage import rows
from conversations.storage.items import decode_item
from conversations.storage.reads import BatchSlice, transact_get
from conversations.storage.transactions import condition_failed, put_if, require_absent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

FREE_CONDITION = "attribute_not_exists(pk) OR expires_at <= :now_seconds"
"""Condition of a put that may replace an expired row."""


class IdClaims:
    """The claims of one batch."""

    def __init__(self, table: Table, pk: str, item_ids: Sequence[str | None]) -> None:
        """Take the ids that the items claim, in order; None for an item without an id."""
        self._table = table
        self._pk = pk
        self._item_ids = item_ids
        self._ids_by_action: list[str] = []
        """The id that each action of the current attempt claims, in order."""
        self._stale: dict[str, str] = {}
        """Keys of deleted items to which pointers still lead, by the pointers' ids."""
        self._released: set[str] = set()
        """Generated ids whose items are deleted."""

    def actions(
        self, keys: Sequence[str], expiry: Row, now_seconds: AttributeValueTypeDef
    ) -> list[TransactWriteItemTypeDef]:
        """Return the actions that claim the ids for the items at *keys*."""
        pointers = {
            item_id: self._put_pointer(item_id, key, expiry, now_seconds)
            for item_id, key in zip(self._item_ids, keys, strict=True)
            if item_id is not None
        }
        batches = {
            rows.batch_sk(own): item_id
            for item_id in pointers
            if (own := ids.key_in(item_id)) and item_id not in self._released
        }
        self._ids_by_action = [*pointers, *batches.values()]
        absent = [require_absent(self._table, self._pk, sk) for sk in batches]
        return [*pointers.values(), *absent]

    def reclaim_deleted(self, reasons: Sequence[Reason]) -> bool:
        """Prepare to claim the ids of deleted items; return whether there are any.

        Raises:
            ItemAlreadyInConversationError: an id belongs to a live item.
        """
        taken: set[str] = set()
        stale: dict[str, str] = {}
        released: set[str] = set()
        rejected = [
            (item_id, reason["Item"])
            for item_id, reason in zip(self._ids_by_action, reasons, strict=True)
            if condition_failed(reason)
        ]
        for item_id, row in rejected:
            if "n" in row:
                live, dead = self._claimed_in(row)
                taken |= live
                released |= dead
            elif self._leads_to_live_item(row):
                taken.add(item_id)
            else:
                stale[item_id] = row["key"]["S"]
        if taken:
            names = ", ".join(f"'{item_id}'" for item_id in self._item_ids if item_id in taken)
            index = min(self._item_ids.index(item_id) for item_id in taken)
            raise ItemAlreadyInConversationError(
                f"The conversation already has items with these ids: {names}.",
                param=f"items[{index}].id",
            )
        # Not earlier: if the error is raised, the next attempt must have the same actions.
        self._stale |= stale
        self._released |= released
        return bool(rejected)

    def _put_pointer(
        self, item_id: str, key: str, expiry: Row, now_seconds: AttributeValueTypeDef
    ) -> TransactWriteItemTypeDef:
        row = rows.pointer_row(self._pk, item_id, key) | expiry
        values: Row = {":now_seconds": now_seconds}
        if item_id not in self._stale:
            return put_if(self._table, row, FREE_CONDITION, values)
        values[":stale"] = {"S": self._stale[item_id]}
        put = put_if(self._table, row, f"{FREE_CONDITION} OR #key = :stale", values)
        put["Put"]["ExpressionAttributeNames"] = {"#key": "key"}
        return put

    def _leads_to_live_item(self, pointer: Row) -> bool:
        """Return whether a *pointer* leads to a live item."""
        key = pointer["key"]["S"]
        found = transact_get(self._table, [rows.primary_key(self._pk, rows.batch_sk(key))])
        return any(ids.slot_of(key) in rows.live_slots(row) for row in found)

    def _claimed_in(self, row: Row) -> tuple[set[str], set[str]]:
        """Return the claimed ids of live items in a batch *row*, and those of deleted items."""
        own = {
            item_id: key
            for item_id in self._item_ids
            if item_id and (key := ids.key_in(item_id)) and rows.batch_sk(key) == row["sk"]["S"]
        }
        live = {item_id for item_id, key in own.items() if _is_id_of(item_id, key, row)}
        return live, own.keys() - live


def _is_id_of(item_id: str, key: str, row: Row) -> bool:
    """Return whether the item at *key* is live and has that id.

    An item in an object is not read: it counts as having the id.
    """
    slot = ids.slot_of(key)
    if not rows.is_live(row) or slot not in rows.live_slots(row):
        return False
    part = BatchSlice(row, [slot]).part
    if part.payload.object_key is not None:
        return True
    [line] = part.decode(part.payload.data)
    return decode_item(line, key).cursor == item_id
