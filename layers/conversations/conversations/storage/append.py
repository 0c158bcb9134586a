"""A batch on its way in: appended to a conversation, or the start of a new one.

A replay is recognized by its `Idempotency-Key`; without one, by the body of the conversation's last
append, if the client marks the request as a retry and that append is recent; and, after a lost
response, by its own sequence keys in the table. It returns what the first request returned, made
from the request itself and the first one's keys: also when items were deleted meanwhile.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, override

from conversations import ids
from conversations.errors import IdempotencyKeyReusedError, ItemAlreadyInConversationError
from conversations.storage import rows
from conversations.storage.claims import IS_FREE, IdClaims
from conversations.storage.items import read_item, unique_id
from conversations.storage.reads import transact_get
from conversations.storage.transactions import (
    ConversationTransaction,
    Resolution,
    condition_failed,
    put_if,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.model import Conversation, IdempotencyInfo, StoredItem
    from conversations.storage.payloads import Payload
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

IDEMPOTENCY_SECONDS = 24 * 3600
"""Lifetime of an idempotency row."""
REPLAY_SECONDS = 40
"""Age of the last append up to which its body, marked as a retry, counts as a replay of it.

API Gateway gives up after 29 seconds, and openai's SDK waits at most 8 before it retries.
"""


class Batch(NamedTuple):
    """Items without a place, and how they are kept."""

    lines: Sequence[str]
    payload: Payload


class Append(ConversationTransaction):
    """A batch that goes behind the last item of a conversation."""

    def __init__(
        self,
        table: Table,
        pk: str,
        batch: Batch,
        idempotency: IdempotencyInfo,
        lifetime: int | None = None,
    ) -> None:
        """*lifetime* is how many seconds the batch, and from now on the conversation, lives."""
        super().__init__(table, pk)
        self._lines, self._payload = batch
        self._idempotency = idempotency
        self._expiry = rows.expiry(self._now, lifetime)
        self._keys = ids.sequence_keys(ids.new_batch(self._now), len(self._lines))
        self._claims = IdClaims(table, pk, [unique_id(line) for line in self._lines])
        self.is_replay = False
        """True after the commit if an earlier request had written the batch already."""

    def items(self) -> list[StoredItem]:
        """Return the batch as it reads; after the commit of a replay, as the first one did."""
        return [read_item(line, key) for line, key in zip(self._lines, self._keys, strict=True)]

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        actions = [self._conversation_action(), *self._put_idempotency()]
        if self._lines:
            row = rows.batch_row(self._pk, self._keys[0], len(self._lines), self._payload)
            actions.append({"Put": {"TableName": self._table.name, "Item": row | self._expiry}})
        return [*actions, *self._claims.actions(self._keys, self._expiry, self._seconds)]

    @override
    def _resolve(self, reasons: Sequence[Reason]) -> Resolution:
        conversation, *others = reasons
        if self._idempotency.key is not None:
            remembered, *others = others
            if condition_failed(remembered):
                self._replay(remembered["Item"])
                return Resolution.COMMITTED
        is_behind = condition_failed(conversation)
        if is_behind and self._is_written(conversation["Item"]):
            return Resolution.COMMITTED
        if self.outcome_unknown and self._already_committed():
            return Resolution.COMMITTED
        try:
            are_ids_free = self._claims.resolve(others[1:])
        except ItemAlreadyInConversationError:
            # An earlier attempt may still arrive after the item with this id was deleted.
            if self.outcome_unknown and not is_behind:
                return Resolution.RESEND
            raise
        if is_behind:
            batch = ids.batch_after(conversation["Item"]["last_key"]["S"])
            self._keys = ids.sequence_keys(batch, len(self._lines))
            self._table.stats.add("OrderingRetries")
        return Resolution.RESTART if is_behind or are_ids_free else Resolution.RESEND

    @override
    def _already_committed(self) -> bool:
        """Read with the conversation row: an append counts as committed once lists can see it."""
        key = self._keys[0]
        sks = (rows.CONVERSATION_SK, rows.batch_sk(key), rows.tombstone_sk(key))
        found = transact_get(self._table, [rows.primary_key(self._pk, sk) for sk in sks])
        return any(row["sk"]["S"] != rows.CONVERSATION_SK for row in found)

    def _is_written(self, row: Row) -> bool:
        """Return whether this request, or one that it replays, has written the batch."""
        if self._keys[-1] in rows.recent_last_keys(row):
            return True
        if (
            self._idempotency.is_marked_retry
            and row["last_body"]["S"] == self._idempotency.body
            and int(row["appended_at"]["N"]) >= self._replay_cutoff
        ):
            self._keys = ids.keys_of_batch(row["last_key"]["S"])
            self.is_replay = True
            return True
        return False

    @property
    def _replay_cutoff(self) -> int:
        return self._now - REPLAY_SECONDS * 1000

    def _replay(self, remembered: Mapping[str, AttributeValueTypeDef]) -> None:
        """Take the keys that the first request with this idempotency key was given."""
        self._require_same_body(remembered)
        self.is_replay = remembered["last_key"]["S"] != self._keys[-1]
        self._keys = ids.keys_of_batch(remembered["last_key"]["S"])

    def _require_same_body(self, remembered: Mapping[str, AttributeValueTypeDef]) -> None:
        if remembered["body"]["S"] != self._idempotency.body:
            raise IdempotencyKeyReusedError(
                "This Idempotency-Key was already used with another body. Use a new key.",
                param="Idempotency-Key",
            )

    def _conversation_action(self) -> TransactWriteItemTypeDef:
        """Move the conversation's end, and remember the batches before it and the body."""
        newest, *older = rows.RECENT_BATCHES
        moved = "".join(f", {name} = {last}" for last, name in itertools.pairwise((newest, *older)))
        is_other = "(last_body <> :body OR appended_at < :replay_cutoff)"
        values: Row = {
            ":first": {"S": self._keys[0]},
            ":last": {"S": self._keys[-1]},
            ":body": {"S": self._idempotency.body},
            ":now": rows.number(self._now),
        }
        if self._expiry:
            values[":expires_at"] = self._expiry["expires_at"]
        if self._idempotency.is_marked_retry:
            values[":replay_cutoff"] = rows.number(self._replay_cutoff)
        return self._update(
            f"SET {newest} = :last{moved}, last_body = :body, updated_at = :now, appended_at = :now"
            + (", expires_at = :expires_at" if self._expiry else " REMOVE expires_at"),
            "last_key < :first" + (f" AND {is_other}" if self._idempotency.is_marked_retry else ""),
            values,
        )

    def _put_idempotency(self) -> list[TransactWriteItemTypeDef]:
        """Return the action by which a replay with the same idempotency key is recognized."""
        key = self._idempotency.key
        if key is None:
            return []
        row = rows.idempotency_row(
            self._idempotency_pk(), key, self._idempotency.body, self._remembered()
        )
        expiry = rows.expiry(self._now, IDEMPOTENCY_SECONDS)
        return [put_if(self._table, row | expiry, IS_FREE, {":seconds": self._seconds})]

    def _idempotency_pk(self) -> str:
        return self._pk

    def _remembered(self) -> Row:
        """Return what a replay needs beside its own request."""
        return {"last_key": {"S": self._keys[-1]}}


class Create(Append):
    """A new conversation, and the items it begins with, if any."""

    def __init__(
        self,
        table: Table,
        conversation: Conversation,
        batch: Batch,
        idempotency: IdempotencyInfo,
        lifetime: int | None = None,
    ) -> None:
        pk = rows.partition(conversation.owner, conversation.conversation_id)
        super().__init__(table, pk, batch, idempotency, lifetime)
        self.conversation = conversation

    @override
    def _conversation_action(self) -> TransactWriteItemTypeDef:
        last_key = self._keys[-1] if self._keys else ""
        row = rows.conversation_row(self.conversation, last_key)
        return put_if(self._table, row | self._expiry, "attribute_not_exists(pk)", {})

    @override
    def _exists(self, conversation: Reason) -> bool:
        return True

    @override
    def _is_written(self, row: Row) -> bool:
        """The id is random: a conversation that exists was made by an earlier attempt."""
        return True

    @override
    def _already_committed(self) -> bool:
        key = rows.primary_key(self._pk, rows.CONVERSATION_SK)
        return bool(transact_get(self._table, [key]))

    @override
    def _idempotency_pk(self) -> str:
        return rows.partition(self.conversation.owner, "")

    @override
    def _remembered(self) -> Row:
        return {
            "conversation": {"S": self.conversation.conversation_id},
            "created_at": rows.number(self.conversation.created_at),
        }

    @override
    def _replay(self, remembered: Mapping[str, AttributeValueTypeDef]) -> None:
        self._require_same_body(remembered)
        self.is_replay = remembered["conversation"]["S"] != self.conversation.conversation_id
        self.conversation = replace(
            self.conversation,
            conversation_id=remembered["conversation"]["S"],
            created_at=int(remembered["created_at"]["N"]),
        )
