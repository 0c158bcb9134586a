"""The batch on its way in: an append to a conversation, or a conversation that begins with it.

A repetition is known by its `Idempotency-Key`; without one, by the body of the conversation's last
append, where the client marks it as a retry; and, after a lost answer, by its own keys in the
table. It is answered as the first time, from the request itself and the keys of the first: also
when items were deleted in between.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, override

from conversations import ids, rows
from conversations.errors import IdempotencyKeyReusedError, ItemAlreadyInConversationError
from conversations.transactions import Change, has_failed, read_settled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.payloads import Payload
    from conversations.rows import Conversation, Draft, Row, StoredItem
    from conversations.transactions import Reason, Table

    type Items = Sequence[tuple[Draft, Payload]]

IDEMPOTENCY_SECONDS = 24 * 3600
"""How long an `Idempotency-Key` is remembered."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What tells a request from its repetitions."""

    body: str
    """SHA-256 of the body's bytes."""
    idempotency_key: str | None = None
    is_retry: bool = False
    """Whether it is known as one by its body alone: marked so (`x-stainless-retry-count`), and
    without a key, which would tell it from others with the same body."""

    @classmethod
    def of(cls, body: bytes, idempotency_key: str | None = None, *, is_retry: bool) -> Delivery:
        """The delivery of *body*, which a client may have marked as a retry."""
        is_retry = is_retry and idempotency_key is None
        return cls(hashlib.sha256(body).hexdigest(), idempotency_key, is_retry)


class Append(Change):
    """A batch that goes behind the last item of a conversation."""

    def __init__(
        self, table: Table, pk: str, items: Items, delivery: Delivery, lifetime: int | None = None
    ) -> None:
        super().__init__(table, pk)
        self._items = items
        self._delivery = delivery
        self._expiry = rows.expiry(self._now, lifetime)
        self._keys = ids.entry_keys(ids.new_batch(self._now), len(items))
        self.is_repetition = False
        """Whether an earlier request had written the batch already."""

    def items(self) -> list[StoredItem]:
        """The batch as it will be read; once committed, for a repetition what the first one was."""
        return [draft.at(key) for (draft, _), key in zip(self._items, self._keys, strict=True)]

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        return [self._head(), *self._memory(), *(action for _, action in self._puts())]

    @override
    def _is_done(self, row: Row, reasons: Sequence[Reason]) -> bool:
        head, *others = reasons
        if self._delivery.idempotency_key is not None:
            memory, *others = others
            if has_failed(memory):
                self._recall(memory["Item"])
                return True
        if has_failed(head):
            is_written = self._is_written(row)
        else:
            is_written = self.may_be_written and self._was_written()
        if is_written:
            return True
        self._refuse_taken_ids(others)
        if has_failed(head):
            self._keys = ids.entry_keys(ids.batch_after(row["last_key"]["S"]), len(self._items))
            self._table.tally.add("Rekeys")
            self._try_anew()
        return False

    @override
    def _was_written(self) -> bool:
        """Read with the conversation's row: an append is no news before listings go by it."""
        key = self._keys[0]
        cursor = self._items[0][0].cursor_at(key)
        sks = (rows.CONVERSATION_SK, rows.item_sk(key), rows.pointer_sk(cursor))
        settled = read_settled(self._table, [rows.primary_key(self._pk, sk) for sk in sks])
        found = {row["sk"]["S"]: row for row in settled}
        return rows.item_sk(key) in found or rows.find_pointer(found, cursor) == key

    def _is_written(self, row: Row) -> bool:
        """Whether the batch is there, by this request or by one that it repeats."""
        if self._keys[-1] in (row[name]["S"] for name in rows.RECENT_BATCHES):
            return True
        if self._delivery.is_retry and row["last_body"]["S"] == self._delivery.body:
            self._keys = ids.keys_of_batch(row["last_key"]["S"])
            self.is_repetition = True
            return True
        return self.may_be_written and self._was_written()

    def _recall(self, memory: Mapping[str, AttributeValueTypeDef]) -> None:
        """Take the keys that the first request with this idempotency key was given."""
        self._refuse_other_body(memory)
        self.is_repetition = memory["last_key"]["S"] != self._keys[-1]
        self._keys = ids.keys_of_batch(memory["last_key"]["S"])

    def _refuse_other_body(self, memory: Mapping[str, AttributeValueTypeDef]) -> None:
        if memory["body"]["S"] != self._delivery.body:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key came with another body before.", param="Idempotency-Key"
            )

    def _refuse_taken_ids(self, reasons: Sequence[Reason]) -> None:
        taken = {
            place
            for reason, (place, _) in zip(reasons, self._puts(), strict=True)
            if has_failed(reason)
        }
        if taken:
            names = ", ".join(f"'{self._items[place][0].given_id}'" for place in sorted(taken))
            raise ItemAlreadyInConversationError(
                f"Item already in conversation: {names}.", param=f"items[{min(taken)}].id"
            )

    def _head(self) -> TransactWriteItemTypeDef:
        """Move the conversation's end, and remember the three before it and the body."""
        newest, *older = rows.RECENT_BATCHES
        moved = "".join(f", {name} = {last}" for last, name in itertools.pairwise((newest, *older)))
        expiry = ", expires_at = :expires_at" if self._expiry else ""
        return self._update(
            f"SET {newest} = :last{moved}, last_body = :body, updated_at = :now,"
            f" item_count = item_count + :count{expiry}",
            "last_key < :first" + (" AND last_body <> :body" if self._delivery.is_retry else ""),
            {
                ":first": {"S": self._keys[0]},
                ":last": {"S": self._keys[-1]},
                ":body": {"S": self._delivery.body},
                ":now": rows.number(self._now),
                ":count": rows.number(len(self._items)),
                **{f":{name}": value for name, value in self._expiry.items()},
            },
        )

    def _memory(self) -> list[TransactWriteItemTypeDef]:
        """The row by which a repetition with the same idempotency key is known."""
        key = self._delivery.idempotency_key
        if key is None:
            return []
        row = rows.memory_row(self._memory_pk(), key, self._delivery.body, self._answer())
        row |= rows.expiry(self._now, IDEMPOTENCY_SECONDS)
        return [
            {
                "Put": {
                    "TableName": self._table.name,
                    "Item": row,
                    "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :seconds",
                    "ExpressionAttributeValues": {":seconds": self._seconds},
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
        ]

    def _memory_pk(self) -> str:
        return self._pk

    def _answer(self) -> Row:
        """What a repetition must be told, beside what it says itself."""
        return {"last_key": {"S": self._keys[-1]}}

    def _puts(self) -> Iterator[tuple[int, TransactWriteItemTypeDef]]:
        """The actions that write the items, each with the place of its item in the batch."""
        checked: set[str] = set()
        for place, ((draft, payload), key) in enumerate(zip(self._items, self._keys, strict=True)):
            row = rows.item_row(self._pk, key, draft, payload) | self._expiry
            yield place, {"Put": {"TableName": self._table.name, "Item": row}}
            if draft.claimed_id is not None:
                pointer = rows.pointer_row(self._pk, draft.claimed_id, key)
                yield place, self._put_new(pointer | self._expiry)
                own_key = ids.key_in(draft.claimed_id)
                if own_key and own_key not in checked:
                    checked.add(own_key)
                    yield place, self._check_free(own_key)

    def _check_free(self, key: str) -> TransactWriteItemTypeDef:
        """A generated id that is posted back has no pointer row: its item's row claims it."""
        return {
            "ConditionCheck": {
                "TableName": self._table.name,
                "Key": rows.primary_key(self._pk, rows.item_sk(key)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }


class Create(Append):
    """A new conversation, and the items it begins with, if any."""

    def __init__(
        self,
        table: Table,
        conversation: Conversation,
        items: Items,
        delivery: Delivery,
        lifetime: int | None = None,
    ) -> None:
        pk = rows.partition(conversation.owner, conversation.conversation_id)
        super().__init__(table, pk, items, delivery, lifetime)
        self.conversation = conversation

    @override
    def _head(self) -> TransactWriteItemTypeDef:
        last_key = self._keys[-1] if self._keys else ""
        row = rows.conversation_row(self.conversation, last_key, len(self._items))
        return self._put_new(row | self._expiry)

    @override
    def _is_there(self, head: Reason) -> bool:
        return True

    @override
    def _is_written(self, row: Row) -> bool:
        """Its id is random: a conversation that is there was made by an earlier try."""
        return True

    @override
    def _was_written(self) -> bool:
        key = rows.primary_key(self._pk, rows.CONVERSATION_SK)
        return bool(read_settled(self._table, [key]))

    @override
    def _memory_pk(self) -> str:
        return rows.partition(self.conversation.owner, "")

    @override
    def _answer(self) -> Row:
        return {
            "conversation": {"S": self.conversation.conversation_id},
            "created_at": rows.number(self.conversation.created_at),
        }

    @override
    def _recall(self, memory: Mapping[str, AttributeValueTypeDef]) -> None:
        self._refuse_other_body(memory)
        self.is_repetition = memory["conversation"]["S"] != self.conversation.conversation_id
        self.conversation = replace(
            self.conversation,
            conversation_id=memory["conversation"]["S"],
            created_at=int(memory["created_at"]["N"]),
        )
