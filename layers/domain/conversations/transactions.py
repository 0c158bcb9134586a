"""A batch on its way into the table: one transaction, sent until its outcome is known.

`TransactWriteItems` tells in one answer why it did not happen, a reason for each action:

    the conversation's row is missing or deleted   ConversationNotFoundError
    its last_key is not below our first            another writer was first, or our clock is
                                                   behind: new keys after it, again; unless it
                                                   was we, in a try whose answer was lost
    a client's id is taken                         ItemAlreadyInConversationError, naming each
    conflict, throttling                           the same again, with full jitter
    no answer, 5xx                                 the same again, with the same keys and token:
                                                   never new keys before the outcome is known
"""

from __future__ import annotations

import itertools
import random
import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, cast, override

from botocore.exceptions import ClientError, HTTPClientError

from conversations import ids, rows
from conversations.errors import (
    ApiError,
    ConversationBusyError,
    ConversationNotFoundError,
    ItemAlreadyInConversationError,
    OverloadedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from conversations.payloads import Payload
    from conversations.rows import Row

    type Items = Sequence[tuple[rows.Draft, Payload]]

RETRY_SECONDS = 3.0
"""How long a batch is tried before the client is asked to come again."""
FIRST_PAUSE_SECONDS = 0.01
LONGEST_PAUSE_SECONDS = 0.5

THROTTLED = frozenset(
    {
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ThrottlingException",
    }
)
"""The codes by which DynamoDB says that it is asked too much, in errors and in reasons."""
_IN_PROGRESS = "TransactionInProgressException"
_CONDITION_FAILED = "ConditionalCheckFailed"


class Append:
    """A batch that goes behind the last item of a conversation."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, pk: str, items: Items) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._pk = pk
        self._items = items
        self._now = time.time_ns() // 1_000_000
        self._keys = ids.entry_keys(ids.new_batch(self._now), len(items))
        self._token = str(uuid.uuid4())
        self.may_be_written = False
        """Whether a try was sent whose outcome is unknown so far."""

    def commit(self) -> list[rows.StoredItem]:
        """Write the batch, and give it back as it will be read.

        Raises:
            ConversationNotFoundError, ItemAlreadyInConversationError: nothing was written.
            ConversationBusyError, OverloadedError: nothing was written, unless `may_be_written`.
        """
        deadline = time.monotonic() + RETRY_SECONDS
        for attempt in itertools.count():
            trouble = self._try()
            if trouble is None:
                break
            if time.monotonic() >= deadline:
                raise trouble
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
            time.sleep(random.uniform(0, longest))  # noqa: S311 - jitter is no secret
        return [draft.at(self._keys[place]) for place, (draft, _) in enumerate(self._items)]

    def _try(self) -> ApiError | None:
        """Send the transaction once: None if it is written, else why it goes again."""
        actions = [self._head(), *(action for _, action in self._puts())]
        try:
            self._dynamodb.transact_write_items(
                TransactItems=actions, ClientRequestToken=self._token
            )
        except HTTPClientError:
            self.may_be_written = True
            return OverloadedError("The table did not answer. Send the request again.")
        except ClientError as error:
            return self._trouble(error)
        return None

    def _trouble(self, error: ClientError) -> ApiError | None:
        code = error.response["Error"]["Code"]
        if code == "TransactionCanceledException":
            return self._cancellation(error)
        if code in THROTTLED:
            return OverloadedError("The table is asked too much. Send the request again.")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if code == _IN_PROGRESS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.may_be_written = True
            return OverloadedError("The table failed to answer. Send the request again.")
        raise error

    def _cancellation(self, error: ClientError) -> ApiError | None:
        head, *others = reasons = error.response["CancellationReasons"]
        if head["Code"] == _CONDITION_FAILED and self._is_written(
            cast("Row | None", head.get("Item"))
        ):
            return None
        self._refuse_taken_ids([reason["Code"] for reason in others])
        codes = {reason["Code"] for reason in reasons}
        if codes & THROTTLED:
            return OverloadedError("The table is asked too much. Send the request again.")
        if codes & {_CONDITION_FAILED, "TransactionConflict"}:
            return ConversationBusyError("Others write to this conversation. Try again.")
        raise error

    def _is_written(self, row: Row | None) -> bool:
        """Whether an earlier try did it; if not, the batch moves behind the conversation's end."""
        if row is None or "deleted_at" in row:
            raise conversation_not_found(self._pk)
        last_key = row["last_key"]["S"]
        if last_key == self._last_key or (self.may_be_written and self._is_first_item_there()):
            return True
        self._keys = ids.entry_keys(ids.batch_after(last_key), len(self._items))
        self._token = str(uuid.uuid4())
        self.may_be_written = False
        return False

    def _is_first_item_there(self) -> bool:
        answer = self._dynamodb.get_item(
            TableName=self._table,
            Key=rows.primary_key(self._pk, rows.item_sk(self._keys[0])),
            ProjectionExpression="pk",
            ConsistentRead=True,
        )
        return "Item" in answer

    def _refuse_taken_ids(self, codes: Sequence[str]) -> None:
        taken = {
            place
            for code, (place, _) in zip(codes, self._puts(), strict=True)
            if code == _CONDITION_FAILED
        }
        if taken:
            names = ", ".join(f"'{self._items[place][0].given_id}'" for place in sorted(taken))
            raise ItemAlreadyInConversationError(
                f"Item already in conversation: {names}.", param=f"items[{min(taken)}].id"
            )

    def _head(self) -> TransactWriteItemTypeDef:
        return {
            "Update": {
                "TableName": self._table,
                "Key": rows.primary_key(self._pk, rows.CONVERSATION_SK),
                "ConditionExpression": (
                    "attribute_exists(pk) AND attribute_not_exists(deleted_at)"
                    " AND last_key < :first"
                ),
                "UpdateExpression": (
                    "SET last_key = :last, updated_at = :now, item_count = item_count + :count"
                ),
                "ExpressionAttributeValues": {
                    ":first": {"S": self._keys[0]},
                    ":last": {"S": self._last_key},
                    ":now": {"N": str(self._now)},
                    ":count": {"N": str(len(self._items))},
                },
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        }

    def _puts(self) -> Iterator[tuple[int, TransactWriteItemTypeDef]]:
        """The actions behind the head, each with the place of the item it is for."""
        for place, (draft, payload) in enumerate(self._items):
            key = self._keys[place]
            row = rows.item_row(self._pk, key, (place, len(self._items)), draft, payload)
            yield place, {"Put": {"TableName": self._table, "Item": row}}
            if draft.claimed_id is not None:
                yield place, self._put_new(rows.pointer_row(self._pk, draft.claimed_id, key))
                own_key = ids.key_in(draft.claimed_id)
                if own_key is not None:
                    yield place, self._check_free(own_key)

    def _put_new(self, row: Row) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self._table,
                "Item": row,
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    def _check_free(self, key: str) -> TransactWriteItemTypeDef:
        """A generated id that is posted back has no pointer row: its item's row claims it."""
        return {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": rows.primary_key(self._pk, rows.item_sk(key)),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        }

    @property
    def _last_key(self) -> str:
        return self._keys[-1]


class Create(Append):
    """A new conversation, and the items it begins with, if any."""

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        table: str,
        conversation: rows.Conversation,
        items: Items,
    ) -> None:
        pk = rows.partition(conversation.owner, conversation.conversation_id)
        super().__init__(dynamodb, table, pk, items)
        self._conversation = conversation

    @override
    def _head(self) -> TransactWriteItemTypeDef:
        last_key = self._last_key if self._items else ""
        return self._put_new(rows.conversation_row(self._conversation, last_key, len(self._items)))

    @override
    def _is_written(self, row: Row | None) -> bool:
        """Its id is random: a conversation that is there was made by an earlier try."""
        return True


def conversation_not_found(pk: str) -> ConversationNotFoundError:
    """What is said of a conversation that is missing, deleted or another owner's."""
    conversation_id = pk.partition("/")[2]
    return ConversationNotFoundError(
        f"Conversation '{conversation_id}' was not found.", param="conversation_id"
    )
