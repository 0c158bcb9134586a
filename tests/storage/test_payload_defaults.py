"""Storage of a batch's JSON by default: in the row or in an object, as in `docs/storage.md`."""

from __future__ import annotations

from benchmarks import samples
from benchmarks.metering import WRITE_BYTES
from benchmarks.payloads import (
    BATCHES,
    USES,
    LifetimeCost,
    Packing,
    life_table,
    packing_table,
    row_overhead,
)
from benchmarks.prices import Prices
from conversations.storage.payloads import COMPRESS_BYTES, COMPRESS_RATIO, SPILL_BYTES
from local.intrinsics import mapping, read_document, section
from local.template import TEMPLATE, Template
from tests.support.paths import DOCS

PAGE = (DOCS / "storage.md").read_text()
MEMORY_MB = Template().functions["ApiFunction"].memory_mb
PRICES = Prices.load()
LIVES = [LifetimeCost(PRICES, MEMORY_MB, *use) for use in USES]


def test_the_page_holds_what_zlib_gives() -> None:
    _, _, *lines = packing_table(lambda _: ()).splitlines()

    assert len(lines) == len(BATCHES)
    assert [line for line in lines if line not in PAGE] == []


def test_the_page_holds_what_rows_and_objects_cost() -> None:
    assert life_table(PRICES, MEMORY_MB) in PAGE


def test_the_template_spills_where_the_code_does() -> None:
    parameters = section(read_document(TEMPLATE), "Parameters")

    assert mapping(parameters["SpillBytes"])["Default"] == SPILL_BYTES


def test_what_is_not_compressed_takes_one_write_unit() -> None:
    assert COMPRESS_BYTES + row_overhead() <= WRITE_BYTES


def test_what_is_compressed_saves_far_more_than_the_tenth() -> None:
    packings = [Packing.of(items) for items in BATCHES.values()]
    ratios = [one.kept / one.size for one in packings if one.place != "json"]

    assert len(ratios) > len(BATCHES) // 2
    assert max(ratios) < COMPRESS_RATIO - 0.1


def test_above_the_limit_an_object_is_cheaper_in_every_use() -> None:
    wait = PRICES.assumed["s3_milliseconds"]

    assert max(life.break_even(wait) for life in LIVES) < SPILL_BYTES


def test_at_half_the_limit_a_row_is_still_cheaper_in_some_use() -> None:
    wait = PRICES.assumed["s3_milliseconds"]

    assert max(life.break_even(wait) for life in LIVES) > SPILL_BYTES / 2


def test_a_sample_is_the_same_each_time() -> None:
    assert samples.agent_batch() == samples.agent_batch()
