"""Request units of the store's operations; `docs/storage.md` contains the table.

The real store runs on an emulator, and every request to AWS is recorded.
"""

from __future__ import annotations

import itertools
import random
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from benchmarks.metering import Meter
from conversations import ids
from conversations.model import IdempotencyInfo
from conversations.storage import payloads, rows
from conversations.storage.items import encode_item
from conversations.storage.payloads import PayloadStore
from conversations.storage.purge import BATCH_WRITE_MAX, purge_conversation
from conversations.storage.store import Store
from conversations.storage.transactions import Table
from local.engines import running_engine
from local.resources import Resources
from local.template import TEMPLATE, Template

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.type_defs import WriteRequestUnionTypeDef

    from benchmarks.metering import Cost
    from conversations.contract.items import Item
    from conversations.model import Order, ReturnedItem

INCOMPRESSIBLE_BYTES = 4096
OWNER = ids.owner_of("acme", "")
_SENTENCE = "The kettle was on, the cat was out, and nobody had read the letter yet. "
_HEADER = ("operation", "calls", "write units", "read units", "S3 requests")


def batch(count: int, size: int = 300, *, are_named: bool = False) -> list[Item]:
    """Return *count* messages of *size* bytes: prose, or incompressible text above 4 KB."""
    text = (_SENTENCE * (size // len(_SENTENCE) + 1))[:size]
    if size > INCOMPRESSIBLE_BYTES:
        text = random.Random(0).randbytes(size // 2).hex()  # noqa: S311 - the same each time
    message = {"type": "message", "role": "user", "content": text}
    named = [{**message, "id": f"client-{number}"} for number in range(count)]
    return cast("list[Item]", named if are_named else [message] * count)


class Workload:
    """Store on a table, with the operations to measure."""

    def __init__(
        self, template: Template, resources: Resources, threads: ThreadPoolExecutor
    ) -> None:
        self.table = Table(resources.dynamodb, template.name("ConversationsTable"))
        name = template.name("PayloadBucket")
        self._payloads = PayloadStore(name, lambda: resources.s3, threads)
        self.store = Store(self.table, self._payloads)
        self.meter = Meter(resources, self.table.name)
        self._requests = 0

    def conversation(self, *batches: list[Item]) -> str:
        """Create a conversation with these batches, and return its id."""
        request = self._request()
        conversation = self.store.create_conversation(OWNER, "acme", [], {"topic": "demo"}, request)
        for items in batches:
            self.append(conversation.conversation_id, items)
        return conversation.conversation_id

    def append(self, conversation_id: str, items: list[Item], key: str | None = None) -> list[str]:
        """Append items, and return their ids."""
        appended = self.store.append_items(OWNER, conversation_id, items, self._request(key))
        return [item.cursor for item in appended]

    def fill(self, conversation_id: str, batches: Sequence[list[Item]]) -> None:
        """Put *batches* before the existing ones without transactions, which is faster."""
        pk = rows.partition(OWNER, conversation_id)
        puts: list[WriteRequestUnionTypeDef] = []
        for number, items in enumerate(batches):
            payload = payloads.encode([encode_item(item) for item in items])
            [key] = ids.sequence_keys((1 << 64) + number, 1)
            row = rows.batch_row(pk, key, len(items), payload)
            puts.append({"PutRequest": {"Item": row}})
        for some in itertools.batched(puts, BATCH_WRITE_MAX, strict=False):
            self.table.dynamodb.batch_write_item(RequestItems={self.table.name: some})

    def page(
        self,
        conversation_id: str,
        limit: int,
        after: str | None = None,
        order: Order = "desc",
    ) -> list[ReturnedItem]:
        """Return a page of items, by default the newest first."""
        listed = self.store.list_items(
            OWNER, conversation_id, after=after, limit=limit, order=order
        )
        return listed.entries

    def costs(self) -> dict[str, Cost]:
        """Measure each operation of `docs/storage.md`."""
        return {**self._costs_of_appends(), **self._costs_of_reads(), **self._costs_of_changes()}

    def _costs_of_appends(self) -> dict[str, Cost]:
        cost = self.meter.cost_of
        into = self.conversation(batch(2))
        return {
            "create, empty": cost(self.conversation),
            "append 1 message of 300 B": cost(lambda: self.append(into, batch(1))),
            "append 2 messages of 300 B": cost(lambda: self.append(into, batch(2))),
            "append 8 messages of 2 KB, compressed": cost(
                lambda: self.append(into, batch(8, 2000))
            ),
            "append 20 messages of 300 B": cost(lambda: self.append(into, batch(20))),
            "append 20 messages of 300 B with clients' ids": cost(
                lambda: self.append(into, batch(20, are_named=True))
            ),
            "append 2 with an Idempotency-Key": cost(lambda: self.append(into, batch(2), "key")),
            "append 1 of 100 KB, in an object": cost(lambda: self.append(into, batch(1, 100_000))),
        }

    def _costs_of_reads(self) -> dict[str, Cost]:
        cost, store = self.meter.cost_of, self.store
        into = self.conversation(*(batch(20) for _ in range(6)), batch(1, are_named=True))
        [item_id] = self.append(into, batch(1))

        return {
            "list the newest 20": cost(lambda: self.page(into, 20)),
            "list 20 after a generated id": cost(lambda: self.page(into, 20, item_id)),
            "list 20 after a client's id": cost(lambda: self.page(into, 20, "client-0")),
            "list the newest 100": cost(lambda: self.page(into, 100)),
            "list the oldest 100": cost(lambda: self.page(into, 100, order="asc")),
            "get an item by its generated id": cost(lambda: store.get_item(OWNER, into, item_id)),
            "get an item by a client's id": cost(lambda: store.get_item(OWNER, into, "client-0")),
            "get a conversation": cost(lambda: store.get_conversation(OWNER, into)),
        }

    def _costs_of_changes(self) -> dict[str, Cost]:
        cost, store = self.meter.cost_of, self.store
        into, other = self.conversation(batch(5)), self.conversation()
        many, [item_id] = self.append(into, batch(20)), self.append(into, batch(1))
        hundred = [item for _ in range(5) for item in self.append(other, batch(20))]
        named = batch(1, are_named=True)
        self.delete(into, self.append(into, named))
        for _ in range(20):
            self.conversation()
        pk = rows.partition(OWNER, into)
        return {
            "list 20 conversations": cost(
                lambda: store.list_conversations(
                    OWNER, after=None, limit=20, order="desc", metadata={}
                )
            ),
            "change metadata": cost(lambda: store.update_metadata(OWNER, into, {"a": "b"})),
            "delete the only remaining item of a batch": cost(lambda: self.delete(into, [item_id])),
            "delete an item of a batch of 20": cost(lambda: self.delete(into, many[:1])),
            "delete the batch's other 19": cost(lambda: self.delete(into, many[1:])),
            "delete 100 items of 5 batches": cost(lambda: self.delete(other, hundred)),
            "append an item with the id of a deleted item": cost(lambda: self.append(into, named)),
            "delete a conversation": cost(lambda: store.delete_conversation(OWNER, into)),
            "purge the deleted conversation, 5 rows": cost(
                lambda: purge_conversation(self.table, self._payloads, pk, lambda: True)
            ),
        }

    def delete(self, conversation_id: str, item_ids: list[str]) -> None:
        """Delete items by id."""
        self.store.delete_items(OWNER, conversation_id, item_ids, param="item_ids[{}]")

    def _request(self, key: str | None = None) -> IdempotencyInfo:
        self._requests += 1
        return IdempotencyInfo(f"{self._requests:064}", key)


def table_of(costs: Mapping[str, Cost]) -> str:
    """Return the costs as a Markdown table."""
    lines = [_HEADER, ("---", "---", "---:", "---:", "---:")]
    for operation, cost in costs.items():
        calls = ", ".join(
            f"{cost.calls.count(name)} {name}" if cost.calls.count(name) > 1 else name
            for name in sorted({*cost.calls})
        )
        units = (f"{cost.write_units:g}", f"{cost.read_units:g}")
        lines.append((operation, calls, *units, str(len(cost.s3_calls))))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@contextmanager
def running_workload() -> Iterator[Workload]:
    """Create a store on new tables in MiniStack for the block."""
    template = Template.loaded(TEMPLATE, {})
    with (
        tempfile.TemporaryDirectory() as data,
        running_engine("ministack", Path(data)),
        closing(Resources(template)) as resources,
        ThreadPoolExecutor(1) as threads,
    ):
        resources.create()
        yield Workload(template, resources, threads)


def main() -> None:
    """Print the table for `docs/storage.md`."""
    with running_workload() as workload:
        print(table_of(workload.costs()), end="")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
