"""Cost of a search, by the number and length of conversations, for `docs/search.md`.

The real store, on MiniStack, searches for a word that no conversation contains, so it reads all of
them. Units follow DynamoDB's rules for the rows read; CPU is that of this process alone.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.config import Config

from benchmarks import samples
from benchmarks.metering import READ_BYTES, row_bytes
from benchmarks.payloads import markdown
from benchmarks.prices import Prices
from benchmarks.request_units import Workload, running_workload
from conversations import aws_clients, ids
from conversations.model import Conversation
from conversations.storage import payloads, rows
from conversations.storage.items import encode_item
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import BATCH_WRITE_MAX
from conversations.storage.search import SearchLimits
from conversations.storage.store import Store
from conversations.storage.transactions import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from conversations.contract.items import Item
    from conversations.storage.rows import Row

NEVER = "zyzzyva"
UNLIMITED = SearchLimits(10**15, 10**9)
PATIENT = SearchLimits(milliseconds=10**9)
SIZES = ((10, 10), (100, 100), (1_000, 1), (1_000, 10), (10_000, 1))
"""Numbers of conversations, and of turns in each."""
_HEADER = (
    "conversations",
    "turns of each",
    "MB of payload",
    "read units",
    "a thousand times",
    "requests",
    "CPU ms",
    "seconds",
)
FIRST_MS = 1_767_225_600_000


class Scan(NamedTuple):
    """Result of a search through all conversations of an owner."""

    read_units: float
    megabytes: float
    requests: int
    """Requests under the default limit of bytes."""
    seconds: float
    cpu_ms: float


def measure(workload: Workload, count: int, turns: int) -> Scan:
    """Search *count* conversations of *turns* turns each, of a new owner."""
    owner = ids.owner_of("acme", f"{count}-{turns}")
    size = fill(workload.table, owner, count, [samples.turn()] * turns)
    with closing(aws_clients.dynamodb()) as dynamodb, ThreadPoolExecutor(8) as threads:
        table = Table(dynamodb, workload.table.name)
        bucket = PayloadStore("none", aws_clients.s3, threads)
        units = UnitCounter(dynamodb)
        requests = search(Store(table, bucket, search_limits=PATIENT), owner)
        read = units.read
        started, cpu = time.perf_counter(), time.process_time()
        search(Store(table, bucket, search_limits=UNLIMITED), owner)
        seconds, cpu_ms = time.perf_counter() - started, 1000 * (time.process_time() - cpu)
    return Scan(read, size / 1e6, requests, seconds, cpu_ms)


class UnitCounter:
    """Counter of the read units of a client's `Query` and `BatchGetItem` calls."""

    def __init__(self, dynamodb: DynamoDBClient) -> None:
        self.read = 0.0
        dynamodb.meta.events.register("after-call.dynamodb.Query", self._count_query)
        dynamodb.meta.events.register("after-call.dynamodb.BatchGetItem", self._count_rows)

    def _count_query(self, parsed: dict[str, Any], **_: object) -> None:
        size = sum(map(row_bytes, parsed["Items"]))
        is_index = any("data" not in row and "object" not in row for row in parsed["Items"])
        self.read += math.ceil(size / READ_BYTES) / (2 if is_index else 1)

    def _count_rows(self, parsed: dict[str, Any], **_: object) -> None:
        [found] = parsed["Responses"].values()
        self.read += sum(math.ceil(row_bytes(row) / READ_BYTES) for row in found)


def search(store: Store, owner: str) -> int:
    """Search for a missing word, and return the number of requests."""
    after, has_more = None, True
    for number in itertools.count(1):
        page = store.list_conversations(
            owner, after=after, limit=50, order="desc", metadata={}, search=NEVER
        )
        after, has_more = page.cursor, page.has_more
        if not has_more:
            return number
    raise AssertionError


def fill(table: Table, owner: str, count: int, batches: Sequence[Sequence[Item]]) -> int:
    """Write conversations without transactions, which is faster; return the bytes of payloads."""
    encoded = [payloads.encode([encode_item(item) for item in items]) for items in batches]
    puts: Iterator[WriteRequestUnionTypeDef] = (
        {"PutRequest": {"Item": row}}
        for number in range(count)
        for row in _rows(
            owner,
            number,
            [(len(items), payload) for items, payload in zip(batches, encoded, strict=True)],
        )
    )
    for some in itertools.batched(puts, BATCH_WRITE_MAX, strict=False):
        table.dynamodb.batch_write_item(RequestItems={table.name: some})
    return count * sum(len(payload.data) for payload in encoded)


def _rows(
    owner: str, number: int, batches: Sequence[tuple[int, payloads.Payload]]
) -> Iterator[Row]:
    conversation = Conversation.new(
        f"conv_{number:032x}", owner, "acme", FIRST_MS + number, {"topic": "demo"}
    )
    pk = rows.partition(owner, conversation.conversation_id)
    last_keys: list[str] = []
    for index, (size, payload) in enumerate(batches):
        keys = ids.sequence_keys((FIRST_MS + index) << 64, size)
        last_keys.append(keys[-1])
        yield rows.batch_row(pk, keys[0], size, payload)
    yield rows.conversation_row(conversation, last_keys[::-1])


def line_of(count: int, turns: int, scan: Scan) -> list[str]:
    """Return a line of the table."""
    price = 1000 * scan.read_units * Prices.load().dynamodb["read_unit"]
    return [
        f"{count:,}",
        f"{turns:,}",
        f"{scan.megabytes:,.1f}",
        f"{scan.read_units:,.0f}",
        f"${price:,.2f}",
        f"{scan.requests:,}",
        f"{scan.cpu_ms:,.0f}",
        f"{scan.seconds:,.1f}",
    ]


def main() -> None:
    """Print the table line by line; the last lines take minutes on an emulator."""
    # An emulator is slower on an index of 10,000 entries than our timeout for DynamoDB.
    aws_clients.CLIENT_CONFIG = aws_clients.CLIENT_CONFIG.merge(Config(read_timeout=60))
    sys.stdout.write(markdown([_HEADER, ["---:"] * len(_HEADER)]))
    with running_workload() as workload:
        for count, turns in SIZES:
            line = line_of(count, turns, measure(workload, count, turns))
            sys.stdout.write(markdown([line]))
            sys.stdout.flush()


if __name__ == "__main__":
    main()
