"""The store's calls of DynamoDB, and the tables of `docs/storage.md`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from benchmarks.metering import row_bytes
from benchmarks.page_units import (
    BATCH_SIZES,
    PAGES,
    large_batch_costs,
    large_batch_table,
    page_costs,
    page_table,
)
from benchmarks.request_units import Workload, batch, table_of
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.resources import Resources

PAGE = DOCS / "storage.md"


@pytest.fixture
def workload(ministack: Resources) -> Iterator[Workload]:
    ministack.recreate()
    with ThreadPoolExecutor(1) as threads:
        yield Workload(ministack.template, ministack, threads)


def test_the_page_holds_the_costs_of_today(workload: Workload) -> None:
    assert table_of(workload.costs()) in PAGE.read_text()


MAX_RATIO = 1.3


def test_a_page_reads_little_more_than_its_rows(workload: Workload) -> None:
    costs = page_costs(workload)

    assert len(costs) == len(BATCH_SIZES) * len(PAGES)
    assert all(cost.ratio <= MAX_RATIO or cost.read_units == cost.needed + 1 for cost in costs)
    assert max(cost.ratio for cost in costs if "," not in cost.batch_sizes) <= MAX_RATIO
    assert page_table(costs) in PAGE.read_text()


def test_one_item_of_a_large_batch_is_read_by_itself(workload: Workload) -> None:
    costs = large_batch_costs(workload)

    whole, one = costs["list all 20"], costs["get one of the items"]
    assert one.fetched_bytes < whole.fetched_bytes / 19
    assert large_batch_table(costs) in PAGE.read_text()


def test_an_append_costs_the_same_however_long_the_conversation_is(workload: Workload) -> None:
    costs = []
    for count in (10, 300):
        into = workload.conversation(*[batch(10)] * 12)
        workload.fill(into, [batch(10)] * (count // 10))
        costs.append(workload.meter.cost_of(lambda: workload.append(into, batch(20))))  # noqa: B023 - called at once

    short, long = costs
    assert short == long
    assert short.calls == ("TransactWriteItems",)
    assert short.request_bytes > 1000


def test_a_page_costs_the_same_however_long_the_conversation_is(workload: Workload) -> None:
    costs = []
    for count in (100, 300):
        into = workload.conversation(*[batch(10)] * 12)
        workload.fill(into, [batch(10)] * (count // 10))
        costs.append(
            workload.meter.cost_of(
                lambda: workload.page(into, 20)  # noqa: B023 - called at once
            )
        )

    short, long = costs
    assert (short.read_units, sorted(short.calls)) == (long.read_units, sorted(long.calls))


def test_a_row_is_as_large_as_dynamodb_counts_it() -> None:
    row = {"name": {"S": "é"}, "n": {"N": "1234"}, "m": {"M": {"k": {"S": "v"}}}, "b": {"B": b"12"}}

    assert row_bytes(row) == (4 + 2) + (1 + 4) + (1 + 3 + 1 + 2) + (1 + 2)
