"""Read units of pages, by the size of batches, and of single items of a large batch.

`python -m benchmarks.page_units` prints the tables, which `docs/storage.md` contains.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple, cast

from benchmarks.metering import READ_BYTES, row_bytes
from benchmarks.request_units import OWNER, Workload, batch, running_workload
from conversations.storage import rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.metering import Cost
    from conversations.contract.items import Item
    from conversations.model import Order
    from conversations.storage.rows import Row

LARGE_BYTES = 250_000
ITEMS = 240
BATCH_SIZES = ((1,), (2,), (8,), (20,), (1, 20), (1, 2, 8, 20))
"""Sizes of the batches of a conversation, repeated in this order."""
PAGES: tuple[tuple[Order, int], ...] = (("desc", 20), ("desc", 100), ("asc", 20), ("asc", 100))


class PageCost(NamedTuple):
    """Read units of a page, and the minimum for its rows."""

    page: str
    batch_sizes: str
    read_units: float
    needed: int

    @property
    def ratio(self) -> float:
        """Read units divided by the minimum."""
        return self.read_units / self.needed


def page_costs(workload: Workload) -> list[PageCost]:
    """Measure pages of conversations of some 240 items, by the sizes of their batches."""
    return [
        PageCost(
            f"{'newest' if order == 'desc' else 'oldest'} {limit}",
            ", ".join(map(str, sizes)),
            cost.read_units,
            _units_needed(workload, conversation_id, limit, order),
        )
        for sizes in BATCH_SIZES
        for conversation_id in [_long_conversation(workload, sizes)]
        for order, limit in PAGES
        for cost in [_page_cost(workload, conversation_id, limit, order)]
    ]


def large_batch_costs(workload: Workload) -> dict[str, Cost]:
    """Measure requests for one item among 20 of 250 KB, which share an object."""
    cost = workload.meter.cost_of
    into = workload.conversation(batch(2))
    large = batch(20, LARGE_BYTES)
    item_ids: list[str] = []
    return {
        "append 20 items of 250 KB": cost(lambda: item_ids.extend(workload.append(into, large))),
        "get one of the items": cost(lambda: workload.store.get_item(OWNER, into, item_ids[3])),
        "list the newest 1": cost(lambda: workload.page(into, 1)),
        "list all 20": cost(lambda: workload.page(into, 20)),
        "delete one of the items": cost(lambda: workload.delete(into, item_ids[19:])),
        "delete the other 19": cost(lambda: workload.delete(into, item_ids[:19])),
    }


def _long_conversation(workload: Workload, sizes: Sequence[int]) -> str:
    """Create a conversation of some 240 items; only the latest 12 batches are appended."""
    turn = [[_message(number) for number in range(size)] for size in sizes]
    batches = turn * (ITEMS // sum(sizes))
    recent = len(rows.RECENT_BATCHES)
    conversation_id = workload.conversation(*batches[-recent:])
    workload.fill(conversation_id, batches[:-recent])
    return conversation_id


def _page_cost(workload: Workload, conversation_id: str, limit: int, order: Order) -> Cost:
    return workload.meter.cost_of(lambda: workload.page(conversation_id, limit, order=order))


def _units_needed(workload: Workload, conversation_id: str, limit: int, order: Order) -> int:
    """Return the units for the conversation row and the batches of the page and the next item."""
    pk = {"S": rows.partition(OWNER, conversation_id)}
    found = workload.table.dynamodb.query(
        TableName=workload.table.name,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :batches)",
        ExpressionAttributeValues={":pk": pk, ":batches": {"S": rows.BATCH_PREFIX}},
        ScanIndexForward=order == "asc",
    )["Items"]
    needed: list[Row] = []
    for row in found:
        if sum(len(rows.live_slots(each)) for each in needed) <= limit:
            needed.append(row)
    return 1 + math.ceil(sum(map(row_bytes, needed)) / READ_BYTES)


def _message(number: int) -> Item:
    """Return a message of some 300 characters that hardly compresses."""
    text = random.Random(number).randbytes(140).hex()  # noqa: S311 - the same each time
    return cast("Item", {"type": "message", "role": "user", "content": text})


def page_table(costs: list[PageCost]) -> str:
    """Return the costs of pages as a Markdown table."""
    lines = [("page", "batches of", "read units", "needed", "ratio"), ("---", *["---:"] * 4)]
    lines += [
        (one.page, one.batch_sizes, f"{one.read_units:g}", str(one.needed), f"{one.ratio:.2f}")
        for one in costs
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def large_batch_table(costs: Mapping[str, Cost]) -> str:
    """Return the costs of a large batch as a Markdown table."""
    lines = [
        ("operation", "write units", "read units", "S3 requests", "KB read", "KB written"),
        ("---", *["---:"] * 5),
    ]
    for operation, cost in costs.items():
        units = (f"{cost.write_units:g}", f"{cost.read_units:g}", ", ".join(cost.s3_calls) or "-")
        sizes = (f"{size / 1024:,.0f}" for size in (cost.fetched_bytes, cost.object_bytes))
        lines.append((operation, *units, *sizes))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Print both tables."""
    with running_workload() as workload:
        print(page_table(page_costs(workload)))  # noqa: T201 - a command's output
        print(large_batch_table(large_batch_costs(workload)), end="")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
