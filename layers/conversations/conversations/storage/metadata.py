"""Update of a conversation's metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from conversations.contract.bodies import MAX_METADATA_PAIRS
from conversations.errors import InvalidRequestError
from conversations.storage import rows
from conversations.storage.transactions import ConversationTransaction, NextStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table


class UpdateMetadata(ConversationTransaction):
    """Transaction that sets pairs of a conversation's metadata; a value of None removes a pair."""

    def __init__(self, table: Table, row: Row, changes: Mapping[str, str | None]) -> None:
        """Prepare the update of a conversation *row*, as it was read."""
        super().__init__(table, row["pk"]["S"])
        self._changes = changes
        self._merge(row)

    @override
    def _actions(self) -> list[TransactWriteItemTypeDef]:
        """Return the update, on the condition that the row's revision is the one that was read.

        With a condition on the metadata, a late attempt could commit after others restored it.
        """
        condition, values = rows.same_revision(self._row)
        return [self._set_attributes("", condition, values)]

    @override
    def _attributes(self) -> Row:
        return {
            **super()._attributes(),
            "metadata": rows.text_map(self._metadata),
            "rev": rows.number(rows.revision(self._row) + 1),
        }

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        row = reasons[0]["Item"]
        found = rows.read_conversation(row)
        if found.metadata == self._metadata:
            self.conversation = found
            return NextStep.COMMITTED
        self._merge(row)
        return NextStep.RESTART

    def _merge(self, row: Row) -> None:
        """Merge the changes into the metadata of a conversation *row*.

        Raises:
            InvalidRequestError: there would be too many pairs.
        """
        merged = {**rows.read_metadata(row), **self._changes}
        metadata = {name: value for name, value in merged.items() if value is not None}
        if len(metadata) > MAX_METADATA_PAIRS:
            raise InvalidRequestError(
                f"metadata would have {len(metadata)} pairs. The limit is {MAX_METADATA_PAIRS}"
                " pairs.",
                code="invalid_value",
                param="metadata",
            )
        self._row, self._metadata = row, metadata
        self.conversation = rows.read_conversation(self.row_after(row))
