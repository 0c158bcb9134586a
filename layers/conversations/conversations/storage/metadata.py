"""Changes of a conversation's metadata."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, override

from conversations.contract.bodies import MAX_METADATA_PAIRS
from conversations.errors import InvalidRequestError
from conversations.storage import rows
from conversations.storage.transactions import ConversationTransaction, Resolution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.model import Conversation
    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table


class UpdateMetadata(ConversationTransaction):
    """Pairs that are set in a conversation's metadata; those whose value is None are removed."""

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
    def _resolve(self, reasons: Sequence[Reason]) -> Resolution:
        current = rows.read_conversation(reasons[0]["Item"])
        if current.metadata == self.conversation.metadata:
            return Resolution.COMMITTED
        self._merge(current)
        return Resolution.RESTART

    def _merge(self, conversation: Conversation) -> None:
        """Apply the changes to the metadata of *conversation*, as it was last read.

        Raises:
            InvalidRequestError: there would be too many pairs.
        """
        self._old = conversation.metadata
        merged = {**self._old, **self._changes}
        metadata = {name: value for name, value in merged.items() if value is not None}
        if len(metadata) > MAX_METADATA_PAIRS:
            raise InvalidRequestError(
                f"metadata would have {len(metadata)} pairs. The limit is {MAX_METADATA_PAIRS}.",
                code="invalid_value",
                param="metadata",
            )
        self.conversation = replace(conversation, metadata=metadata)
