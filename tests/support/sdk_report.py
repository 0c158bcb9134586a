"""Table of clients and operations, from the results of their tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

OPERATIONS = (
    "create",
    "list",
    "get",
    "update",
    "delete",
    "create_items",
    "list_items",
    "delete_items",
    "get_item",
    "delete_item",
)
"""Operations under the mka1 SDK's names; openai has all but two, under other names."""

_CELL = re.compile(r"test_(?:every_client|node_agents)\.py::test_(\w+)\[([^\]]+)\]")


def write_table(terminal: pytest.TerminalReporter) -> None:
    """Write a line for each client, with a dash for an operation that it lacks."""
    cells: dict[str, dict[str, str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminal.stats.get(outcome, []):
            found = _CELL.search(report.nodeid)
            if found and found[1] in OPERATIONS:
                cells.setdefault(found[2], {})[found[1]] = outcome
    if not cells:
        return
    terminal.section("clients and operations")
    width = max(map(len, cells))
    terminal.write_line(" ".join([" " * width, *OPERATIONS]))
    for client in sorted(cells):
        line = [cells[client].get(name, "-").ljust(len(name)) for name in OPERATIONS]
        terminal.write_line(" ".join([client.ljust(width), *line]).rstrip())
