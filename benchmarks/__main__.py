"""Benchmark of speed and size against peers and limits; `make bench` prints the table.

Compared calls alternate, so that changes of the machine's speed do not change a ratio. Ratios of
different runs are not comparable. The exit status is 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks.cold_starts import compare_cold_starts
from benchmarks.comparisons import Row, table_of
from benchmarks.handler import Handler, compare_lengths, compare_with_floors, count_round_trips
from benchmarks.ogx import compare_with_ogx


def main() -> None:
    """Print the table, and write it to the file of `--json`."""
    options = _parser().parse_args()
    out = sys.stdout
    # The functions log to standard output.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        rows = _measure(options)
    out.write(f"{_machine()}\n\n{table_of(rows)}\n")
    if options.json:
        measured = {"machine": _machine(), "rows": [row._asdict() for row in rows]}
        options.json.write_text(json.dumps(measured, indent=2), encoding="utf-8")
    sys.exit(not all(row.is_met for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--pairs", type=int, default=500, help="number of compared requests")
    parser.add_argument("--starts", type=int, default=15, help="cold starts of each function")
    parser.add_argument(
        "--items", type=int, default=100_000, help="items of the large conversation"
    )
    return parser


def _measure(options: argparse.Namespace) -> list[Row]:
    with Handler.running() as handler:
        _log_progress("calls, and the handler against its floors")
        rows = [*count_round_trips(handler), *compare_with_floors(handler, options.pairs)]
        responses = dict(handler.recorder.responses)
        _log_progress("OGX")
        rows += compare_with_ogx(handler, options.pairs)
        _log_progress(f"a conversation of {options.items:,} items")
        rows += compare_lengths(handler, options.pairs, options.items)
    _log_progress("cold starts")
    return [*rows, *compare_cold_starts(responses, options.starts)]


def _log_progress(what: str) -> None:
    sys.stderr.write(f"measuring: {what}\n")


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "?")
    python = f"Python {platform.python_version()}"
    return f"{model}, {os.cpu_count()} processors, {platform.system()}, {python}"


if __name__ == "__main__":
    main()
