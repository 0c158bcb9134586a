"""What a search reads and takes, by the number and length of conversations: `docs/search.md`.

The real store searches for a word that nothing has, on MiniStack: every conversation is read whole.
Units are DynamoDB's, by the rows really read; CPU is that of this process, without MiniStack's.
"""

from __future__ import annotations

import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import samples
from benchmarks.payloads import markdown
from benchmarks.prices import Prices
from benchmarks.request_units import Workload, running_workload
from conversations import clients, ids
from conversations.storage import payloads, rows
from conversations.storage.items import ItemBody
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import BATCH_WRITE_MAX
from conversations.storage.rows import Conversation
from conversations.storage.search import CONCURRENT_SCANS, SearchLimits
from conversations.storage.store import Store
from conversations.storage.transactions import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from conversations.contract.items import Item
    from conversations.storage.rows import Row

NEVER = "zyzzyva"
UNLIMITED = SearchLimits(10**15, 10**9)
SIZES = ((10, 10), (1_000, 1), (1_000, 10), (1_000, 100), (10_000, 10))
"""Conversations, and turns of each."""
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
    """A search of all of an owner's conversations."""

    read_units: float
    megabytes: float
    requests: int
    """Requests with the default number of bytes."""
    seconds: float
    cpu_ms: float


def measure(workload: Workload, count: int, turns: int) -> Scan:
    """Search *count* conversations of so many *turns*, of a new owner."""
    owner = ids.owner_of("acme", f"{count}-{turns}")
    size = fill(workload.table, owner, count, [samples.turn()] * turns)
    unlimited = Store(workload.table, workload.payloads, search_limits=UNLIMITED)
    cost = workload.meter.cost_of(lambda: search(unlimited, owner))
    with closing(clients.dynamodb()) as dynamodb, ThreadPoolExecutor(CONCURRENT_SCANS) as threads:
        table = Table(dynamodb, workload.table.name)
        parts = (table, PayloadStore("none", clients.s3, threads))
        search(Store(*parts, search_limits=UNLIMITED), owner)
        started, cpu = time.perf_counter(), time.process_time()
        search(Store(*parts, search_limits=UNLIMITED), owner)
        seconds, cpu_ms = time.perf_counter() - started, 1000 * (time.process_time() - cpu)
        patient = SearchLimits(milliseconds=UNLIMITED.milliseconds)
        requests = search(Store(*parts, search_limits=patient), owner)
    return Scan(cost.read_units, size / 1e6, requests, seconds, cpu_ms)


def search(store: Store, owner: str) -> int:
    """Search for what is not there, and return how many requests it took."""
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
    """Write conversations without transactions, which is quicker; return the bytes of payloads."""
    encoded = [payloads.encode([ItemBody.of(item).line for item in items]) for items in batches]
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
    made = Conversation(f"conv_{number:032x}", owner, "acme", FIRST_MS + number, {"topic": "demo"})
    pk = rows.partition(owner, made.conversation_id)
    last_keys: list[str] = []
    for place, (size, payload) in enumerate(batches):
        keys = ids.sequence_keys((FIRST_MS + place) << 64, size)
        last_keys.append(keys[-1])
        yield rows.batch_row(pk, keys[0], size, payload)
    recent = zip(rows.RECENT_BATCHES, reversed(last_keys), strict=False)
    yield rows.conversation_row(made, "") | {name: {"S": key} for name, key in recent}


def table_of(scans: dict[tuple[int, int], Scan]) -> str:
    """The scans as a table of Markdown."""
    unit = Prices.load().dynamodb["read_unit"]
    lines = [
        [
            f"{count:,}",
            f"{turns:,}",
            f"{scan.megabytes:,.1f}",
            f"{scan.read_units:,.0f}",
            f"${1000 * scan.read_units * unit:,.2f}",
            f"{scan.requests:,}",
            f"{scan.cpu_ms:,.0f}",
            f"{scan.seconds:,.1f}",
        ]
        for (count, turns), scan in scans.items()
    ]
    dashes = ["---:"] * len(_HEADER)
    return markdown([_HEADER, dashes, *lines])


def main() -> None:
    """Print the table, and where it goes on standard error."""
    scans: dict[tuple[int, int], Scan] = {}
    with running_workload() as workload:
        for count, turns in SIZES:
            print(f"{count:,} conversations of {turns} turns ...", file=sys.stderr)  # noqa: T201
            scans[count, turns] = measure(workload, count, turns)
    print(table_of(scans), end="")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
