"""What else can happen to a conversation: deletions, and new metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, override

from conversations import rows
from conversations.contract.models import MAX_METADATA_PAIRS
from conversations.errors import InvalidRequestError, ItemNotFoundError
from conversations.transactions import Change, has_failed, is_conflict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.rows import Conversation, Row
    from conversations.transactions import Reason, Table

DELETIONS_AT_ONCE = 49
"""Two actions an item and one for the conversation: `TransactWriteItems` takes 100."""
TOMBSTONE_SECONDS = 90 * 24 * 3600
"""How long a deleted conversation's own row stays, so that what comes late finds it deleted."""


class DeleteItems(Change):
    """Up to `DELETIONS_AT_ONCE` items, of which a pointer stays: their ids are never free again."""

    def __init__(
        self, table: Table, pk: str, doomed: Sequence[Row], params: Mapping[str, str]
    ) -> None:
        """*params* are the paths of the items' ids in the request."""
        super().__init__(table, pk)
        self._doomed = doomed
        self._params = params

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        values = {":now": rows.number(self._now), ":count": rows.number(len(self._doomed))}
        return [
            self._update("SET updated_at = :now, item_count = item_count - :count", "", values),
            *(self._deletion(row) for row in self._doomed),
            *(self._tombstone(row) for row in self._doomed),
        ]

    @override
    def _is_done(self, row: Row, reasons: Sequence[Reason]) -> bool:
        """If an earlier try did it, all of them are gone; else another one was first."""
        theirs = reasons[1 : 1 + len(self._doomed)]
        gone = [has_failed(reason) for reason in theirs]
        if self.may_be_written and (all(gone) or any(is_conflict(reason) for reason in theirs)):
            return all(gone)
        item_id = rows.cursor(self._doomed[gone.index(True)])
        raise ItemNotFoundError(
            f"Item '{item_id}' was not found in the conversation.", param=self._params[item_id]
        )

    def _deletion(self, row: Row) -> TransactWriteItemTypeDef:
        return {
            "Delete": {
                "TableName": self._table.name,
                "Key": {"pk": row["pk"], "sk": row["sk"]},
                "ConditionExpression": "attribute_exists(pk)",
            }
        }

    def _tombstone(self, row: Row) -> TransactWriteItemTypeDef:
        return {"Put": {"TableName": self._table.name, "Item": rows.tombstone(row)}}


class DeleteConversation(Change):
    """The end of a conversation for everybody, at once; its purge follows from the stream.

    What its row keeps until it expires says nothing of what the conversation was about.
    """

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        end = self._update(
            "SET deleted_at = :now, expires_at = :expires_at REMOVE #owner, metadata",
            "",
            {
                ":now": rows.number(self._now),
                ":expires_at": rows.expiry(self._now, TOMBSTONE_SECONDS)["expires_at"],
            },
        )
        end["Update"]["ExpressionAttributeNames"] = {"#owner": "owner"}
        return [end]

    @override
    def _is_there(self, head: Reason) -> bool:
        ended_at = head.get("Item", {}).get("deleted_at")
        is_ours = self.may_be_written and ended_at == rows.number(self._now)
        return is_ours or super()._is_there(head)

    @override
    def _is_done(self, row: Row, reasons: Sequence[Reason]) -> bool:
        return True


class UpdateMetadata(Change):
    """Pairs that are set in a conversation's metadata, and by None removed."""

    def __init__(
        self, table: Table, conversation: Conversation, changes: Mapping[str, str | None]
    ) -> None:
        super().__init__(table, rows.partition(conversation.owner, conversation.conversation_id))
        self._changes = changes
        self._merge(conversation)

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        values: Row = {
            ":old": rows.text_map(self._old),
            ":new": rows.text_map(self.conversation.metadata),
            ":now": rows.number(self._now),
        }
        return [self._update("SET metadata = :new, updated_at = :now", "metadata = :old", values)]

    @override
    def _is_done(self, row: Row, reasons: Sequence[Reason]) -> bool:
        current = rows.read_conversation(row)
        if current.metadata == self.conversation.metadata:
            return True
        self._merge(current)
        self._try_anew()
        return False

    def _merge(self, conversation: Conversation) -> None:
        """Begin from the metadata of *conversation*, as it was last seen."""
        self._old = conversation.metadata
        merged = {**self._old, **self._changes}
        metadata = {name: value for name, value in merged.items() if value is not None}
        if len(metadata) > MAX_METADATA_PAIRS:
            raise InvalidRequestError(
                f"metadata would have {len(metadata)} pairs, over the limit of"
                f" {MAX_METADATA_PAIRS}.",
                code="invalid_value",
                param="metadata",
            )
        self.conversation = replace(conversation, metadata=metadata)
