"""Transactions that write a batch: an append to a conversation, or the start of a new one.

A request recognizes an earlier write

- by its `Idempotency-Key`;
- by its body, if the client marks the request as a retry, and the conversation's last append is
  recent and has the same body;
- by its own sequence keys, after a lost response.

The result of a replay is built from its own items and the first request's keys. It equals the first
result, even if items were deleted since.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, override

from conversations import ids
from conversations.errors import IdempotencyKeyReusedError
from conversations.model import Conversation
from conversations.storage import rows
from conversations.storage.actions import ABSENT, if_free, put_if
from conversations.storage.claims import IdClaims
from conversations.storage.items import decode_item, unique_id
from conversations.storage.reads import transact_get
from conversations.storage.transactions import (
    ConversationTransaction,
    NextStep,
    condition_failed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.model import IdempotencyInfo, ReturnedItem
    from conversations.storage.payloads import Payload
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

IDEMPOTENCY_SECONDS = 24 * 3600
"""Lifetime of an idempotency row."""
REPLAY_SECONDS = 40
"""Maximum age of the last append for a marked retry with the same body to be its replay.

API Gateway's time-out is 29 seconds, and openai's SDK waits at most 8 before it retries.
"""
_SHIFT_BATCHES = "".join(
    f", {older} = {newer}" for newer, older in itertools.pairwise(rows.RECENT_BATCHES)
)
"""Part of the update of the conversation row: each batch becomes one older."""


class EncodedBatch(NamedTuple):
    """Items without sequence keys, and their payload."""

    lines: Sequence[str]
    payload: Payload


class Append(ConversationTransaction):
    """An append of a batch to a conversation."""

    def __init__(
        self,
        table: Table,
        pk: str,
        batch: EncodedBatch,
        idempotency: IdempotencyInfo,
        lifetime: int | None = None,
    ) -> None:
        """Prepare the append; *lifetime* is the seconds until batch and conversation expire."""
        super().__init__(table, pk)
        self.lines, self.payload = batch
        self._idempotency = idempotency
        self._idempotency_pk = pk
        self._replay_cutoff = self._now - REPLAY_SECONDS * 1000
        self._expiry = rows.expiry(None if lifetime is None else self._now // 1000 + lifetime)
        self._keys = ids.sequence_keys(ids.new_batch_number(self._now), len(self.lines))
        self._claims = IdClaims(table, pk, [unique_id(line) for line in self.lines])
        self.is_replay = False
        """True after the commit if an earlier request had written the batch."""

    def items(self) -> list[ReturnedItem]:
        """Return the items with their ids; after a replay, with the first request's ids."""
        return [decode_item(line, key) for line, key in zip(self.lines, self._keys, strict=True)]

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        """Return the actions on conversation, idempotency row and batch, then those of the claims.

        `_next_step` takes DynamoDB's reasons in this order.
        """
        actions = [self._conversation_action(), *self._put_idempotency()]
        if self.lines:
            row = rows.batch_row(self._pk, self._keys[0], len(self.lines), self.payload)
            actions.append({"Put": {"TableName": self._table.name, "Item": row | self._expiry}})
        return [*actions, *self._claims.actions(self._keys, self._expiry, self._now_seconds)]

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        conversation, *others = reasons
        if self._idempotency.key is not None:
            idempotency, *others = others
            if condition_failed(idempotency):
                self._replay(idempotency["Item"])
                return NextStep.COMMITTED
        is_overtaken = condition_failed(conversation)
        if is_overtaken and self._adopt_earlier_write(conversation["Item"]):
            return NextStep.COMMITTED
        if self.outcome_unknown and self._already_committed():
            return NextStep.COMMITTED
        may_be_own = self.outcome_unknown and not is_overtaken
        next_step = self._claims.next_step(others, may_be_own=may_be_own)
        if not is_overtaken:
            return next_step
        batch_number = ids.batch_number_after(conversation["Item"]["last_key"]["S"])
        self._keys = ids.sequence_keys(batch_number, len(self.lines))
        self._table.stats.add("OrderingRetries")
        return NextStep.RESTART

    @override
    def _already_committed(self) -> bool:
        """Return whether the batch was committed, even if its items were deleted since.

        The conversation row is read too, so that the read fails while the append is in flight.
        """
        key = self._keys[0]
        sks = (rows.CONVERSATION_SK, rows.batch_sk(key), rows.tombstone_sk(key))
        return bool(transact_get(self._table, self._pk, sks).keys() - {rows.CONVERSATION_SK})

    def _adopt_earlier_write(self, row: Row) -> bool:
        """Return whether the conversation *row* names this batch, or the one that this repeats.

        In the second case, take that batch's keys and set `is_replay`.
        """
        if self._keys[-1] in rows.recent_last_keys(row):
            return True
        if (
            self._idempotency.is_marked_retry
            and row["last_body"]["S"] == self._idempotency.body_hash
            and int(row["appended_at"]["N"]) >= self._replay_cutoff
        ):
            self._keys = ids.keys_of_batch(row["last_key"]["S"])
            self.is_replay = True
            return True
        return False

    def _replay(self, row: Row) -> None:
        """Take the sequence keys of the first request, from its idempotency *row*."""
        self._require_same_body(row)
        self.is_replay = row["last_key"]["S"] != self._keys[-1]
        self._keys = ids.keys_of_batch(row["last_key"]["S"])

    def _require_same_body(self, row: Row) -> None:
        if row["body"]["S"] != self._idempotency.body_hash:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key was already used with another body. Use a new one.",
                param="Idempotency-Key",
            )

    def _conversation_action(self) -> TransactWriteItemTypeDef:
        """Return the action that makes the batch the latest one in the conversation row."""
        condition = "last_key < :first"
        values: Row = {":first": {"S": self._keys[0]}}
        if self._idempotency.is_marked_retry:
            condition += " AND (last_body <> :last_body OR appended_at < :replay_cutoff)"
            values[":replay_cutoff"] = rows.number(self._replay_cutoff)
        more = _SHIFT_BATCHES if self._expiry else f"{_SHIFT_BATCHES} REMOVE expires_at"
        return self._set_attributes(more, condition, values)

    @override
    def _attributes(self) -> Row:
        return {
            **super()._attributes(),
            "appended_at": rows.number(self._now),
            "last_key": {"S": self._keys[-1]},
            "last_body": {"S": self._idempotency.body_hash},
            **self._expiry,
        }

    def _put_idempotency(self) -> list[TransactWriteItemTypeDef]:
        """Return the action that writes the idempotency row, if the request has a key."""
        key = self._idempotency.key
        if key is None:
            return []
        row = rows.idempotency_row(
            self._idempotency_pk, key, self._idempotency.body_hash, self._replay_attributes()
        )
        expiry = rows.expiry(self._now // 1000 + IDEMPOTENCY_SECONDS)
        return [put_if(self._table, row | expiry, *if_free(self._now_seconds))]

    def _replay_attributes(self) -> Row:
        """Return the attributes of the idempotency row that `_replay` reads."""
        return {"last_key": {"S": self._keys[-1]}}


class Create(Append):
    """The creation of a conversation, with its initial items."""

    def __init__(
        self,
        table: Table,
        conversation: Conversation,
        batch: EncodedBatch,
        idempotency: IdempotencyInfo,
        lifetime: int | None = None,
    ) -> None:
        pk = rows.partition(conversation.owner, conversation.conversation_id)
        super().__init__(table, pk, batch, idempotency, lifetime)
        self.conversation = conversation
        self._idempotency_pk = rows.partition(conversation.owner, "")

    @override
    def _conversation_action(self) -> TransactWriteItemTypeDef:
        row = rows.conversation_row(self.conversation, self._keys[-1:])
        return put_if(self._table, row | self._expiry, ABSENT)

    @override
    def _exists(self, reason: Reason) -> bool:
        return True

    @override
    def _adopt_earlier_write(self, row: Row) -> bool:
        """Return True: the id is random, so only an earlier attempt can have created its row."""
        return True

    @override
    def _already_committed(self) -> bool:
        return bool(transact_get(self._table, self._pk, [rows.CONVERSATION_SK]))

    @override
    def _replay_attributes(self) -> Row:
        return {
            "conversation": {"S": self.conversation.conversation_id},
            "created_at": rows.number(self.conversation.created_at),
        }

    @override
    def _replay(self, row: Row) -> None:
        self._require_same_body(row)
        self.is_replay = row["conversation"]["S"] != self.conversation.conversation_id
        self.conversation = Conversation.new(
            row["conversation"]["S"],
            self.conversation.owner,
            self.conversation.account,
            int(row["created_at"]["N"]),
            self.conversation.metadata,
        )
