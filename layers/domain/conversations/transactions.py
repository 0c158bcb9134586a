"""Changes of one conversation, each one transaction that is sent until its outcome is known.

`TransactWriteItems` tells in one answer why it did not happen, a reason for each action:

    the conversation's row is missing or deleted   ConversationNotFoundError
    its last_key is not below our first            another writer was first, or our clock is
                                                   behind: new keys after it, again; unless it
                                                   was we, in a try whose answer was lost
    the idempotency row is there                   the first answer again, if the body is the
                                                   same; else IdempotencyKeyReusedError
    a client's id is taken                         ItemAlreadyInConversationError, naming each
    conflict, throttling                           the same again, with full jitter
    no answer, 5xx                                 the same again, with the same keys and token:
                                                   never new keys before the outcome is known
"""

from __future__ import annotations

import contextlib
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from conversations import rows
from conversations.clients import CONNECTION_ERRORS
from conversations.errors import (
    ApiError,
    ConversationBusyError,
    ConversationNotFoundError,
    OverloadedError,
)
from conversations.retries import pauses
from conversations.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.rows import Row

    type Reason = Mapping[str, Any]

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "ThrottlingError",
        "ThrottlingException",
    }
)
"""The codes by which DynamoDB and S3 say that they are asked too much, in errors and reasons."""
CANCELED = "TransactionCanceledException"
CONFLICT = "TransactionConflict"
_IN_PROGRESS = "TransactionInProgressException"
_CONDITION_FAILED = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True)
class Table:
    """The table of conversations, the client that reaches it, and what is done with it."""

    dynamodb: DynamoDBClient
    name: str
    tally: Tally = field(default_factory=Tally)


class Change(ABC):
    """A change of one conversation; its first action is on the conversation's own row."""

    def __init__(self, table: Table, pk: str) -> None:
        self._table = table
        self._pk = pk
        self._now = time.time_ns() // 1_000_000
        self._seconds = rows.number(self._now // 1000)
        self._token = str(uuid.uuid4())
        self.may_be_written = False
        """Whether a try was sent whose outcome is unknown so far."""

    @abstractmethod
    def _actions(self) -> Sequence[TransactWriteItemTypeDef]:
        """What is to happen, all or nothing, at the next try."""

    @abstractmethod
    def _is_done(self, row: Row, reasons: Sequence[Reason]) -> bool:
        """Whether an earlier try did it, going by the conversation's *row* as it stands.

        Called when a condition failed. If nothing did it, the next try is prepared, or an error
        raised that no other try can mend.
        """

    def _was_written(self) -> bool:
        """Whether a look at the table shows that a try did it, though no answer said so."""
        return False

    def _look_up(self, trouble: ApiError) -> None:
        """Raise *trouble* unless the table shows that the change was made all the same.

        Of a change that may have been made, nobody is told that others were in its way.
        """
        if not self.may_be_written:
            raise trouble
        with contextlib.suppress(*CONNECTION_ERRORS, ClientError):
            if self._was_written():
                return
        raise OverloadedError("The table did not answer. Send the request again.") from trouble

    def commit(self) -> None:
        """Make the change.

        Raises:
            ConversationNotFoundError: nothing was written.
            ConversationBusyError: nothing was written.
            OverloadedError: nothing was written, unless `may_be_written`.
        """
        for pause in pauses(self._table.tally):
            trouble = self._try()
            if trouble is None:
                return
            if pause is None:
                self._look_up(trouble)
                return
            time.sleep(pause)

    def _try(self) -> ApiError | None:
        """Send the transaction once: None if it is written, else why it goes again."""
        try:
            self._table.dynamodb.transact_write_items(
                TransactItems=self._actions(), ClientRequestToken=self._token
            )
        except CONNECTION_ERRORS:
            self.may_be_written = True
            return OverloadedError("The table did not answer. Send the request again.")
        except ClientError as error:
            return self._trouble(error)
        return None

    def _trouble(self, error: ClientError) -> ApiError | None:
        code = error.response["Error"]["Code"]
        if code == CANCELED:
            return self._cancellation(error)
        if code in THROTTLED:
            self._table.tally.add("Throttles")
            return OverloadedError("The table is asked too much. Send the request again.")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == _IN_PROGRESS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.may_be_written = True
            return OverloadedError("The table failed to answer. Send the request again.")
        raise error

    def _cancellation(self, error: ClientError) -> ApiError | None:
        reasons: Sequence[Reason] = error.response["CancellationReasons"]
        if any(has_failed(reason) for reason in reasons):
            if has_failed(reasons[0]) and not self._is_there(reasons[0]):
                raise conversation_not_found(self._pk)
            if self._is_done(reasons[0].get("Item", {}), reasons):
                return None
        codes = {reason["Code"] for reason in reasons}
        self._table.tally.add("Conflicts", CONFLICT in codes)
        if codes & THROTTLED:
            self._table.tally.add("Throttles")
            return OverloadedError("The table is asked too much. Send the request again.")
        if codes & {_CONDITION_FAILED, CONFLICT}:
            return ConversationBusyError("Others write to this conversation. Try again.")
        raise error

    def _is_there(self, head: Reason) -> bool:
        return "Item" in head and rows.is_live(head["Item"])

    def _try_anew(self) -> None:
        """The next try is another transaction; nothing of the last one was written."""
        self._token = str(uuid.uuid4())
        self.may_be_written = False

    def _update(self, change: str, condition: str, values: Row) -> TransactWriteItemTypeDef:
        """An update of the conversation's row, if it is live and *condition* holds."""
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": rows.primary_key(self._pk, rows.CONVERSATION_SK),
                "ConditionExpression": f"{rows.IS_LIVE} AND {condition}"
                if condition
                else rows.IS_LIVE,
                "UpdateExpression": change,
                "ExpressionAttributeValues": {":seconds": self._seconds, **values},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _put_new(self, row: Row) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": row,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }


def read_settled(table: Table, keys: Sequence[Row]) -> list[Row]:
    """The rows at up to 100 keys, with no transaction under way on any; missing ones left out.

    Unlike `Query` and `BatchGetItem`, `TransactGetItems` never sees a part of a transaction.

    Raises:
        OverloadedError: transactions on these rows did not come to an end.
    """
    for pause in pauses(table.tally):
        try:
            answer = table.dynamodb.transact_get_items(
                TransactItems=[{"Get": {"TableName": table.name, "Key": key}} for key in keys]
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in {CANCELED, *THROTTLED}:
                raise
            table.tally.add("Throttles", code in THROTTLED)
            if pause is None:
                raise OverloadedError("The table is busy. Send the request again.") from error
            time.sleep(pause)
        else:
            return [found["Item"] for found in answer["Responses"] if "Item" in found]
    raise AssertionError  # pragma: no cover - the last pause is None


def has_failed(reason: Reason) -> bool:
    """Whether an action's own condition is why the transaction did not happen."""
    return bool(reason["Code"] == _CONDITION_FAILED)


def is_conflict(reason: Reason) -> bool:
    """Whether another transaction was under way on an action's row."""
    return bool(reason["Code"] == CONFLICT)


def conversation_not_found(pk: str) -> ConversationNotFoundError:
    """What is said of a conversation that is missing, deleted or another owner's."""
    conversation_id = pk.partition("/")[2]
    return ConversationNotFoundError(
        f"Conversation '{conversation_id}' was not found.", param="conversation_id"
    )
