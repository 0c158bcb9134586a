"""The costs in `docs/cost.md`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from benchmarks import samples
from benchmarks.cost import (
    Operation,
    Requests,
    bill,
    history_units,
    plain_units,
    row_per_item_units,
    tables,
)
from benchmarks.prices import Prices
from benchmarks.request_units import Workload
from local.template import Template
from tests.support.paths import DOCS

if TYPE_CHECKING:
    from local.resources import Resources

pytestmark = pytest.mark.xdist_group("costs")

PAGE = (DOCS / "cost.md").read_text()
PRICES = Prices.load()


@pytest.fixture(scope="module")
def operations(ministack: Resources) -> dict[str, Operation]:
    with ThreadPoolExecutor(1) as threads:
        return Requests(Workload(ministack.template, ministack, threads)).measured()


def test_the_page_holds_the_costs_of_today(operations: dict[str, Operation]) -> None:
    parts = tables(Template(), operations).split("\n\n")

    assert [part for part in parts if part not in PAGE] == []


def test_each_request_is_charged_for_its_units(operations: dict[str, Operation]) -> None:
    for operation in operations.values():
        units = (operation.cost.write_units, operation.cost.read_units)
        dynamodb = bill(PRICES, 1024, operation).dynamodb

        assert dynamodb == pytest.approx(0.625e-6 * units[0] + 0.125e-6 * units[1])


def test_an_image_is_charged_to_the_bucket(operations: dict[str, Operation]) -> None:
    cost = operations["append an image of 220 KB"].cost

    assert cost.s3_calls == ("PutObject",)
    assert cost.row_bytes < 1024
    assert cost.object_bytes > 200_000


def test_a_row_for_each_item_and_one_that_is_not_compressed_cost_more() -> None:
    batch = samples.agent_batch()

    assert 12 < row_per_item_units(batch, 12) < plain_units(batch, 12)


@pytest.mark.parametrize(
    ("request_name", "dollars"),
    [
        ("append a turn, 2 items", 3.75),
        ("append an agent's batch, 8 items", 7.50),
        ("append an agent's batch with ids and an Idempotency-Key", 18.75),
        ("list the last 50 of a chat", 1.25),
        ("list the last 50 of an agent", 1.62),
    ],
)
def test_a_million_requests_cost_no_more_of_dynamodb_than(
    request_name: str, dollars: float, operations: dict[str, Operation]
) -> None:
    assert round(1_000_000 * bill(PRICES, 1024, operations[request_name]).dynamodb, 2) <= dollars


def test_a_history_in_one_row_costs_a_unit_for_each_begun_kilobyte() -> None:
    assert history_units([samples.question(3)]) == 3
