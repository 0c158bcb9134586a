"""Transactions that change a conversation, repeated until the outcome is known or time runs out.

`classify` returns the kind of a failed `TransactWriteItems`, and `commit` acts on it:

    no response, 5xx, still in progress    The outcome is unknown. Resend the same keys and token;
                                           use new keys only when the outcome is known.
    no connection, conflict, throttling    Resend it, even if conditions of other actions failed:
                                           the conflict may be with an earlier attempt, or with the
                                           first request that had the same Idempotency-Key.
    a condition failed                     `_next_step` decides by DynamoDB's reasons, one for each
                                           action: an earlier attempt committed, or another attempt
                                           follows, or the client gets an error.
    another error                          It is raised.

botocore tries each attempt several times. If one try has no response, the outcome is unknown,
whatever the next returns (`may_have_taken_effect`). If it is unknown when time runs out, an append
reads the table.
"""

from __future__ import annotations

import contextlib
import enum
import time
import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from botocore.exceptions import ClientError

from conversations.aws_clients import CONNECTION_ERRORS, THROTTLED, may_have_taken_effect
from conversations.errors import (
    NO_RESPONSE,
    ConversationBusyError,
    ConversationNotFoundError,
    OverloadedError,
)
from conversations.storage import rows
from conversations.storage.backoff import attempts
from conversations.telemetry import RequestStats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.storage.rows import Row

    type Reason = Mapping[str, Any]

CANCELED = "TransactionCanceledException"
CONFLICT = "TransactionConflict"
MAX_ACTIONS = 100
"""Maximum number of actions in one `TransactWriteItems`."""
_IN_PROGRESS = "TransactionInProgressException"
_CONDITION_FAILED = "ConditionalCheckFailed"


@dataclass(frozen=True, slots=True)
class Table:
    """The table of conversations, its client, and the statistics of the request."""

    dynamodb: DynamoDBClient
    name: str
    stats: RequestStats = field(default_factory=RequestStats)


class Failure(NamedTuple):
    """Reason why an attempt failed, or may have failed."""

    kind: Literal["unknown", "unreachable", "throttled", "conflict", "condition failed"]
    reasons: Sequence[Reason] = ()
    """DynamoDB's reasons, one for each action, if it cancelled the transaction."""


class NextStep(enum.Enum):
    """Next step after a failed condition."""

    COMMITTED = enum.auto()
    RESEND = enum.auto()
    """Another attempt with the same keys and token."""
    REVISE = enum.auto()
    """Another attempt with new actions and a new token; an earlier attempt may still commit."""
    RESTART = enum.auto()
    """As `REVISE`, but no earlier attempt committed, nor can it still commit."""


def classify(error: Exception) -> Failure:
    """Return the failure of a `TransactWriteItems` that raised *error*.

    Raises:
        Exception: *error* itself, if no other attempt can succeed.
    """
    if isinstance(error, CONNECTION_ERRORS):
        return Failure("unknown" if may_have_taken_effect(error) else "unreachable")
    if not isinstance(error, ClientError):
        raise error
    code = error.response["Error"]["Code"]
    if code in THROTTLED:
        return Failure("throttled")
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == _IN_PROGRESS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure("unknown")
    reasons: Sequence[Reason] = error.response.get("CancellationReasons", ())
    codes = {reason["Code"] for reason in reasons}
    if codes & THROTTLED:
        return Failure("throttled", reasons)
    if CONFLICT in codes:
        return Failure("conflict", reasons)
    if _CONDITION_FAILED in codes:
        return Failure("condition failed", reasons)
    raise error


class ConversationTransaction(ABC):
    """Transaction that changes one conversation, normally with a first action on its row.

    A subclass has `_actions` and `_next_step`. It may have `_attributes`, which the change sets;
    `_exists`; and `_already_committed`, for a change whose outcome must be known.
    """

    def __init__(self, table: Table, pk: str) -> None:
        self._table = table
        self._pk = pk
        self._now = time.time_ns() // 1_000_000
        self._now_seconds = rows.number(self._now // 1000)
        self._token = str(uuid.uuid4())
        self.outcome_unknown = False
        """True if an attempt may have committed, or may still."""

    @abstractmethod
    def _actions(self) -> Sequence[TransactWriteItemTypeDef]:
        """Return the actions of the next attempt."""

    @abstractmethod
    def _next_step(self, reasons: Sequence[Reason]) -> NextStep:
        """Return the next step after a failed condition; all conditions were evaluated.

        If the condition on the conversation row failed, `_exists` has accepted the row.

        Raises:
            Exception: this transaction cannot succeed, by any other attempt.
        """

    def _already_committed(self) -> bool:
        """Return whether the table shows that an attempt has committed; False by default."""
        return False

    def commit(self) -> None:
        """Commit the change.

        Raises:
            ConversationNotFoundError: nothing of the change remains.
            ConversationBusyError: nothing was written.
            OverloadedError: nothing was written, unless `outcome_unknown`.
            Exception: what `_next_step`, `classify` and their reads raise.
        """
        for _ in attempts(self._table.stats):
            failure = self._send()
            if failure is None or self._resolve_failure(failure):
                return
            last_failure = failure
        self._verify_or_raise(last_failure)

    def _send(self) -> Failure | None:
        """Call DynamoDB once; return the failure, or None if the transaction committed."""
        request: Any = {"TransactItems": self._actions(), "ClientRequestToken": self._token}
        was_unknown = self.outcome_unknown
        self.outcome_unknown = True  # also after any other exception, such as an interrupt
        try:
            self._table.dynamodb.transact_write_items(**request)
        except (*CONNECTION_ERRORS, ClientError) as error:
            self.outcome_unknown = was_unknown or may_have_taken_effect(error)
            failure = classify(error)
        else:
            return None
        self.outcome_unknown |= failure.kind == "unknown"
        self._table.stats.add("Throttles", failure.kind == "throttled")
        self._table.stats.add("Conflicts", failure.kind == "conflict")
        return failure

    def _resolve_failure(self, failure: Failure) -> bool:
        """Return whether the change is in the table already; if not, prepare the next attempt."""
        if failure.kind != "condition failed":
            return False
        reason = failure.reasons[0]
        if condition_failed(reason) and not self._exists(reason):
            # If an earlier attempt committed, its change was deleted with the conversation.
            self.outcome_unknown = False
            raise conversation_not_found(self._pk)
        next_step = self._next_step(failure.reasons)
        if next_step in {NextStep.REVISE, NextStep.RESTART}:
            self._token = str(uuid.uuid4())
            self.outcome_unknown &= next_step is NextStep.REVISE
        return next_step is NextStep.COMMITTED

    def _exists(self, reason: Reason) -> bool:
        """Return whether the conversation exists, by the *reason* of the first action's failure."""
        return "Item" in reason and rows.is_live(reason["Item"])

    def _verify_or_raise(self, failure: Failure) -> None:
        """Raise the error for the last *failure*, unless the table shows that the change committed.

        So a conflict is never reported while an attempt may have committed.
        """
        if self.outcome_unknown:
            with contextlib.suppress(*CONNECTION_ERRORS, ClientError, OverloadedError):
                if self._already_committed():
                    return
            raise OverloadedError(NO_RESPONSE)
        if failure.kind in {"conflict", "condition failed"}:
            raise ConversationBusyError
        if failure.kind == "unreachable":
            raise OverloadedError("The service cannot reach DynamoDB. Retry the request.")
        raise OverloadedError

    def row_after(self, row: Row) -> Row:
        """Return a conversation *row* with the attributes that the change sets."""
        return row | self._attributes()

    def _attributes(self) -> Row:
        """Return the attributes that the change sets in the conversation row."""
        return {"updated_at": rows.number(self._now)}

    def _set_attributes(self, more: str, condition: str, values: Row) -> TransactWriteItemTypeDef:
        """Return the action that sets `_attributes`.

        *more* continues its expression, *condition* is one more condition, and *values* are theirs.
        """
        attributes = self._attributes()
        assignments = ", ".join([f"{name} = :{name}" for name in attributes])
        placeholders = {f":{name}": value for name, value in attributes.items()}
        return self._update(f"SET {assignments}{more}", condition, placeholders | values)

    def _update(self, change: str, condition: str, values: Row) -> TransactWriteItemTypeDef:
        """Return the action that updates the conversation row.

        Its conditions are that the conversation is live, and *condition*.
        """
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": rows.primary_key(self._pk, rows.CONVERSATION_SK),
                "ConditionExpression": rows.LIVE_CONDITION
                + (f" AND {condition}" if condition else ""),
                "UpdateExpression": change,
                "ExpressionAttributeValues": {":now_seconds": self._now_seconds, **values},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }


def condition_failed(reason: Reason) -> bool:
    """Return whether an action's own condition cancelled the transaction."""
    return bool(reason["Code"] == _CONDITION_FAILED)


def conversation_not_found(pk: str) -> ConversationNotFoundError:
    """Return the error for a conversation that is missing, deleted or another owner's."""
    conversation_id = pk.partition("/")[2]
    return ConversationNotFoundError(
        f"Conversation '{conversation_id}' was not found.", param="conversation_id"
    )
