"""The purge function: removes what deleted conversations and expired items left behind.

It goes by the table's stream: a conversation whose row was marked, and what DynamoDB removed when
its time was up: items, whose object it does not know, and the rows of deleted conversations, behind
which the last leftovers are swept up.
"""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
    DynamoDBRecordEventName,
)

from conversations.payloads import PayloadBucket
from conversations.purging import purge_conversation, remove_all_but_head
from conversations.transactions import Table

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
        DynamoDBRecord,
        StreamRecord,
    )
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


RESERVE_MS = 30_000
"""What must be left of the time-out for one more step of a purge."""


@functools.cache
def table() -> Table:
    """The table, met by this execution environment's first record."""
    return Table(boto3.client("dynamodb"), os.environ["CONVERSATIONS_TABLE"])


@functools.cache
def bucket() -> PayloadBucket:
    """The bucket, likewise."""
    client = boto3.client("s3")
    return PayloadBucket(os.environ["PAYLOAD_BUCKET"], lambda: client, ThreadPoolExecutor())


def record_handler(record: DynamoDBRecord, lambda_context: LambdaContext) -> None:
    """Purge the conversation that was marked as deleted, or what its or an item's end left."""
    change = cast("StreamRecord", record.dynamodb)
    is_end = record.event_name is DynamoDBRecordEventName.REMOVE
    if is_end and "object" in change.old_image:
        bucket().remove([change.old_image["object"]])
        return
    pk = change.keys["pk"]
    if is_end:
        remove_all_but_head(table(), bucket(), pk, lambda: True)
        return
    is_done = purge_conversation(
        table(),
        bucket(),
        pk,
        lambda: lambda_context.get_remaining_time_in_millis() > RESERVE_MS,
    )
    logger.info("purge", conversation_id=pk.partition("/")[2], is_done=is_done)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Work off records of the stream; one that fails is sent again, with those behind it."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
