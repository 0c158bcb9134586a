"""Deletions of items, by rewriting their batches without them, and of whole conversations."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import defaultdict
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any, NamedTuple, override

from conversations.errors import NO_RESPONSE, ConversationBusyError, OverloadedError
from conversations.storage import rows
from conversations.storage.backoff import attempts
from conversations.storage.payloads import keep_lines, read_again_if_deleted
from conversations.storage.reads import (
    find_items,
    find_settled_items,
    item_not_found,
    transact_get,
)
from conversations.storage.transactions import (
    MAX_ACTIONS,
    ConversationTransaction,
    NextStep,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.errors import ItemNotFoundError
    from conversations.storage.payloads import Payload, PayloadStore
    from conversations.storage.reads import BatchSlice
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

TOMBSTONE_SECONDS = 90 * 24 * 3600
"""Lifetime of a deleted conversation's row, by which late requests see that it is deleted."""


class LostRaceError(Exception):
    """A failed deletion, because a batch was rewritten between its read and its transaction."""


class Rewrite(NamedTuple):
    """A batch row, and its replacement without some of the items."""

    row: Row
    item_ids: Sequence[str]
    slots: Sequence[int]
    """The slots that stay live; if there are none, a tombstone replaces the batch."""
    payload: Payload | None

    @property
    def action_count(self) -> int:
        """The number of actions in a transaction."""
        return 1 if self.payload else 2

    def actions(self, table_name: str) -> Iterator[TransactWriteItemTypeDef]:
        """Yield the actions, on the condition that the row has not changed since it was read."""
        condition, values = rows.same_revision(self.row)
        is_same: Any = {"ConditionExpression": f"attribute_exists(pk) AND {condition}"}
        if values:
            is_same["ExpressionAttributeValues"] = values
        if self.payload is None:
            key = {"pk": self.row["pk"], "sk": self.row["sk"]}
            yield {"Delete": {"TableName": table_name, "Key": key} | is_same}
            yield {"Put": {"TableName": table_name, "Item": rows.tombstone_row(self.row)}}
        else:
            after = rows.rewritten(self.row, self.payload, self.slots)
            yield {"Put": {"TableName": table_name, "Item": after} | is_same}


class ItemDeletion:
    """A request to delete items of a conversation; if one of them does not exist, none is deleted.

    One transaction has as many batches as fit 100 actions. If several are needed, the conversation
    row identifies the request while it is in progress (`deleting`), so that a retry after a failure
    skips the items that are deleted already.
    """

    def __init__(
        self,
        table: Table,
        payloads: PayloadStore,
        pk: str,
        item_ids: Sequence[str],
        param: str,
    ) -> None:
        """Take the ids; *param* is the path of an id, with braces for its index in a list."""
        self._table = table
        self._payloads = payloads
        self._pk = pk
        self._param = param
        self._item_ids = item_ids
        self._left = [*dict.fromkeys(item_ids)]
        self._digest = hashlib.sha256("\n".join(item_ids).encode()).hexdigest()
        self._outcome_unknown = False

    def run(self) -> Row:
        """Delete the items, and return the conversation row after the deletion."""
        for _ in attempts(self._table.stats):
            conversation, rewrites = read_again_if_deleted(
                self._table.stats, self._prepare_rewrites
            )
            with contextlib.suppress(LostRaceError):
                return self._commit_rewrites(rewrites, conversation)
        if self._outcome_unknown:
            raise OverloadedError(NO_RESPONSE)
        raise ConversationBusyError

    def _prepare_rewrites(self) -> tuple[Row, list[Rewrite]]:
        """Read the batches, and put the remaining items of large ones into new objects."""
        conversation, slices = find_items(self._table, self._pk, self._left)
        if len(slices) < len(self._left) and self._outcome_unknown:
            slices = find_settled_items(self._table, self._pk, [*slices])
            if not slices:
                return conversation, []
        absent = [item_id for item_id in self._left if item_id not in slices]
        if absent and not self._is_marked(conversation):
            # The transaction that deleted them and set the mark may still be committing.
            settled = transact_get(self._table, self._pk, [rows.CONVERSATION_SK])
            conversation = settled.get(rows.CONVERSATION_SK, conversation)
            if not self._is_marked(conversation):
                raise self._not_found(absent[0])
        by_batch: dict[str, dict[str, BatchSlice]] = defaultdict(dict)
        for item_id, batch_slice in slices.items():
            by_batch[batch_slice.row["sk"]["S"]][item_id] = batch_slice
        return conversation, self._rewrite_all([*by_batch.values()])

    def _rewrite_all(self, batches: Sequence[Mapping[str, BatchSlice]]) -> list[Rewrite]:
        """Rewrite batches in parallel; if one fails, delete the new objects of the others."""
        rewriting = [self._payloads.executor.submit(self._rewrite, slices) for slices in batches]
        wait(rewriting)
        try:
            return [future.result() for future in rewriting]
        except Exception:
            done = (future.result() for future in rewriting if not future.exception())
            self._payloads.delete_best_effort(_object_keys(done))
            raise

    def _rewrite(self, slices: Mapping[str, BatchSlice]) -> Rewrite:
        row = next(iter(slices.values())).row
        payload, live = rows.read_payload(row), list(rows.live_slots(row))
        data = self._payloads.read_all(payload)
        for item_id, batch_slice in slices.items():
            [item] = batch_slice.items(batch_slice.part.decode(data))
            if item.cursor != item_id:
                raise self._not_found(item_id)
        gone = {slot for batch_slice in slices.values() for slot in batch_slice.slots}
        kept = {index: slot for index, slot in enumerate(live) if slot not in gone}
        left = keep_lines(payload, data, [*kept]) if kept else None
        left = left and self._payloads.spill_if_large(left, self._pk)
        return Rewrite(row, [*slices], [*kept.values()], left)

    def _commit_rewrites(self, rewrites: Sequence[Rewrite], conversation: Row) -> Row:
        """Commit the rewrites, and delete the objects that they replace.

        Return the *conversation* row after the last transaction.
        """
        chunks = [*_chunks(rewrites)]
        is_marked = len(chunks) > 1 or self._is_marked(conversation)
        if is_marked and not chunks:
            ClearMark(self._table, self._pk, self._digest).commit()
        for index, chunk in enumerate(chunks):
            is_last = index + 1 == len(chunks)
            mark: Row = {"deleting": {"S": "" if is_last else self._digest}} if is_marked else {}
            transaction = RewriteBatches(self._table, self._pk, chunk, mark)
            try:
                transaction.commit()
            except Exception:
                self._outcome_unknown |= transaction.outcome_unknown
                if not transaction.outcome_unknown:
                    unused = itertools.chain.from_iterable(chunks[index:])
                    self._payloads.delete_best_effort(_object_keys(unused))
                raise
            conversation = transaction.row_after(conversation)
            deleted = {item_id for rewrite in chunk for item_id in rewrite.item_ids}
            self._left = [item_id for item_id in self._left if item_id not in deleted]
            self._table.stats.items += len(deleted)
            replaced = (rows.read_payload(rewrite.row).object_key for rewrite in chunk)
            self._payloads.delete_best_effort(replaced)
        return conversation

    def _is_marked(self, conversation: Row) -> bool:
        """Return whether an earlier attempt of the same request has deleted some of its items."""
        return conversation.get("deleting") == {"S": self._digest}

    def _not_found(self, item_id: str) -> ItemNotFoundError:
        return item_not_found(item_id, param=self._param.format(self._item_ids.index(item_id)))


class RewriteBatches(ConversationTransaction):
    """Transaction that rewrites batches without some of their items."""

    def __init__(self, table: Table, pk: str, rewrites: Sequence[Rewrite], mark: Row) -> None:
        """Prepare the transaction; *mark* is the new value of `deleting`, or no attribute."""
        super().__init__(table, pk)
        self._rewrites = rewrites
        self._mark = mark

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        count: Row = {":one": rows.number(1)}
        actions = [self._set_attributes(" ADD deletions :one", "", count)]
        for rewrite in self._rewrites:
            actions += rewrite.actions(self._table.name)
        return actions

    @override
    def _attributes(self) -> Row:
        return super()._attributes() | self._mark

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        """Raise an error: another deletion, or an earlier attempt of this one, rewrote a batch."""
        raise LostRaceError


class ClearMark(ConversationTransaction):
    """Transaction that ends a deletion of several transactions whose last items others deleted."""

    def __init__(self, table: Table, pk: str, digest: str) -> None:
        super().__init__(table, pk)
        self._values: Row = {":digest": {"S": digest}, ":none": {"S": ""}}

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        return [self._update("SET deleting = :none", "deleting = :digest", self._values)]

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        return NextStep.COMMITTED


class DeleteConversation(ConversationTransaction):
    """Transaction that marks a conversation as deleted; the stream starts its purge.

    The row keeps no content and no owner until it expires.
    """

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        expires_at = rows.number(self._now // 1000 + TOMBSTONE_SECONDS)
        values: Row = {":now": rows.number(self._now), ":expires_at": expires_at}
        update = self._update(rows.DELETION, "", values)
        update["Update"]["ExpressionAttributeNames"] = {"#owner": "owner"}
        return [update]

    @override
    def _exists(self, reason: Reason) -> bool:
        ended_at = reason.get("Item", {}).get("deleted_at")
        is_ours = self.outcome_unknown and ended_at == rows.number(self._now)
        return is_ours or super()._exists(reason)

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        return NextStep.COMMITTED


def _chunks(rewrites: Iterable[Rewrite]) -> Iterator[list[Rewrite]]:
    """Yield the rewrites of each transaction, which has one more action: the conversation row."""
    chunk: list[Rewrite] = []
    for rewrite in rewrites:
        if sum(each.action_count for each in (*chunk, rewrite)) > MAX_ACTIONS - 1:
            yield chunk
            chunk = []
        chunk.append(rewrite)
    if chunk:
        yield chunk


def _object_keys(rewrites: Iterable[Rewrite]) -> list[str | None]:
    return [rewrite.payload.object_key for rewrite in rewrites if rewrite.payload]
