"""What zlib gives on items as they come, and from which size on an object is cheaper than a row.

It is where the defaults of `conversations.payloads` and of the template's `SpillBytes` come from;
`docs/storage.md` holds what it prints. The times are this machine's.
"""

from __future__ import annotations

import math
import timeit
import zlib
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import samples
from benchmarks.metering import INDEX_BYTES, READ_BYTES, WRITE_BYTES, row_bytes
from benchmarks.prices import GIGABYTE, Prices
from conversations import ids, rows
from conversations.payloads import SPILL_BYTES, Payload, encode
from conversations.rows import Draft
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conversations.contract.items import Item

MILLION = 1_000_000
USES = ((0, 1), (2, 1), (10, 1), (50, 1), (2, 12), (10, 12), (50, 12))
"""Reads in an item's life, and the months it is kept."""
PK = rows.partition(ids.owner_of("acme", ""), "conv_" + "0" * 26)
KEY = "0" * 26
OBJECT_KEY = f"{PK}/{'0' * 36}"

ITEMS = {
    "question, 100 characters": samples.question(100),
    "question, 300 characters": samples.question(300),
    "question, 500 characters": samples.question(500),
    "answer, 500 characters": samples.answer(500),
    "answer, 1,000 characters": samples.answer(1000),
    "answer, 4,000 characters": samples.answer(4000),
    "function call": samples.tool_call(),
    "its output, 4 rows": samples.tool_output(4),
    "its output, 25 rows": samples.tool_output(25),
    "its output, 150 rows": samples.tool_output(150),
    "reasoning, encrypted": samples.reasoning(),
    "image of 20 KB, base64": samples.image(20_000),
    "image of 220 KB, base64": samples.image(220_000),
}


class Packing(NamedTuple):
    """One item with and without zlib."""

    size: int
    ratio: float
    codec: str
    units_plain: int
    units_packed: int

    @classmethod
    def of(cls, item: Item) -> Packing:
        """Pack an item, whatever its size, and see what the store does with it."""
        text = Draft.of(item).text
        raw = text.encode()
        packed = zlib.compress(raw)
        return cls(
            len(raw),
            len(packed) / len(raw),
            encode(text, param="item").codec,
            write_units(len(raw)),
            write_units(len(packed)),
        )


class Life(NamedTuple):
    """What an item costs from its append on, in dollars."""

    prices: Prices
    memory_mb: float
    reads: int
    months: int

    def in_a_row(self, size: float) -> float:
        """Its *size* bytes stand in the row."""
        return self._row(size, None)

    def in_an_object(self, size: float, milliseconds: float) -> float:
        """They stand in an object, for which a function waits so long each time."""
        wait = self.prices.of_waiting(milliseconds / 1000, self.memory_mb)
        s3 = self.prices.s3
        kept = size / GIGABYTE * s3["gigabyte_month"] * self.months
        return self._row(0, OBJECT_KEY) + s3["put"] + wait + self.reads * (s3["get"] + wait) + kept

    def break_even(self, milliseconds: float) -> int:
        """The first size at which the object is cheaper, in bytes."""
        return next(
            size
            for size in range(0, 1 << 20, 64)
            if self.in_an_object(size, milliseconds) < self.in_a_row(size)
        )

    def _row(self, size: float, object_key: str | None) -> float:
        """Written once in a transaction, read in a page, of which it is a part by its bytes."""
        whole = size + row_overhead(object_key=object_key)
        dynamodb = self.prices.dynamodb
        return (
            2 * math.ceil(whole / WRITE_BYTES) * dynamodb["write_unit"]
            + self.reads * whole / READ_BYTES * dynamodb["read_unit"]
            + self.prices.of_rows(whole + INDEX_BYTES, self.months)
        )


def row_overhead(item_id: str | None = None, *, object_key: str | None = None) -> int:
    """The bytes of an item's row without its JSON."""
    payload = Payload("zlib", 1000, object_key=object_key)
    return row_bytes(rows.item_row(PK, KEY, Draft("function_call_output", item_id, ""), payload))


def write_units(size: int) -> int:
    """What a row with so much JSON costs in a transaction."""
    return 2 * math.ceil((size + row_overhead()) / WRITE_BYTES)


def packed_bytes(text: str) -> int:
    """The size in which the store keeps an item's JSON."""
    return len(encode(text, param="item").data)


def packing_table(times: Callable[[Item], tuple[str, ...]]) -> str:
    """Each sample item, packed; *times* adds the columns of the machine."""
    header = ("item", "JSON, bytes", "zlib", "kept as", "write units plain", "packed")
    table = [(*header, "pack, µs", "unpack, µs"), ("---", *["---:"] * 2, "---", *["---:"] * 4)]
    for name, item in ITEMS.items():
        found = Packing.of(item)
        units = (str(found.units_plain), str(found.units_packed))
        facts = (name, f"{found.size:,}", f"{found.ratio:.2f}", found.codec, *units)
        table.append((*facts, *times(item)))
    return markdown(table)


def life_table(prices: Prices, memory_mb: float) -> str:
    """Rows against objects, in dollars for a million items, for each use."""
    wait = prices.assumed["s3_milliseconds"]
    table: list[tuple[str, ...]] = [
        ("reads", "months", "object cheaper from", f"waiting {wait:g} ms", "row", "object"),
        ("---:",) * 6,
    ]
    for reads, months in USES:
        life = Life(prices, memory_mb, reads, months)
        sizes = (f"{life.break_even(ms) / 1024:.1f} KB" for ms in (0, wait))
        full = (life.in_a_row(SPILL_BYTES), life.in_an_object(SPILL_BYTES, wait))
        costs = (f"${MILLION * cost:.2f}" for cost in full)
        table.append((str(reads), str(months), *sizes, *costs))
    return markdown(table)


def markdown(table: Iterable[Iterable[str]]) -> str:
    """Lines of cells as Markdown writes them."""
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def machine_times(item: Item) -> tuple[str, str]:
    """Microseconds to pack and to unpack, the best of five series."""
    raw = Draft.of(item).text.encode()
    packed = zlib.compress(raw)
    return (_best(lambda: zlib.compress(raw)), _best(lambda: zlib.decompress(packed)))


def _best(work: Callable[[], object]) -> str:
    timer = timeit.Timer(work)
    number = max(timer.autorange()[0] // 10, 1)
    return f"{min(timer.repeat(5, number)) / number * MILLION:,.1f}"


def main() -> None:
    """Print both tables."""
    memory = Template().functions["ApiFunction"].memory_mb
    print(packing_table(machine_times))  # noqa: T201 - a command's output
    print(life_table(Prices.load(), memory), end="")  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
