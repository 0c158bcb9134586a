"""Delivery of DynamoDB streams to functions, as by Lambda's event source mappings.

Filtered records arrive in order and at least once, in batches of the mapping's size. A failed batch
is retried at once: from the first record that the function reports, if the mapping allows reports,
and split in two, if the mapping bisects. After the mapping's retries (ten if unlimited) the batch
is dropped and logged, where AWS would send it to the on-failure destination. Batching windows,
record age and parallelism are not implemented.
"""

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Final, cast

from botocore.exceptions import BotoCoreError, ClientError

from local.authorizer import Invoke
from local.functions import FunctionError
from local.intrinsics import REGION, Json, JsonObject, mapping
from local.patterns import matches
from local.template import Subscription

if TYPE_CHECKING:
    from mypy_boto3_dynamodbstreams.client import DynamoDBStreamsClient
    from mypy_boto3_dynamodbstreams.type_defs import RecordTypeDef

_POLL_SECONDS: Final = 1.0
_PATIENCE: Final = 10

_logger = logging.getLogger(__name__)


class EventSourceMapping:
    """Delivery of a stream's records to a function, with filters, batches and retries."""

    def __init__(self, subscription: Subscription, invoke: Invoke) -> None:
        self._subscription = subscription
        self._invoke = invoke
        self._filters = [mapping(json.loads(given)) for given in subscription.filters]

    def deliver(self, records: Sequence[JsonObject]) -> None:
        """Invoke the function with the records that pass the filters, batch by batch."""
        passed = [record for record in records if self._passes(record)]
        size, retries = self._subscription.batch_size, self._subscription.retries
        for start in range(0, len(passed), size):
            self._deliver_batch(passed[start : start + size], _PATIENCE if retries < 0 else retries)

    def _passes(self, record: JsonObject) -> bool:
        return not self._filters or any(matches(given, record) for given in self._filters)

    def _deliver_batch(self, batch: Sequence[JsonObject], retries: int) -> None:
        failed_at = self._attempt(batch)
        if failed_at is None:
            return
        rest = batch[failed_at:]
        if retries == 0:
            _logger.error("%d stream records were dropped after the template's retries", len(rest))
            return
        middle = (len(rest) + 1) // 2 if self._subscription.bisects else len(rest)
        self._deliver_batch(rest[:middle], retries - 1)
        if rest[middle:]:
            self._deliver_batch(rest[middle:], retries - 1)

    def _attempt(self, batch: Sequence[JsonObject]) -> int | None:
        """Invoke the function, and return the index of the first failed record, or None."""
        try:
            response = json.loads(self._invoke(json.dumps({"Records": [*batch]}).encode()))
        except FunctionError:
            return 0
        if not self._subscription.reports_failures or not isinstance(response, dict):
            return None
        named = {failure["itemIdentifier"] for failure in response.get("batchItemFailures") or []}
        if not named:
            return None
        numbers = [mapping(record["dynamodb"])["SequenceNumber"] for record in batch]
        return min((numbers.index(name) for name in named if name in numbers), default=0)


class Stream:
    """Reader of one table's stream, from its oldest record on."""

    def __init__(self, client: "DynamoDBStreamsClient", arn: str) -> None:
        self._client = client
        self._arn = arn
        self._iterators: dict[str, str | None] = {}

    def read(self) -> list[JsonObject]:
        """Return the records since the last read."""
        self._find_shards()
        return [record for shard in self._iterators for record in self._read_shard(shard)]

    def _find_shards(self) -> None:
        description = self._client.describe_stream(StreamArn=self._arn)["StreamDescription"]
        for shard in description.get("Shards", []):
            if shard["ShardId"] not in self._iterators:
                response = self._client.get_shard_iterator(
                    StreamArn=self._arn,
                    ShardId=shard["ShardId"],
                    ShardIteratorType="TRIM_HORIZON",
                )
                self._iterators[shard["ShardId"]] = response["ShardIterator"]

    def _read_shard(self, shard: str) -> Iterator[JsonObject]:
        while iterator := self._iterators[shard]:
            response = self._client.get_records(ShardIterator=iterator)
            self._iterators[shard] = response.get("NextShardIterator")
            if not response["Records"]:
                return
            yield from (self._event_record(record) for record in response["Records"])

    def _event_record(self, record: "RecordTypeDef") -> JsonObject:
        event = cast("JsonObject", _as_json(cast("object", record)))
        return {**event, "awsRegion": REGION, "eventSourceARN": self._arn}


class StreamPoller:
    """Thread that delivers records from streams to functions."""

    def __init__(
        self,
        open_streams: Callable[[], Sequence[tuple[Stream, EventSourceMapping]]],
        lock: AbstractContextManager[object],
    ) -> None:
        self._open_streams = open_streams
        self._lock = lock
        self._one_reader = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._streams = open_streams()

    def start(self) -> None:
        """Start to deliver."""
        self._thread.start()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Pause while the block replaces tables, then read the streams of the new ones.

        The reader's lock is taken before the engine's lock, as in `_poll`.
        """
        with self._one_reader:
            yield
            with self._lock:
                self._streams = self._open_streams()

    def drain(self) -> None:
        """Deliver all records, including those that the deliveries themselves cause."""
        while self._poll():
            pass

    def stop(self) -> None:
        """Deliver the remaining records, and end the thread."""
        self._stopping.set()
        self._thread.join()
        self._drain_if_possible()

    def _run(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            self._drain_if_possible()

    def _drain_if_possible(self) -> None:
        try:
            self.drain()
        except (BotoCoreError, ClientError):
            _logger.exception("Reading the streams failed")

    def _poll(self) -> int:
        with self._one_reader:
            count = 0
            for stream, subscriber in self._streams:
                with self._lock:
                    records = stream.read()
                subscriber.deliver(records)
                count += len(records)
            return count


def _as_json(value: object) -> Json:
    """Return a record of boto3 as Lambda's JSON: seconds for times, base64 for bytes."""
    match value:
        case dict():
            return {str(name): _as_json(item) for name, item in value.items()}
        case list() | set():
            return [_as_json(item) for item in value]
        case datetime():
            return int(value.timestamp())
        case bytes():
            return base64.b64encode(value).decode()
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
