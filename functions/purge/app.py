"""The purge function: removes what deleted conversations and expired items left behind.

It goes by the table's stream: a conversation whose row was marked, and what DynamoDB removed when
its time was up: items, whose object it does not know, and the rows of deleted conversations, behind
which the last leftovers are swept up.
"""

from __future__ import annotations

import functools
import os
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
    DynamoDBRecordEventName,
)

from conversations import aws_clients, init_phase
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import purge_conversation, sweep
from conversations.storage.transactions import Table
from conversations.telemetry import RequestStats

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
        DynamoDBRecord,
        StreamRecord,
    )
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

logger = Logger(use_rfc3339=True)
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)

RESERVE_MS = 30_000
"""What must be left of the time-out for one more step of a purge."""


@functools.cache
def dynamodb() -> DynamoDBClient:
    """Return the client of this execution environment."""
    return aws_clients.dynamodb()


@functools.cache
def payload_store() -> PayloadStore:
    """Return the bucket of payloads."""
    client = aws_clients.s3()
    return PayloadStore(os.environ["PAYLOAD_BUCKET"], lambda: client, ThreadPoolExecutor())


def record_handler(record: DynamoDBRecord, lambda_context: LambdaContext) -> None:
    """Purge the conversation that was marked as deleted, or what its or an item's end left."""
    started = time.perf_counter()
    change = cast("StreamRecord", record.dynamodb)
    owner, _, conversation_id = change.keys["pk"].partition("/")
    stats = RequestStats(owner, conversation_id)
    ids = {"owner": owner, "conversation_id": conversation_id}
    try:
        is_done = purge(record, lambda_context, stats)
    except Exception as error:
        frames = traceback.format_tb(error.__traceback__)
        logger.error("purge failed", **ids, error=type(error).__name__, frames=frames)  # noqa: TRY400 - its text may be anything
        raise
    logger.info(
        "purge",
        **ids,
        is_done=is_done,
        rows=stats.metrics.get("PurgedRows", 0),
        retries=stats.retries,
        duration_ms=round(1000 * (time.perf_counter() - started), 1),
        **stats.to_emf(),
    )


def purge(record: DynamoDBRecord, lambda_context: LambdaContext, stats: RequestStats) -> bool:
    """Do what a record asks for; return whether all of it is done."""
    change = cast("StreamRecord", record.dynamodb)
    pk, table = change.keys["pk"], Table(dynamodb(), os.environ["CONVERSATIONS_TABLE"], stats)
    is_expiry = record.event_name is DynamoDBRecordEventName.REMOVE
    if is_expiry and "object" in change.old_image:
        payload_store().delete([change.old_image["object"]])
        return True
    work = sweep if is_expiry else purge_conversation
    is_done = work(
        table,
        payload_store(),
        pk,
        lambda: lambda_context.get_remaining_time_in_millis() > RESERVE_MS,
    )
    if is_done and not is_expiry:
        stats.add("PurgeLag", time.time() - float(change.new_image["deleted_at"]) / 1000)
    return is_done


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Work off records of the stream; one that fails is sent again, with those behind it."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )


init_phase.prepare([dynamodb, payload_store])
