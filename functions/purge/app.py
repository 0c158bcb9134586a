"""The purge function: removes what a deleted conversation left, as its table's stream tells."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)

from conversations.payloads import PayloadBucket
from conversations.store import Store

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
    from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


@functools.cache
def store() -> Store:
    """The store of this execution environment, made by its first record."""
    bucket = PayloadBucket(
        os.environ["PAYLOAD_BUCKET"],
        functools.cache(lambda: boto3.client("s3")),
        ThreadPoolExecutor(max_workers=8),
    )
    return Store(
        boto3.client("dynamodb"), os.environ["CONVERSATIONS_TABLE"], bucket, ThreadPoolExecutor()
    )


def record_handler(record: DynamoDBRecord) -> None:
    """Purge the conversation whose row has been marked as deleted."""
    keys = record.dynamodb.keys if record.dynamodb else {}
    owner, _, conversation_id = keys["pk"].partition("/")
    store().purge_conversation(owner, conversation_id)
    logger.info("conversation purged", conversation_id=conversation_id)


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Purge one conversation a record; a record that fails is sent again, with those behind it."""
    return process_partial_response(
        event=event, record_handler=record_handler, processor=processor, context=context
    )
