"""Restore of archived conversations, with their ids, keys and times."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, override

from conversations import ids
from conversations.storage import rows
from conversations.storage.actions import ABSENT, check_if, put_if
from conversations.storage.archive import ArchivedBatch, Tombstone
from conversations.storage.claims import IdClaims
from conversations.storage.items import decode_item, unique_id
from conversations.storage.payloads import encode
from conversations.storage.reads import (
    BATCH_GET_MAX,
    get_conversation_row,
    read_conversation_with,
    read_rows,
)
from conversations.storage.restore_claim import CLAIM_SK, ClaimLostError, RestoreClaim
from conversations.storage.scan import scan_keys
from conversations.storage.transactions import (
    ConversationTransaction,
    NextStep,
    condition_failed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.storage.archive import ArchivedConversation, Part
    from conversations.storage.payloads import PayloadStore
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

PURGE_SECONDS = 900
"""Time after a deletion in which its purge may be running: Lambda's maximum."""

ROWS_AT_ONCE = 25
"""Rows in one transaction of a restore; the largest rows fit into its 4 MB."""


class PurgeUnderWayError(Exception):
    """A failed restore, because the purge of the deleted conversation may still remove rows."""


def restore(
    table: Table, payloads: PayloadStore, archived: ArchivedConversation, parts: Iterable[Part]
) -> bool:
    """Write an archived conversation, unless it exists; return whether it was written.

    Its own row is written last and makes it visible. A restore after an interrupted one first
    deletes the rows that were written.

    Raises:
        PurgeUnderWayError: it was deleted here less than `PURGE_SECONDS` ago.
        ClaimLostError: another restore of it began meanwhile, or has written it.
        OverloadedError: not all rows could be written; restore it again.
    """
    pk = archived.pk
    if row := get_conversation_row(table, pk):
        if rows.is_live(row):
            return False
        _remove_deleted(table, row)
    claim = RestoreClaim(table, pk)
    _remove_leftovers(table, payloads, pk, claim)
    children = (row for part in parts for row in _rows(payloads, pk, part))
    for some in itertools.batched(children, ROWS_AT_ONCE, strict=False):
        try:
            claim.put(some)
        except ClaimLostError:
            payloads.delete_best_effort(row["object"]["S"] for row in some if "object" in row)
            raise
    row = rows.conversation_row(archived.conversation, archived.recent_keys)
    claim.commit(row | rows.expiry(archived.expires_at))
    return True


def would_restore(table: Table, archived: ArchivedConversation) -> bool:
    """Return whether `restore` would write a conversation, and write nothing.

    Raises:
        PurgeUnderWayError: it was deleted here less than `PURGE_SECONDS` ago.
    """
    row = get_conversation_row(table, archived.pk)
    if row is None:
        return True
    if rows.is_live(row):
        return False
    _require_purged(row)
    return True


def _remove_leftovers(table: Table, payloads: PayloadStore, pk: str, claim: RestoreClaim) -> None:
    """Remove what an interrupted restore, or a purge, left of a conversation.

    Objects are listed before the claim is checked, so they belong to no later restore.
    """
    for object_keys in payloads.list_folder(pk):
        claim.check()
        payloads.delete(object_keys)
    found = (key for key in scan_keys(table, pk) if key["sk"]["S"] != CLAIM_SK)
    for some in itertools.batched(found, ROWS_AT_ONCE, strict=False):
        claim.delete(some)


def merge(
    table: Table, payloads: PayloadStore, archived: ArchivedConversation, parts: Iterable[Part]
) -> Iterator[int]:
    """Add the batches that a live conversation lacks, each in one transaction.

    Yield the number of items of each batch that was added.
    Existing batches stay as they are, and deleted items stay deleted.

    Raises:
        ConversationNotFoundError: the conversation was deleted meanwhile.
        ItemAlreadyInConversationError: an item to be added has the id of another item, or the
            generated id that a deleted item had.
    """
    for part in parts:
        if isinstance(part, ArchivedBatch):
            addition = BatchAddition(table, payloads, archived.pk, part)
            addition.commit()
            if addition.is_added:
                yield len(part.slots)


def would_merge(table: Table, archived: ArchivedConversation, parts: Iterable[Part]) -> int:
    """Return the number of items that `merge` would add, and write nothing.

    Ids that other items have are not looked up.
    """
    batches = ((part.key, len(part.slots)) for part in parts if isinstance(part, ArchivedBatch))
    items = 0
    for some in itertools.batched(batches, BATCH_GET_MAX // 2, strict=False):
        sks = [sk_of(key) for key, _ in some for sk_of in (rows.batch_sk, rows.tombstone_sk)]
        there = {sk.partition("#")[2] for sk in read_rows(table, archived.pk, sks)}
        items += sum(count for key, count in some if key not in there)
    return items


class BatchAddition(ConversationTransaction):
    """Transaction that adds a batch at its own keys, if the conversation does not have it."""

    def __init__(self, table: Table, payloads: PayloadStore, pk: str, batch: ArchivedBatch) -> None:
        super().__init__(table, pk)
        self._payloads = payloads
        self._row = _batch_row(payloads, pk, batch)
        self._keys = ids.keys_at(batch.key, batch.slots)
        [self._last_key] = ids.keys_at(batch.key, [batch.written - 1])
        self._expiry = rows.expiry(batch.expires_at)
        unique = [unique_id(line) for line in batch.lines]
        generated = dict.fromkeys(
            decode_item(line, key).cursor
            for item_id, line, key in zip(unique, batch.lines, self._keys, strict=True)
            if item_id is None
        )
        self._claims = IdClaims(table, pk, unique, generated)
        self._recent: Sequence[str] = ()
        self.is_added = False
        """True if the conversation had neither the batch nor its tombstone."""

    @override
    def commit(self) -> None:
        try:
            conversation = read_conversation_with(self._table, self._pk)[rows.CONVERSATION_SK]
            self._recent = rows.recent_last_keys(conversation)
            self.is_added = True
            super().commit()
        except Exception:
            self.is_added = False
            self._delete_unused_object()
            raise
        self._delete_unused_object()

    def _delete_unused_object(self) -> None:
        if not (self.is_added or self.outcome_unknown):
            self._payloads.delete_best_effort([rows.read_payload(self._row).object_key])

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        seen = next(iter(self._recent), "")
        values: Row = {":seen": {"S": seen}, ":one": rows.number(1)}
        # An export may have read past the place of the batch. The count makes it read again.
        return [
            self._set_attributes(" ADD deletions :one", "last_key = :seen", values),
            put_if(self._table, self._row, ABSENT),
            check_if(self._table, self._pk, rows.tombstone_sk(self._keys[0]), ABSENT),
            *self._claims.actions(self._keys, self._expiry, self._now_seconds),
        ]

    @override
    def _attributes(self) -> Row:
        recent = sorted({*self._recent, self._last_key}, reverse=True)
        attributes = super()._attributes() | rows.recent_batches(recent)
        if recent[0] == self._last_key:
            # No request appended this batch: else a marked retry would take it for its own.
            attributes["last_body"] = {"S": ""}
        return attributes

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        conversation, batch, tombstone, *claims = reasons
        if condition_failed(batch) or condition_failed(tombstone):
            # An attempt whose response was lost may have added the batch.
            self.is_added = self.outcome_unknown and batch.get("Item") == self._row
            return NextStep.COMMITTED
        if condition_failed(conversation):
            self._recent = rows.recent_last_keys(conversation["Item"])
            return NextStep.RESTART
        return self._claims.next_step(claims, may_be_own=self.outcome_unknown)


def _rows(payloads: PayloadStore, pk: str, part: Part) -> Iterator[Row]:
    """Yield the rows of a part; put a large batch into an object."""
    match part:
        case ArchivedBatch():
            yield _batch_row(payloads, pk, part)
            keys = ids.keys_at(part.key, part.slots)
            for line, key in zip(part.lines, keys, strict=True):
                if (item_id := unique_id(line)) is not None:
                    yield rows.pointer_row(pk, item_id, key) | rows.expiry(part.expires_at)
        case Tombstone():
            primary_key = rows.primary_key(pk, rows.tombstone_sk(part.key))
            yield primary_key | {"n": rows.number(part.written)} | rows.expiry(part.expires_at)
        case _:
            yield rows.pointer_row(pk, part.item_id, part.key) | rows.expiry(part.expires_at)


def _batch_row(payloads: PayloadStore, pk: str, batch: ArchivedBatch) -> Row:
    payload = payloads.spill_if_large(encode(batch.lines), pk)
    row = rows.batch_row(pk, batch.key, batch.written, payload) | rows.expiry(batch.expires_at)
    if len(batch.slots) < batch.written:
        row["slots"] = {"S": " ".join(map(str, batch.slots))}
    return row


def _remove_deleted(table: Table, row: Row) -> None:
    """Delete the row of a deleted or expired conversation.

    Raises:
        PurgeUnderWayError: the purge may still be running.
    """
    mark = _require_purged(row)
    table.dynamodb.delete_item(
        TableName=table.name,
        Key=rows.primary_key(row["pk"]["S"], row["sk"]["S"]),
        # An earlier try, whose response was lost, may have deleted it.
        ConditionExpression=f"attribute_not_exists(pk) OR {mark} = :seen",
        ExpressionAttributeValues={":seen": row[mark]},
    )


def _require_purged(row: Row) -> str:
    """Return the name of the field that says when a conversation was deleted or expired.

    Raises:
        PurgeUnderWayError: the purge may still be running.
    """
    mark = "deleted_at" if "deleted_at" in row else "expires_at"
    ended_at = int(row[mark]["N"]) / (1000 if mark == "deleted_at" else 1)
    if ended_at > time.time() - PURGE_SECONDS:
        raise PurgeUnderWayError
    return mark
