"""Compression of sample batches, and the size from which an object is cheaper than a row.

The defaults of `conversations.storage.payloads` and of the template's `SpillBytes` follow from it;
`docs/storage.md` contains the printed tables. The times are this machine's.
"""

from __future__ import annotations

import math
import timeit
import zlib
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import samples
from benchmarks.metering import INDEX_BYTES, READ_BYTES, WRITE_BYTES, row_bytes
from benchmarks.prices import GIGABYTE, Prices
from conversations import ids
from conversations.storage import rows
from conversations.storage.items import encode_item
from conversations.storage.payloads import SPILL_BYTES, Part, Payload, encode
from local.template import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from conversations.contract.items import Item

MILLION = 1_000_000
USES = ((0, 1), (2, 1), (10, 1), (50, 1), (2, 12), (10, 12), (50, 12))
"""Numbers of reads of a batch, and of months that it is stored."""
PK = rows.partition(ids.owner_of("acme", ""), "conv_" + "0" * 26)
KEY = "0" * 26
OBJECT_KEY = f"{PK}/{'0' * 36}"

BATCHES = {
    "question, 300 characters": [samples.question(300)],
    "chat turn": samples.turn(),
    "chat turn, answer of 4,000": [samples.question(), samples.answer(4000)],
    "20 questions of 300": [samples.question(300)] * 20,
    "tool call and output, 4 rows": [samples.tool_call(), samples.tool_output(4)],
    "tool call and output, 150 rows": [samples.tool_call(), samples.tool_output(150)],
    "reasoning, encrypted": [samples.reasoning()],
    "agent's batch of 8": samples.agent_batch(),
    "agent's batch of 8, 80 KB": samples.agent_batch(rows=(40, 250, 30)),
    "question with an image of 20 KB": [samples.image(20_000)],
    "turn with an image of 220 KB": [samples.image(220_000), samples.answer(1200)],
    "20 images of 180 KB": [samples.image(180_000 + index) for index in range(20)],
}


class Packing(NamedTuple):
    """Sizes of one batch: plain, compressed, and as stored."""

    size: int
    packed: int
    kept: int
    place: str
    units: int
    units_plain: int

    @classmethod
    def of(cls, items: Sequence[Item]) -> Packing:
        """Compress a batch, and encode it as the store does."""
        lines = lines_of(items)
        raw = "\n".join(lines).encode()
        payload = encode(lines)
        is_row = not payload.ends and len(payload.data) <= SPILL_BYTES
        place = payload.codec if is_row else "object"
        size = len(payload.data)
        units = write_units(size if is_row else 0)
        packed = len(zlib.compress(raw))
        return cls(len(raw), packed, size, place, units, write_units(len(raw)))


class LifetimeCost(NamedTuple):
    """Lifetime cost of a batch in dollars."""

    prices: Prices
    memory_mb: float
    reads: int
    months: int

    def in_a_row(self, size: float) -> float:
        """Return the cost with *size* bytes in the row."""
        return self._row(size, None)

    def in_an_object(self, size: float, milliseconds: float) -> float:
        """Return the cost with *size* bytes in an object; each access waits *milliseconds*."""
        wait = self.prices.of_waiting(milliseconds / 1000, self.memory_mb)
        s3 = self.prices.s3
        kept = size / GIGABYTE * s3["gigabyte_month"] * self.months
        return self._row(0, OBJECT_KEY) + s3["put"] + wait + self.reads * (s3["get"] + wait) + kept

    def break_even(self, milliseconds: float) -> int:
        """Return the first size, in bytes, at which the object is cheaper."""
        return next(
            size
            for size in range(0, 1 << 20, 64)
            if self.in_an_object(size, milliseconds) < self.in_a_row(size)
        )

    def _row(self, size: float, object_key: str | None) -> float:
        """Return the cost of a row that is written in a transaction and read as part of pages."""
        whole = size + row_overhead(object_key=object_key)
        dynamodb = self.prices.dynamodb
        return (
            2 * math.ceil(whole / WRITE_BYTES) * dynamodb["write_unit"]
            + self.reads * whole / READ_BYTES * dynamodb["read_unit"]
            + self.prices.of_rows(whole + INDEX_BYTES, self.months)
        )


def lines_of(items: Sequence[Item]) -> list[str]:
    """Return the lines that the store writes for a batch."""
    return [encode_item(item) for item in items]


def row_overhead(*, object_key: str | None = None) -> int:
    """Return the bytes of a batch's row without its lines."""
    payload = Payload("zlib", 1000, object_key=object_key)
    return row_bytes(rows.batch_row(PK, KEY, 20, payload))


def write_units(size: int) -> int:
    """Return the write units of a row with *size* bytes of lines in a transaction."""
    return 2 * math.ceil((size + row_overhead()) / WRITE_BYTES)


def packing_table(times: Callable[[Sequence[Item]], tuple[str, ...]]) -> str:
    """Return the table of sample batches, compressed; *times* adds columns of measured times."""
    header = ("batch", "JSON, bytes", "zlib", "kept, bytes", "kept as", "write units", "plain")
    table = [
        (*header, "pack, µs", "unpack, µs"),
        ("---", *["---:"] * 3, "---", *["---:"] * 4),
    ]
    for name, items in BATCHES.items():
        found = Packing.of(items)
        facts = (name, f"{found.size:,}", f"{found.packed / found.size:.2f}", f"{found.kept:,}")
        units = (found.place, str(found.units), str(found.units_plain))
        table.append((*facts, *units, *times(items)))
    return markdown(table)


def life_table(prices: Prices, memory_mb: float) -> str:
    """Return the table of rows and objects, in dollars for a million batches, for each use."""
    wait = prices.assumed["s3_milliseconds"]
    table: list[tuple[str, ...]] = [
        ("reads", "months", "object cheaper from", f"waiting {wait:g} ms", "row", "object"),
        ("---:",) * 6,
    ]
    for reads, months in USES:
        lifetime = LifetimeCost(prices, memory_mb, reads, months)
        sizes = (f"{lifetime.break_even(ms) / 1024:.1f} KB" for ms in (0, wait))
        full = (lifetime.in_a_row(SPILL_BYTES), lifetime.in_an_object(SPILL_BYTES, wait))
        costs = (f"${MILLION * cost:.2f}" for cost in full)
        table.append((str(reads), str(months), *sizes, *costs))
    return markdown(table)


def markdown(table: Iterable[Iterable[str]]) -> str:
    """Return lines of cells as Markdown."""
    return "".join(f"| {' | '.join(line)} |\n" for line in table)


def machine_times(items: Sequence[Item]) -> tuple[str, str]:
    """Return the microseconds to encode and to decode, the best of five series."""
    lines = lines_of(items)
    payload = encode(lines)
    part = Part(payload, 0, len(lines))
    return (_best(lambda: encode(lines)), _best(lambda: part.decode(payload.data)))


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
