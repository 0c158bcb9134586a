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
from conversations.storage.actions import ABSENT, check_if, if_free, put_if
from conversations.storage.items import decode_item
from conversations.storage.reads import BatchSlice, transact_get
from conversations.storage.transactions import NextStep, condition_failed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table


class IdClaims:
    """The claims of one batch."""

    def __init__(
        self, table: Table, pk: str, item_ids: Sequence[str | None], own_ids: Collection[str] = ()
    ) -> None:
        """Take the ids that the items claim, in order; None for an item without an id.

        *own_ids* are generated ids of the batch's items; no pointer may exist for them.
        """
        self._table = table
        self._pk = pk
        self._item_ids = item_ids
        self._own_ids = own_ids
        self._stale: dict[str, str] = {}
        """Keys of deleted items to which pointers still lead, by the pointers' ids."""
        self._released: set[str] = set()
        """Generated ids whose items are deleted."""

    def actions(
        self, keys: Sequence[str], expiry: Row, now_seconds: AttributeValueTypeDef
    ) -> list[TransactWriteItemTypeDef]:
        """Return the actions that claim the ids for the items at *keys*."""
        free = if_free(now_seconds)
        pointers = {
            item_id: self._put_pointer(rows.pointer_row(self._pk, item_id, key) | expiry, *free)
            for item_id, key in zip(self._item_ids, keys, strict=True)
            if item_id is not None
        }
        batches = dict.fromkeys(
            rows.batch_sk(own)
            for item_id in pointers
            if (own := ids.key_in(item_id))
            and item_id not in self._released
            and ids.first_key(own) != ids.first_key(keys[0])
        )
        absent = [check_if(self._table, self._pk, sk, ABSENT) for sk in batches]
        sks = map(rows.pointer_sk, self._own_ids)
        unused = [check_if(self._table, self._pk, sk, *free) for sk in sks]
        return [*pointers.values(), *absent, *unused]

    def next_step(self, reasons: Sequence[Reason], *, may_be_own: bool) -> NextStep:
        """Return the next step by DynamoDB's *reasons*, if only conditions of claims failed.

        The next attempt claims the ids of deleted items. If an earlier attempt may have committed
        (*may_be_own*), the items found may be those of this batch: the transaction is sent again.

        Raises:
            ItemAlreadyInConversationError: an id belongs to a live item, or one of *own_ids* to a
                deleted one.
        """
        rejected = [reason["Item"] for reason in reasons if condition_failed(reason)]
        stale = {rows.claimed_id(row): row["key"]["S"] for row in rejected if "key" in row}
        live_keys = self._live_keys(stale.values())
        taken = {item_id for item_id, key in stale.items() if key in live_keys}
        taken |= stale.keys() & self._own_ids
        released: set[str] = set()
        for row in rejected:
            if "key" not in row:
                live, dead = self._claimed_in(row)
                taken |= live
                released |= dead
        if taken and may_be_own:
            return NextStep.RESEND
        if taken:
            raise self._already_in_conversation(taken)
        # Not earlier: an attempt that is resent must have the same actions.
        self._stale |= stale
        self._released |= released
        return NextStep.REVISE if rejected else NextStep.RESEND

    def _put_pointer(self, row: Row, condition: str, values: Row) -> TransactWriteItemTypeDef:
        item_id = rows.claimed_id(row)
        if item_id not in self._stale:
            return put_if(self._table, row, condition, values)
        stale: Row = {":stale": {"S": self._stale[item_id]}}
        put = put_if(self._table, row, f"{condition} OR #key = :stale", values | stale)
        put["Put"]["ExpressionAttributeNames"] = {"#key": "key"}
        return put

    def _live_keys(self, keys: Collection[str]) -> set[str]:
        """Return those of *keys* that lead to live items."""
        found = transact_get(self._table, self._pk, {*map(rows.batch_sk, keys)})
        return {
            key
            for key in keys
            if (row := found.get(rows.batch_sk(key))) and ids.slot_of(key) in rows.live_slots(row)
        }

    def _already_in_conversation(self, taken: Collection[str]) -> ItemAlreadyInConversationError:
        in_order = [*self._item_ids, *self._own_ids]
        names = ", ".join(f"'{item_id}'" for item_id in in_order if item_id in taken)
        index = min(in_order.index(item_id) for item_id in taken)
        return ItemAlreadyInConversationError(
            f"The conversation already has items with these ids: {names}.",
            param=f"items[{index}].id",
        )

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
