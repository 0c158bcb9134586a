"""The purge function: it removes rows and objects of deleted conversations and expired batches.

Three kinds of records of the table's stream trigger it: a conversation row is marked as deleted;
DynamoDB removes an expired batch, whose object remains; and DynamoDB removes the expired row of a
deleted conversation, after which the last remaining rows are removed.
"""

from __future__ import annotations

import functools
import os
import time
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
from conversations.storage.schema_version import check_version
from conversations.storage.transactions import Table
from conversations.telemetry import RequestStats, failure_log_fields

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import (
        DynamoDBRecord,
        StreamRecord,
    )
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_dynamodb.client import DynamoDBClient

logger = Logger(use_rfc3339=True)
processor = BatchProcessor(
    event_type=EventType.DynamoDBStreams,
    raise_on_entire_batch_failure=False,  # that exception, which Lambda logs, has the texts of all
)

RESERVE_MS = 30_000
"""Remaining time below which a purge does not begin another step."""


@functools.cache
def dynamodb_client() -> DynamoDBClient:
    """Return the client of this execution environment."""
    return aws_clients.dynamodb()


@functools.cache
def payload_store() -> PayloadStore:
    """Return the store of payloads."""
    client = aws_clients.s3()
    return PayloadStore(os.environ["PAYLOAD_BUCKET"], lambda: client, ThreadPoolExecutor())


def record_handler(record: DynamoDBRecord, lambda_context: LambdaContext) -> None:
    """Purge the conversation or the batch of a stream record, and log the result."""
    started = time.perf_counter()
    change = cast("StreamRecord", record.dynamodb)
    owner, _, conversation_id = change.keys["pk"].partition("/")
    stats = RequestStats(owner, conversation_id)
    ids = {"owner": owner, "conversation_id": conversation_id}
    try:
        is_done = purge(record, lambda_context, stats)
    except Exception as error:
        logger.error("purge failed", **ids, **failure_log_fields(error))  # noqa: TRY400 - the text can contain content
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
    """Purge the conversation or the batch of a record, and return whether nothing is left to do.

    Raises:
        UnsupportedSchemaVersionError: a newer release wrote the conversation.
    """
    change = cast("StreamRecord", record.dynamodb)
    pk = change.keys["pk"]
    table = Table(dynamodb_client(), os.environ["CONVERSATIONS_TABLE"], stats)
    is_expiry = record.event_name is DynamoDBRecordEventName.REMOVE
    if is_expiry:
        check_version(record.raw_event["dynamodb"]["OldImage"])
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
    """Process records of the stream; Lambda retries a failed one, with the records after it."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )


init_phase.prepare([dynamodb_client, payload_store])
