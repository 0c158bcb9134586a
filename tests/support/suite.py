"""Order of the tests, and the output that a report of a failure shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ORDER = ("contract", "storage", "model_checker", "sdk", "template", "openapi", "local", "cli")
"""Folders that run first: those whose failures name a cause, then those whose tests take long.

Short tests come last, so that two workers end at the same time (`--no-loadscope-reorder`).
"""
INFO_LINES = ('{"level":"INFO"', "INFO     ")
"""Starts of a line of level INFO: as a function writes it, and as pytest shows it."""


def position_of(path: Path) -> int:
    """Return the position of a file, by its path below `tests`: files in no folder are first."""
    folder = path.parts[0]
    if folder in ORDER:
        return 1 + ORDER.index(folder)
    return 0 if len(path.parts) == 1 else 1 + len(ORDER)


def without_info(captured: str) -> str:
    """Return *captured* output without lines of level INFO, of a function or of the gateway."""
    lines = captured.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(INFO_LINES))
