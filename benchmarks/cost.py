"""Cost of the service at AWS's list prices; `docs/cost.md` contains the printed tables.

The real store runs on an emulator with the items of `benchmarks.samples`. Units, requests and bytes
are measured; the time that Lambda bills is an assumption in `prices.toml`.
"""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, NamedTuple, cast

from benchmarks import samples
from benchmarks.metering import WRITE_BYTES
from benchmarks.payloads import MILLION, lines_of, markdown, row_overhead, write_units
from benchmarks.prices import GIGABYTE, Prices
from benchmarks.request_units import OWNER, Workload, running_workload
from conversations.model import IdempotencyInfo
from conversations.storage.payloads import encode
from conversations.telemetry import BY_VERSION, METRICS
from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE, Template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.metering import Cost
    from conversations.contract.items import Item
    from conversations.model import ReturnedItem

PAGE_ITEMS = 50
TURN = "append a turn, 2 items"
BATCH = "append an agent's batch, 8 items"
COMPONENTS = ("API Gateway", "Lambda", "DynamoDB", "S3", "logs", "transfer")
INDEX_UNITS = 2
"""Write units of the index per append: delete the old entry, put the new one."""
MANAGED = {"AWS::CloudWatch::Alarm": "alarm_month", "AWS::CloudWatch::Dashboard": "dashboard_month"}
"""Resources with a monthly price, by the name of that price."""


class Operation(NamedTuple):
    """Usage of AWS by one request."""

    cost: Cost
    response_bytes: int
    """Size of its items, compressed one by one, because the samples are too similar."""


class Bill(NamedTuple):
    """Cost of one request in dollars, by component."""

    gateway: float
    function: float
    dynamodb: float
    s3: float
    logs: float
    transfer: float


class Requests:
    """Requests of `docs/cost.md` to a store."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def measured(self) -> dict[str, Operation]:
        """Measure each request, by name."""
        make, get = self._workload.conversation, self._workload.store.get_item
        chat = make(*[samples.turn()] * math.ceil(PAGE_ITEMS / 2))
        agent = make(*[samples.agent_batch()] * math.ceil(PAGE_ITEMS / 8))
        [some] = self._workload.page(chat, 1)
        reads = {
            "list the last 50 of a chat": self._list(chat),
            "list the last 50 of an agent": self._list(agent),
            "get an item": self._measure(lambda: [get(OWNER, chat, some.cursor)]),
        }
        return {
            "create a conversation": self._measure(self._create),
            TURN: self._append(chat, samples.turn()),
            BATCH: self._append(agent, samples.agent_batch()),
            "append an agent's batch with ids and an Idempotency-Key": self._append(
                agent, _named(), "key"
            ),
            "append an image of 220 KB": self._append(chat, [samples.image(220_000)]),
            **reads,
        }

    def _create(self) -> list[ReturnedItem]:
        self._workload.conversation()
        return []

    def _append(
        self, conversation_id: str, items: Sequence[Item], key: str | None = None
    ) -> Operation:
        request = IdempotencyInfo("0" * 64, key)
        append = self._workload.store.append_items
        return self._measure(lambda: append(OWNER, conversation_id, items, request))

    def _list(self, conversation_id: str) -> Operation:
        return self._measure(lambda: self._workload.page(conversation_id, PAGE_ITEMS))

    def _measure(self, work: Callable[[], list[ReturnedItem]]) -> Operation:
        responses: list[ReturnedItem] = []
        cost = self._workload.meter.cost_of(lambda: responses.extend(work()))
        return Operation(cost, sum(map(_packed_response_bytes, responses)))


def bill(prices: Prices, memory_mb: float, operation: Operation) -> Bill:
    """Return the price of a warm request, which includes the function's wait for S3."""
    cost, assumed = operation.cost, prices.assumed
    milliseconds = assumed["api_milliseconds"] + assumed["s3_milliseconds"] * bool(cost.s3_calls)
    return Bill(
        prices.api_gateway["request"],
        prices.of_lambda(milliseconds, memory_mb),
        cost.write_units * prices.dynamodb["write_unit"]
        + cost.read_units * prices.dynamodb["read_unit"],
        sum(prices.s3["put" if name == "PutObject" else "get"] for name in cost.s3_calls),
        assumed["log_bytes"] / GIGABYTE * prices.cloudwatch["log_gigabyte"],
        operation.response_bytes / GIGABYTE * prices.transfer["gigabyte"],
    )


def authorizer_bill(prices: Prices, memory_mb: float) -> Bill:
    """Return the price of one authorizer call, whose policy API Gateway caches for a minute."""
    return Bill(
        0,
        prices.of_lambda(prices.assumed["authorizer_milliseconds"], memory_mb),
        prices.dynamodb["read_unit"],
        0,
        prices.assumed["log_bytes"] / GIGABYTE * prices.cloudwatch["log_gigabyte"],
        0,
    )


def storage_month(prices: Prices, cost: Cost) -> float:
    """Return the monthly storage cost of what an operation leaves."""
    objects = cost.object_bytes / GIGABYTE * prices.s3["gigabyte_month"]
    return prices.of_rows(cost.row_bytes, 1) + objects


def bills_table(prices: Prices, template: Template, operations: dict[str, Operation]) -> str:
    """Return the table of dollars per million requests, by component."""
    lambdas = template.functions
    lines: list[tuple[str, ...]] = [
        ("one million of", *COMPONENTS, "**all**", "storage per month"),
        ("---", *["---:"] * 8),
    ]
    for name, operation in operations.items():
        parts = bill(prices, lambdas["ApiFunction"].memory_mb, operation)
        lines.append(_line(name, parts, storage_month(prices, operation.cost)))
    key = authorizer_bill(prices, lambdas["AuthorizerFunction"].memory_mb)
    name = "once per API key and minute, in addition: the authorizer function"
    lines.append(_line(name, key, 0))
    return markdown(lines)


def alternatives_table(prices: Prices, operations: dict[str, Operation]) -> str:
    """Return the table of dollars per million writes, of the service and of alternatives."""
    pairs = (
        (samples.turn(), operations[TURN].cost.write_units),
        (samples.agent_batch(), operations[BATCH].cost.write_units),
    )
    unit, event = prices.dynamodb["write_unit"], prices.agentcore["event"]
    ways: dict[str, list[float]] = {
        "**one row for the batch, in one transaction**": [ours * unit for _, ours in pairs],
        "one row for the batch, in one transaction, not compressed": [
            plain_units(items, ours) * unit for items, ours in pairs
        ],
        "a row for each item, in one transaction": [
            row_per_item_units(items, ours) * unit for items, ours in pairs
        ],
        "a row for each item, by `BatchWriteItem` and `UpdateItem`, not atomic": [
            (INDEX_UNITS + (row_per_item_units(items, ours) - INDEX_UNITS) / 2) * unit
            for items, ours in pairs
        ],
        "the whole history in one row, at 50 items": [
            history_units(items) * unit for items, _ in pairs
        ],
        "an object in S3 for each item": [len(items) * prices.s3["put"] for items, _ in pairs],
        "AgentCore Memory, an event for each append": [event for _ in pairs],
    }
    header = (("writes of one million appends", "turn", "agent's batch"), ("---", "---:", "---:"))
    return markdown([*header, *((way, *map(_dollars, costs)) for way, costs in ways.items())])


def plain_units(items: Sequence[Item], ours: float) -> float:
    """Return the write units of the append without compression."""
    lines = lines_of(items)
    plain = len("\n".join(lines).encode())
    return ours - write_units(len(encode(lines).data)) + write_units(plain)


def row_per_item_units(items: Sequence[Item], ours: float) -> float:
    """Return the write units of the append with one row per item."""
    lines = lines_of(items)
    each = sum(write_units(len(encode([line]).data)) for line in lines)
    return ours - write_units(len(encode(lines).data)) + each


def history_units(items: Sequence[Item]) -> int:
    """Return the write units to replace a row with 50 such items, uncompressed."""
    size = sum(len(line.encode()) for line in lines_of(items)) * PAGE_ITEMS / len(items)
    return math.ceil((size + row_overhead()) / WRITE_BYTES)


def idle_month(prices: Prices) -> float:
    """Return the monthly cost of the template's resources without data and requests."""
    resources = map(mapping, section(read_document(TEMPLATE), "Resources").values())
    kinds = (str(each["Type"]) for each in resources if "Condition" not in each)
    return sum(prices.cloudwatch[MANAGED[kind]] for kind in kinds if kind in MANAGED)


def metrics_month(prices: Prices) -> float:
    """Return the monthly cost of the service's metrics if all of them are written every hour.

    CloudWatch charges each combination of dimensions as a metric, by the hour.
    """
    return (len(METRICS) + len(BY_VERSION)) * prices.cloudwatch["metric_month"]


def tables(template: Template, operations: dict[str, Operation]) -> str:
    """Return the generated parts of `docs/cost.md`."""
    prices = Prices.load()
    idle, metrics = (_dollars(month(prices) / MILLION) for month in (idle_month, metrics_month))
    months = (
        f"A month without requests costs {idle}. In a month with requests, the service's\n"
        f"metrics cost up to {metrics} more, whatever the number of requests.\n"
    )
    parts = (
        bills_table(prices, template, operations),
        months,
        alternatives_table(prices, operations),
    )
    return "\n".join(parts)


def _packed_response_bytes(item: ReturnedItem) -> int:
    """Return an item's compressed size; its id, which is random, counts uncompressed."""
    return len(item.cursor) + len(zlib.compress(item.json.replace(item.cursor, "").encode()))


def _named() -> list[Item]:
    """Return an agent's batch with client-given ids."""
    named = ({**item, "id": f"c-{index}"} for index, item in enumerate(samples.agent_batch()))
    return cast("list[Item]", list(named))


def _line(name: str, parts: Bill, kept: float) -> tuple[str, ...]:
    return (name, *map(_dollars, parts), f"**{_dollars(sum(parts))}**", _dollars(kept))


def _dollars(one: float) -> str:
    return f"${MILLION * one:.2f}"


def main() -> None:
    """Print the tables."""
    with running_workload() as workload:
        print(tables(Template(), Requests(workload).measured()), end="")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
