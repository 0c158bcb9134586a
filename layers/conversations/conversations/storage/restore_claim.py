"""Claim of a restore on a conversation that does not exist yet. The latest claim wins.

Two restores of one conversation may run at once, for example if a paused restore resumes. Each
restore writes and deletes rows only while it holds the claim, and releases the claim in the
transaction that makes the conversation visible. A restore therefore never removes rows from a
visible conversation.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any, override

from conversations.storage import rows
from conversations.storage.actions import ABSENT, check_if, put_if
from conversations.storage.transactions import ConversationTransaction, NextStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from conversations.storage.rows import Row
    from conversations.storage.transactions import Reason, Table

CLAIM_SK = "i"
"""The sort key of the claim."""


class ClaimLostError(Exception):
    """A claim that ended, because another restore took it or has written the conversation."""

    def __init__(self, reasons: Sequence[Reason] = ()) -> None:
        super().__init__()
        self.reasons = reasons
        """DynamoDB's reasons, if an earlier attempt may have committed."""


class RestoreClaim:
    """A restore's claim on a conversation."""

    def __init__(self, table: Table, pk: str) -> None:
        """Take the claim from any restore that has it.

        Raises:
            ClaimLostError: the conversation exists.
        """
        self._table = table
        self._pk = pk
        self._run: AttributeValueTypeDef = {"S": uuid.uuid4().hex}
        self._is_held: Any = {
            "TableName": table.name,
            "Key": rows.primary_key(pk, CLAIM_SK),
            "ConditionExpression": "run = :run",
            "ExpressionAttributeValues": {":run": self._run},
        }
        """A check, or a deletion, of the claim, on the condition that this restore holds it."""
        claimed_at = rows.number(time.time_ns() // 1_000_000)
        claim = rows.primary_key(pk, CLAIM_SK) | {"run": self._run, "claimed_at": claimed_at}
        put: TransactWriteItemTypeDef = {"Put": {"TableName": table.name, "Item": claim}}
        self._transact([put, check_if(table, pk, rows.CONVERSATION_SK, ABSENT)])

    def check(self) -> None:
        """Check that this restore holds the claim.

        Raises:
            ClaimLostError: this restore does not hold the claim.
        """
        key = rows.primary_key(self._pk, CLAIM_SK)
        found = self._table.dynamodb.get_item(
            TableName=self._table.name, Key=key, ConsistentRead=True
        )
        if found.get("Item", {}).get("run") != self._run:
            raise ClaimLostError

    def put(self, children: Sequence[Row]) -> None:
        """Write rows if this restore holds the claim.

        Raises:
            ClaimLostError: this restore does not hold the claim; nothing was written.
        """
        self._write([{"Put": {"TableName": self._table.name, "Item": row}} for row in children])

    def delete(self, keys: Sequence[Row]) -> None:
        """Delete rows if this restore holds the claim.

        Raises:
            ClaimLostError: this restore does not hold the claim; nothing was deleted.
        """
        self._write([{"Delete": {"TableName": self._table.name, "Key": key}} for key in keys])

    def commit(self, conversation: Row) -> None:
        """Write the conversation row, which makes the conversation visible, and release the claim.

        Raises:
            ClaimLostError: this restore does not hold the claim.
        """
        put = put_if(self._table, conversation, ABSENT)
        try:
            self._transact([{"Delete": self._is_held}, put])
        except ClaimLostError as error:
            if all(reason.get("Item") != conversation for reason in error.reasons):
                raise

    def _write(self, actions: Sequence[TransactWriteItemTypeDef]) -> None:
        self._transact([{"ConditionCheck": self._is_held}, *actions])

    def _transact(self, actions: Sequence[TransactWriteItemTypeDef]) -> None:
        ClaimTransaction(self._table, self._pk, actions).commit()


class ClaimTransaction(ConversationTransaction):
    """Transaction under a restore's claim; if one of its conditions fails, the claim is lost."""

    def __init__(self, table: Table, pk: str, actions: Sequence[TransactWriteItemTypeDef]) -> None:
        super().__init__(table, pk)
        self._given = actions

    @override
    def _actions(self) -> Sequence[TransactWriteItemTypeDef]:
        return self._given

    @override
    def _exists(self, reason: Reason) -> bool:
        """Return True: the first action is on the claim."""
        return True

    @override
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        raise ClaimLostError(reasons if self.outcome_unknown else ())
